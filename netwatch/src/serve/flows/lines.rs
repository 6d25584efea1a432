//! Lines on their way to one reader, counted when it has taken them.

use std::{io, sync::Arc};

use tokio::{io::AsyncWriteExt as _, net::UnixStream};

use super::{Counts, Event, Notice, Style};

/// So much is handed over at a time.
const FULL: usize = 64 << 10;

pub(super) struct Lines<'a> {
    counts: &'a Counts,
    bytes: Vec<u8>,
    events: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(counts: &'a Counts) -> Self {
        Self { counts, bytes: Vec::new(), events: 0 }
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

    /// Waits until the reader has taken everything.
    pub(super) async fn write(&mut self, stream: &mut UnixStream) -> io::Result<()> {
        stream.write_all(&self.bytes).await?;
        self.counts.sent(std::mem::take(&mut self.events));
        self.bytes.clear();
        Ok(())
    }
}
