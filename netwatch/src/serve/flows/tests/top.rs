//! The largest flows, against all flows sorted; and as a reader gets them.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::UnixStream,
    time::timeout,
};

use super::super::{
    Counts, Event, Facts, FlowName, History, Kind, Limits, Order, Ranking, Source, Style, Top,
    Totals, reader, tests::Held,
};
use crate::model::{Socket, WallTime};

/// An event of a flow that has counted so much.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flow {
    id: u64,
    kind: Kind,
    time: i128,
    packets: u64,
    bytes: u64,
    drops: u64,
}

impl Flow {
    fn new(id: u64, kind: Kind, packets: u64, bytes: u64) -> Self {
        Self { id, kind, time: packets.into(), packets, bytes, drops: 0 }
    }
}

fn name(id: u64) -> FlowName {
    let end = Socket { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0 };
    FlowName { id, is_late: false, ends: [end; 2] }
}

impl Event for Flow {
    type Folder = Held<Self>;

    fn facts(&self) -> Facts<'_> {
        let (kind, time) = (self.kind, WallTime(self.time));
        Facts {
            kind,
            time,
            protocol: None,
            ends: None,
            via: None,
            containers: [None; 2],
            network: None,
            drops: false,
            flow: None,
        }
    }

    fn totals(&self) -> Option<Totals> {
        let Self { id, packets, bytes, drops, .. } = *self;
        let flow = name(id);
        (self.kind != Kind::Dns).then_some(Totals { flow, packets, bytes, duration_ns: 0, drops })
    }

    fn bytes(&self) -> usize {
        100
    }

    fn write(&self, _: Style, out: &mut Vec<u8>) -> io::Result<()> {
        let word = Kind::WORDS.iter().find(|(_, kind)| *kind == self.kind).unwrap().0;
        out.extend(format!("{} {word} {}\n", self.id, self.bytes).bytes());
        Ok(())
    }
}

fn top(sort: Order, count: usize, events: &[Flow]) -> Vec<u64> {
    let mut top = Top::new(Ranking { sort, top: count });
    for event in events {
        top.offer(&Arc::new(event.clone()));
    }
    top.events().map(|event| event.id).collect()
}

/// Start and update of a flow with one packet are of the same moment, by a wall clock that was looked at twice.
#[test]
fn a_later_phase_takes_the_place_of_an_earlier_one_whatever_the_clock_says() {
    let at = |kind, time| Arc::new(Flow { time, ..Flow::new(1, kind, 1, 60) });
    let (start, update, end) = (at(Kind::Start, 9), at(Kind::Update, 8), at(Kind::End, 7));
    for order in [[&start, &update, &end], [&end, &update, &start], [&update, &end, &start]] {
        let mut top = Top::new(Ranking { sort: Order::Packets, top: 1 });
        for event in order {
            top.offer(event);
        }
        assert_eq!(top.events().next().map(|event| event.kind), Some(Kind::End));
    }
    let mut top = Top::new(Ranking { sort: Order::Packets, top: 1 });
    top.offer(&start);
    top.offer(&update);
    assert_eq!(top.events().next().map(|event| event.kind), Some(Kind::Update));
}

#[test]
fn each_order_has_its_own_and_what_is_no_flow_has_no_place() {
    let mut events = [
        Flow::new(1, Kind::End, 3, 100),
        Flow::new(2, Kind::End, 2, 200),
        Flow::new(3, Kind::Update, 1, 300),
        Flow::new(4, Kind::Dns, 9, 900),
    ];
    events[0].time = 7;
    events[1].drops = 1;
    assert_eq!(top(Order::Bytes, 9, &events), [3, 2, 1]);
    assert_eq!(top(Order::Bytes, 2, &events), [3, 2]);
    assert_eq!(top(Order::Packets, 9, &events), [1, 2, 3]);
    assert_eq!(top(Order::Time, 9, &events), [1, 2, 3]);
    assert_eq!(top(Order::Drops, 9, &events), [2], "others have none");
    assert_eq!(top(Order::Duration, 9, &events), [1, 2, 3], "of equal ones the older first");
}

#[test]
fn the_last_word_about_a_flow_stays_in_whatever_order_it_comes() {
    let end = Flow::new(1, Kind::End, 5, 500);
    for events in [
        [Flow::new(1, Kind::Start, 1, 100), Flow::new(1, Kind::Update, 5, 500), end.clone()],
        [end.clone(), Flow::new(1, Kind::Update, 5, 500), Flow::new(1, Kind::Start, 1, 100)],
    ] {
        let mut top = Top::new(Ranking { sort: Order::Bytes, top: 9 });
        for event in &events {
            top.offer(&Arc::new(event.clone()));
        }
        let kinds: Vec<Kind> = top.events().map(|event| event.kind).collect();
        assert_eq!(kinds, [Kind::End]);
        top.remove(&events[0]);
        assert_eq!(top.events().count(), 0);
    }
}

proptest! {
    #[test]
    fn as_many_as_are_wanted_are_those_of_all_sorted(
        steps in prop::collection::vec((0..20_u64, 0..50_u64), 0..300),
        count in 1..12_usize,
    ) {
        let mut counted = BTreeMap::<u64, u64>::new();
        let mut events = Vec::new();
        for (id, more) in steps {
            let bytes = counted.entry(id).or_default();
            *bytes += more;
            events.push(Flow::new(id, Kind::Update, *bytes, *bytes));
        }
        let mut all: Vec<_> = counted.into_iter().map(|(id, bytes)| (u64::MAX - bytes, id)).collect();
        all.sort_unstable();
        let expected: Vec<u64> = all.into_iter().take(count).map(|(_, id)| id).collect();
        prop_assert_eq!(top(Order::Bytes, count, &events), expected);
    }
}

