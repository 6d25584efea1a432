//! Connections that bear other addresses at their server's end than at their client's.

use serde::{Deserialize, Serialize};

use super::{FlowKey, Protocol, Socket};

/// Who passes a connection on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Translator {
    /// The kernel, which rewrites the addresses of its packets (NAT).
    Kernel,
    /// A process that takes it and makes another one to the server, as docker-proxy does.
    Proxy,
}

impl Translator {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "nat",
            Self::Proxy => "proxy",
        }
    }
}

/// One connection, as its client made it and as its server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Translation {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Who made it.
    pub client: Socket,
    /// Whom the client called: a published port of the host, say.
    pub called: Socket,
    /// Who answers.
    pub server: Socket,
    /// As whom the client appears to the server: itself, unless it is masqueraded.
    pub masked: Socket,
    /// Who passes it on.
    pub by: Translator,
}

/// The part of a connection on one side of a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The end that the client has there.
    pub client: Socket,
    /// The end that the server has there.
    pub server: Socket,
}

impl Translation {
    /// The client's side and the server's. Where the kernel changes both ends, it does so at different places, and in between
    /// packets have one end of either.
    pub fn legs(&self) -> impl Iterator<Item = Leg> + use<> {
        let Self { client, called, server, masked, by, .. } = *self;
        let has_middle = by == Translator::Kernel && self.via().is_some() && self.mask().is_some();
        let outer = [Leg { client, server: called }, Leg { client: masked, server }];
        outer.into_iter().chain(has_middle.then_some(Leg { client, server }))
    }

    /// The keys of all.
    pub fn keys(&self) -> impl Iterator<Item = FlowKey> + use<> {
        let protocol = self.protocol;
        self.legs().map(move |leg| FlowKey::new(leg.client, leg.server, protocol))
    }

    /// Whether an end of any leg is the client's.
    pub fn is_client(&self, socket: Socket) -> bool {
        socket == self.client || socket == self.masked
    }

    /// Where the client thought to find the server, if not where it was.
    pub fn via(&self) -> Option<Socket> {
        (self.called != self.server).then_some(self.called)
    }

    /// As whom the client appears to the server, if not as itself.
    pub fn mask(&self) -> Option<Socket> {
        (self.masked != self.client).then_some(self.masked)
    }
}

impl Leg {
    /// The end of this leg that stands for one of any leg of the same translation.
    pub fn end(&self, translation: &Translation, socket: Socket) -> Socket {
        if translation.is_client(socket) { self.client } else { self.server }
    }
}
