//! `netwatch man`: the manual pages, made of the same words as the help.

use std::{fs, io, path::Path};

use clap::{Arg, ArgMatches, Command};
use clap_mangen::Man;

use super::{Exit, Failure, command, terminal};

const EXAMPLES: &str = "\
Examples:
  netwatch man | man -l -
      read the page of netwatch
  netwatch man flows | man -l -
      and that of one of its commands
  netwatch man --output /usr/local/share/man/man1
      write all pages: netwatch.1, netwatch-run.1 and so on";

/// `netwatch man`.
pub(super) fn command() -> Command {
    Command::new("man")
        .about("Print a manual page, or write all of them to a directory")
        .after_help(EXAMPLES)
        .arg(Arg::new("command").value_name("COMMAND").help("Whose page [default: netwatch's own]"))
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("DIRECTORY")
                .conflicts_with("command")
                .help("Write all pages there"),
        )
}

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(folder) = matches.get_one::<String>("output") {
        return write(Path::new(folder));
    }
    let wanted = matches.get_one::<String>("command");
    let name =
        wanted.map_or_else(|| "netwatch".to_owned(), |command| format!("netwatch-{command}"));
    let all = pages();
    let Some((_, page)) = all.iter().find(|(known, _)| *known == name) else {
        let commands: Vec<&str> =
            all.iter().filter_map(|(name, _)| name.strip_prefix("netwatch-")).collect();
        return Err(Failure::usage(format!(
            "there is no command '{}'",
            wanted.map_or("", String::as_str)
        ))
        .hint(format!("one of {}", commands.join(", "))));
    };
    terminal::print(&text(page).map_err(|error| Failure::caused(Exit::Failed, &error))?)
}

/// Every page with its name: the program's, and one for each command.
fn pages() -> Vec<(String, Command)> {
    let mut whole = command::command();
    whole.build();
    let commands: Vec<Command> =
        whole.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect();
    let named = commands.into_iter().map(|command| {
        let name = format!("netwatch-{}", command.get_name());
        (name.clone(), command.display_name(name))
    });
    [("netwatch".to_owned(), whole.clone())].into_iter().chain(named).collect()
}

fn text(page: &Command) -> io::Result<String> {
    let mut bytes = Vec::new();
    Man::new(page.clone()).render(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn write(folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: &io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
            .hint("give a directory that can be written to --output")
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    for (name, page) in pages() {
        let path = folder.join(format!("{name}.1"));
        text(&page)
            .and_then(|text| fs::write(&path, text))
            .map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}
