//! A program of somebody else's at an interface: a TCX link that comes before all others.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Numbers of linux/bpf.h.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const SCHED_CLS: u32 = 3;
const TCX_INGRESS: u32 = 46;
const BEFORE: u32 = 1 << 3;
/// `r0 = -1` (`TC_ACT_UNSPEC`: go on with the next) and `exit`.
const INSTRUCTIONS: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];

/// Attached until dropped.
pub struct Stranger {
    _program: OwnedFd,
    _link: OwnedFd,
}

impl Stranger {
    /// At ingress, first in the chain. The kernel keeps 15 bytes of the name.
    pub fn before_all(name: &str, ifindex: u32) -> Self {
        let license = c"GPL";
        let mut load = [0u8; 64];
        put(&mut load, 0, &SCHED_CLS.to_ne_bytes());
        put(&mut load, 4, &u32::try_from(INSTRUCTIONS.len()).unwrap().to_ne_bytes());
        put(&mut load, 8, &(INSTRUCTIONS.as_ptr() as u64).to_ne_bytes());
        put(&mut load, 16, &(license.as_ptr() as u64).to_ne_bytes());
        put(&mut load, 48, name.as_bytes());
        let program = bpf(BPF_PROG_LOAD, &load);
        let mut create = [0u8; 32];
        put(&mut create, 0, &program.as_raw_fd().to_ne_bytes());
        put(&mut create, 4, &ifindex.to_ne_bytes());
        put(&mut create, 8, &TCX_INGRESS.to_ne_bytes());
        put(&mut create, 12, &BEFORE.to_ne_bytes());
        Self { _link: bpf(BPF_LINK_CREATE, &create), _program: program }
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

#[expect(unsafe_code, reason = "aya loads objects, and this is two instructions")]
fn bpf(command: libc::c_long, attributes: &[u8]) -> OwnedFd {
    // SAFETY: the kernel reads so many bytes, and what they point to lives longer than the call.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), attributes.len()) };
    assert!(fd >= 0, "bpf({command}): {}", io::Error::last_os_error());
    // SAFETY: a new file descriptor, which is nobody else's.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
}
