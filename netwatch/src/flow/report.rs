//! What is told of a conversation.

use super::{
    conversation::{Conversation, Stage},
    names::Names,
};
use crate::model::{EndReason, Endpoint, FlowEvent, FlowKey, FlowPhase, FlowRecord, Interfaces};

/// Something is to be told of a conversation. Whoever wants to hear it asks for the event; nobody else pays for one.
#[derive(Debug)]
pub struct Report<'a> {
    conversation: &'a Conversation,
    names: &'a Names,
    phase: FlowPhase,
}

impl<'a> Report<'a> {
    /// `None` while the conversation has no names.
    pub(super) fn new(conversation: &'a Conversation, phase: FlowPhase) -> Option<Self> {
        Some(Self { conversation, names: conversation.names.as_deref()?, phase })
    }

    /// Whether it is over.
    pub fn is_end(&self) -> bool {
        matches!(self.phase, FlowPhase::End(_))
    }

    /// The line.
    pub fn event(&self) -> FlowEvent {
        let mut flow = self.record();
        if let (FlowPhase::End(EndReason::Late), Stage::Ended(ended)) =
            (self.phase, &self.conversation.stage)
        {
            flow.sent = flow.sent.since(ended.sent);
            flow.received = flow.received.since(ended.received);
        }
        let time = if self.phase == FlowPhase::Start { flow.first } else { flow.last };
        FlowEvent { time, phase: self.phase, flow }
    }

    /// The conversation as it is now.
    fn record(&self) -> FlowRecord {
        let Self { conversation, names, .. } = self;
        let (client, server) = conversation.client_and_server();
        let (sent, received) = conversation.counted();
        let (from_client, from_server) = conversation.directions();
        FlowRecord {
            id: conversation.id,
            key: FlowKey::new(client, server, conversation.key.protocol),
            protocol: conversation.key.protocol,
            client: Endpoint { socket: client, name: names.client.clone() },
            server: Endpoint { socket: server, name: names.server.clone() },
            behind: names.behind.clone(),
            translation: conversation.translation().map(|known| **known),
            network: names.network.clone(),
            sent,
            received,
            first: conversation.first(),
            last: conversation.last,
            echo: conversation.is_echo(),
            from_client,
            from_server,
            handshake: conversation.handshake(),
            echoes: conversation.echoes(),
            error: conversation.error,
            source_mac: conversation.source_mac,
            seen: conversation.seen(),
            interfaces: Interfaces::default(),
            drops: conversation.drops(),
            undelivered: None,
        }
    }
}
