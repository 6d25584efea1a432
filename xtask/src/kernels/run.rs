//! All guests, some at a time, and what each of them said.

use std::{
    num::NonZero,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use super::{
    boot::{self, Ended},
    initramfs,
    packages::{Kernel, Shelf},
    qemu::Emulator,
    release::Release,
};
use crate::{cleanup, report::say};

/// Each takes a whole CPU and half a GiB. On two CPUs one more, so that neither is idle while a kernel is fetched, and when only
/// one is left.
const AT_A_TIME: usize = 3;
/// Every line of the guest's begins so (netwatch/examples/guest/report.rs).
const PREFIX: &str = "netwatch-guest: ";

/// One line of a guest's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the kernel has.
    Has,
    /// A check that passed.
    Ok,
    /// One that did not.
    Failed,
}

/// What became of one kernel.
pub(super) struct Outcome {
    /// The head of its column.
    pub(super) series: String,
    pub(super) lines: Vec<Line>,
    /// Why it has not passed.
    problem: Option<String>,
}

impl Outcome {
    pub(super) fn has_passed(&self) -> bool {
        self.problem.is_none()
    }
}

/// Boots them, in this order. An error is one that makes the rest pointless; a kernel that fails is an outcome.
pub(super) fn all(
    releases: &[Release],
    shelf: &Shelf,
    emulator: &Emulator,
    guest: &Path,
) -> Result<Vec<Outcome>> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(cpus + 1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(release) = releases.get(number) else { return };
                    if cleanup::requested() {
                        return;
                    }
                    let outcome = one(release, shelf, emulator, guest);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push((number, outcome));
                    }
                }
            });
        }
    });
    cleanup::check()?;
    let mut outcomes = outcomes.into_inner().map_err(|_| anyhow!("a guest's thread panicked"))?;
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn one(release: &Release, shelf: &Shelf, emulator: &Emulator, guest: &Path) -> Result<Outcome> {
    let kernel = shelf.take(release)?;
    let begin = Instant::now();
    let initramfs = initramfs::write(guest, &kernel)?;
    let ended = boot::boot(emulator, &kernel.image(), initramfs.path())?;
    Ok(judge(&kernel, &ended, begin.elapsed()))
}

/// Passed: the guest's own last line says so, and qemu ended well.
fn judge(kernel: &Kernel, ended: &Ended, took: Duration) -> Outcome {
    let (lines, problem) = read(&ended.console);
    let problem = match ended.status {
        None => Some("it got stuck".into()),
        Some(status) if !status.success() => Some(format!("qemu: {status}")),
        Some(_) => problem,
    };
    let (release, took) = (&kernel.release, took.as_secs_f64());
    if let Some(problem) = &problem {
        let console = &ended.console;
        say(format_args!(
            "{release}: FAILED after {took:.1} s: {problem}; its console:\n{console}"
        ));
    } else {
        say(format_args!("{release}: passed, {} checks, {took:.1} s", passed(&lines)));
    }
    Outcome { series: kernel.release.series(), lines, problem }
}

fn passed(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.kind == Kind::Ok).count()
}

/// The guest's lines, and what is wrong according to them.
fn read(console: &str) -> (Vec<Line>, Option<String>) {
    let mut lines = Vec::new();
    let mut last = None;
    for text in console.lines().filter_map(|line| line.trim_end().split_once(PREFIX)) {
        let mut words = text.1.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let kind = match word() {
            "has" => Kind::Has,
            "ok" => Kind::Ok,
            "FAILED" => Kind::Failed,
            "done" => {
                last = Some((word().to_string(), word().to_string()));
                continue;
            }
            _ => continue,
        };
        lines.push(Line { kind, name: word().into(), detail: word().into() });
    }
    let count = |kind: Kind| lines.iter().filter(|line| line.kind == kind).count().to_string();
    let said = (count(Kind::Ok), count(Kind::Failed));
    let failed: Vec<_> = lines.iter().filter(|line| line.kind == Kind::Failed).collect();
    let problem = match (failed.first(), last) {
        (Some(first), _) => Some(format!("{} checks failed, first {}", failed.len(), first.name)),
        (None, None) => Some("the guest died before its last line".into()),
        (None, Some(last)) if last != said || last.0 == "0" => {
            Some(format!("{} checks are said to have passed, {} were seen", last.0, said.0))
        }
        (None, Some(_)) => None,
    };
    (lines, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(console: &str) -> Option<String> {
        read(console).1
    }

    #[test]
    fn a_guest_has_passed_when_its_last_line_says_so() {
        let console = "[ 0.1] Linux\r\nnetwatch-guest: has btf yes\r\n\
            [ 1.0] odd netwatch-guest: ok loads yes; 3 s\r\nnetwatch-guest: done 1 0\r\n";
        let (lines, problem) = read(console);
        assert_eq!(problem, None);
        let loads = Line { kind: Kind::Ok, name: "loads".into(), detail: "yes; 3 s".into() };
        assert_eq!(lines[1], loads);
        assert_eq!((lines.len(), lines[0].kind), (2, Kind::Has));
    }

    #[test]
    fn all_else_is_a_failure() {
        for (console, why) in [
            ("", "died"),
            ("netwatch-guest: ok loads yes\n", "died"),
            ("netwatch-guest: done 0 0\n", "are said to have passed"),
            ("netwatch-guest: ok a\nnetwatch-guest: done 2 0\n", "2 checks are said"),
            (
                "netwatch-guest: ok a\nnetwatch-guest: FAILED b why\nnetwatch-guest: done 1 1\n",
                "first b",
            ),
        ] {
            assert!(problem(console).is_some_and(|text| text.contains(why)), "{console}");
        }
    }
}
