//! Who is attached to an interface, ours and others', in the order in which the kernel runs them: links of TCX, then
//! filters of clsact.

use std::io;

use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption};

use super::{attach::is_invalid, clsact};

/// Our programs' names begin so. The kernel keeps 15 bytes of a name.
const OURS: &str = "netwatch_";
/// Each host has it, and its chain can be asked for.
const LOOPBACK: &str = "lo";

/// Where programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// What comes out of the device.
    Ingress,
    /// What goes into it.
    Egress,
}

impl Hook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    fn aya(self) -> TcAttachType {
        match self {
            Self::Ingress => TcAttachType::Ingress,
            Self::Egress => TcAttachType::Egress,
        }
    }

    fn clsact(self) -> u16 {
        match self {
            Self::Ingress => clsact::INGRESS,
            Self::Egress => clsact::EGRESS,
        }
    }
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// A TCX link.
    Tcx,
    /// A filter below the clsact qdisc.
    Clsact,
}

impl Mechanism {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// One program, or a filter that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Its name; the kind of a filter that is no program.
    pub name: String,
    /// The kernel's number of the program.
    pub id: Option<u32>,
    /// How it is attached.
    pub mechanism: Mechanism,
}

impl Beside {
    /// Whether it is netwatch's.
    pub fn is_ours(&self) -> bool {
        self.id.is_some() && self.name.starts_with(OURS)
    }
}

/// Whether the kernel has TCX.
pub fn knows_tcx() -> io::Result<bool> {
    match SchedClassifier::query_tcx(LOOPBACK, TcAttachType::Ingress) {
        Ok(_) => Ok(true),
        Err(error) if is_invalid(&error) => Ok(false),
        Err(error) => Err(plain(error)),
    }
}

/// Whoever is attached to an interface at a hook, the first to run first.
pub fn hooked(interface: &str, ifindex: u32, hook: Hook) -> io::Result<Vec<Beside>> {
    let mut all = linked(interface, hook)?;
    all.extend(filters(ifindex, hook)?);
    all.dedup();
    Ok(all)
}

/// Those attached by links of TCX; none where the kernel has no such thing.
pub(super) fn linked(interface: &str, hook: Hook) -> io::Result<Vec<Beside>> {
    match SchedClassifier::query_tcx(interface, hook.aya()) {
        Ok((_, programs)) => Ok(programs
            .iter()
            .map(|program| Beside {
                name: String::from_utf8_lossy(program.name()).into_owned(),
                id: Some(program.id()),
                mechanism: Mechanism::Tcx,
            })
            .collect()),
        Err(error) if is_invalid(&error) => Ok(Vec::new()),
        Err(error) => Err(plain(error)),
    }
}

/// Those that are filters of clsact.
pub(super) fn filters(ifindex: u32, hook: Hook) -> io::Result<Vec<Beside>> {
    let mut all = Vec::new();
    clsact::list_filters(ifindex, hook.clsact(), |filter| all.extend(described(filter)))?;
    Ok(all)
}

/// A filter; `None` for what the kernel tells of the place where filters of one priority hang.
fn described(filter: TcMessage) -> Option<Beside> {
    let handle = filter.header.handle;
    if (handle.major, handle.minor) == (0, 0) {
        return None;
    }
    let mut beside = Beside { name: String::new(), id: None, mechanism: Mechanism::Clsact };
    let mut kind = String::new();
    for attribute in filter.attributes {
        match attribute {
            TcAttribute::Kind(word) => kind = word,
            TcAttribute::Options(options) => {
                for option in options {
                    match option {
                        TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => beside.name = name,
                        TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => beside.id = Some(id),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if beside.name.is_empty() {
        beside.name = kind;
    }
    Some(beside)
}

fn plain(error: ProgramError) -> io::Error {
    match error {
        ProgramError::SyscallError(error) => error.io_error,
        error => io::Error::other(error.to_string()),
    }
}
