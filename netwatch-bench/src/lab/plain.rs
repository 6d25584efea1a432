//! One of the bench's own programs at the hooks that netwatch has: what any observer there costs.

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::TcAttachType};

use super::network::PORTS;
use crate::path::{OBJECT, classifier};

/// The program is attached until this is dropped.
pub struct Plain {
    _ebpf: Ebpf,
}

impl Plain {
    /// Attaches the program with this name, at both hooks of both ports of the calling thread's namespace.
    pub fn attach(name: &str) -> Result<Self> {
        let mut ebpf = Ebpf::load(OBJECT)?;
        let program = classifier(&mut ebpf, name)?;
        program.load()?;
        for port in PORTS {
            for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
                program
                    .attach(port, hook)
                    .with_context(|| format!("attaching {name} to {port}"))?;
            }
        }
        Ok(Self { _ebpf: ebpf })
    }
}
