//! The command line: arguments, environment and file become one checked configuration, or one message that says
//! what was wrong, where, and what to do.
//!
//! Raw values first, checked values second: each source yields a [`raw::Raw`] of texts with their origin, the layers
//! are merged, and one check makes the agent's configuration of the result. One file a subcommand.

mod check;
mod command;
mod completions;
pub mod docs;
mod doctor;
mod effective;
mod environment;
mod exit;
mod failure;
mod file;
mod flows;
mod log;
mod man;
mod nearest;
mod option;
mod raw;
mod run;
mod stop;
mod terminal;
mod value;

use std::{ffi::OsString, process::ExitCode};

use clap::error::ErrorKind;

pub use exit::Exit;
pub use failure::Failure;
pub use log::{LogFormat, LogLevel, LogOptions};

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    match dispatch(std::env::args_os()) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            terminal::report(&failure);
            failure.code().into()
        }
    }
}

/// Parses the arguments and runs the subcommand that they name.
fn dispatch(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let matches = match command::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return answer(&error),
    };
    match matches.subcommand() {
        Some(("run", matches)) => run::run(matches),
        Some(("flows", matches)) => flows::run(matches),
        Some(("stop", matches)) => stop::run(matches),
        Some(("doctor", matches)) => doctor::run(matches),
        Some(("completions", matches)) => completions::run(matches),
        Some(("man", matches)) => man::run(matches),
        _ => Err(Failure::usage("no command given").hint("see 'netwatch --help'")),
    }
}

/// What clap calls an error is help or the version at times; those go to standard output and are a success.
fn answer(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            if terminal::colour_on_stdout() {
                terminal::print(&text.ansi().to_string())
            } else {
                terminal::print(&text.to_string())
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(Failure::usage("no command given")
                .hint("'netwatch run' starts the agent; see 'netwatch --help'"))
        }
        _ => Err(command::failure(&error.render().to_string())),
    }
}
