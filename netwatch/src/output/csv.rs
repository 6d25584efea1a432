//! CSV (RFC 4180): a row for each event, with the same columns for all kinds of them.
//!
//! Promises: columns stay where they are, new ones come at the end. No name can make a cell that a spreadsheet takes for
//! a formula, or a row of two lines.

use super::{Formatter, escape, view::rfc3339};
use crate::model::{
    Answered, Appearance, Clock, EndReason, Endpoint, FlowEvent, FlowPhase, Fold, Gap, LifeEvent,
    Lookup, Loss, Name, Protocol, SampleEvent,
};

const LINE_END: &str = "\r\n";

macro_rules! columns {
    ($($name:ident)+) => {
        /// The cells of a row; what an event does not have stays empty.
        #[derive(Default)]
        struct Row { $($name: String),+ }

        /// The names of the columns.
        const COLUMNS: &[&str] = &[$(stringify!($name)),+];

        impl Row {
            fn line(&self) -> String {
                let cells: Vec<String> = [$(&self.$name),+].iter().map(|text| cell(text)).collect();
                cells.join(",") + LINE_END
            }
        }
    };
}

columns! {
    time event reason flow_id protocol
    client client_kind client_address client_port client_container client_image client_project client_service
    server server_kind server_address server_port server_container server_image server_project server_service
    network sent_packets sent_bytes received_packets received_bytes
    duration_ns rtt_ns client_retransmitted server_retransmitted dropped_packets undelivered_packets
    source_mac interfaces question question_type rcode answers hint
    missing_lines
    connections timed_connections rtt_max_ns
}

/// The first line.
pub(super) fn header() -> String {
    COLUMNS.join(",") + LINE_END
}

/// The row of a flow event.
pub(super) fn flow(formatter: &Formatter, event: &FlowEvent, clock: Clock) -> String {
    of_flow(formatter, event, clock).line()
}

/// The row of several flows: how they ended is the reason, `fin:1498,reset:2`.
pub(super) fn fold(formatter: &Formatter, fold: &Fold, clock: Clock) -> String {
    let (time, phase) = (fold.sum.last, FlowPhase::End(EndReason::Fin));
    let event = FlowEvent { time, phase, flow: fold.sum.clone() };
    let reason = super::fold::ends(fold);
    let answered = |nanos: fn(Answered) -> u128| {
        fold.answered.map(|answered| nanos(answered).to_string()).unwrap_or_default()
    };
    Row {
        reason,
        flow_id: String::new(),
        client_port: String::new(),
        rtt_ns: answered(|answered| answered.median.as_nanos()),
        connections: fold.connections.to_string(),
        timed_connections: answered(|answered| answered.timed.into()),
        rtt_max_ns: answered(|answered| answered.max.as_nanos()),
        ..of_flow(formatter, &event, clock)
    }
    .line()
}

fn of_flow(formatter: &Formatter, event: &FlowEvent, clock: Clock) -> Row {
    let flow = &event.flow;
    let is_tcp = flow.protocol == Protocol::TCP;
    let rtt = flow.round_trip().map(|rtt| rtt.as_nanos().to_string());
    let retransmitted = |count: u64| if is_tcp { count.to_string() } else { String::new() };
    let row = Row {
        time: rfc3339(formatter, clock, event.time),
        event: event.phase.name().into(),
        reason: match event.phase {
            FlowPhase::End(reason) => EndReason::name(reason).into(),
            FlowPhase::Start | FlowPhase::Update => String::new(),
        },
        flow_id: flow.id.to_string(),
        network: flow.network.as_deref().unwrap_or_default().into(),
        sent_packets: flow.sent.segments.to_string(),
        sent_bytes: flow.sent.bytes.to_string(),
        received_packets: flow.received.segments.to_string(),
        received_bytes: flow.received.bytes.to_string(),
        duration_ns: flow.last.0.saturating_sub(flow.first.0).to_string(),
        rtt_ns: rtt.unwrap_or_default(),
        client_retransmitted: retransmitted(flow.from_client.repairs.retransmitted),
        server_retransmitted: retransmitted(flow.from_server.repairs.retransmitted),
        dropped_packets: flow.dropped().to_string(),
        undelivered_packets: flow
            .undelivered
            .as_ref()
            .map_or(0, |missing| missing.from_client.saturating_add(missing.from_server))
            .to_string(),
        source_mac: flow.source_mac.map(|mac| mac.to_string()).unwrap_or_default(),
        interfaces: flow.interface_names().join(" "),
        ..Row::default()
    };
    row.between(flow.protocol, &flow.client, &flow.server)
}

