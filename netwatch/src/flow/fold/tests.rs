//! Whatever is folded adds up to what went in, and nothing waits for ever.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::model::{
    Answered, Direction, DropPlace, Echoes, EndReason, Endpoint, EntrySide, FlowDrop, FlowKey,
    Handshake, Name, Protocol, Seen, Socket, Tally, Undelivered,
};

const WITHIN: Duration = Duration::from_secs(5);
const SECOND: u64 = 1_000_000_000;

/// A line: the flow's number, and which event it is of.
type Line = (u64, FlowPhase);

fn flow(id: u64, client: u8, server_port: u16) -> FlowRecord {
    let end = |host, port| Endpoint {
        socket: Socket { address: [172, 17, 0, host].into(), port },
        name: Name::External,
    };
    let port = u16::try_from(40_000 + id % 10_000).unwrap();
    let (client, server) = (end(client, port), end(9, server_port));
    let sent = Tally { packets: id + 1, segments: id + 2, bytes: id + 100 };
    let tally = |packets| Tally { packets, segments: packets, bytes: packets * 60 };
    FlowRecord {
        id,
        key: FlowKey::new(client.socket, server.socket, Protocol::TCP),
        protocol: Protocol::TCP,
        client,
        server,
        behind: None,
        translation: None,
        network: None,
        sent,
        received: tally(id),
        first: Instant(id),
        last: Instant(id + 10),
        echo: false,
        from_client: Direction::default(),
        from_server: Direction::default(),
        handshake: None,
        echoes: Echoes::default(),
        error: None,
        source_mac: None,
        seen: vec![Seen { ifindex: 4, side: EntrySide::Ingress, from_client: true, tally: sent }],
        interfaces: [(4, "veth1".into())].into(),
        drops: Vec::new(),
        undelivered: None,
    }
}

fn event(phase: FlowPhase, flow: FlowRecord) -> FlowEvent {
    FlowEvent { time: flow.last, phase, flow }
}

/// Tells of these flows, each begun and ended at once, and answers with what came out when all had waited.
fn all_of(flows: Vec<(FlowRecord, EndReason)>) -> Vec<Folded<Line>> {
    let mut folder = Folder::new(WITHIN);
    let mut out = Vec::new();
    for (flow, reason) in flows {
        for phase in [FlowPhase::Start, FlowPhase::End(reason)] {
            let line = (flow.id, phase);
            folder.take(&event(phase, flow.clone()), line, Instant(0), &mut |line| out.push(line));
        }
    }
    assert_eq!(out, [], "all wait");
    folder.finish(&mut |line| out.push(line));
    out
}

