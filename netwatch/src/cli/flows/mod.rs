//! `netwatch flows`: asks a running agent for its flow events, and shows them.

mod arguments;
mod ask;
mod files;
mod filters;
mod own;
mod printer;
mod show;
mod span;
mod watch;
mod width;

use clap::ArgMatches;
use tokio::signal::ctrl_c;

pub(super) use arguments::command;

use self::{
    ask::{Asked, Whom},
    show::Source,
};
use super::{Exit, Failure, terminal};
use crate::agent::flow_log_schema;
use crate::serve::flows::{ClientError, Reader};

/// Where it has to observe by itself, showing must not hold that up.
const THREADS: usize = 2;

/// Runs the subcommand.
pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if matches.get_flag(arguments::SCHEMA) {
        return terminal::print(&flow_log_schema());
    }
    let Asked { whom, request, watch, is_past } = ask::parse(matches)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::caused(Exit::Failed, &error))?;
    runtime.spawn(give_up());
    runtime.block_on(async {
        let (socket, is_named) = match whom {
            Whom::Files(files) => return files::show(files, request).await,
            Whom::Agent { socket, is_named } => (socket, is_named),
        };
        match Reader::connect(&socket, &request).await {
            Ok(reader) if watch => watch::watch(reader, &request, Source::Agent).await,
            Ok(reader) => show::show(reader, &request, Source::Agent).await,
            Err(error @ ClientError::NoAgent { .. }) if is_past => Err(failure(&error).hint(
                "without one there is no past: start one with 'netwatch run' as root, or use --follow to observe from now on",
            )),
            Err(missing @ ClientError::NoAgent { .. }) if !is_named => {
                own::observe(request, watch, missing, socket).await
            }
            Err(error) => Err(failure(&error)),
        }
    })
}

/// The first Ctrl-C ends it in good order. Where that waits for somebody who does not read, the second one ends it anyhow.
async fn give_up() {
    let twice = async {
        ctrl_c().await?;
        ctrl_c().await
    };
    if twice.await.is_ok() {
        watch::abandon();
        std::process::exit(Exit::Failed.code().into());
    }
}

fn failure(error: &ClientError) -> Failure {
    let code = match error {
        ClientError::NotPermitted { .. } => Exit::NotPermitted,
        ClientError::NoAgent { .. } | ClientError::Broken { .. } => Exit::Failed,
    };
    Failure::caused(code, error).hint(error.remedy())
}
