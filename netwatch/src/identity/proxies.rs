//! Which connection of a proxy of the engine's (docker-proxy) belongs to which of a client. Pure.
//!
//! A client connects to the host's published port; the proxy takes that up and connects to the container from an address
//! of the host's. The kernel tells of both in this order. Where one client alone waits to be passed on, the proxy's next
//! connection to the container is its; where several do, nobody can tell whose it is, and none is named.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Connection, Directory, Lookup};
use crate::model::{Instant, Name, Protocol, Socket, Translation, Translator};

/// A proxy passes a connection on at once. One that it has not in this time, it never will.
const PATIENCE: Duration = Duration::from_secs(1);
/// Clients that are remembered while they wait for the same container.
const MOST: usize = 256;

/// Clients that a proxy has not passed on yet.
#[derive(Debug, Default)]
pub struct Proxies(HashMap<Target, Waiting>);

/// A container's port.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Target {
    container: Arc<str>,
    protocol: Protocol,
    port: u16,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: Vec<Call>,
    /// How many of these have been passed on, while it could not be told which.
    passed: usize,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    client: Socket,
    called: Socket,
    at: Instant,
}

impl Proxies {
    /// Hears of a new connection that the kernel does not translate. Answers with what it is a part of, if it is the second
    /// one of two.
    pub fn hear(
        &mut self,
        connection: &Connection,
        directory: &Directory,
        now: Instant,
    ) -> Option<Translation> {
        let (source, destination) = connection.original;
        let protocol = connection.protocol;
        let is_host = |socket: Socket| {
            directory.name(socket.address, None) == Lookup::Known(Name::Host)
        };
        if let Some(behind) = directory.behind(destination, protocol)
            && is_host(destination)
        {
            let container = Arc::clone(&behind.container_id);
            let waiting =
                self.0.entry(Target { container, protocol, port: behind.port }).or_default();
            waiting.add(Call { client: source, called: destination, at: now });
            return None;
        }
        if self.0.is_empty() || !is_host(source) {
            return None;
        }
        let container = directory.container_of_address(destination.address)?.id.as_str().into();
        let target = Target { container, protocol, port: destination.port };
        let waiting = self.0.get_mut(&target)?;
        let found = waiting.pass(source, destination, protocol, now);
        if waiting.calls.is_empty() {
            self.0.remove(&target);
        }
        found
    }

    /// Connections may have been missed: whose the next ones are is not known.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

impl Waiting {
    fn add(&mut self, call: Call) {
        self.forget_old(call.at);
        if self.calls.len() < MOST {
            self.calls.push(call);
        }
    }

    fn pass(
        &mut self,
        source: Socket,
        server: Socket,
        protocol: Protocol,
        now: Instant,
    ) -> Option<Translation> {
        self.forget_old(now);
        let first = *self.calls.first()?;
        let is_certain = self.calls.len() == 1;
        let is_one_port = self.calls.iter().all(|call| call.called == first.called);
        self.passed += 1;
        if self.passed >= self.calls.len() {
            *self = Self::default();
        }
        is_one_port.then_some(Translation {
            protocol,
            client: if is_certain { first.client } else { source },
            called: first.called,
            server,
            masked: source,
            by: Translator::Proxy,
        })
    }

    fn forget_old(&mut self, now: Instant) {
        self.calls.retain(|call| now.since(call.at) < PATIENCE);
        if self.calls.is_empty() {
            self.passed = 0;
        }
    }
}