fn only_fold(out: &[Folded<Line>]) -> &Fold {
    match out {
        [Folded::Many(fold)] => fold,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_burst_is_one_line_with_everything_added_up() {
    let waited = |ms| Handshake {
        answered: Duration::from_millis(ms),
        server: Duration::ZERO,
        client: None,
    };
    let dropped = |packets| FlowDrop {
        reason: "netfilter-drop".into(),
        place: DropPlace::Interface("veth1".into()),
        ifindex: 4,
        from_client: true,
        packets,
    };
    let of = |id, waits: Option<u64>| FlowRecord {
        handshake: waits.map(waited),
        drops: vec![dropped(id)],
        undelivered: Some(Undelivered { from_client: id, from_server: 1, place: None }),
        ..flow(id, 2, 80)
    };
    let flows = vec![
        (of(1, Some(9)), EndReason::Fin),
        (of(2, Some(1)), EndReason::Fin),
        (of(3, Some(4)), EndReason::Reset),
        (of(4, None), EndReason::NoAnswer),
    ];
    let out = all_of(flows);
    let fold = only_fold(&out);
    assert_eq!(fold.connections, 4);
    let ends = [(EndReason::Fin, 2), (EndReason::Reset, 1), (EndReason::NoAnswer, 1)];
    assert_eq!(fold.ends, BTreeMap::from(ends));
    let ms = Duration::from_millis;
    assert_eq!(fold.answered, Some(Answered { timed: 3, median: ms(4), max: ms(9) }));
    let sum = &fold.sum;
    assert_eq!(sum.sent, Tally { packets: 14, segments: 18, bytes: 410 });
    assert_eq!(sum.received, Tally { packets: 10, segments: 10, bytes: 600 });
    assert_eq!((sum.first, sum.last), (Instant(1), Instant(14)));
    assert_eq!(sum.seen.len(), 1);
    assert_eq!(sum.seen[0].tally, sum.sent);
    assert_eq!(sum.drops, [dropped(10)]);
    assert_eq!(sum.undelivered, Some(Undelivered { from_client: 10, from_server: 4, place: None }));
}

#[test]
fn what_does_not_add_up_is_apart() {
    let named = |id, place: Option<&str>| FlowRecord {
        undelivered: place.map(|place| Undelivered {
            from_client: 1,
            from_server: 0,
            place: Some(place.to_owned()),
        }),
        ..flow(id, 2, 80)
    };
    let flows = [
        flow(1, 2, 80),
        flow(2, 3, 80),
        flow(3, 2, 81),
        named(4, Some("br-1")),
        named(5, Some("br-2")),
        FlowRecord { network: Some("shop".into()), ..flow(6, 2, 80) },
    ];
    let out = all_of(flows.into_iter().map(|flow| (flow, EndReason::Fin)).collect());
    let alone: Vec<_> = (1..=6)
        .flat_map(|id| [FlowPhase::Start, FlowPhase::End(EndReason::Fin)].map(|phase| (id, phase)))
        .map(Folded::One)
        .collect();
    assert_eq!(out, alone, "each with both of its lines");
}

#[test]
fn a_long_flow_is_told_as_without_folding() {
    let mut folder = Folder::new(WITHIN);
    let mut out = Vec::new();
    let mut take = |phase, second: u64, out: &mut Vec<_>| {
        let now = Instant(second * SECOND);
        folder.tick(now, &mut |line| out.push(line));
        folder.take(&event(phase, flow(1, 2, 80)), (1, phase), now, &mut |line| out.push(line));
    };
    take(FlowPhase::Start, 1, &mut out);
    assert_eq!(out, []);
    let (update, end) = (FlowPhase::Update, FlowPhase::End(EndReason::Fin));
    take(update, 2, &mut out);
    assert_eq!(out, [Folded::One((1, FlowPhase::Start)), Folded::One((1, update))]);
    take(end, 3, &mut out);
    assert_eq!(out[2..], [Folded::One((1, end))]);
    take(FlowPhase::Start, 4, &mut out);
    take(end, 9, &mut out);
    assert_eq!(out[3..], [Folded::One((1, FlowPhase::Start)), Folded::One((1, end))]);
}

#[test]
fn without_starts_a_short_flow_is_told_by_its_length() {
    let mut folder = Folder::of_ends(WITHIN);
    let mut out = Vec::new();
    let long = |id| FlowRecord { last: Instant(0).after(2 * WITHIN), ..flow(id, 2, 80) };
    let end = FlowPhase::End(EndReason::Fin);
    for flow in [flow(1, 2, 80), long(2), flow(3, 2, 80), flow(4, 2, 81)] {
        folder.take(&event(end, flow.clone()), (flow.id, end), Instant(0), &mut |line| {
            out.push(line);
        });
    }
    let late = FlowPhase::End(EndReason::Late);
    folder.take(&event(late, flow(1, 2, 80)), (1, late), Instant(0), &mut |line| out.push(line));
    assert_eq!(out, [Folded::One((2, end)), Folded::One((1, late))]);
    assert!(folder.is_waiting());
    folder.finish(&mut |line| out.push(line));
    assert_eq!(only_fold(&out[2..3]).connections, 2);
    assert_eq!(out[3..], [Folded::One((4, end))], "alone, and as it came");
    assert!(!folder.is_waiting());
}

/// As in two logs, one read after the other.
#[test]
fn a_number_that_begins_anew_is_another_flow() {
    let mut folder = Folder::new(WITHIN);
    let mut out = Vec::new();
    let (start, end) = (FlowPhase::Start, FlowPhase::End(EndReason::Fin));
    let lines = [
        (flow(7, 2, 80), start, 0),
        (flow(7, 3, 80), start, 1),
        (flow(7, 3, 80), start, 2),
        (flow(7, 3, 80), end, 3),
    ];
    for (flow, phase, line) in lines {
        folder.take(&event(phase, flow), line, Instant(0), &mut |line| out.push(line));
    }
    assert_eq!(out, [Folded::One(1)], "its end never came");
    folder.finish(&mut |line| out.push(line));
    assert_eq!(out[1..], [0, 2, 3].map(Folded::One));
}

#[test]
fn what_does_not_fit_is_told_early() {
    let mut folder = Folder::new(WITHIN);
    let mut out = Vec::new();
    let most = u64::try_from(MOST_STARTS).unwrap();
    let flow = |id: u64| flow(id, 2, u16::try_from(id % most).unwrap());
    for id in 0..most + 3 {
        let event = event(FlowPhase::Start, flow(id));
        folder.take(&event, (id, FlowPhase::Start), Instant(0), &mut |line| out.push(line));
    }
    let early: Vec<_> = (0..3).map(|id| Folded::One((id, FlowPhase::Start))).collect();
    assert_eq!(out, early);

    out.clear();
    let end = FlowPhase::End(EndReason::Refused);
    for id in 3..most + 3 {
        let event = event(end, flow(id));
        folder.take(&event, (id, end), Instant(0), &mut |line| out.push(line));
    }
    assert_eq!(out.len(), 2 * (MOST_STARTS - MOST_FOLDS), "each port is another fold");
    assert_eq!(folder.folds.len(), MOST_FOLDS);
    assert_eq!(folder.by_ends.len(), MOST_FOLDS);
    folder.finish(&mut |line| out.push(line));
    assert_eq!(out.len(), 2 * MOST_STARTS);
    assert_eq!((folder.starts.len(), folder.by_ends.len(), folder.waits), (0, 0, 0));
}

/// What can happen to one of few flows, so many milliseconds after what happened before.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Starts,
    Goes,
    Ends(EndReason),
    Nothing,
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening, u64)>> {
    let reason = prop::sample::select(EndReason::ALL.to_vec());
    let what = prop_oneof![
        3 => Just(Happening::Starts),
        1 => Just(Happening::Goes),
        4 => reason.prop_map(Happening::Ends),
        1 => Just(Happening::Nothing),
    ];
    vec((0..12_u64, what, 0..2_000_u64), 0..200)
}

/// What all that ended comes to.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    ends: BTreeMap<EndReason, u64>,
    sent: Tally,
    received: Tally,
}

