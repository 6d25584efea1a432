//! Suites on two lanes: most of their time they wait, for timeouts and for the engine.
//!
//! Each network namespace is one suite's at a time. Those that use the host's own have a lane, and the others, whose tests
//! make namespaces of their own, the other one; the lane that is through first helps out. What is global even so, the
//! tests have to tell apart by themselves: the kernel's list of programs (`netwatch/tests/support/remains.rs`), the engine's
//! of containers, directories below /sys/fs/bpf and control groups.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Result, ensure};

use crate::{
    cleanup,
    command::wait,
    suite::{Stage, Suite},
    summary::Summary,
};

/// In the host's namespace: with the engine that is there, and with one of its own.
const ON_THE_HOST: [&str; 2] = ["netwatch/tests/host.rs", "netwatch/src/lib.rs"];
/// What has to be quick, beside the other lane's waiting; then what takes longest.
const FIRST: [&str; 4] = [
    "netwatch/tests/ledger.rs",
    "netwatch/tests/web.rs",
    "netwatch/tests/reliability.rs",
    "netwatch/tests/flows.rs",
];

/// Runs them all, whatever becomes of each, and adds up what they say.
pub(crate) fn run(
    suites: Vec<Suite>,
    show: impl FnMut(&str) + Send,
    summary: &mut Summary,
) -> Result<()> {
    let (own, others) = lanes(suites);
    let others = Mutex::new(VecDeque::from(others));
    let stage = Stage::new(show);
    let (summary, failed) = (Mutex::new(summary), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for own in [own, Vec::new()] {
            let (stage, summary, failed, others) = (&stage, &summary, &failed, &others);
            let mut own = own.into_iter();
            scope.spawn(move || {
                while !cleanup::requested()
                    && let Some(mut suite) = own.next().or_else(|| lock(others).pop_front())
                {
                    let ended = suite.start().and_then(|(mut child, output)| {
                        let name = suite.name.clone();
                        // The lane goes on while this one's lines still wait to be shown.
                        scope.spawn(move || {
                            let part = stage.show(&name, output);
                            **lock(summary) += part;
                        });
                        wait(&mut child)
                    });
                    match ended {
                        Ok(status) if status.success() => {}
                        Ok(status) => lock(failed).push(format!("{}: {status}", suite.name)),
                        Err(error) => lock(failed).push(format!("{}: {error:#}", suite.name)),
                    }
                }
            });
        }
    });
    cleanup::check()?;
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failed.is_empty(), "tests failed: {}", failed.join(", "));
    Ok(())
}

/// Those on the host's lane, and the others, each in their order.
fn lanes(suites: Vec<Suite>) -> (Vec<Suite>, Vec<Suite>) {
    let place = |names: &[&str], suite: &Suite| names.iter().position(|name| *name == suite.name);
    let (mut own, mut others): (Vec<_>, Vec<_>) =
        suites.into_iter().partition(|suite| place(&ON_THE_HOST, suite).is_some());
    own.sort_by_key(|suite| place(&ON_THE_HOST, suite));
    others.sort_by_key(|suite| (place(&FIRST, suite).unwrap_or(FIRST.len()), suite.name.clone()));
    (own, others)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::workspace::root;

    fn suite(name: &str, script: &str) -> Suite {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Suite { name: name.into(), command }
    }

    #[test]
    fn those_with_a_place_are_there() {
        for name in ON_THE_HOST.iter().chain(&FIRST) {
            assert!(root().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn each_is_on_one_lane_in_its_order() {
        let names = |suites: Vec<Suite>| suites.into_iter().map(|suite| suite.name);
        let [lib, host] = [ON_THE_HOST[1], ON_THE_HOST[0]];
        let all = ["b", FIRST[1], lib, "a", FIRST[0], host].map(|name| suite(name, ""));
        let (own, others) = lanes(all.into());
        assert!(names(own).eq([host, lib]));
        assert!(names(others).eq([FIRST[0], FIRST[1], "a", "b"]));
    }

    #[test]
    fn all_run_and_those_that_fail_are_named() {
        let mut summary = Summary { passed: 1, failed: 0 };
        let result = run(
            vec![
                suite("bad", "echo 'test result: FAILED. 1 passed; 2 failed;'; exit 101"),
                suite("good", "echo 'test result: ok. 3 passed;' >&2"),
                suite("dead", "kill -9 $$"),
                suite(ON_THE_HOST[0], "echo 'test result: ok. 4 passed;'"),
            ],
            |_: &str| {},
            &mut summary,
        );
        assert_eq!(summary, Summary { passed: 9, failed: 2 });
        let error = result.unwrap_err().to_string();
        assert!(error.contains("bad: exit status: 101"), "{error}");
        assert!(error.contains("dead: signal: 9"), "{error}");
        assert!(!error.contains("good") && !error.contains("host"), "{error}");
        assert!(run(vec![suite("good", "true")], |_: &str| {}, &mut summary).is_ok());
    }
}
