//! Without an agent: observes by itself, for as long as somebody looks.

use std::{path::PathBuf, time::Duration};

use tokio::net::UnixStream;

use super::{
    super::{Exit, Failure, LogFormat, LogLevel, LogOptions, check, run, terminal},
    failure,
    show::{Source, show},
    watch::watch,
};
use crate::{
    agent::{self, config::Config, journal},
    serve::flows::{ClientError, Reader, Request},
};

/// For its last remarks, where nobody reads them.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shows what comes from now on. `missing` is why there is no agent to ask.
pub(super) async fn observe(
    mut request: Request,
    is_watched: bool,
    missing: ClientError,
    socket: PathBuf,
) -> Result<(), Failure> {
    request.follow = true;
    let config = config()?;
    LogOptions { level: LogLevel::Warn, format: LogFormat::Text }.start();
    let (ours, theirs) =
        UnixStream::pair().map_err(|error| Failure::caused(Exit::Failed, &error))?;
    let told = format!("{missing}; observing by itself until Ctrl-C");
    let begins = move || terminal::note(&told);
    let observing = tokio::spawn(agent::observe(config, theirs, begins));
    let reader = Reader::over(ours, socket, &request).await.map_err(|error| failure(&error))?;
    let shown = if is_watched {
        watch(reader, &request, Source::Own).await
    } else {
        show(reader, &request, Source::Own).await
    };
    let observed = observing.await;
    journal::settle(PATIENCE);
    match observed {
        // What broke the connection says more than that it broke.
        Ok(Err(error)) => Err(refused(&missing, &run::failure(&error))),
        Ok(Ok(())) => shown,
        Err(error) => Err(Failure::caused(Exit::Failed, &error)),
    }
}

/// As `netwatch run` would be configured here, but for nobody else.
fn config() -> Result<Config, Failure> {
    let checked = check::check(&run::surroundings(None)?)?;
    Ok(Config { flow_log: None, listen: Vec::new(), socket: None, pins: None, ..checked.config })
}

fn refused(missing: &ClientError, failure: &Failure) -> Failure {
    let message = format!("{missing}; observing by itself: {}", failure.message());
    let remedy = failure.remedy().map(|remedy| format!("{remedy}; or "));
    Failure::new(failure.code(), message).hint(format!(
        "{}start 'netwatch run' as root, whose socket you may then read from",
        remedy.unwrap_or_default()
    ))
}
