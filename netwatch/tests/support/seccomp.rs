//! A kernel without the bpf system call, or without a part of it, as far as a program can tell.

use std::{io, os::unix::process::CommandExt as _, process::Command};

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

/// Of linux/bpf.h.
const RAW_TRACEPOINT_OPEN: u32 = 17;
/// Where `struct seccomp_data` has the number of the call, and the lower half of its first argument. The program calls by its own
/// architecture's numbers, so nothing else is asked.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };

/// Lets every call of bpf(2) that the program makes fail with ENOSYS.
pub fn without_bpf(command: &mut Command) {
    install(command, vec![load(NUMBER), skip_unless(bpf(), 1), refuse(libc::ENOSYS), allow()]);
}

/// Lets the kernel refuse programs at raw tracepoints, as one does that is locked down.
pub fn without_raw_tracepoints(command: &mut Command) {
    let filter = vec![
        load(NUMBER),
        skip_unless(bpf(), 3),
        load(FIRST_ARGUMENT),
        skip_unless(RAW_TRACEPOINT_OPEN, 1),
        refuse(libc::EPERM),
        allow(),
    ];
    install(command, filter);
}

fn bpf() -> u32 {
    u32::try_from(libc::SYS_bpf).expect("a number")
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, offset)
}

/// Skips so many instructions unless this was loaded.
fn skip_unless(value: u32, count: u8) -> sock_filter {
    instruction(BPF_JMP | BPF_JEQ | BPF_K, count, value)
}

fn refuse(error: i32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, libc::SECCOMP_RET_ERRNO | error.unsigned_abs())
}

fn allow() -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, libc::SECCOMP_RET_ALLOW)
}

fn instruction(code: u32, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("an opcode"), jt: 0, jf, k }
}

#[expect(unsafe_code, reason = "std has no way to set a seccomp filter")]
fn install(command: &mut Command, mut program: Vec<sock_filter>) {
    let install = move || {
        let len = u16::try_from(program.len()).unwrap_or_default();
        let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        // SAFETY: the kernel copies the filter during the call, and it lives in this closure.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
                    == 0
        };
        if installed { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: prctl is async-signal-safe and the closure allocates nothing.
    unsafe { command.pre_exec(install) };
}
