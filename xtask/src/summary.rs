//! Adds up what the test binaries say.

use std::{fmt, ops::AddAssign};

/// The sum of all `test result:` lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Summary {
    /// Takes one line of output into account, whatever it is.
    pub(crate) fn add(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return };
        // "ok. 3 passed; 1 failed; 2 ignored; …"
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            if let (Some(Ok(count)), Some(what)) =
                (words.next().map(str::parse::<u64>), words.next())
            {
                match what {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    _ => {}
                }
            }
        }
    }

    /// Nothing run is no success.
    pub(crate) fn is_good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "netwatch: {} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(lines: &str) -> Summary {
        let mut summary = Summary::default();
        lines.lines().for_each(|line| summary.add(line));
        summary
    }

    #[test]
    fn results_are_added_up_and_all_else_passed_over() {
        let summary = sum("\
running 4 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test says_test_result_ok_9_passed ... ok
test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.25s");
        assert_eq!(summary, Summary { passed: 7, failed: 2 });
        assert!(!summary.is_good());
        assert_eq!(summary.to_string(), "netwatch: 7 passed, 2 failed");
    }

    #[test]
    fn no_tests_are_no_success() {
        assert!(!sum("").is_good());
        assert!(sum("test result: ok. 1 passed; 0 failed; 0 ignored;").is_good());
    }

    #[test]
    fn odd_lines_do_no_harm() {
        assert_eq!(
            sum("test result: \ntest result: ok\ntest result: ok. x passed; 1\n"),
            Summary::default()
        );
    }
}