impl Totals {
    fn add(&mut self, reason: EndReason, count: u64, sent: Tally, received: Tally) {
        *self.ends.entry(reason).or_default() += count;
        self.sent += sent;
        self.received += received;
    }
}

proptest! {
    /// Lines that come out were put in; each comes out once or is in one fold, and none later than it may.
    #[test]
    fn nothing_is_lost_or_told_twice(happenings in happenings()) {
        let mut folder = Folder::new(WITHIN);
        let mut now = Instant(0);
        let mut given: HashMap<Line, (FlowEvent, Instant)> = HashMap::new();
        let mut open: BTreeMap<u64, u64> = BTreeMap::new();
        let mut next = 0;
        let mut out = Vec::new();
        for (which, what, after) in happenings {
            now = now.after(Duration::from_millis(after));
            folder.tick(now, &mut |line| out.push((now, line)));
            let (id, phase) = match what {
                Happening::Starts => {
                    next += 1;
                    open.insert(which, next);
                    (Some(next), FlowPhase::Start)
                }
                Happening::Goes => (open.get(&which).copied(), FlowPhase::Update),
                Happening::Ends(reason) => (open.remove(&which), FlowPhase::End(reason)),
                Happening::Nothing => continue,
            };
            // The second update of one flow is as its first.
            let Some(id) = id.filter(|id| !given.contains_key(&(*id, phase))) else { continue };
            let event = event(phase, flow(id, (which % 3) as u8, 80 + (which % 2) as u16));
            given.insert((id, phase), (event.clone(), now));
            folder.take(&event, (id, phase), now, &mut |line| out.push((now, line)));
        }
        let last = now;
        folder.finish(&mut |line| out.push((last, line)));

        let put_in = given.values().map(|(event, _)| event);
        let ended = put_in.filter_map(|event| match event.phase {
            FlowPhase::End(reason) => Some((reason, event.flow.sent, event.flow.received)),
            FlowPhase::Start | FlowPhase::Update => None,
        });
        let mut expected = Totals::default();
        for (reason, sent, received) in ended {
            expected.add(reason, 1, sent, received);
        }
        let mut totals = Totals::default();
        for (told, line) in out {
            match line {
                Folded::One(line) => {
                    let (event, since) = given.remove(&line).expect("given, and not told before");
                    prop_assert!(told.since(since) <= 2 * WITHIN + Duration::from_secs(2));
                    if let FlowPhase::End(reason) = event.phase {
                        totals.add(reason, 1, event.flow.sent, event.flow.received);
                    }
                }
                Folded::Many(fold) => {
                    prop_assert!(fold.connections > 1);
                    prop_assert_eq!(fold.ends.values().sum::<u64>(), fold.connections);
                    for (reason, count) in fold.ends {
                        totals.add(reason, count, Tally::ZERO, Tally::ZERO);
                    }
                    totals.sent += fold.sum.sent;
                    totals.received += fold.sum.received;
                }
            }
        }
        prop_assert_eq!(totals, expected);
        // What is left was folded: starts and ends, in pairs.
        let mut folded = BTreeMap::<u64, usize>::new();
        for (id, _) in given.keys() {
            *folded.entry(*id).or_default() += 1;
        }
        prop_assert!(folded.values().all(|lines| *lines == 2), "{folded:?}");
    }
}
