//! Attaching both programs to an interface, by TCX links where the kernel has them, by clsact filters below.

use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    io, mem,
};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType,
        links::{FdLink, Link as _, LinkError},
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions, qdisc_detach_program},
    },
};
use tracing::{debug, warn};

use super::{
    beside::Mechanism,
    clsact,
    error::AttachError,
    object::{EGRESS_PROGRAM, INGRESS_PROGRAM},
    pins::Pins,
    sole::Sole,
};

/// By which mechanism to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AttachMode {
    /// TCX where the kernel has it (6.6 and later), else clsact.
    #[default]
    Auto,
    /// TCX links only.
    Tcx,
    /// clsact filters only.
    Clsact,
}

const HOOKS: [(&str, TcAttachType); 2] =
    [(INGRESS_PROGRAM, TcAttachType::Ingress), (EGRESS_PROGRAM, TcAttachType::Egress)];

pub(super) struct Attacher {
    mode: AttachMode,
    sole: Sole,
    /// Where links stay when this process ends.
    pins: Option<Pins>,
    attached: HashMap<u32, Attached>,
}

#[derive(Default)]
struct Attached {
    links: Vec<SchedClassifierLink>,
    /// This process added the qdisc, so it takes it away again.
    added_qdisc: bool,
}

impl Attacher {
    pub(super) fn new(mode: AttachMode, sole: Sole, pins: Option<Pins>) -> Self {
        Self { mode, sole, pins, attached: HashMap::new() }
    }

    /// Puts our programs onto the links that an earlier agent has left, each in one step, so that no packet passes by.
    /// Answers with the interfaces that are gone, whatever has their index now.
    pub(super) fn take_over(&mut self, ebpf: &mut Ebpf) -> Vec<u32> {
        let Some(pins) = self.pins.clone() else { return Vec::new() };
        let mut gone = Vec::new();
        for ifindex in pins.interfaces() {
            match take_over(ebpf, &pins, ifindex) {
                Ok(Some(links)) => {
                    self.attached.insert(ifindex, Attached { links, added_qdisc: false });
                }
                // One that its agent had no time to complete. It is attached to anew.
                Ok(None) => pins.release(ifindex),
                Err(error) => {
                    debug!(ifindex, %error, "a link to an interface that is probably gone");
                    pins.release(ifindex);
                    gone.push(ifindex);
                }
            }
        }
        gone
    }

    /// Ends without detaching anything, for the next agent to go on with.
    pub(super) fn leave(&mut self) {
        for (_, attached) in self.attached.drain() {
            // A filter below clsact would be removed when its link is dropped.
            attached.links.into_iter().for_each(mem::forget);
        }
    }

    pub(super) fn is_attached(&self, ifindex: u32) -> bool {
        self.attached.contains_key(&ifindex)
    }

    pub(super) fn attached(&self) -> Vec<u32> {
        self.attached.keys().copied().collect()
    }

    pub(super) fn mechanism(&self) -> Mechanism {
        if self.mode == AttachMode::Clsact { Mechanism::Clsact } else { Mechanism::Tcx }
    }

