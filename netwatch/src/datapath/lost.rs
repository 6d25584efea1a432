//! Programs that somebody else has detached: `bpftool link detach`, `tc qdisc del`, a tool that puts its own in our place.
//! The kernel tells nobody, so it has to be asked.

use aya::Ebpf;
use tracing::debug;

use super::{
    attach::index_of,
    beside::{Hook, Mechanism, filters, linked},
    object::{EGRESS_PROGRAM, INGRESS_PROGRAM},
};

const HOOKS: [(&str, Hook); 2] =
    [(INGRESS_PROGRAM, Hook::Ingress), (EGRESS_PROGRAM, Hook::Egress)];

/// Whether our program is no longer attached to the interface, at ingress and at egress. An interface that has gone or was renamed
/// has lost nothing: the kernel will tell what became of it. Nor has one that could not be asked about.
pub(super) fn lost(ebpf: &Ebpf, by: Mechanism, interface: &str, ifindex: u32) -> [bool; 2] {
    if index_of(interface) != Some(ifindex) {
        return [false; 2];
    }
    HOOKS.map(|(program, hook)| {
        let Some(id) = ebpf.program(program).and_then(|program| program.info().ok()) else {
            return false;
        };
        let there = match by {
            Mechanism::Tcx => linked(interface, hook),
            Mechanism::Clsact => filters(ifindex, hook),
        };
        match there {
            Ok(all) => !all.iter().any(|one| one.id == Some(id.id())),
            Err(error) => {
                debug!(interface, %error, "cannot see what is attached");
                false
            }
        }
    })
}
