//! What is kept, and for how long.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
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
    assert_eq!(history.begin(Instant::now()), 256, "the oldest portion");
    assert_eq!(numbers(&history, 256, Instant::now()), (256..1_001).collect::<Vec<_>>());
    let portion = history.read(0, u64::MAX, Instant::now());
    assert_eq!((portion.missed, portion.events[0].0), (256, 256));
    publish(&history, 1_001..5_000);
    let begin = history.begin(Instant::now());
    assert_eq!((begin, begin % 256), (4_096, 0), "a thousand at most");
    assert_eq!(history.read(500, u64::MAX, Instant::now()).missed, 3_596);
    assert_eq!(history.read(500, 600, Instant::now()).missed, 100, "of those that were asked for");
    let few = room_for(100);
    publish(&few, 0..101);
    assert_eq!(few.begin(Instant::now()), 1, "what is at hand goes one by one");
}

#[test]
fn what_is_packed_goes_with_the_youngest_of_its_portion() {
    let history = room_for(2_000);
    let begin = Instant::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    for number in 0..512 {
        history.publish(Arc::new(Number(number)), at(number));
    }
    assert_eq!(history.begin(at(3_600 + 255)), 0);
    assert_eq!(history.begin(at(3_600 + 256)), 256);
    assert_eq!(history.begin(at(3_600 + 257)), 257);
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

/// Where the last ones begin, by a clock that stands.
fn last(
    history: &History,
    count: usize,
    end: u64,
    now: Instant,
    is_wanted: fn(&Number) -> bool,
) -> u64 {
    polled(history.begin_of_last(count, end, move || now, is_wanted)).0
}

/// What comes of it, and how often it had to be asked.
fn polled<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 1;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return (value, polls),
            Poll::Pending => polls += 1,
        }
    }
}

#[test]
fn the_last_ones_are_found_across_portions() {
    let history = room_for(5_000);
    publish(&history, 0..2_000);
    let now = Instant::now();
    let odd = |count, end| last(&history, count, end, now, |event| !event.0.is_multiple_of(2));
    assert_eq!(odd(0, u64::MAX), 2_000);
    assert_eq!(odd(1, u64::MAX), 1_999);
    assert_eq!(odd(2, 1_999), 1_995);
    assert_eq!(odd(128, u64::MAX), 1_745);
    assert_eq!(odd(129, u64::MAX), 1_743);
    assert_eq!(odd(1_000, u64::MAX), 1);
    assert_eq!(odd(1_001, u64::MAX), 0, "fewer than wanted");
    let gone = room_for(10);
    publish(&gone, 0..100);
    assert_eq!(last(&gone, 50, u64::MAX, now, |_| true), 90);
    assert_eq!(last(&gone, 50, 20, now, |_| true), 20, "all of them have gone");
    assert_eq!(last(&room_for(10), 50, u64::MAX, now, |_| true), 0);
}

#[test]
fn who_wants_the_last_ones_has_not_missed_those_that_are_too_old() {
    let history = room_for(1_000);
    let begin = Instant::now();
    let later = begin + 2 * HOUR;
    for (number, at) in [(0, begin), (1, begin), (2, later)] {
        history.publish(Arc::new(Number(number)), at);
    }
    let later = later + HOUR / 2;
    assert_eq!(last(&history, 9, u64::MAX, later, |_| true), 2);
    let later = later + HOUR;
    let next = last(&history, 9, u64::MAX, later, |_| true);
    assert_eq!((next, history.read(next, u64::MAX, later).missed), (3, 0));
}

#[test]
fn looking_for_the_last_ones_lets_others_go_on() {
    let history = room_for(5_000);
    publish(&history, 0..1_000);
    let mut looked = 0;
    let found = history.begin_of_last(9, u64::MAX, Instant::now, |_| {
        looked += 1;
        false
    });
    assert_eq!(polled(found), (0, 5), "a thousand are four portions");
    assert_eq!(looked, 1_000);
}
