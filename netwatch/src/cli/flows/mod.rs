//! `netwatch flows`: asks a running agent for its flow events, and shows them.

mod arguments;
mod filters;
mod show;

use clap::ArgMatches;

pub(super) use arguments::command;

use super::{Exit, Failure, terminal};
use crate::agent::flow_log_schema;
use crate::serve::flows::{ClientError, Reader};

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if matches.get_flag(arguments::SCHEMA) {
        return terminal::print(&flow_log_schema());
    }
    let (path, request) = arguments::parse(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::caused(Exit::Failed, &error))?;
    runtime.block_on(async {
        let reader = Reader::connect(&path, &request).await.map_err(|error| failure(&error))?;
        show::show(reader, &request).await
    })
}

fn failure(error: &ClientError) -> Failure {
    let code = match error {
        ClientError::NotPermitted { .. } => Exit::NotPermitted,
        ClientError::NoAgent { .. } | ClientError::Broken { .. } => Exit::Failed,
    };
    Failure::caused(code, error).hint(error.remedy())
}
