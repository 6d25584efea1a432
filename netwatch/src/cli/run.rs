//! `netwatch run`: merges the sources, checks, and starts the agent or prints what it would start with.

use std::{path::PathBuf, time::Duration};

use clap::ArgMatches;

use super::{Exit, Failure, check, command, effective, environment, file, raw::Raw, terminal};
use crate::agent::{self, AgentError, Confinement, config::Config, journal};

/// So long what still runs when the agent has ended may take: a write that is stuck would never end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let raw = merge(matches)?;
    let checked = check::check(&raw)?;
    // Rights are kept by thread, and whoever logs has one.
    let is_check = matches.get_flag("check");
    let confinement =
        if is_check { Confinement::default() } else { agent::confine(&checked.config) };
    checked.log.start();
    for stranger in environment::strangers(std::env::vars_os().map(|(name, _)| name)) {
        tracing::warn!("{stranger}");
    }
    if is_check {
        journal::settle(PATIENCE);
        return terminal::print(&effective::effective(&checked, &raw));
    }
    let result = run_agent(checked.config, confinement);
    journal::settle(PATIENCE);
    result
}

/// Flag, environment, file, `DOCKER_HOST`, default.
pub(super) fn merge(matches: &ArgMatches) -> Result<Raw, Failure> {
    let path = matches.get_one::<String>("config");
    Ok(command::flags(matches).over(surroundings(path)?))
}

/// The same without flags, for who observes but is no `run`.
pub(super) fn surroundings(config: Option<&String>) -> Result<Raw, Failure> {
    let lookup = |name: &str| std::env::var_os(name);
    let path = match config {
        Some(path) => Some(path.clone()),
        None => environment::text(&lookup, command::CONFIG_VARIABLE)?,
    };
    let file = path.map(|path| file::read(&PathBuf::from(path))).transpose()?.unwrap_or_default();
    Ok(environment::layer(lookup)?
        .over(file)
        .over(environment::docker_layer(lookup)?)
        .over(Raw::defaults()))
}

/// Runs the agent until it is told to stop.
fn run_agent(config: Config, confinement: Confinement) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::caused(Exit::Failed, &error))?;
    let result = runtime.block_on(agent::run(config, confinement));
    runtime.shutdown_timeout(PATIENCE);
    result.map_err(|error| failure(&error))
}

/// What ended the agent, with the exit code and the remedy.
pub(super) fn failure(error: &AgentError) -> Failure {
    let code = if error.is_unsupported() {
        Exit::NotPermitted
    } else if error.is_usage() {
        Exit::Usage
    } else {
        Exit::Failed
    };
    let failure = Failure::caused(code, error);
    match error.remedy() {
        Some(remedy) => failure.hint(remedy),
        None => failure,
    }
}
