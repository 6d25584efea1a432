//! Ports that are used again at once: each connection is a flow of its own, in whatever order its pieces are read.

use netwatch_common::parse::tcp_flags::{ACK, FIN, SYN};

use super::{
    tests::{MS, SECOND, observation, phases, reading, socket, tick, tracker},
    *,
};
use crate::model::SideReading;

const VETH: u32 = 4;
const ALL: u8 = SYN | ACK | FIN;

/// Both directions from a second on, to the end.
fn first_connection(tracker: &mut Tracker) {
    let (sent, received) =
        (reading(6, SECOND, SECOND + 9 * MS, ALL), reading(4, SECOND + MS, SECOND + 8 * MS, ALL));
    tracker.see(&observation(VETH, socket(2, 40_000), socket(3, 80), sent, received));
    let events = tick(tracker, 2 * SECOND);
    assert_eq!(phases(&events), [FlowPhase::Start, FlowPhase::End(EndReason::Fin)]);
}

/// What some CPU has of the next one, in an entry that it had before or in a new one.
fn next(fresh: bool, sent: SideReading, received: SideReading) -> Observation {
    Observation { fresh, ..observation(VETH, socket(2, 40_000), socket(3, 80), sent, received) }
}

fn connections(tracker: &Tracker) -> u64 {
    tracker.edges().snapshot().iter().map(|(_, traffic)| traffic.connections).sum()
}

#[test]
fn an_entry_that_saw_one_direction_takes_up_both_of_the_next() {
    let mut tracker = tracker();
    first_connection(&mut tracker);
    // Its other half is the one before's, and has nothing new.
    let syn = reading(3, 3 * SECOND, 3 * SECOND + 5 * MS, SYN | ACK);
    tracker.see(&next(false, syn, SideReading::default()));
    assert_eq!(phases(&tick(&mut tracker, 4 * SECOND))[0], FlowPhase::Start);
    assert_eq!(connections(&tracker), 2);
}

#[test]
fn what_a_cpu_has_without_the_syn_may_be_read_first() {
    let mut tracker = tracker();
    first_connection(&mut tracker);
    let rest = SideReading { first: None, opened_by: ACK, ..reading(2, 0, 4 * SECOND, ACK) };
    tracker.see(&next(false, rest, SideReading::default()));
    let opening = reading(3, 3 * SECOND, 3 * SECOND + 5 * MS, ALL);
    let answer = reading(3, 3 * SECOND + MS, 3 * SECOND + 4 * MS, ALL);
    tracker.see(&next(true, opening, answer));
    let told = phases(&tick(&mut tracker, 5 * SECOND));
    assert!(told.contains(&FlowPhase::Start), "{told:?}");
    assert_eq!(connections(&tracker), 2);
}

#[test]
fn what_is_read_later_than_an_end_waits_is_another_flow() {
    let mut tracker = tracker();
    first_connection(&mut tracker);
    // Nobody has looked since: the agent was away.
    let rest = SideReading { first: None, opened_by: ACK, ..reading(2, 0, 20 * SECOND, ACK) };
    tracker.see(&next(false, rest, SideReading::default()));
    let told = phases(&tick(&mut tracker, 21 * SECOND));
    assert!(told.contains(&FlowPhase::Start), "{told:?}");
    assert!(!told.contains(&FlowPhase::End(EndReason::Late)), "{told:?}");
}

#[test]
fn what_comes_long_after_an_end_that_nobody_has_told_is_another_flow() {
    let mut tracker = tracker();
    let (sent, received) =
        (reading(6, SECOND, SECOND + 9 * MS, ALL), reading(4, SECOND + MS, SECOND + 8 * MS, ALL));
    tracker.see(&observation(VETH, socket(2, 40_000), socket(3, 80), sent, received));
    // Of the next one, the CPU that has not seen its SYN is read first; agents came and went without a word since.
    let rest = reading(2, 20 * SECOND + MS, 20 * SECOND + 2 * MS, ACK);
    tracker.see(&next(true, rest, SideReading::default()));
    let opening = reading(3, 20 * SECOND, 20 * SECOND + 5 * MS, ALL);
    let answer = reading(3, 20 * SECOND + MS, 20 * SECOND + 4 * MS, ALL);
    tracker.see(&next(true, opening, answer));
    tick(&mut tracker, 21 * SECOND);
    assert_eq!(connections(&tracker), 2);
}
