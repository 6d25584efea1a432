//! Programs that somebody else has detached: `bpftool link detach`, `tc qdisc del`, a tool that puts its own in our place.
//! The kernel tells nobody, so it has to be asked.

use aya::Ebpf;
use tracing::debug;

use super::{
    attach::name_of,
    beside::{Hook, Mechanism, filters, linked},
    object::{EGRESS_PROGRAM, INGRESS_PROGRAM},
};

const HOOKS: [(&str, Hook); 2] = [(INGRESS_PROGRAM, Hook::Ingress), (EGRESS_PROGRAM, Hook::Egress)];

/// Whether our program is not attached to the interface that has this index now, at ingress and at egress. One that has gone has lost
/// nothing: the kernel will tell what became of it. Nor has one that could not be asked about.
pub(super) fn lost(ebpf: &Ebpf, by: Mechanism, ifindex: u32) -> [bool; 2] {
    let Some(interface) = name_of(ifindex) else { return [false; 2] };
    let interface = interface.as_str();
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
