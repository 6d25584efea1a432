//! What an agent says, on standard output.

use jiff::Timestamp;
use tokio::signal::ctrl_c;

use super::{
    super::{Exit, Failure, terminal},
    failure,
    printer::{Printer, Stop},
};
use crate::serve::flows::{Answer, Notice, Reader, Request};

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An agent that runs anyhow.
    Agent,
    /// One in this process, which ends when we are told to, and then still has something to say.
    Own,
}

impl Source {
    /// Is ready when we have to end without waiting for it.
    pub(super) async fn interrupted(self) {
        match self {
            Self::Agent => drop(ctrl_c().await),
            Self::Own => std::future::pending().await,
        }
    }

    /// What is to be said when it has ended by itself.
    pub(super) fn farewell(self) -> &'static str {
        match self {
            Self::Agent => "; the agent has stopped",
            Self::Own => "",
        }
    }
}

/// Writes lines until there are no more. Of one that follows or is interrupted, says at the end how many there were.
pub(super) async fn show(
    mut reader: Reader,
    request: &Request,
    source: Source,
) -> Result<(), Failure> {
    let mut printer = Printer::new(request);
    let end = tokio::select! {
        copied = copy(&mut reader, &mut printer) => copied.map(|()| {
            let farewell = if is_over(request) { "" } else { source.farewell() };
            request.follow.then_some(farewell)
        }),
        // What had been taken from the agent is shown.
        () = source.interrupted() => printer.flush().map(|()| Some("")),
    };
    match end {
        Ok(Some(farewell)) => terminal::note(&format!("{}{farewell}", printer.summary())),
        Ok(None) | Err(Stop::Closed) => {}
        Err(Stop::Failed(failure)) => return Err(failure),
    }
    Ok(())
}

/// Whether the span has come to its end.
fn is_over(request: &Request) -> bool {
    request.until_ns.is_some_and(|until| i128::from(until) <= Timestamp::now().as_nanosecond())
}

async fn copy(reader: &mut Reader, printer: &mut Printer) -> Result<(), Stop> {
    loop {
        if reader.has_to_wait() {
            printer.flush()?;
        }
        match reader.next().await.map_err(|error| failure(&error))? {
            Answer::Line(line) => printer.line(line)?,
            Answer::Notice(Notice::Missed { events }) => printer.missed(events)?,
            Answer::Notice(Notice::Page) => {}
            Answer::Notice(Notice::Refused { reason }) => return Err(refused(&reason).into()),
            Answer::Notice(Notice::Done) => return printer.flush(),
        }
    }
}

/// The agent does not answer this.
pub(super) fn refused(reason: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the agent refuses: {reason}"))
}
