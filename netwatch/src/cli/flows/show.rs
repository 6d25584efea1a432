//! What an agent says, on the terminal.

use std::{
    io::{self, ErrorKind, Write},
    time::Instant,
};

use tokio::signal::ctrl_c;

use super::{
    super::{Exit, Failure, terminal},
    failure,
};
use crate::serve::flows::{Answer, Format, Notice, Reader, Request};

/// How reading ended.
enum End {
    /// Everything was said.
    Done,
    /// Who reads our output has gone.
    Closed,
    Interrupted,
}

/// What was shown.
#[derive(Default)]
struct Shown {
    lines: u64,
    missed: u64,
}

/// Writes lines until there are no more. Of one that follows, says at the end how many there were.
pub(super) async fn show(mut reader: Reader, request: &Request) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut shown = Shown::default();
    let end = tokio::select! {
        end = copy(&mut reader, request, &mut shown) => end?,
        _ = ctrl_c() => End::Interrupted,
    };
    let stopped = match end {
        End::Done => "; the agent has stopped",
        End::Interrupted => "",
        End::Closed => return Ok(()),
    };
    if request.follow {
        let Shown { lines, missed } = shown;
        terminal::note(&format!(
            "{lines} lines, {missed} events missed, in {} s{stopped}",
            begin.elapsed().as_secs()
        ));
    }
    Ok(())
}

async fn copy(reader: &mut Reader, request: &Request, shown: &mut Shown) -> Result<End, Failure> {
    let mut output = io::BufWriter::new(io::stdout());
    let mut header_follows = request.style.format == Format::Csv;
    loop {
        if reader.has_to_wait()
            && let Err(error) = output.flush()
        {
            return closed(&error);
        }
        let written = match reader.next().await.map_err(|error| failure(&error))? {
            Answer::Line(line) => {
                shown.lines += u64::from(!std::mem::take(&mut header_follows));
                output.write_all(line)
            }
            Answer::Notice(Notice::Missed { events }) => {
                shown.missed += events;
                tell_missed(events, request, &mut output)
            }
            Answer::Notice(Notice::Refused { reason }) => {
                return Err(Failure::new(Exit::Failed, format!("the agent refuses: {reason}")));
            }
            Answer::Notice(Notice::Done) => {
                return output.flush().map_or_else(|error| closed(&error), |()| Ok(End::Done));
            }
        };
        if let Err(error) = written {
            return closed(&error);
        }
    }
}

/// Where it happened: in JSON as a line among the others, else beside them.
fn tell_missed(events: u64, request: &Request, output: &mut impl Write) -> io::Result<()> {
    if request.style.format == Format::Json {
        return writeln!(output, "{{\"event\":\"missed\",\"events\":{events}}}");
    }
    output.flush()?;
    terminal::note(&format!("{events} events missed: the output was read too slowly"));
    Ok(())
}

/// A closed pipe is a success: who reads decides how much to read.
fn closed(error: &io::Error) -> Result<End, Failure> {
    if error.kind() == ErrorKind::BrokenPipe {
        return Ok(End::Closed);
    }
    Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")))
}
