//! A ring buffer that the programs write into, and how full it was.

#![expect(unsafe_code, reason = "memory that the kernel writes at the same time")]

use std::{io, os::fd::AsRawFd as _, time::Duration};

use aya::maps::{MapData, RingBuf};
use memmap2::{MmapOptions, MmapRaw};

use super::monotonic_now;
use crate::model::{Instant, RingStatus};

/// How long a fill is remembered at least; twice as long at most.
const MEMORY: Duration = Duration::from_mins(1);

pub(super) struct Ring {
    records: RingBuf<MapData>,
    positions: Positions,
    size: u64,
    highest: Highest,
}

impl Ring {
    pub(super) fn new(records: RingBuf<MapData>, size: u32) -> io::Result<Self> {
        let positions = Positions::of(&records)?;
        Ok(Self { records, positions, size: size.into(), highest: Highest::default() })
    }

    /// Takes out the records that are there. Not those that come meanwhile: the programs may be faster than we are.
    pub(super) fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        let written = self.positions.written();
        let waiting = self.positions.before(written);
        if waiting != 0 {
            self.highest.add(waiting, monotonic_now());
        }
        while self.positions.before(written) > 0
            && let Some(record) = self.records.next()
        {
            each(&record);
        }
    }

    pub(super) fn status(&self, name: &'static str) -> RingStatus {
        RingStatus { ring: name, used: self.highest.at(monotonic_now()), size: self.size }
    }
}

/// Up to where the agent has read, and up to where the programs have written: a page each.
struct Positions {
    memory: MmapRaw,
    page: usize,
}

impl Positions {
    fn of(records: &RingBuf<MapData>) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let memory = MmapOptions::new().len(2 * page).map_raw_read_only(records.as_raw_fd())?;
        Ok(Self { memory, page })
    }

    fn written(&self) -> u64 {
        self.at(self.page)
    }

    /// Bytes in the ring up to there, with the headers of the records; 0 if it has been read further.
    fn before(&self, position: u64) -> u64 {
        u64::try_from(position.wrapping_sub(self.at(0)).cast_signed()).unwrap_or(0)
    }

    #[expect(clippy::cast_ptr_alignment, reason = "a page begins at a multiple of eight")]
    fn at(&self, offset: usize) -> u64 {
        // SAFETY: a word at the beginning of one of the two pages of the mapping; any bytes are a value of it.
        unsafe { self.memory.as_ptr().add(offset).cast::<u64>().read_volatile() }
    }
}

/// The highest value of the last one to two minutes, whoever asks how often.
#[derive(Default)]
struct Highest {
    /// When the present minute began.
    since: Instant,
    present: u64,
    before: u64,
}

impl Highest {
    fn add(&mut self, value: u64, now: Instant) {
        let age = self.age(now);
        if age >= MEMORY {
            self.before = if age < 2 * MEMORY { self.present } else { 0 };
            (self.present, self.since) = (0, now);
        }
        self.present = self.present.max(value);
    }

    fn at(&self, now: Instant) -> u64 {
        match self.age(now) {
            age if age < MEMORY => self.present.max(self.before),
            age if age < 2 * MEMORY => self.present,
            _ => 0,
        }
    }

    fn age(&self, now: Instant) -> Duration {
        Duration::from_nanos(now.0.saturating_sub(self.since.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_is_remembered_for_one_to_two_minutes() {
        let at = |seconds: u64| Instant(seconds * 1_000_000_000);
        let mut highest = Highest::default();
        assert_eq!(highest.at(at(1_000)), 0);
        highest.add(10, at(1_000));
        highest.add(7, at(1_030));
        assert_eq!((highest.at(at(1_030)), highest.at(at(1_059))), (10, 10));
        highest.add(5, at(1_061));
        assert_eq!(highest.at(at(1_120)), 10, "that of the minute before");
        assert_eq!(highest.at(at(1_122)), 5);
        highest.add(1, at(1_122));
        assert_eq!(highest.at(at(1_122)), 5);
        assert_eq!(highest.at(at(1_242)), 0, "nothing came for two minutes");
        highest.add(2, at(1_250));
        assert_eq!(highest.at(at(1_250)), 2);
    }
}
