//! The largest flows on a terminal, again and again in the same place.

use std::{
    io::{self, Write as _},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    super::{Exit, Failure, terminal},
    failure,
    show::{Source, refused},
    width,
};
use crate::serve::flows::{Answer, Notice, Order, Reader, Request};

/// The other screen, without a cursor; and back. Lines are folded and cut here, not by the terminal.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
/// What was right of the cursor, or below it.
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";
/// Of a terminal that does not tell its size.
const SIZE: (usize, usize) = (80, 24);

/// The terminal is on the other screen.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// For giving the terminal back in a hurry: one that is stopped takes nothing.
const HURRY: Duration = Duration::from_millis(100);

/// Gives the terminal back, if it takes it, for an end without further ado.
pub(super) fn abandon() {
    if ENTERED.load(Ordering::Relaxed) {
        let (done, left) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = write(LEAVE);
            let _ = done.send(());
        });
        let _ = left.recv_timeout(HURRY);
    }
}

/// Has the terminal for itself, and gives it back as it was.
struct Screen;

impl Screen {
    fn enter() -> Result<Self, Failure> {
        ENTERED.store(true, Ordering::Relaxed);
        write(ENTER)?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing any more.
        let _ = write(LEAVE);
        ENTERED.store(false, Ordering::Relaxed);
    }
}

/// Shows page after page until interrupted, or until the agent stops.
pub(super) async fn watch(
    mut reader: Reader,
    request: &Request,
    source: Source,
) -> Result<(), Failure> {
    let hear = |kind| signal(kind).map_err(|error| Failure::caused(Exit::Failed, &error));
    let mut terminate = hear(SignalKind::terminate())?;
    // Heard and not followed: Ctrl-Z would leave the shell on this screen.
    let _suspend = hear(SignalKind::from_raw(libc::SIGTSTP))?;
    let mut seen = Seen::default();
    let screen = Screen::enter()?;
    let end = tokio::select! {
        end = turn(&mut reader, request, &mut seen) => end.map(|()| source.farewell()),
        () = source.interrupted() => Ok(""),
        _ = terminate.recv() => Ok(""),
    };
    drop(screen);
    let Seen { pages, missed } = seen;
    terminal::note(&format!("{pages} pages, {missed} events missed{}", end?));
    Ok(())
}

/// What was shown.
#[derive(Default)]
struct Seen {
    pages: u64,
    missed: u64,
}

async fn turn(reader: &mut Reader, request: &Request, seen: &mut Seen) -> Result<(), Failure> {
    let mut lines = Vec::new();
    loop {
        let is_last = match reader.next().await.map_err(|error| failure(&error))? {
            Answer::Line(line) => {
                lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
                continue;
            }
            Answer::Notice(Notice::Missed { events }) => {
                seen.missed += events;
                continue;
            }
            Answer::Notice(Notice::Refused { reason }) => return Err(refused(&reason)),
            Answer::Notice(Notice::Page) => false,
            Answer::Notice(Notice::Done) => true,
        };
        write(&page(&title(request), &lines, terminal::size().unwrap_or(SIZE)))?;
        seen.pages += 1;
        if is_last {
            return Ok(());
        }
        lines.clear();
    }
}

fn title(request: &Request) -> String {
    let sort = request.rank.map(|ranking| ranking.sort);
    let word =
        Order::WORDS.iter().find(|(_, order)| Some(*order) == sort).map_or("", |(word, _)| word);
    let now = TimeZone::system().to_datetime(Timestamp::now());
    format!("{} largest flows by {word}; Ctrl-C ends", now.strftime("%H:%M:%S"))
}

/// What makes a page of whatever was there before: what a flow has counted stands at the end of its line, so a line that is
/// too long is folded. The last row stays free: a newline there would scroll.
fn page(title: &str, lines: &[String], (columns, rows): (usize, usize)) -> String {
    let mut page = HOME.to_owned();
    let flows: Vec<String> = lines.iter().map(|line| width::folded(line, columns)).collect();
    let all = [title, ""].into_iter().chain(flows.iter().flat_map(|flow| flow.lines()));
    for line in all.take(rows.saturating_sub(1)) {
        page += &width::cut(line, columns);
        page += REST_OF_LINE;
        page += "\r\n";
    }
    page + REST_OF_SCREEN
}

fn write(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write to the terminal: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fits_and_leaves_nothing_of_the_one_before() {
        let lines: Vec<String> = (0..50).map(|number| format!("line {number}")).collect();
        let drawn = page("title", &lines, (6, 6));
        assert_eq!(
            drawn,
            "\x1b[Htitle\x1b[K\r\n\x1b[K\r\nline 0\x1b[K\r\nline 1\x1b[K\r\nline 2\x1b[K\r\n\x1b[J"
        );
        assert_eq!(
            page("title", &lines[..1], (4, 9)),
            "\x1b[Htitl\x1b[K\r\n\x1b[K\r\nline\x1b[K\r\n0\x1b[K\r\n\x1b[J"
        );
        assert_eq!(
            page("title", &lines[10..11], (3, 9)),
            "\x1b[Htit\x1b[K\r\n\x1b[K\r\nlin\x1b[K\r\n10\x1b[K\r\n\x1b[J",
            "a word that is too long is cut"
        );
        for rows in 1..4 {
            assert!(page("title", &lines, (80, rows)).matches("\r\n").count() < rows, "{rows}");
        }
    }
}