/// The row of a loss.
pub(super) fn loss(formatter: &Formatter, loss: &Loss, clock: Clock) -> String {
    let row = Row {
        time: rfc3339(formatter, clock, loss.time),
        event: "lost".into(),
        reason: loss.outcome.name().into(),
        sent_packets: loss.tally.segments.to_string(),
        sent_bytes: loss.tally.bytes.to_string(),
        ..Row::default()
    };
    row.line()
}

/// The row of lines that are missing.
pub(super) fn gap(formatter: &Formatter, gap: &Gap, clock: Clock) -> String {
    let row = Row {
        time: rfc3339(formatter, clock, gap.time),
        event: "gap".into(),
        missing_lines: gap.lines.to_string(),
        ..Row::default()
    };
    row.line()
}

/// The row of a look-up.
pub(super) fn lookup(formatter: &Formatter, lookup: &Lookup, clock: Clock) -> String {
    let question = lookup.question.as_ref();
    let answer = lookup.answer.as_ref();
    let row = Row {
        time: rfc3339(formatter, clock, lookup.time),
        event: "dns".into(),
        reason: if answer.is_none() { "no-answer".into() } else { String::new() },
        network: lookup.network.as_deref().unwrap_or_default().into(),
        sent_packets: lookup.queries.to_string(),
        rtt_ns: lookup.took.map(|took| took.as_nanos().to_string()).unwrap_or_default(),
        question: question.map(|question| question.name.clone()).unwrap_or_default(),
        question_type: question.map(|question| question.kind.clone()).unwrap_or_default(),
        rcode: answer.map(|answer| answer.rcode.to_string()).unwrap_or_default(),
        answers: answer.map_or_else(String::new, |answer| {
            answer.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }),
        hint: lookup.hint.map(|hint| hint.name().to_owned()).unwrap_or_default(),
        ..Row::default()
    };
    row.between(lookup.protocol, &lookup.client, &lookup.server).line()
}

/// The row of what happened to a container, which stands where the client does.
pub(super) fn life(formatter: &Formatter, event: &LifeEvent, clock: Clock) -> String {
    let Appearance { container, veths } = &event.now;
    let addresses = container.attachments.iter().flat_map(|place| &place.addresses);
    let row = Row {
        time: rfc3339(formatter, clock, event.time),
        event: "event".into(),
        reason: event.change.name().into(),
        client: container.name.clone(),
        client_kind: "container".into(),
        client_address: addresses.map(ToString::to_string).collect::<Vec<_>>().join(" "),
        client_container: container.id.clone(),
        client_image: container.image.clone(),
        client_project: container.project.clone().unwrap_or_default(),
        client_service: container.service.clone().unwrap_or_default(),
        network: event.network.as_deref().unwrap_or_default().into(),
        interfaces: veths.join(" "),
        hint: event.unseen.map(|unseen| unseen.name().to_owned()).unwrap_or_default(),
        ..Row::default()
    };
    row.line()
}

