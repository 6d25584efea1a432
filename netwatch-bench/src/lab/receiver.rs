//! Takes the datagrams that arrive, as the program would that they are for.
//!
//! A socket that nobody reads is full soon, and the kernel drops all that comes: then each packet would cost what netwatch
//! does for a dropped one, and not what it does for one that arrives.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::network::{PORT, TO};
use crate::cpu::Cpus;

/// What comes in a fifth of a second.
const ROOM: usize = 128 << 20;
/// Between two looks: nobody sleeps on the socket, so that the sender's CPU has nobody to wake.
const PAUSE: Duration = Duration::from_micros(500);

/// The thread that reads, on another CPU than the one that is measured.
pub struct Receiver {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Orders {
    pause: AtomicBool,
    stop: AtomicBool,
}

impl Receiver {
    /// Reads what comes into the namespace of the calling thread.
    pub fn start(cpus: Cpus) -> Result<Self> {
        let socket = UdpSocket::bind((TO, PORT)).context("binding a socket")?;
        socket.set_nonblocking(true)?;
        set_socket_recv_buffer_size_force(&socket, ROOM).context("making room in a socket")?;
        let orders = Arc::new(Orders::default());
        let given = Arc::clone(&orders);
        let thread = thread::spawn(move || {
            // On the measured CPU it would only be slower.
            let _ = cpus.leave();
            while !given.stop.load(Ordering::Relaxed) {
                if !given.pause.load(Ordering::Relaxed) {
                    take(&socket);
                }
                thread::sleep(PAUSE);
            }
        });
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Whether nothing is to be taken: then all is dropped that comes.
    pub fn pause(&self, pause: bool) {
        self.orders.pause.store(pause, Ordering::Relaxed);
    }
}

/// Takes all there is.
fn take(socket: &UdpSocket) {
    let mut datagram = [0; 64];
    while socket.recv(&mut datagram).is_ok() {}
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _: thread::Result<()> = thread.join();
        }
    }
}
