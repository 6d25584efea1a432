//! A line about a flow.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Record, clock,
    parts::{self, DirectionRecord, DropRecord, EndRecord, SeenRecord, protocol},
    since,
};
use crate::model::{
    Answered, Behind, Clock, Echoes, EndReason, FlowEvent, FlowKey, FlowPhase, FlowRecord, Fold,
    Handshake, IcmpError, Interfaces, Protocol, Socket, Translation, Translator, Undelivered,
};

#[derive(Deserialize)]
pub(super) struct FlowLine {
    #[serde(deserialize_with = "parts::time")]
    time: Timestamp,
    event: String,
    reason: Option<String>,
    /// Absent of several flows in one line.
    flow_id: Option<u64>,
    connections: Option<u64>,
    #[serde(default)]
    ends: BTreeMap<String, u64>,
    answered: Option<AnsweredRecord>,
    protocol: String,
    client: EndRecord,
    server: EndRecord,
    behind: Option<BehindRecord>,
    via: Option<ViaRecord>,
    masquerade: Option<SocketRecord>,
    network: Option<String>,
    sent: DirectionRecord,
    received: DirectionRecord,
    #[serde(deserialize_with = "parts::time")]
    first: Timestamp,
    duration_ns: u64,
    tcp_flags: Option<FlagsRecord>,
    handshake: Option<HandshakeRecord>,
    #[serde(default)]
    icmp_echo: bool,
    echo: Option<EchoRecord>,
    icmp_error: Option<ErrorRecord>,
    source_mac: Option<String>,
    #[serde(default)]
    seen: Vec<SeenRecord>,
    #[serde(default)]
    drops: Vec<DropRecord>,
    undelivered: Option<UndeliveredRecord>,
}

#[derive(Deserialize)]
struct AnsweredRecord {
    timed: u64,
    median_ns: u64,
    max_ns: u64,
}

#[derive(Deserialize)]
struct FlagsRecord {
    client: String,
    server: String,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "a field's unit is part of its name in the record")]
struct HandshakeRecord {
    answered_ns: u64,
    server_ns: u64,
    client_ns: Option<u64>,
}

#[derive(Deserialize)]
struct EchoRecord {
    timed: u64,
    mean_ns: u64,
}

#[derive(Deserialize)]
struct ErrorRecord {
    #[serde(rename = "type")]
    kind: u8,
    code: u8,
}

#[derive(Deserialize)]
struct BehindRecord {
    name: String,
    container_id: String,
    port: u16,
}

#[derive(Deserialize)]
struct ViaRecord {
    #[serde(flatten)]
    socket: SocketRecord,
    by: String,
}

#[derive(Deserialize)]
struct SocketRecord {
    address: IpAddr,
    #[serde(default)]
    port: u16,
}

#[derive(Deserialize)]
struct UndeliveredRecord {
    from_client: u64,
    from_server: u64,
    place: Option<String>,
}

impl FlowLine {
    pub(super) fn record(mut self) -> Result<(Record, Clock), String> {
        let Some(connections) = self.connections else {
            return self.event().map(|(event, clock)| (Record::Flow(Box::new(event)), clock));
        };
        let ends = std::mem::take(&mut self.ends);
        let ends = ends.iter().map(|(word, count)| Ok((end_reason(Some(word))?, *count)));
        let ends = ends.collect::<Result<_, String>>()?;
        let answered = self.answered.take().map(|answered| Answered {
            timed: answered.timed,
            median: Duration::from_nanos(answered.median_ns),
            max: Duration::from_nanos(answered.max_ns),
        });
        // What is one flow's is left out.
        self.reason = Some(EndReason::Fin.name().to_owned());
        self.flow_id = Some(0);
        let (FlowEvent { flow: sum, .. }, clock) = self.event()?;
        Ok((Record::Fold(Box::new(Fold { sum, connections, ends, answered })), clock))
    }

