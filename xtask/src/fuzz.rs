//! `cargo xtask fuzz`: each fuzz target for some time, from the kept corpus on.
//!
//! Works with stable Rust: without a sanitizer, which has nothing to look for here, libFuzzer needs no unstable flag.

use std::{fs, num::NonZero, path::Path, thread};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{
    cleanup,
    command::{capture_errors, stream},
    report::{say, show},
    setup::{self, Purpose, subcommand::FUZZ},
    workspace::{cargo, root, target},
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz                        every target for 30 seconds
  cargo xtask fuzz --seconds 600 parse    one of them, longer

What a target finds is written to fuzz/artifacts/TARGET. Copy it to fuzz/corpus/TARGET, and `cargo test` replays it.")]
pub(crate) struct Args {
    /// Install nothing; exit with 3 where something is missing
    #[arg(long)]
    no_install: bool,
    /// How long each target runs
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only these targets
    target: Vec<String>,
}

/// How cargo-fuzz builds.
const HOW: [&str; 3] = ["--sanitizer", "none", "--target-dir"];

/// Stops at the first finding.
pub(crate) fn fuzz(args: &Args) -> Result<()> {
    let targets = choose(&args.target)?;
    setup::ensure(Purpose::Build, !args.no_install)?;
    FUZZ.ensure(!args.no_install)?;
    let built = target().join("fuzz");
    stream(cargo(&["fuzz", "build"]).args(HOW).arg(&built))?;
    // A fuzzer has one thread: as many at a time as there are processors.
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    for names in targets.chunks(at_once) {
        cleanup::check()?;
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                names.iter().map(|name| scope.spawn(|| run(name, args.seconds, &built))).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for result in results {
            result.unwrap_or_else(|_| Err(anyhow!("a fuzzer's thread panicked")))?;
        }
    }
    Ok(())
}

fn run(name: &str, seconds: u32, built: &Path) -> Result<()> {
    say(format_args!("fuzzing {name} for {seconds} s"));
    // libFuzzer adds to the first folder what it finds worth keeping, and only reads the other.
    let found = built.join("corpus").join(name);
    fs::create_dir_all(&found).with_context(|| format!("creating {}", found.display()))?;
    let mut command = cargo(&["fuzz", "run", name]);
    command.arg(found).arg(root().join("fuzz/corpus").join(name)).args(HOW).arg(built);
    command.args(["--", "-print_final_stats=1", "-timeout=10"]);
    command.arg(format!("-max_total_time={seconds}"));
    // A backtrace of the fuzzer itself would hide what it found.
    let output = capture_errors(command.env("RUST_BACKTRACE", "0"))?;
    let executions = executions(&output).context("the fuzzer does not tell how often it ran")?;
    show(format_args!("fuzz {name}: {executions} executions, nothing found"));
    Ok(())
}

/// The targets that were asked for, or all.
fn choose(asked: &[String]) -> Result<Vec<String>> {
    let all = all(&root().join("fuzz/fuzz_targets"))?;
    if let Some(unknown) = asked.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    Ok(if asked.is_empty() { all } else { asked.to_vec() })
}

fn all(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// What libFuzzer says of its work.
fn executions(output: &str) -> Option<u64> {
    let count =
        |line: &str| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok();
    output.lines().find_map(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzer_tells_how_often_it_ran() {
        let output = "Done 42 runs in 1 second(s)\nstat::number_of_executed_units: 42\nstat::peak_rss_mb: 27\n";
        assert_eq!(executions(output), Some(42));
        assert_eq!(executions("==1== ERROR: libFuzzer: deadly signal\n"), None);
    }

    #[test]
    fn a_target_that_is_none_is_named_with_those_there_are() {
        let error = choose(&["parser".into()]).unwrap_err().to_string();
        assert!(error.contains("no target parser") && error.contains("parse, quoted"), "{error}");
        assert_eq!(choose(&["parse".into()]).unwrap(), ["parse"]);
    }
}