/// The row of a sample.
pub(super) fn sample(formatter: &Formatter, event: &SampleEvent, clock: Clock) -> String {
    let SampleEvent { sample, interface, network, packet } = event;
    let row = Row {
        time: rfc3339(formatter, clock, sample.time),
        event: "sample".into(),
        reason: packet.as_ref().err().map(|outcome| outcome.name().to_owned()).unwrap_or_default(),
        network: network.as_deref().unwrap_or_default().into(),
        sent_packets: sample.segments.to_string(),
        sent_bytes: sample.len.to_string(),
        interfaces: interface.clone().unwrap_or_default(),
        ..Row::default()
    };
    match packet {
        Ok(packet) => row.between(packet.protocol, &packet.source, &packet.destination).line(),
        Err(_) => row.line(),
    }
}

impl Row {
    fn between(self, protocol: Protocol, client: &Endpoint, server: &Endpoint) -> Self {
        let [client, server] = [client, server].map(|one| End::new(protocol, one));
        Self {
            protocol: protocol.to_string(),
            client: client.name,
            client_kind: client.kind,
            client_address: client.address,
            client_port: client.port,
            client_container: client.container,
            client_image: client.image,
            client_project: client.project,
            client_service: client.service,
            server: server.name,
            server_kind: server.kind,
            server_address: server.address,
            server_port: server.port,
            server_container: server.container,
            server_image: server.image,
            server_project: server.project,
            server_service: server.service,
            ..self
        }
    }
}

/// The cells of one end.
struct End {
    name: String,
    kind: String,
    address: String,
    port: String,
    container: String,
    image: String,
    project: String,
    service: String,
}

impl End {
    fn new(protocol: Protocol, end: &Endpoint) -> Self {
        let container = end.container();
        let of = |text: Option<&String>| text.cloned().unwrap_or_default();
        Self {
            // What an outside address was looked up by says more than that it is outside.
            name: match &end.name {
                Name::Domain(domain) => domain.to_string(),
                _ => end.label().to_owned(),
            },
            kind: end.name.kind().to_owned(),
            address: end.address().to_string(),
            port: if protocol.has_ports() { end.socket.port.to_string() } else { String::new() },
            container: of(container.map(|container| &container.id)),
            image: of(container.map(|container| &container.image)),
            project: of(container.and_then(|container| container.project.as_ref())),
            service: of(container.and_then(|container| container.service.as_ref())),
        }
    }
}

/// A cell: what would begin a formula in a spreadsheet gets the quote that stands for text there.
fn cell(text: &str) -> String {
    let mut safe = escape::cell(text);
    if safe.starts_with(['=', '+', '-', '@']) {
        safe.insert(0, '\'');
    }
    if safe.contains(['"', ',']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a reader of RFC 4180 finds in one row without its end.
    fn read(line: &str) -> Vec<String> {
        let mut cells = vec![String::new()];
        let mut quoted = false;
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            let last = cells.last_mut().unwrap();
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    last.push('"');
                    letters.next();
                }
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                letter => last.push(letter),
            }
        }
        assert!(!quoted, "{line}");
        cells
    }

    #[test]
    fn formulas_are_harmless_and_all_else_is_as_it_was() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("=a,\"b\"", "\"'=a,\"\"b\"\"\""),
            ("a,b", "\"a,b\""),
            ("a=b", "a=b"),
            ("\t=1", "\\t=1"),
            ("a\r\n=b", "a\\r\\n=b"),
            ("::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_row_has_its_columns_whatever_the_names(one in any::<String>(), two in any::<String>()) {
            let row = Row { client: one.clone(), rtt_max_ns: two.clone(), ..Row::default() };
            let line = row.line();
            prop_assert!(!line.trim_end_matches("\r\n").chars().any(char::is_control));
            let cells = read(line.strip_suffix("\r\n").unwrap());
            prop_assert_eq!(cells.len(), COLUMNS.len());
            prop_assert!(cells.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
            prop_assert_eq!(&cells[5], &cell_of(&one));
            prop_assert_eq!(cells.last().unwrap(), &cell_of(&two));
        }
    }

    fn cell_of(text: &str) -> String {
        read(&cell(text)).remove(0)
    }
}