    fn event(self) -> Result<(FlowEvent, Clock), String> {
        let protocol = protocol(&self.protocol)?;
        let [client, server] = [self.client, self.server].map(EndRecord::endpoint);
        let (client, server) = (client?, server?);
        let clock = clock(zero(self.first, self.duration_ns));
        let (time, first) = (since(clock, self.time), since(clock, self.first));
        let last = first.after(Duration::from_nanos(self.duration_ns));
        let phase = match (self.event.as_str(), self.reason.as_deref()) {
            ("start", _) => FlowPhase::Start,
            ("update", _) => FlowPhase::Update,
            (_, reason) => FlowPhase::End(end_reason(reason)?),
        };
        let flags =
            self.tcp_flags.unwrap_or(FlagsRecord { client: String::new(), server: String::new() });
        let interfaces: Interfaces = parts::interfaces(&self.seen);
        let echoes = self.echo.map(|echo| Echoes {
            timed: echo.timed,
            total: Duration::from_nanos(echo.mean_ns)
                .saturating_mul(u32::try_from(echo.timed).unwrap_or(u32::MAX)),
        });
        let (from_client, from_server) =
            (self.sent.direction(&flags.client)?, self.received.direction(&flags.server)?);
        let ends = (client.socket, server.socket);
        let translation = translation(protocol, ends, self.via, self.masquerade)?;
        let flow = FlowRecord {
            id: self.flow_id.ok_or("missing field `flow_id`")?,
            key: FlowKey::new(client.socket, server.socket, protocol),
            protocol,
            client,
            server,
            behind: self.behind.map(|behind| Behind {
                name: behind.name.into(),
                container_id: behind.container_id.into(),
                port: behind.port,
            }),
            translation,
            network: self.network.map(Into::into),
            sent: self.sent.tally.into(),
            received: self.received.tally.into(),
            first,
            last,
            echo: self.icmp_echo,
            from_client,
            from_server,
            handshake: self.handshake.map(|handshake| Handshake {
                answered: Duration::from_nanos(handshake.answered_ns),
                server: Duration::from_nanos(handshake.server_ns),
                client: handshake.client_ns.map(Duration::from_nanos),
            }),
            echoes: echoes.unwrap_or_default(),
            error: self.icmp_error.map(|error| IcmpError { kind: error.kind, code: error.code }),
            source_mac: self.source_mac.as_deref().map(parts::mac).transpose()?,
            seen: self.seen.iter().map(SeenRecord::seen).collect::<Result<_, _>>()?,
            interfaces,
            drops: self.drops.into_iter().map(DropRecord::dropped).collect::<Result<_, _>>()?,
            undelivered: self.undelivered.map(|missing| Undelivered {
                from_client: missing.from_client,
                from_server: missing.from_server,
                place: missing.place,
            }),
        };
        Ok((FlowEvent { time, phase, flow }, clock))
    }
}

/// Times of all flows are by the same clock, so that they can be added up; only those of which nanoseconds since the epoch
/// would say less than the line does have one of their own.
fn zero(first: Timestamp, duration_ns: u64) -> Timestamp {
    let last = first.as_nanosecond() + i128::from(duration_ns);
    let is_usual = first >= Timestamp::UNIX_EPOCH && last <= u64::MAX.into();
    if is_usual { Timestamp::UNIX_EPOCH } else { first }
}

fn translation(
    protocol: Protocol,
    (client, server): (Socket, Socket),
    via: Option<ViaRecord>,
    masquerade: Option<SocketRecord>,
) -> Result<Option<Translation>, String> {
    if via.is_none() && masquerade.is_none() {
        return Ok(None);
    }
    let by = match via.as_ref().map(|via| via.by.as_str()) {
        Some("nat") | None => Translator::Kernel,
        Some("proxy") => Translator::Proxy,
        Some(word) => {
            return Err(format!("'{}' is nobody known to pass it on", word.escape_debug()));
        }
    };
    let socket = |SocketRecord { address, port }| Socket { address, port };
    Ok(Some(Translation {
        protocol,
        client,
        called: via.map_or(server, |via| socket(via.socket)),
        server,
        masked: masquerade.map_or(client, socket),
        by,
    }))
}

fn end_reason(word: Option<&str>) -> Result<EndReason, String> {
    let word = word.unwrap_or_default();
    EndReason::ALL
        .into_iter()
        .find(|reason| reason.name() == word)
        .ok_or_else(|| format!("'{}' is no known reason of an end", word.escape_debug()))
}