/// A reader of these events, and of flows that go on, which the test may change.
struct Asked {
    history: Arc<History<Flow>>,
    running: Arc<Mutex<Vec<Flow>>>,
    counts: Arc<Counts>,
    lines: Lines<BufReader<UnixStream>>,
}

async fn ask(events: &[Flow], running: &[Flow], request: &str) -> Asked {
    let history = Arc::new(History::new(Limits { bytes: 1 << 20, age: Duration::from_hours(1) }));
    for event in events {
        history.publish(Arc::new(event.clone()), Instant::now());
    }
    let running = Arc::new(Mutex::new(running.to_vec()));
    let counts = Arc::new(Counts::default());
    let now = Arc::clone(&running);
    let source = Source {
        history: Arc::clone(&history),
        running: Arc::new(move |request, ranking| {
            let mut top = Top::new(ranking);
            for flow in now.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                if request.wants(&flow.facts()) {
                    top.offer(&Arc::new(flow.clone()));
                }
            }
            let events = top.events().cloned().collect();
            Box::pin(async move { events })
        }),
        counts: Arc::clone(&counts),
        patience: crate::serve::flows::PATIENCE,
    };
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    tokio::spawn(async move { reader::answer(theirs, &source).await });
    let mut stream = BufReader::new(ours);
    stream.write_all(format!("{request}\n").as_bytes()).await.expect("asked");
    Asked { history, running, counts, lines: stream.lines() }
}

impl Asked {
    /// Lines up to the next notice, which comes last.
    async fn page(&mut self) -> Vec<String> {
        let mut page = Vec::new();
        loop {
            let line = timeout(Duration::from_secs(30), self.lines.next_line()).await;
            let line = line.expect("a line").expect("readable").expect("no end");
            let is_notice = line.starts_with('{');
            page.push(line);
            if is_notice {
                return page;
            }
        }
    }
}

#[tokio::test]
async fn those_that_have_ended_and_those_that_go_on_are_ranked_together() {
    let events = [
        Flow::new(1, Kind::Start, 1, 10),
        Flow::new(2, Kind::Start, 1, 10),
        Flow::new(3, Kind::Start, 1, 10),
        Flow::new(1, Kind::End, 9, 900),
    ];
    let running = [Flow::new(2, Kind::Update, 5, 500), Flow::new(3, Kind::Update, 99, 9_900)];
    let done = r#"{"event":"done"}"#;
    let two = r#"{"command":"flows","rank":{"sort":"bytes","top":2}}"#;
    let mut asked = ask(&events, &running, two).await;
    assert_eq!(asked.page().await, ["3 update 9900", "1 end 900", done]);
    assert_eq!(asked.counts.lines(), (2, 0));

    let ended = r#"{"command":"flows","rank":{"sort":"bytes","top":2},"filter":[{"is":{"events":["end"]}}]}"#;
    assert_eq!(ask(&events, &running, ended).await.page().await, ["1 end 900", done]);
    // What goes on has gone beyond the span; what was told in it stands.
    let early = r#"{"command":"flows","until_ns":9,"rank":{"sort":"bytes","top":3}}"#;
    assert_eq!(
        ask(&events, &running, early).await.page().await,
        ["1 end 900", "2 update 500", "3 start 10", done]
    );
    let none = r#"{"command":"flows","rank":{"sort":"bytes","top":0}}"#;
    let refused = r#"{"event":"refused","reason":"top is not from 1 to 1000"}"#;
    assert_eq!(ask(&events, &running, none).await.page().await, [refused]);
}

#[tokio::test]
async fn pages_follow_what_becomes_of_the_flows() {
    let page = r#"{"event":"page"}"#;
    let events = [Flow::new(1, Kind::Start, 1, 10), Flow::new(2, Kind::Start, 1, 20)];
    let request = r#"{"command":"flows","follow":true,"rank":{"sort":"bytes","top":5},"filter":[{"is":{"events":["start","update"]}}]}"#;
    let mut asked = ask(&events, &[], request).await;
    assert_eq!(asked.page().await, ["2 start 20", "1 start 10", page]);
    *asked.running.lock().unwrap() = vec![Flow::new(1, Kind::Update, 3, 30)];
    asked.history.publish(Arc::new(Flow::new(2, Kind::End, 4, 400)), Instant::now());
    assert_eq!(asked.page().await, ["1 update 30", page], "one that has ended is not wanted");
    asked.running.lock().unwrap().clear();
    asked.history.publish(Arc::new(Flow::new(1, Kind::End, 5, 50)), Instant::now());
    asked.history.close();
    assert_eq!(asked.page().await, [r#"{"event":"done"}"#]);
}

#[tokio::test]
async fn what_goes_while_the_core_answers_has_not_been_missed() {
    let history = Arc::new(History::new(Limits { bytes: 1_000, age: Duration::from_hours(1) }));
    let start = |id| Arc::new(Flow::new(id, Kind::Start, 1, id));
    history.publish(start(1), Instant::now());
    let busy = Arc::clone(&history);
    let counts = Arc::new(Counts::default());
    let source = Source {
        history,
        running: Arc::new(move |_, _| {
            for id in 2..100 {
                busy.publish(start(id), Instant::now());
            }
            Box::pin(async { Vec::new() })
        }),
        counts: Arc::clone(&counts),
        patience: crate::serve::flows::PATIENCE,
    };
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    ours.write_all(b"{\"command\":\"flows\",\"rank\":{\"sort\":\"bytes\",\"top\":1}}\n")
        .await
        .expect("asked");
    timeout(Duration::from_secs(30), reader::answer(theirs, &source)).await.expect("an end");
    assert_eq!(counts.lines(), (1, 0));
}
