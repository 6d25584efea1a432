//! The lab's clients, gentle and rate-limited: `cli` fetches a page from `web` and pings `db`; `api` asks `db` over one
//! long connection and sends `web` datagrams. Runs inside a namespace; says at the end how it went.

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;

use super::{DATABASE_PORT, DB, HTTP_PORT, Node, UDP_PORT, WEB, ping::Ping, topology::has_ipv6};
use crate::{cleanup, report::say};

const TIMEOUT: Duration = Duration::from_secs(1);
/// Queries on one database connection before it is closed and opened anew.
const QUERIES: u64 = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    who: Who,
    #[arg(long)]
    seconds: u64,
    #[arg(long)]
    scale: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    Api,
    Cli,
}

/// Sends until the time is up or it is told to stop.
pub(crate) fn run(args: &Args) {
    let begin = Instant::now();
    let pause = |milliseconds| Duration::from_millis(milliseconds) / args.scale;
    let until = Until { begin, limit: Duration::from_secs(args.seconds) };
    thread::scope(|scope| match args.who {
        Who::Cli => {
            scope.spawn(|| repeat("cli -> web http", pause(250), &until, fetch));
            scope.spawn(|| with_ping(pause(1000), &until));
        }
        Who::Api => {
            scope.spawn(|| with_database(pause(200), &until));
            scope.spawn(|| repeat("api -> web udp", pause(500), &until, datagram));
        }
    });
}

struct Until {
    begin: Instant,
    limit: Duration,
}

impl Until {
    fn now(&self) -> bool {
        self.begin.elapsed() >= self.limit || cleanup::requested()
    }
}

#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    last: Option<anyhow::Error>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} done, {} failed", self.done, self.failed)?;
        match &self.last {
            Some(error) => write!(f, " (the last: {error:#})"),
            None => Ok(()),
        }
    }
}

/// Does one thing again and again, at a steady rate, and says at the end how often.
fn repeat(what: &str, pause: Duration, until: &Until, mut once: impl FnMut(u64) -> Result<()>) {
    let mut tally = Tally::default();
    let mut turn = 0;
    // The servers start at the same moment as we do.
    thread::sleep(Duration::from_millis(200));
    while !until.now() {
        match once(turn) {
            Ok(()) => tally.done += 1,
            Err(error) => {
                tally.failed += 1;
                tally.last = Some(error);
            }
        }
        turn += 1;
        thread::sleep(pause);
    }
    say(format_args!("{what}: {tally}"));
}

/// IPv4 mostly, IPv6 now and then, where there is any.
fn address(node: &Node, port: u16, turn: u64) -> Result<SocketAddr> {
    let ip = if turn % 4 == 3 && has_ipv6() { node.ipv6() } else { node.ipv4() };
    Ok(SocketAddr::new(ip.parse()?, port))
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&to, TIMEOUT).with_context(|| format!("connecting to {to}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn fetch(turn: u64) -> Result<()> {
    let mut stream = connect(address(&WEB, HTTP_PORT, turn)?)?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n")?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page)?;
    if page.starts_with(b"HTTP/1.0 200") { Ok(()) } else { Err(anyhow!("no page in the answer")) }
}

fn with_database(pause: Duration, until: &Until) {
    let mut connection = None;
    repeat("api -> db tcp", pause, until, |turn| {
        if turn % QUERIES == 0 {
            connection = None;
        }
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => connect(address(&DB, DATABASE_PORT, 0)?)?,
        };
        stream.write_all(b"select * from orders;\n")?;
        if stream.read(&mut [0; 4096])? == 0 {
            return Err(anyhow!("the database closed the connection"));
        }
        connection = Some(stream);
        Ok(())
    });
}

fn datagram(turn: u64) -> Result<()> {
    let to = address(&WEB, UDP_PORT, turn)?;
    let any = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.send_to(&[b'.'; 100], to)?;
    socket.recv(&mut [0; 1500]).with_context(|| format!("waiting for the echo of {to}"))?;
    Ok(())
}

fn with_ping(pause: Duration, until: &Until) {
    match Ping::new(&DB.ipv4()) {
        Ok(ping) => repeat("cli -> db ping", pause, until, |turn| ping.once(turn)),
        Err(error) => say(format_args!("cli -> db ping: {error:#}")),
    }
}
