//! A state on its way to its file, a piece at a time: one thread makes them while another one writes, so that with very many
//! flows it is not in memory as a whole, and whoever makes them waits for no disk.

use std::{
    io, mem,
    sync::mpsc::{Receiver, Sender, channel},
};

use postcard::ser_flavors::Flavor;

/// Bytes in each but the last.
const LENGTH: usize = 64 << 10;

enum Piece {
    Bytes(Vec<u8>),
    /// Nothing is lacking.
    End,
}

/// Takes what is serialized.
pub(in crate::agent) struct Draft {
    next: Vec<u8>,
    sender: Sender<Piece>,
}

/// Where it comes out, in its order.
pub(in crate::agent) struct Made(Receiver<Piece>);

pub(in crate::agent) fn draft() -> (Draft, Made) {
    let (sender, receiver) = channel();
    (Draft { next: Vec::with_capacity(LENGTH), sender }, Made(receiver))
}

impl Draft {
    fn send(&self, piece: Piece) -> postcard::Result<()> {
        self.sender.send(piece).map_err(|_| postcard::Error::SerializeBufferFull)
    }
}

impl Flavor for Draft {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.next.push(byte);
        if self.next.len() < LENGTH {
            return Ok(());
        }
        let full = mem::replace(&mut self.next, Vec::with_capacity(LENGTH));
        self.send(Piece::Bytes(full))
    }

    fn finalize(mut self) -> postcard::Result<()> {
        let last = mem::take(&mut self.next);
        self.send(Piece::Bytes(last))?;
        self.send(Piece::End)
    }
}

impl Made {
    /// Gives out each piece. Fails where the end is lacking.
    pub(super) fn each(self, mut give: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        for piece in self.0 {
            match piece {
                Piece::Bytes(bytes) => give(&bytes)?,
                Piece::End => return Ok(()),
            }
        }
        Err(io::Error::other("not all of it was made"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come_out(made: Made) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        made.each(|bytes| {
            assert!(bytes.len() <= LENGTH);
            all.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn all_comes_out_in_its_order() {
        for length in [0, 1, LENGTH - 3, LENGTH, 5 * LENGTH] {
            let numbers: Vec<u16> = (0..=u16::MAX).cycle().take(length / 2).collect();
            let (draft, made) = draft();
            postcard::serialize_with_flavor(&numbers, draft).unwrap();
            assert_eq!(come_out(made).unwrap(), postcard::to_allocvec(&numbers).unwrap());
        }
    }

    #[test]
    fn what_is_not_whole_is_an_error_on_both_sides() {
        let (mut half, made) = draft();
        (0..=LENGTH).try_for_each(|_| half.try_push(7)).unwrap();
        drop(half);
        assert!(come_out(made).is_err());
        let (draft, made) = draft();
        drop(made);
        assert!(postcard::serialize_with_flavor(&7, draft).is_err());
    }
}
