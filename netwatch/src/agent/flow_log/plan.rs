//! When a file gives way, what it is called then, and what becomes of those that gave way before. Pure: names, sizes and
//! times in, decisions out.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp, Unit, civil::DateTime, tz::TimeZone};

use super::super::config::Rotation;

/// What stands behind the name of a rotated file: UTC, of one width, so that names sort by time.
const STAMP: &str = "%Y%m%dT%H%M%S.%6fZ";
const COMPRESSED: &str = ".gz";
const UNFINISHED: &str = ".gz.part";

/// What a rotated file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As it was written.
    Plain,
    /// Compressed, complete.
    Compressed,
    /// What a compression makes, or has left when it was interrupted.
    Unfinished,
}

/// A file that gave way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotated {
    /// When; no two of a log have the same.
    pub(super) stamp: Timestamp,
    pub(super) form: Form,
    pub(super) size: u64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Remove(Timestamp, Form),
    Compress(Timestamp),
}

/// The name of a rotated file of the log `base`.
pub(super) fn name(base: &str, stamp: Timestamp, form: Form) -> String {
    let suffix = match form {
        Form::Plain => "",
        Form::Compressed => COMPRESSED,
        Form::Unfinished => UNFINISHED,
    };
    format!("{base}.{}{suffix}", stamp.strftime(STAMP))
}

/// Reads what [`name`] wrote, and nothing else.
pub(super) fn parse(base: &str, file: &str) -> Option<(Timestamp, Form)> {
    let rest = file.strip_prefix(base)?.strip_prefix('.')?;
    let end = rest.find('Z')? + 1;
    let time = DateTime::strptime(STAMP, &rest[..end]).ok()?;
    let stamp = TimeZone::UTC.to_timestamp(time).ok()?;
    [Form::Plain, Form::Compressed, Form::Unfinished]
        .into_iter()
        .find(|form| name(base, stamp, *form) == file)
        .map(|form| (stamp, form))
}

/// Whether a file is to give way before `more` bytes are added. An empty one never does.
pub(super) fn is_due(rotation: Rotation, size: u64, age: Duration, more: u64) -> bool {
    let too_large = |most| size.saturating_add(more) > most;
    size > 0
        && (rotation.max_size.is_some_and(too_large)
            || rotation.max_age.is_some_and(|most| age >= most))
}

/// The time in the name of the file that gives way now: behind all that there are, even if it did so in the same moment or
/// the clock was set back.
pub(super) fn next_stamp(now: Timestamp, found: impl IntoIterator<Item = Timestamp>) -> Timestamp {
    let now = now.round(Unit::Microsecond).unwrap_or(now);
    let behind = |last: Timestamp| last.checked_add(SignedDuration::from_micros(1)).unwrap_or(last);
    found.into_iter().map(behind).max().map_or(now, |least| least.max(now))
}

