//! Lines on their way to one reader, counted when it has taken them.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, net::UnixStream, time::timeout};

use super::{Counts, Event, Notice, Source, Style};

/// So much is handed over at a time.
const FULL: usize = 64 << 10;

pub(super) struct Lines<'a> {
    counts: &'a Counts,
    patience: Duration,
    bytes: Vec<u8>,
    events: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new<E>(source: &'a Source<E>) -> Self {
        Self { counts: &source.counts, patience: source.patience, bytes: Vec::new(), events: 0 }
    }

    pub(super) fn event<E: Event>(&mut self, event: &E, style: Style) -> io::Result<()> {
        event.write(style, &mut self.bytes)?;
        self.events += 1;
        Ok(())
    }

    /// The events that somebody gives out. After an error there are no further ones.
    pub(super) fn folded<E: Event>(
        &mut self,
        style: Style,
        give_out: impl FnOnce(&mut dyn FnMut(Arc<E>)),
    ) -> io::Result<()> {
        let mut result = Ok(());
        give_out(&mut |event| {
            if result.is_ok() {
                result = self.event(&*event, style);
            }
        });
        result
    }

    pub(super) fn header<E: Event>(&mut self, style: Style) {
        self.bytes.extend(E::header(style).unwrap_or_default().bytes());
    }

    pub(super) fn notice(&mut self, notice: &Notice) {
        self.bytes.extend(notice.line());
    }

    /// So many events had gone before they were read.
    pub(super) fn missed(&mut self, events: u64) {
        if events > 0 {
            self.counts.lost(events);
            self.notice(&Notice::Missed { events });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Waits until the reader has taken everything, unless it takes nothing for too long.
    pub(super) async fn write(&mut self, stream: &mut UnixStream) -> io::Result<()> {
        let mut left = &self.bytes[..];
        while !left.is_empty() {
            let Ok(written) = timeout(self.patience, stream.write(left)).await else {
                tracing::info!(patience = ?self.patience, "a reader took nothing, and has lost its place");
                return Err(ErrorKind::TimedOut.into());
            };
            left = &left[written?..];
        }
        self.counts.sent(std::mem::take(&mut self.events));
        self.bytes.clear();
        Ok(())
    }
}
