//! A reader like the kernel's for uncommon packets: it has room for one header, so that each is good until the next only.

use core::cell::Cell;

use crate::parse::{Header, Reader};

/// The bytes of a packet, and how many headers have been asked for.
pub(super) struct OneAtATime<'a> {
    bytes: &'a [u8],
    asked: &'a Cell<u32>,
}

/// A header that has to be the latest whenever it is read.
#[derive(Clone, Copy)]
pub(super) struct Latest<'a> {
    bytes: &'a [u8],
    number: u32,
    asked: &'a Cell<u32>,
}

impl<'a> OneAtATime<'a> {
    pub(super) fn new(bytes: &'a [u8], asked: &'a Cell<u32>) -> Self {
        Self { bytes, asked }
    }
}

impl<'a> Reader for OneAtATime<'a> {
    type Header<const N: usize> = Latest<'a>;

    fn header<const N: usize>(&self, offset: u32) -> Option<Latest<'a>> {
        let number = self.asked.get() + 1;
        self.asked.set(number);
        let bytes = self.bytes.get(offset as usize..)?.get(..N)?;
        Some(Latest { bytes, number, asked: self.asked })
    }
}

impl Latest<'_> {
    fn read<const N: usize>(self, at: usize) -> [u8; N] {
        assert_eq!(self.number, self.asked.get(), "read after the next header was asked for");
        self.bytes[at..at + N].try_into().unwrap()
    }
}

impl Header for Latest<'_> {
    fn u8(self, at: usize) -> u8 {
        self.read::<1>(at)[0]
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_be_bytes(self.read(at))
    }

    fn word(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.read(at))
    }

    fn double(self, at: usize) -> u64 {
        u64::from_ne_bytes(self.read(at))
    }
}
