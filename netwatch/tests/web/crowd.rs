//! Clients that take places and do nothing with them, and come again soon after they have lost one.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    net::sockopt::set_socket_recv_buffer_size,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::{
    scraper::{REQUEST, connect_from},
    support::wait::until,
};

const IDLE: usize = 1_000;
const SLOW: usize = 20;
const DEAF: usize = 4;
/// Answers to so many requests are more than is on its way to one that has as small a buffer as may be.
const MANY: usize = 30;
const STEP: Duration = Duration::from_millis(100);
/// In how many steps those come again that have lost their place.
const REST: u32 = 20;

pub struct Crowd {
    made: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<TcpStream>>,
}

impl Crowd {
    /// All of them, from an address.
    pub fn start(source: Ipv4Addr, address: SocketAddr) -> Self {
        let most = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
        let (made, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let come = {
            let made = Arc::clone(&made);
            move || {
                let stream = connect_from(source, address).expect("a connection");
                stream.set_nonblocking(true).unwrap();
                made.fetch_add(1, Ordering::Relaxed);
                stream
            }
        };
        let mut idle: Vec<_> = (0..IDLE).map(|_| come()).collect();
        let mut slow: Vec<_> = (0..SLOW).map(|_| come()).collect();
        let mut deaf: Vec<_> = (0..DEAF).map(|_| come()).collect();
        for stream in &mut deaf {
            set_socket_recv_buffer_size(&*stream, 1).unwrap();
            let _ = stream.write(&REQUEST.repeat(MANY));
        }
        let is_over = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for step in 1_u32.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                if step % REST == 0 {
                    for stream in idle.iter_mut().filter(|stream| is_closed(stream)) {
                        *stream = come();
                    }
                }
                for stream in &mut slow {
                    if stream.write(b"G").is_err() {
                        *stream = come();
                    }
                }
                thread::sleep(STEP);
            }
            drop(deaf);
            [idle, slow].into_iter().flatten().collect()
        });
        Self { made, over, thread }
    }

    /// Connections that they have made.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// They come no more, and those that are there are closed one after the other, with nobody who needs their places.
    pub fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        let mut left = self.thread.join().expect("the crowd");
        until("idle connections end", || {
            left.retain(|stream| !is_closed(stream));
            left.is_empty().then_some(())
        });
    }
}

fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Err(error) => error.kind() != ErrorKind::WouldBlock,
        Ok(length) => length == 0,
    }
}
