//! Capabilities (capabilities(7)): those that are needed stay, and no program that would be started could have more.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// One that the agent may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Attaching programs; hearing of connections.
    NetAdmin,
    /// Loading programs.
    Bpf,
    /// Programs that look at packets.
    Perfmon,
    /// What stands for the two above where only it was given.
    SysAdmin,
    /// Memory for maps before Linux 5.11.
    SysResource,
    /// Listening below port 1024.
    NetBindService,
    /// Files of others.
    DacOverride,
    /// Giving files to others: the socket's group, the owner of a log.
    Chown,
    /// Setting the mode of files of others.
    Fowner,
}

impl Capability {
    fn set(self) -> CapabilitySet {
        match self {
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::Bpf => CapabilitySet::BPF,
            Self::Perfmon => CapabilitySet::PERFMON,
            Self::SysAdmin => CapabilitySet::SYS_ADMIN,
            Self::SysResource => CapabilitySet::SYS_RESOURCE,
            Self::NetBindService => CapabilitySet::NET_BIND_SERVICE,
            Self::DacOverride => CapabilitySet::DAC_OVERRIDE,
            Self::Chown => CapabilitySet::CHOWN,
            Self::Fowner => CapabilitySet::FOWNER,
        }
    }
}

/// Highest number that any kernel may come to know; one that it does not know is refused, which does no harm.
const MOST: u32 = 63;

/// Lets go of all others, for good. Who has none has nothing to let go of.
pub(super) fn keep(needed: &[Capability]) {
    let Ok(have) = capabilities(None) else { return };
    let wanted: CapabilitySet = needed.iter().map(|one| one.set()).collect();
    // For as long as that is ours to say (CAP_SETPCAP): what a program that is started may get.
    for number in 0..=MOST {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if !wanted.contains(one) {
            let _ = remove_capability_from_bounding_set(one);
        }
    }
    let kept = CapabilitySets {
        effective: have.effective & wanted,
        permitted: have.permitted & wanted,
        // And with it the ambient ones.
        inheritable: CapabilitySet::empty(),
    };
    if let Err(error) = set_capabilities(None, kept) {
        tracing::warn!(%error, "capabilities that are not needed cannot be given up");
    }
    if let Err(error) = set_no_new_privs(true) {
        tracing::warn!(%error, "no_new_privs cannot be set");
    }
}

/// The effective ones, as capabilities(7) writes them.
pub(super) fn left() -> String {
    match capabilities(None) {
        Ok(have) => {
            let names = have.effective.iter_names().map(|(name, _)| format!("CAP_{name}"));
            names.collect::<Vec<_>>().join(", ")
        }
        Err(error) => format!("unknown ({error})"),
    }
}
