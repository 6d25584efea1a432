//! A name server that keeps count of what it was asked and what it answered.

#![expect(unsafe_code, reason = "the standard library does not enter namespaces")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::docker::{Container, docker};

/// Names that begin so do not exist.
pub const MISSING: &str = "missing";

const HEADER: usize = 12;
const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;

/// Serves until dropped, over UDP and TCP.
pub struct Server {
    counts: Arc<Mutex<Counts>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What it has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub queries: u64,
    /// By the mnemonic of the response code.
    pub responses: BTreeMap<&'static str, u64>,
}

impl Server {
    /// On this host, at an address of it.
    pub fn at(address: &str) -> Self {
        let udp = UdpSocket::bind((address, 53)).expect("port 53 of UDP is free");
        let tcp = TcpListener::bind((address, 53)).expect("port 53 of TCP is free");
        Self::serve(udp, tcp)
    }

    /// In a container, at all its addresses.
    pub fn inside(container: &Container) -> Self {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &container.name]);
        let namespace = File::open(format!("/proc/{}/ns/net", pid.trim())).expect("a namespace");
        // Sockets stay in the namespace that they were made in; the thread that entered it ends.
        let sockets = thread::spawn(move || {
            // SAFETY: changes only the namespace of this thread, which nobody else uses.
            let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "entering it: {}", io::Error::last_os_error());
            (UdpSocket::bind("0.0.0.0:53"), TcpListener::bind("0.0.0.0:53"))
        });
        let (udp, tcp) = sockets.join().expect("sockets");
        Self::serve(udp.expect("port 53 of UDP is free"), tcp.expect("port 53 of TCP is free"))
    }

    pub fn counts(&self) -> Counts {
        self.counts.lock().expect("counts").clone()
    }

    fn serve(udp: UdpSocket, tcp: TcpListener) -> Self {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let stop = Arc::new(AtomicBool::new(false));
        udp.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        tcp.set_nonblocking(true).expect("no waiting");
        let (counts_of_thread, stopped) = (Arc::clone(&counts), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut query = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, client)) = udp.recv_from(&mut query)
                    && let Some(answer) = answer(&query[..len], &counts_of_thread)
                {
                    udp.send_to(&answer, client).expect("an answer goes out");
                }
                match tcp.accept() {
                    Ok((stream, _)) => answer_one(stream, &counts_of_thread).expect("an exchange"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
                }
            }
        });
        Self { counts, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the name server failed");
        }
    }
}

/// One query and one answer over TCP.
fn answer_one(mut stream: TcpStream, counts: &Mutex<Counts>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix)?;
    let mut query = vec![0; u16::from_be_bytes(prefix).into()];
    stream.read_exact(&mut query)?;
    let answer = answer(&query, counts).expect("a query");
    let len = u16::try_from(answer.len()).expect("short");
    stream.write_all(&[&len.to_be_bytes(), &answer[..]].concat())
}

/// The question back, with a code and, for an address, one record.
fn answer(query: &[u8], counts: &Mutex<Counts>) -> Option<Vec<u8>> {
    let end = HEADER + question_len(query.get(HEADER..)?)?;
    let (code, name) = if query[HEADER + 1..].starts_with(MISSING.as_bytes()) {
        (NXDOMAIN, "NXDOMAIN")
    } else {
        (NOERROR, "NOERROR")
    };
    let wants_address = query[end - 4..end] == [0, 1, 0, 1];
    let records = u8::from(code == NOERROR && wants_address);
    let mut answer = query[..end].to_vec();
    answer[2..HEADER].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, records, 0, 0, 0, 0]);
    if records != 0 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    let mut counts = counts.lock().expect("counts");
    counts.queries += 1;
    *counts.responses.entry(name).or_default() += 1;
    Some(answer)
}

/// Bytes of a name, a type and a class.
fn question_len(question: &[u8]) -> Option<usize> {
    let mut at = 0;
    while *question.get(at)? != 0 {
        at += 1 + usize::from(question[at]);
    }
    (question.len() >= at + 5).then_some(at + 5)
}

/// A query for the address of a name.
pub fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0x4e, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a short label"));
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}
