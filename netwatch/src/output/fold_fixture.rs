//! The folds of the golden files.

use std::time::Duration;

use super::fixture::{Line, MS, container, dropped, end, flow, sent_with, tally};
use crate::model::{
    Answered, DropPlace, Echoes, EndReason, EntrySide, FlowRecord, Fold, Instant, Mac, Name,
    Protocol, Seen, Undelivered,
};

/// Bursts of short flows: one that went well, one that did not, pings, and what cannot be more.
pub(super) fn folds() -> Vec<Line> {
    let cli = || end(container("cli", "alpine:3.20"), "172.17.0.2", 51_234);
    let web = || end(container("web", "nginx:1.27"), "172.17.0.3", 80);
    let times = |at, over| (Instant(at * MS), Instant((at + over) * MS));
    let fold = |sum, connections, ends: &[(EndReason, u64)], answered| {
        let ends = ends.iter().copied().collect();
        Line::Fold(Box::new(Fold { sum, connections, ends, answered }))
    };
    let answered = |timed, median, max| Answered {
        timed,
        median: Duration::from_micros(median),
        max: Duration::from_micros(max),
    };
    let (first, last) = times(0, 4_980);
    let burst = FlowRecord {
        sent: tally(9_000, 9_000, 630_000),
        received: tally(6_000, 6_000, 1_800_000),
        first,
        last,
        from_client: sent_with(0x1b),
        from_server: sent_with(0x1f),
        source_mac: Some(Mac([0x02, 0x42, 0xac, 0x11, 0x00, 0x02])),
        seen: vec![Seen {
            ifindex: 7,
            side: EntrySide::Ingress,
            from_client: true,
            tally: tally(9_000, 9_000, 630_000),
        }],
        ..flow(1, Protocol::TCP, cli(), web())
    };
    let (first, last) = times(100, 4_200);
    let failed = FlowRecord {
        network: Some("shop_default".into()),
        sent: tally(55, 55, 4_070),
        received: tally(12, 12, 888),
        first,
        last,
        from_client: sent_with(0x02),
        drops: vec![dropped(DropPlace::Interface("veth12ab".into()), true, 43)],
        undelivered: Some(Undelivered {
            from_client: 43,
            from_server: 0,
            place: Some("br-799426d70aa2".to_owned()),
        }),
        ..flow(2, Protocol::TCP, cli(), web())
    };
    let (first, last) = times(0, 4_000);
    let pings = FlowRecord {
        sent: tally(10, 10, 980),
        received: tally(10, 10, 980),
        first,
        last,
        echo: true,
        echoes: Echoes { timed: 10, total: Duration::from_micros(900) },
        ..flow(3, Protocol::ICMP, cli(), web())
    };
    let many = tally(u64::MAX, u64::MAX, u64::MAX);
    let v6 = end(Name::External, "2001:db8::1", 443);
    let longest = Duration::from_nanos(u64::MAX);
    let most =
        FlowRecord { sent: many, received: many, ..flow(u64::MAX, Protocol::UDP, v6.clone(), v6) };
    vec![
        fold(
            burst,
            1_500,
            &[(EndReason::Reset, 2), (EndReason::Fin, 1_498)],
            Some(answered(1_500, 84, 12_600)),
        ),
        fold(failed, 55, &[(EndReason::Refused, 12), (EndReason::NoAnswer, 43)], None),
        fold(pings, 10, &[(EndReason::Idle, 10)], None),
        fold(
            most,
            u64::MAX,
            // What is late is never folded.
            &EndReason::ALL[..7].iter().map(|reason| (*reason, u64::MAX)).collect::<Vec<_>>(),
            Some(Answered { timed: u64::MAX, median: longest, max: longest }),
        ),
    ]
}
