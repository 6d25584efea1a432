//! `netwatch flows`: asks a running agent for its flow events, and shows them.

mod arguments;
mod ask;
mod files;
mod filters;
mod printer;
mod show;
mod span;
mod watch;
mod width;

use clap::ArgMatches;

pub(super) use arguments::command;

use self::ask::{Asked, Whom};
use super::{Exit, Failure};
use crate::serve::flows::{ClientError, Reader};

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Asked { whom, request, watch, .. } = ask::parse(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::caused(Exit::Failed, &error))?;
    runtime.block_on(async {
        let socket = match whom {
            Whom::Files(files) => return files::show(files, request).await,
            Whom::Agent { socket, .. } => socket,
        };
        let reader = Reader::connect(&socket, &request).await.map_err(|error| failure(&error))?;
        if watch {
            watch::watch(reader, &request).await
        } else {
            show::show(reader, &request).await
        }
    })
}

fn failure(error: &ClientError) -> Failure {
    let (code, hint) = match error {
        ClientError::NoAgent { .. } => (
            Exit::Failed,
            "start one with 'netwatch run' as root, or name its socket with --socket",
        ),
        ClientError::NotPermitted { .. } => (
            Exit::NotPermitted,
            "run it as root, or as a member of the group of 'netwatch run --socket-group'",
        ),
        ClientError::Broken { .. } => (Exit::Failed, "look whether the agent still runs"),
    };
    Failure::caused(code, error).hint(hint)
}
