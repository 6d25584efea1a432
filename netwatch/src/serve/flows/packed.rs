//! Events that nobody has to have at hand: written down one behind the other and compressed, which takes a fraction of the
//! memory. Whoever asks for them gets them anew.

use std::{marker::PhantomData, sync::Arc};

use super::Event;

/// Some events, in their order.
pub(super) struct Packed<E> {
    bytes: Arc<[u8]>,
    events: PhantomData<fn() -> E>,
}

impl<E> Clone for Packed<E> {
    fn clone(&self) -> Self {
        Self { bytes: Arc::clone(&self.bytes), events: PhantomData }
    }
}

impl<E: Event> Packed<E> {
    /// Packs events. What cannot be written down is not there afterwards; that is a mistake in a type of ours.
    pub(super) fn new(events: &[&Arc<E>]) -> Self {
        let plain = postcard::to_allocvec(events)
            .inspect_err(|error| tracing::error!(%error, "events are not kept"))
            .unwrap_or_default();
        Self { bytes: lz4_flex::compress_prepend_size(&plain).into(), events: PhantomData }
    }

    /// The events.
    pub(super) fn events(&self) -> Vec<Arc<E>> {
        let plain = lz4_flex::decompress_size_prepended(&self.bytes).ok();
        let events = plain.and_then(|plain| postcard::from_bytes(&plain).ok());
        events.unwrap_or_default()
    }
}