/// What is to be done first, if anything: the total comes before compression, for which there may be no room otherwise. Only
/// the newest plain file is compressed before it counts: what has just been written is not to be lost for its first size.
/// `skip`: those that could not be compressed.
pub(super) fn next_step(
    rotation: Rotation,
    found: &[Rotated],
    skip: &BTreeSet<Timestamp>,
) -> Option<Step> {
    // The file that is written to may still become as large as it is allowed to.
    let room = rotation.max_total.map(|total| total.saturating_sub(rotation.max_size.unwrap_or(0)));
    let finished = || found.iter().filter(|file| file.form != Form::Unfinished);
    let total: u64 = finished().map(|file| file.size).sum();
    if room.is_some_and(|room| total > room) {
        let oldest = finished().min_by_key(|file| (file.stamp, file.form))?;
        let newest_plain =
            finished().filter(|file| file.form == Form::Plain).max_by_key(|f| f.stamp);
        if newest_plain == Some(oldest) && !skip.contains(&oldest.stamp) {
            return Some(Step::Compress(oldest.stamp));
        }
        return Some(Step::Remove(oldest.stamp, oldest.form));
    }
    let plain: BTreeSet<Timestamp> =
        found.iter().filter(|file| file.form == Form::Plain).map(|file| file.stamp).collect();
    let orphan = |file: &&Rotated| file.form == Form::Unfinished && !plain.contains(&file.stamp);
    if let Some(orphan) = found.iter().find(orphan) {
        return Some(Step::Remove(orphan.stamp, orphan.form));
    }
    // One that is there in both forms was interrupted before the plain one was removed. It is done again, since who knows
    // whose the other is.
    plain.difference(skip).next().copied().map(Step::Compress)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_microsecond(1_795_622_400_000_000 + micros).unwrap()
    }

    fn file(micros: i64, form: Form, size: u64) -> Rotated {
        Rotated { stamp: at(micros), form, size }
    }

    const LIMITS: Rotation = Rotation {
        max_size: Some(100),
        max_age: Some(Duration::from_mins(1)),
        max_total: Some(250),
    };
    const NONE: Rotation = Rotation { max_size: None, max_age: None, max_total: None };

    #[test]
    fn names_are_read_back_and_no_others() {
        assert_eq!(name("f.log", at(7), Form::Plain), "f.log.20261125T160000.000007Z");
        for form in [Form::Plain, Form::Compressed, Form::Unfinished] {
            assert_eq!(parse("f.log", &name("f.log", at(7), form)), Some((at(7), form)));
        }
        for other in [
            "f.log",
            "f.log.1",
            "f.log.gz",
            "f.log.20261125T160000.000007",
            "f.log.20261125T160000.7Z",
            "f.log.20261125T160000.000007Z.bz2",
            "f.log.20261125T160000.000007Z.gz.gz",
            "f.log.20261325T160000.000007Z",
            "f.logs.20261125T160000.000007Z",
            "g.log.20261125T160000.000007Z",
            "f.log.\u{e4}Z",
        ] {
            assert_eq!(parse("f.log", other), None, "{other}");
        }
    }

    #[test]
    fn a_file_gives_way_by_size_or_by_age() {
        let minute = Duration::from_mins(1);
        let second = Duration::from_secs(1);
        assert!(!is_due(LIMITS, 90, second, 10));
        assert!(is_due(LIMITS, 91, second, 10));
        assert!(is_due(LIMITS, 1, minute, 1));
        assert!(!is_due(LIMITS, 1, minute.saturating_sub(Duration::from_nanos(1)), 1));
        assert!(!is_due(LIMITS, 0, minute, 1_000), "an empty one");
        assert!(!is_due(NONE, u64::MAX, minute, u64::MAX));
    }

    #[test]
    fn two_in_one_moment_and_a_clock_set_back() {
        assert_eq!(next_stamp(at(5), []), at(5));
        assert_eq!(next_stamp(at(5), [at(3), at(5)]), at(6));
        assert_eq!(next_stamp(at(5), [at(900), at(4)]), at(901));
        assert_eq!(next_stamp(at(5), [at(4)]), at(5));
    }

    #[test]
    fn steps_in_their_order() {
        use Form::{Compressed, Plain, Unfinished};
        let none = BTreeSet::new();
        let step = |found: &[Rotated]| next_step(LIMITS, found, &none);
        assert_eq!(step(&[]), None);
        assert_eq!(step(&[file(1, Compressed, 150)]), None, "just fits beside a file of 100");
        assert_eq!(
            step(&[file(2, Plain, 100), file(1, Compressed, 51)]),
            Some(Step::Remove(at(1), Compressed))
        );
        assert_eq!(step(&[file(2, Plain, 9), file(1, Plain, 9)]), Some(Step::Compress(at(1))));
        assert_eq!(
            step(&[file(1, Plain, 9), file(1, Compressed, 1), file(1, Unfinished, 999)]),
            Some(Step::Compress(at(1))),
            "interrupted"
        );
        assert_eq!(
            step(&[file(2, Plain, 9), file(1, Unfinished, 1), file(1, Compressed, 1)]),
            Some(Step::Remove(at(1), Unfinished))
        );
        let skip = BTreeSet::from([at(1)]);
        let large = [file(1, Plain, 151), file(2, Compressed, 9)];
        assert_eq!(step(&large), Some(Step::Compress(at(1))), "the newest plain one");
        assert_eq!(next_step(LIMITS, &large, &skip), Some(Step::Remove(at(1), Plain)));
        let older = [file(1, Plain, 9), file(2, Plain, 151)];
        assert_eq!(step(&older), Some(Step::Remove(at(1), Plain)));
        let both = [file(1, Plain, 9), file(2, Plain, 9)];
        assert_eq!(next_step(LIMITS, &both, &skip), Some(Step::Compress(at(2))));
        assert_eq!(next_step(LIMITS, &both[..1], &skip), None);
        assert_eq!(next_step(NONE, &[file(1, Compressed, u64::MAX)], &none), None);
    }

    fn form() -> impl Strategy<Value = Form> {
        prop_oneof![Just(Form::Plain), Just(Form::Compressed), Just(Form::Unfinished)]
    }

    proptest! {
        #[test]
        fn names_sort_by_time(stamps in vec(-60_000_000_000_000_i64..60_000_000_000_000, 2..20)) {
            let mut stamps = stamps;
            stamps.sort_unstable();
            let names: Vec<_> = stamps.iter().map(|s| name("f", at(*s), Form::Compressed)).collect();
            prop_assert!(names.is_sorted());
        }

        /// Whatever is found: the steps end, the total holds then, nothing plain is left, the newest stay, and the newest
        /// plain one is compressed whatever becomes of it.
        #[test]
        fn steps_end_within_the_total(files in vec((0..9_i64, form(), 0..200_u64), 0..20)) {
            let mut found: Vec<Rotated> = Vec::new();
            for (stamp, form, size) in files {
                if !found.iter().any(|f| f.stamp == at(stamp) && f.form == form) {
                    found.push(file(stamp, form, size));
                }
            }
            let mut removed = Vec::new();
            let mut steps = 0;
            while let Some(step) = next_step(LIMITS, &found, &BTreeSet::new()) {
                steps += 1;
                prop_assert!(steps < 100);
                match step {
                    Step::Remove(stamp, form) => {
                        let plain = found.iter().filter(|f| f.form == Form::Plain).map(|f| f.stamp);
                        prop_assert!(form != Form::Plain || plain.max() != Some(stamp));
                        found.retain(|f| (f.stamp, f.form) != (stamp, form));
                        if form != Form::Unfinished {
                            removed.push(stamp);
                        }
                    }
                    Step::Compress(stamp) => {
                        let size = found.iter().find(|f| (f.stamp, f.form) == (stamp, Form::Plain)).unwrap().size;
                        found.retain(|f| f.stamp != stamp);
                        found.push(Rotated { stamp, form: Form::Compressed, size: size / 10 });
                    }
                }
            }
            prop_assert!(found.iter().all(|f| f.form == Form::Compressed));
            prop_assert!(found.iter().map(|f| f.size).sum::<u64>() <= 150);
            for gone in removed {
                prop_assert!(found.iter().all(|f| f.stamp >= gone));
            }
        }
    }
}
