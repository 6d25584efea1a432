//! What is kept, and for how long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{History, Number, memory_of, publish};
use crate::serve::flows::Limits;

const HOUR: Duration = Duration::from_hours(1);

/// Room for so many numbers.
fn room_for(numbers: usize) -> History {
    History::new(Limits { bytes: memory_of(numbers), age: HOUR })
}

/// All numbers from a place on.
fn numbers(history: &History, from: u64, now: Instant) -> Vec<u64> {
    let mut all = Vec::new();
    let mut next = from;
    loop {
        let portion = history.read(next, u64::MAX, now);
        if portion.events.is_empty() {
            return all;
        }
        all.extend(portion.events.iter().map(|event| event.0));
        next = portion.next;
    }
}

#[test]
fn bytes_are_bounded() {
    let history = room_for(1_000);
    publish(&history, 0..1_000);
    assert_eq!(history.begin(Instant::now()), 0);
    publish(&history, 1_000..1_001);
    assert_eq!(history.begin(Instant::now()), 1);
    assert_eq!(numbers(&history, 1, Instant::now()), (1..1_001).collect::<Vec<_>>());
    let portion = history.read(0, u64::MAX, Instant::now());
    assert_eq!((portion.missed, portion.events[0].0), (1, 1));
    publish(&history, 1_001..5_000);
    assert_eq!(history.read(500, u64::MAX, Instant::now()).missed, 3_500);
    assert_eq!(history.read(500, 600, Instant::now()).missed, 100, "of those that were asked for");
}

#[test]
fn age_is_bounded() {
    let history = room_for(1_000);
    let begin = Instant::now();
    let later = |minutes| begin + Duration::from_mins(minutes);
    history.publish(Arc::new(Number(0)), begin);
    history.publish(Arc::new(Number(1)), later(30));
    assert_eq!(history.begin(later(60)), 0, "an hour, and no more");
    assert_eq!(numbers(&history, 0, later(61)), [1]);
    assert_eq!(history.begin(later(91)), 2, "also without a new event");
    assert_eq!(history.end(), 2);
}

#[test]
fn the_last_ones_are_found_across_portions() {
    let history = room_for(5_000);
    publish(&history, 0..2_000);
    let odd = |event: &Number| !event.0.is_multiple_of(2);
    let last = |count, end| history.begin_of_last(count, end, odd);
    assert_eq!(last(0, u64::MAX), 2_000);
    assert_eq!(last(1, u64::MAX), 1_999);
    assert_eq!(last(2, 1_999), 1_995);
    assert_eq!(last(128, u64::MAX), 1_745);
    assert_eq!(last(129, u64::MAX), 1_743);
    assert_eq!(last(1_000, u64::MAX), 1);
    assert_eq!(last(1_001, u64::MAX), 0, "fewer than wanted");
    let gone = room_for(10);
    publish(&gone, 0..100);
    assert_eq!(gone.begin_of_last(50, u64::MAX, |_| true), 90);
    assert_eq!(gone.begin_of_last(50, 20, |_| true), 20, "all of them have gone");
    assert_eq!(room_for(10).begin_of_last(50, u64::MAX, |_| true), 0);
}
