//! An array map that kernel and agent both have in their memory.

#![expect(unsafe_code, reason = "memory that the kernel writes at the same time")]

use std::{
    io,
    marker::PhantomData,
    os::fd::AsRawFd,
    sync::atomic::{AtomicU32, Ordering, fence},
};

use memmap2::{MmapMut, MmapOptions, MmapRaw};

/// Types for which every byte pattern is a value.
///
/// # Safety
///
/// `repr(C)`, without padding that is not a field, references, `bool`, `Option` or enums; its size is a multiple of
/// eight, the step of array elements in the kernel.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: an integer of eight bytes.
unsafe impl Plain for u64 {}

/// `len` elements of `T`.
pub(super) struct SharedArray<T> {
    memory: MmapRaw,
    len: u32,
    element: PhantomData<T>,
}

impl<T: Plain> SharedArray<T> {
    const STEP: usize = {
        assert!(size_of::<T>().is_multiple_of(8));
        size_of::<T>()
    };

    /// Maps an array map (`BPF_F_MMAPABLE`) with `len` elements.
    pub(super) fn map(fd: &impl AsRawFd, len: u32) -> io::Result<Self> {
        let memory = MmapOptions::new().len(len as usize * Self::STEP).map_raw(fd)?;
        Ok(Self { memory, len, element: PhantomData })
    }

    /// Zeroed memory of our own in the same shape; pages that are never written cost nothing.
    pub(super) fn anonymous(len: u32) -> io::Result<Self> {
        let memory = MmapMut::map_anon(len as usize * Self::STEP)?.into();
        Ok(Self { memory, len, element: PhantomData })
    }

    /// Number of elements.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    fn element(&self, index: u32) -> Option<*mut T> {
        if index >= self.len {
            return None;
        }
        // SAFETY: within the mapping, which is as long as `len` elements and aligned to a page.
        Some(unsafe { self.memory.as_mut_ptr().add(index as usize * Self::STEP).cast() })
    }

    /// A copy of an element. Each aligned word of it is whole; the words may be of different moments.
    pub(super) fn read(&self, index: u32) -> Option<T> {
        // SAFETY: a valid element; any bytes are a value of `T`.
        Some(unsafe { self.element(index)?.read_volatile() })
    }

    /// Writes an element of which this process is the only writer.
    pub(super) fn write(&self, index: u32, value: T) {
        if let Some(element) = self.element(index) {
            // SAFETY: a valid element.
            unsafe { element.write_volatile(value) };
        }
    }

    /// Reads an aligned `u32` within an element.
    pub(super) fn read_u32(&self, index: u32, offset: usize) -> Option<u32> {
        debug_assert!(offset.is_multiple_of(4) && offset + 4 <= Self::STEP);
        // SAFETY: within a valid element, aligned as the caller's field is.
        Some(unsafe { self.element(index)?.byte_add(offset).cast::<u32>().read_volatile() })
    }

    /// Reads an aligned `u64` within an element.
    pub(super) fn read_u64(&self, index: u32, offset: usize) -> Option<u64> {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= Self::STEP);
        // SAFETY: as in `read_u32`.
        Some(unsafe { self.element(index)?.byte_add(offset).cast::<u64>().read_volatile() })
    }

    /// Writes an aligned `u32` within an element.
    pub(super) fn write_u32(&self, index: u32, offset: usize, value: u32) {
        debug_assert!(offset.is_multiple_of(4) && offset + 4 <= Self::STEP);
        if let Some(element) = self.element(index) {
            // SAFETY: as in `read_u32`.
            unsafe { element.byte_add(offset).cast::<u32>().write_volatile(value) };
        }
    }

    /// Writes an aligned `u32` within an element after everything that was written before.
    pub(super) fn release_u32(&self, index: u32, offset: usize, value: u32) {
        if let Some(word) = self.atomic(index, offset) {
            word.store(value, Ordering::Release);
        }
    }

    /// Writes an aligned `u32` within an element if this is what stands there.
    pub(super) fn replace_u32(&self, index: u32, offset: usize, current: u32, value: u32) {
        if let Some(word) = self.atomic(index, offset) {
            // Whoever changed it meanwhile was right.
            let _ = word.compare_exchange(current, value, Ordering::SeqCst, Ordering::Relaxed);
        }
    }

    fn atomic(&self, index: u32, offset: usize) -> Option<&AtomicU32> {
        debug_assert!(offset.is_multiple_of(4) && offset + 4 <= Self::STEP);
        // SAFETY: within a valid element, aligned as the caller's field is; it lives as long as the mapping.
        Some(unsafe { AtomicU32::from_ptr(self.element(index)?.byte_add(offset).cast()) })
    }

    /// A copy of an element that its writer brackets with a sequence number at `offset` (odd while it writes). `None`
    /// if it was being written at each of a few tries.
    pub(super) fn read_consistent(&self, index: u32, offset: usize) -> Option<T> {
        const TRIES: u32 = 64;
        for _ in 0..TRIES {
            let before = self.read_u32(index, offset)?;
            if before & 1 != 0 {
                std::hint::spin_loop();
                continue;
            }
            fence(Ordering::Acquire);
            let value = self.read(index)?;
            fence(Ordering::Acquire);
            if self.read_u32(index, offset)? == before {
                return Some(value);
            }
        }
        None
    }
}