    /// Attaches both programs or none.
    pub(super) fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        ifindex: u32,
        name: &str,
    ) -> Result<(), AttachError> {
        let result = match self.mode {
            AttachMode::Clsact => attach_clsact(ebpf, ifindex, name),
            AttachMode::Tcx => attach_links(ebpf, ifindex, name, "TCX", tcx),
            AttachMode::Auto => match attach_links(ebpf, ifindex, name, "TCX", tcx) {
                // Kernels before 6.6 do not know the attach type.
                Err(AttachError::Refused { source, .. }) if is_invalid(&source) => {
                    debug!("this kernel has no TCX: attaching by clsact");
                    self.mode = AttachMode::Clsact;
                    attach_clsact(ebpf, ifindex, name)
                }
                Ok(attached) => {
                    self.mode = AttachMode::Tcx;
                    Ok(attached)
                }
                result => result,
            },
        };
        let mut attached = result?;
        if self.mode == AttachMode::Tcx
            && let Some(pins) = &self.pins
        {
            attached = match attached.pinned(pins, ifindex) {
                Ok(attached) => attached,
                Err(error) => {
                    warn!(
                        interface = name,
                        "from now on what is attached will be detached when this agent ends: {error}"
                    );
                    pins.release(ifindex);
                    self.pins = None;
                    attach_links(ebpf, ifindex, name, "TCX", tcx)?
                }
            };
        }
        self.attached.insert(ifindex, attached);
        Ok(())
    }

    /// Attaches again where somebody else has detached a program, `lost` from ingress or egress.
    pub(super) fn attach_again(
        &mut self,
        ebpf: &mut Ebpf,
        ifindex: u32,
        name: &str,
        lost: [bool; 2],
    ) -> Result<(), AttachError> {
        if let Some(pins) = &self.pins {
            pins.release(ifindex);
        }
        let mut before = self.attached.remove(&ifindex).unwrap_or_default();
        let added_qdisc = before.added_qdisc;
        for (link, lost) in mem::take(&mut before.links).into_iter().zip(lost) {
            if lost {
                // Taken apart, a filter is let go of without a word to the kernel: another one may be in its place.
                let _ = FdLink::try_from(link);
            } else {
                before.links.push(link);
            }
        }
        before.added_qdisc = false;
        before.detach(ifindex);
        self.attach(ebpf, ifindex, name)?;
        if let Some(attached) = self.attached.get_mut(&ifindex) {
            attached.added_qdisc |= added_qdisc;
        }
        Ok(())
    }

    /// Removes filters that a killed agent left behind. TCX links need no such care: they die with their process.
    pub(super) fn remove_leftovers(&self, interface: &str, ifindex: u32) -> bool {
        self.sole.is_sole() && remove_filters(interface, ifindex)
    }

    /// Detaches both programs. An interface that is gone has taken its programs with it.
    pub(super) fn detach(&mut self, ifindex: u32) {
        if let Some(attached) = self.attached.remove(&ifindex) {
            if let Some(pins) = &self.pins {
                pins.release(ifindex);
            }
            attached.detach(ifindex);
        }
    }
}

impl Drop for Attacher {
    fn drop(&mut self) {
        for (ifindex, attached) in self.attached.drain() {
            attached.detach(ifindex);
        }
    }
}

impl Attached {
    /// The same with links that outlive this process. A link that cannot be pinned is gone.
    fn pinned(self, pins: &Pins, ifindex: u32) -> Result<Self, String> {
        let pin = |(link, (program, _)): (SchedClassifierLink, (&str, _))| {
            let link = FdLink::try_from(link).map_err(|error| error.to_string())?;
            let pinned =
                link.pin(pins.link(ifindex, program)).map_err(|error| error.to_string())?;
            FdLink::from(pinned).try_into().map_err(|error: LinkError| error.to_string())
        };
        let links = self.links.into_iter().zip(HOOKS).map(pin).collect::<Result<_, String>>()?;
        Ok(Self { links, ..self })
    }

    fn detach(self, ifindex: u32) {
        for link in self.links {
            if let Err(error) = link.detach() {
                debug!(ifindex, %error, "detaching from an interface that is probably gone");
            }
        }
        if self.added_qdisc
            && let Err(error) = clsact::remove_if_empty(ifindex)
        {
            debug!(ifindex, %error, "removing the clsact qdisc of an interface that is probably gone");
        }
    }
}

fn attach_clsact(ebpf: &mut Ebpf, ifindex: u32, name: &str) -> Result<Attached, AttachError> {
    let added_qdisc = clsact::add(ifindex).map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => AttachError::Vanished,
        _ => AttachError::Qdisc(error.to_string()),
    })?;
    let result = attach_links(ebpf, ifindex, name, "clsact", || {
        TcAttachOptions::Netlink(NlOptions::default())
    });
    if result.is_err() && added_qdisc {
        Attached { added_qdisc, ..Attached::default() }.detach(ifindex);
    }
    result.map(|attached| Attached { added_qdisc, ..attached })
}

