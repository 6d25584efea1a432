//! Takes the datagrams that arrive, as the program would that they are for.
//!
//! A socket that nobody reads is full soon, and the kernel drops all that comes: then each packet would cost what netwatch
//! does for a dropped one, and not what it does for one that arrives.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::network::{PORT, TO};
use crate::cpu::Cpus;

/// For some hundred thousand small datagrams: more than come while the thread waits for its turn.
const ROOM: usize = 128 << 20;
/// Between two looks: nobody sleeps on the socket, so that the sender's CPU has nobody to wake.
const PAUSE: Duration = Duration::from_micros(500);

/// The thread that reads, on another CPU than the one that is measured.
pub struct Receiver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    pause: AtomicBool,
    stop: AtomicBool,
    taken: AtomicU64,
}

impl Receiver {
    /// Reads what comes into the namespace of the calling thread.
    pub fn start(cpus: Cpus) -> Result<Self> {
        let socket = UdpSocket::bind((TO, PORT)).context("binding a socket")?;
        socket.set_nonblocking(true)?;
        set_socket_recv_buffer_size_force(&socket, ROOM).context("making room in a socket")?;
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            // On the measured CPU it would only be slower.
            let _ = cpus.leave();
            let mut datagram = [0; 64];
            while !ours.stop.load(Ordering::Relaxed) {
                if !ours.pause.load(Ordering::Relaxed) && socket.recv(&mut datagram).is_ok() {
                    ours.taken.fetch_add(1, Ordering::Relaxed);
                } else {
                    thread::sleep(PAUSE);
                }
            }
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How many datagrams it has taken.
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Whether nothing is to be taken: then all is dropped that comes.
    pub fn pause(&self, pause: bool) {
        self.shared.pause.store(pause, Ordering::Relaxed);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _: thread::Result<()> = thread.join();
        }
    }
}
