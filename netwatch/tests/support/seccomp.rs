//! A kernel without the bpf system call, as far as a program can tell.

use std::{io, os::unix::process::CommandExt as _, process::Command};

/// Lets every call of bpf(2) that the program makes fail with ENOSYS.
#[expect(unsafe_code, reason = "std has no way to set a seccomp filter")]
pub fn without_bpf(command: &mut Command) {
    let filter = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("an opcode"),
        jt,
        jf,
        k,
    };
    // seccomp_data.nr is the first word. The program calls by its own architecture's numbers, so nothing else is asked.
    let mut program = [
        filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        filter(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            u32::try_from(libc::SYS_bpf).expect("a number"),
        ),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
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
