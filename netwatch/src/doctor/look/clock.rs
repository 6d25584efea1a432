//! The clocks.

use std::{fs, mem, thread, time::Duration};

use super::super::facts::Clock;
use crate::datapath::monotonic_now;

const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
/// Many ticks of any clock source.
const WHILE: Duration = Duration::from_millis(5);
const ROUNDS: u32 = 4;

pub(super) fn look() -> Clock {
    let source = fs::read_to_string(SOURCE).ok().map(|name| name.trim().to_owned());
    Clock { goes_on: goes_on(), synchronised: synchronised(), source }
}

fn goes_on() -> bool {
    let mut last = monotonic_now();
    (0..ROUNDS).all(|_| {
        thread::sleep(WHILE);
        let before = mem::replace(&mut last, monotonic_now());
        last > before
    })
}

/// What the kernel says without being asked to change anything; `None` where a sandbox forbids the call.
#[expect(unsafe_code, reason = "the standard library has no such call")]
fn synchronised() -> Option<bool> {
    // SAFETY: all of its fields are numbers, for which zero is a value; `modes` of zero changes nothing.
    let mut state: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: a valid pointer to a timex, which the kernel fills in.
    let result = unsafe { libc::adjtimex(&raw mut state) };
    (result >= 0).then_some(result != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0)
}
