//! Programs that the tests run.

use std::process::{Command, Output};

/// Runs a program to its end, whatever that is.
pub fn output(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} {}: {error}", arguments.join(" ")))
}

/// What a program prints, or what it complains about.
pub fn attempt(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = output(program, arguments);
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let line = format!("{program} {}", arguments.join(" "));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{line}: {}: {}", output.status, complaint.trim()))
}

/// What a program prints. It has to succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    attempt(program, arguments).unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// The first of these programs that is there.
pub fn program(candidates: &[&'static str]) -> &'static str {
    let there = |path: &&&str| std::path::Path::new(path).is_file();
    match candidates.iter().find(there) {
        Some(program) => program,
        None => panic!("none of {candidates:?} is installed; `cargo xtask setup` installs them"),
    }
}
