//! The body of an answer: handed out piece by piece as the client takes it, and its place among the answers kept until the
//! last one. Pieces are copies, so that what is still on its way to a slow client does not keep the whole.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::slots::Slot;

/// As much as hyper keeps for a connection.
const PIECE: usize = 16 * 1024;

pub(super) struct Pieces {
    text: Vec<u8>,
    sent: usize,
    _place: Slot,
}

impl Pieces {
    pub(super) fn new(text: Vec<u8>, place: Slot) -> Self {
        Self { text, sent: 0, _place: place }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = &self.text[self.sent..];
        let piece = Bytes::copy_from_slice(&left[..left.len().min(PIECE)]);
        self.sent += piece.len();
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.text.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.text.len() - self.sent) as u64)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::{super::slots::Slots, *};

    #[tokio::test]
    async fn it_comes_whole_and_keeps_its_place_until_the_end() {
        let places = Slots::new(1);
        let client = Slots::new(1).enter(super::super::source::Source::Local).await;
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let text: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let body = Pieces::new(text.clone(), places.enter_for(&client).unwrap());
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            assert!(places.enter_for(&client).is_none());
            let pieces: Vec<Bytes> =
                axum::body::Body::new(body).into_data_stream().try_collect().await.unwrap();
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
            assert_eq!(pieces.concat(), text);
        }
    }
}
