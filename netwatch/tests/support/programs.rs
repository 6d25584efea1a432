//! The kernel programs, run by the kernel on packets of a test's own (`BPF_PROG_TEST_RUN`).

use aya::programs::{SchedClassifier, TestRun, TestRunOptions};
use netwatch::{
    datapath::{AttachMode, Datapath, Options},
    model::Exclusion,
};

/// The loopback device of a new namespace. It is down: only what a test runs by hand passes its hooks.
pub const LO: u32 = 1;

/// The program at the ingress hook.
pub const INGRESS: &str = "netwatch_ingress";
/// The program at the egress hook.
pub const EGRESS: &str = "netwatch_egress";

/// A small table, no samples.
pub fn options() -> Options {
    Options {
        flow_entries: 1 << 14,
        sample_rate: 0,
        sample_length: 128,
        dns_rate: 1_000,
        exclusion: Exclusion::default(),
        attach_mode: AttachMode::Auto,
        messages: false,
        pins: None,
        inheritance: None,
    }
}

/// What the context of the program says besides the packet (`struct __sk_buff`).
#[derive(Clone, Copy)]
pub struct Gso {
    /// Packets that it will be on the wire.
    pub segs: u32,
    /// Payload of each.
    pub size: u32,
}

/// Runs a program on a packet at the loopback device, `repeat` times.
pub fn run(datapath: &mut Datapath, program: &str, packet: &[u8], repeat: u32, gso: Option<Gso>) {
    run_at(datapath, LO, program, packet, repeat, gso);
}

/// Runs a program as if it were attached to an interface of this namespace.
pub fn run_at(
    datapath: &mut Datapath,
    ifindex: u32,
    program: &str,
    packet: &[u8],
    repeat: u32,
    gso: Option<Gso>,
) {
    // Offsets in `struct __sk_buff` (linux/bpf.h); fields that a test may not set have to be zero.
    let mut context = [0u8; 192];
    let mut set = |offset: usize, value: u32| {
        context[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    };
    set(40, ifindex);
    if let Some(gso) = gso {
        set(164, gso.segs);
        set(176, gso.size);
    }
    let program: &mut SchedClassifier =
        datapath.ebpf_mut().program_mut(program).unwrap().try_into().unwrap();
    let options = TestRunOptions {
        data_in: Some(packet),
        ctx_in: Some(&context),
        repeat,
        ..TestRunOptions::default()
    };
    let result = program.test_run(options).expect("runs");
    assert_eq!(
        result.return_value,
        u32::MAX,
        "TC_ACT_UNSPEC: whatever else is attached still runs"
    );
}
