//! Which connection of a proxy of the engine's (docker-proxy) belongs to which of a client. Pure.
//!
//! A client connects to the host's published port; the proxy takes that up and connects to the container from an address
//! of the host's. The kernel tells of both in this order. Where one client alone waits to be passed on, the proxy's next
//! connection to the container is its; where several do, nobody can tell whose it is, and none is named.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{Connection, Directory, Lookup};
use crate::model::{
    Behind, Instant, Name, Protocol, PublishedPort, Socket, Translation, Translator,
};

/// A proxy passes a connection on at once. One that it has not in this time, it never will.
const PATIENCE: Duration = Duration::from_secs(1);
/// Clients that are remembered while they wait for the same container, and ports whose connections are.
const MOST: usize = 256;
/// How many times in a second the host's sockets are asked for.
const LOOK_UPS: u32 = 20;
/// Connections that are remembered of all ports.
const MOST_KNOWN: usize = 16_384;

/// Clients of published ports: who called, and where.
type Calls = HashSet<(Socket, Socket)>;

/// Clients that a proxy has not passed on yet.
#[derive(Debug, Default)]
pub struct Proxies {
    waiting: HashMap<Target, Waiting>,
    /// By port of the host, connections that the last look-up found.
    known: HashMap<u16, Calls>,
    /// When look-ups were last counted from nought, and how many there were since.
    look_ups: (Instant, u32),
    /// When it was last looked who waits in vain.
    tidied: Instant,
}

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
    /// one of two. `look_up` finds the connections with a port of the host that the kernel does not tell of; `None`: not now.
    pub fn hear(
        &mut self,
        connection: &Connection,
        directory: &Directory,
        now: Instant,
        look_up: impl FnMut(u16) -> Option<Calls>,
    ) -> Option<Translation> {
        self.tidy(now);
        let (source, destination) = connection.original;
        let protocol = connection.protocol;
        let is_host =
            |socket: Socket| directory.name(socket.address, None) == Lookup::Known(Name::Host);
        if let Some(behind) = directory.behind(destination, protocol)
            && is_host(destination)
        {
            self.call(behind, protocol, Call { client: source, called: destination, at: now });
            return None;
        }
        let container = directory.container_of_address(destination.address)?;
        let leads_here =
            |port: &&PublishedPort| (port.protocol, port.port) == (protocol, destination.port);
        let mut published = container.published.iter().filter(leads_here).peekable();
        published.peek()?;
        if !is_host(source) {
            return None;
        }
        let port = destination.port;
        let target = Target { container: container.id.as_str().into(), protocol, port };
        let nobody_waits = self.waiting.get_mut(&target).is_none_or(|waiting| {
            waiting.forget_old(now);
            waiting.calls.is_empty()
        });
        if nobody_waits && protocol == Protocol::TCP {
            let of_v6 = published.filter(|port| port.host.address.is_ipv6());
            let ports: HashSet<u16> = of_v6.map(|port| port.host.port).collect();
            self.look_for_calls(&ports, directory, now, look_up);
        }
        let waiting = self.waiting.get_mut(&target)?;
        let found = waiting.pass(source, destination, protocol);
        if waiting.calls.is_empty() {
            self.waiting.remove(&target);
        }
        found
    }

    /// Connections may have been missed: whose the next ones are is not known.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Forgets those that nobody has passed on in time.
    fn tidy(&mut self, now: Instant) {
        if now.since(self.tidied) < PATIENCE {
            return;
        }
        self.tidied = now;
        self.waiting.retain(|_, waiting| {
            waiting.forget_old(now);
            !waiting.calls.is_empty()
        });
        self.waiting.shrink_to(MOST);
    }

    fn call(&mut self, behind: &Behind, protocol: Protocol, call: Call) {
        let container = Arc::clone(&behind.container_id);
        let target = Target { container, protocol, port: behind.port };
        self.waiting.entry(target).or_default().add(call);
    }

    /// Takes up who has come to these ports of the host since the last time.
    fn look_for_calls(
        &mut self,
        ports: &HashSet<u16>,
        directory: &Directory,
        now: Instant,
        mut look_up: impl FnMut(u16) -> Option<Calls>,
    ) {
        if now.since(self.look_ups.0) >= Duration::from_secs(1) {
            self.look_ups = (now, 0);
        }
        for port in ports {
            self.look_ups.1 += 1;
            if self.look_ups.1 > LOOK_UPS {
                return;
            }
            let Some(found) = look_up(*port) else { return };
            let remembered: usize = self.known.values().map(HashSet::len).sum();
            if self.known.len() >= MOST || remembered + found.len() > MOST_KNOWN {
                self.known.clear();
            }
            let known = self.known.insert(*port, found.clone()).unwrap_or_default();
            for (client, called) in found.difference(&known).copied() {
                if let Some(behind) = directory.behind(called, Protocol::TCP) {
                    self.call(behind, Protocol::TCP, Call { client, called, at: now });
                }
            }
        }
    }
}

impl Waiting {
    fn add(&mut self, call: Call) {
        self.forget_old(call.at);
        if self.calls.len() < MOST {
            self.calls.push(call);
        }
    }

    fn pass(&mut self, source: Socket, server: Socket, protocol: Protocol) -> Option<Translation> {
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

#[cfg(test)]
mod tests;