/// First in the chain: what a program of somebody else then drops or redirects was still seen.
fn tcx() -> TcAttachOptions {
    TcAttachOptions::TcxOrder(LinkOrder::first())
}

fn attach_links(
    ebpf: &mut Ebpf,
    ifindex: u32,
    name: &str,
    how: &'static str,
    options: impl Fn() -> TcAttachOptions,
) -> Result<Attached, AttachError> {
    let mut attached = Attached::default();
    for (program, hook) in HOOKS {
        // aya attaches by name, and names move: one that has another index by now is not ours to attach to.
        if let Err(error) = check_name(name, ifindex) {
            attached.detach(ifindex);
            return Err(error);
        }
        match attach_program(ebpf, program, name, hook, options()) {
            Ok(link) => attached.links.push(link),
            Err(error) => {
                attached.detach(ifindex);
                return Err(match error {
                    None => AttachError::Incomplete(program),
                    Some(source) => {
                        let refused = AttachError::Refused { how, source };
                        check_name(name, ifindex).err().unwrap_or(refused)
                    }
                });
            }
        }
    }
    Ok(attached)
}

/// Gives the links of an interface our programs, unless one of them is not there.
fn take_over(
    ebpf: &mut Ebpf,
    pins: &Pins,
    ifindex: u32,
) -> Result<Option<Vec<SchedClassifierLink>>, ProgramError> {
    let mut taken = Vec::new();
    for (name, _) in HOOKS {
        let link = pins.open(ifindex, name).and_then(|link| link.try_into().ok());
        let (Some(link), Some(program)) = (link, ebpf.program_mut(name)) else { return Ok(None) };
        let program: &mut SchedClassifier = program.try_into()?;
        let id = program.attach_to_link(link)?;
        taken.push(program.take_link(id)?);
    }
    Ok(Some(taken))
}

fn attach_program(
    ebpf: &mut Ebpf,
    program: &str,
    interface: &str,
    hook: TcAttachType,
    options: TcAttachOptions,
) -> Result<SchedClassifierLink, Option<ProgramError>> {
    let program: &mut SchedClassifier =
        ebpf.program_mut(program).ok_or(None)?.try_into().map_err(Some)?;
    let id = program.attach_with_options(interface, hook, options).map_err(Some)?;
    program.take_link(id).map_err(Some)
}

pub(super) fn is_invalid(error: &ProgramError) -> bool {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error() == Some(libc::EINVAL),
        _ => false,
    }
}

fn remove_filters(interface: &str, ifindex: u32) -> bool {
    let removed = HOOKS
        .iter()
        .filter(|(program, hook)| qdisc_detach_program(interface, *hook, program).is_ok())
        .count();
    if removed > 0
        && let Err(error) = clsact::remove_if_empty(ifindex)
    {
        warn!(interface, %error, "the clsact qdisc that an earlier netwatch left could not be removed");
    }
    removed > 0
}

/// The name that the interface with this index has now.
pub(super) fn name_of(ifindex: u32) -> Option<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: there is room for the longest name.
    #[expect(unsafe_code, reason = "the standard library has no such call")]
    let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr().cast()) };
    let name = CStr::from_bytes_until_nul(&name).ok().filter(|_| !found.is_null())?;
    Some(name.to_string_lossy().into_owned())
}

/// An error unless a name is still that of the interface with this index.
fn check_name(name: &str, ifindex: u32) -> Result<(), AttachError> {
    let name = CString::new(name).map_err(|_| AttachError::Vanished)?;
    // SAFETY: a valid C string.
    #[expect(unsafe_code, reason = "the standard library has no such call")]
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index != 0 {
        return if index == ifindex { Ok(()) } else { Err(AttachError::Vanished) };
    }
    let error = io::Error::last_os_error();
    Err(match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => AttachError::Vanished,
        _ => AttachError::LookUp(error),
    })
}
