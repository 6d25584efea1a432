//! Which events a reader wants. Pure.
//!
//! Criteria of the same kind are alternatives, those of different kinds have to hold all, and of those that are negated
//! none may hold. What an event does not have (a `lost` line has no ends) does not fit any pattern.

use globset::GlobMatcher;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::renamed::Role;
use crate::model::{self, Attachment, Container, Endpoint, Name, Protocol, Socket, WallTime};

/// What an event is about.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which event it is.
    pub kind: Kind,
    /// When it happened.
    pub time: WallTime,
    /// Transport protocol.
    pub protocol: Option<Protocol>,
    /// Who began, and with whom.
    pub ends: Option<(&'a Endpoint, &'a Endpoint)>,
    /// Where the client called, if not the server itself.
    pub via: Option<Socket>,
    /// The containers of an event that is not about packets.
    pub containers: [Option<&'a Container>; 2],
    /// The network's name.
    pub network: Option<&'a str>,
    /// Whether it tells of packets that were dropped or did not arrive.
    pub drops: bool,
    /// The number of the flow that it is about.
    pub flow: Option<u64>,
}

impl<'a> Facts<'a> {
    /// Where the containers are that it is about.
    fn places(&self) -> impl Iterator<Item = &'a Attachment> + use<'a> {
        self.containers.into_iter().flatten().flat_map(|container| &container.attachments)
    }
}

/// Kinds of events, by the words of the flow log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A flow's first packet.
    Start,
    /// A flow that goes on.
    Update,
    /// A flow that is over.
    End,
    /// No event of its own: whatever tells of packets that were dropped or did not arrive.
    Drop,
    /// Packets that are in no flow.
    Lost,
    /// A look-up of a name.
    Dns,
    /// A sampled packet.
    Sample,
    /// Something happened to a container.
    Event,
    /// Of these, that a container started, again or for the first time.
    Restart,
    /// Lines that are missing in a flow log.
    Gap,
}

impl Kind {
    /// All kinds, each with its word.
    pub const WORDS: [(&'static str, Self); 10] = [
        ("start", Self::Start),
        ("update", Self::Update),
        ("end", Self::End),
        ("drop", Self::Drop),
        ("lost", Self::Lost),
        ("dns", Self::Dns),
        ("sample", Self::Sample),
        ("event", Self::Event),
        ("restart", Self::Restart),
        ("gap", Self::Gap),
    ];

    /// Whether who asks for this kind wants that one.
    fn includes(self, other: Self) -> bool {
        self == other || (self, other) == (Self::Event, Self::Restart)
    }
}

/// A glob for names, as it was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(GlobMatcher);

impl Pattern {
    pub(super) fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    fn fits_service(&self, container: &Container) -> bool {
        let Some(service) = &container.service else { return false };
        self.fits(service)
            || container
                .project
                .as_ref()
                .is_some_and(|project| self.fits(&format!("{project}/{service}")))
    }

    /// A container by its name, or by that of one whose traffic is the same.
    pub(super) fn fits_container(&self, container: &Container) -> bool {
        self.fits(&container.name) || container.shared_by.iter().any(|name| self.fits(name))
    }

    /// An end by its name in metrics (`web`, `host`, `external`), by the name that it was looked up by, or by its address.
    fn fits_end(&self, end: &Endpoint) -> bool {
        self.fits(end.label())
            || matches!(&end.name, Name::Domain(name) if self.fits(name))
            || self.fits(&end.address().to_string())
    }
}

impl From<GlobMatcher> for Pattern {
    fn from(glob: GlobMatcher) -> Self {
        Self(glob)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        model::glob(&text).map(Self).map_err(|what| format!("'{text}' {what}"))
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.glob().glob().to_owned()
    }
}

/// One thing to ask of an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The name of a container at either end.
    Container(Pattern),
    /// Name or address of who began.
    From(Pattern),
    /// Name or address of the other one.
    To(Pattern),
    /// The network's name.
    Network(Pattern),
    /// The Compose service of a container at either end, as `service` or as `project/service`.
    Service(Pattern),
    /// The protocol's number.
    Protocol(u16),
    /// A port of either end, or the one that the client called; with a protocol's number, only of that one.
    Port(Option<u16>, u16),
    /// An address of either end, or the one that the client called.
    Ip(IpNet),
    /// The kind of the event.
    Events(Vec<Kind>),
    /// A container by its identifier, whose former name had been asked for. Nobody asks for it as such.
    #[serde(skip)]
    Renamed(Role, String),
    /// The number of the flow.
    Flow(u64),
}

impl Criterion {
    /// A bit for those of the same kind.
    fn kind(&self) -> u16 {
        1 << match self {
            Self::Container(_) | Self::Renamed(Role::Either, _) => 0,
            Self::From(_) | Self::Renamed(Role::From, _) => 1,
            Self::To(_) | Self::Renamed(Role::To, _) => 2,
            Self::Network(_) => 3,
            Self::Service(_) => 4,
            Self::Protocol(_) => 5,
            Self::Port(..) => 6,
            Self::Ip(_) => 7,
            Self::Events(_) => 8,
            Self::Flow(_) => 9,
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        let either = |fits: &dyn Fn(&Endpoint) -> bool| {
            facts.ends.is_some_and(|(client, server)| fits(client) || fits(server))
        };
        match self {
            Self::Container(pattern) => {
                let about = || facts.containers.into_iter().flatten();
                about().any(|container| pattern.fits_container(container))
                    || either(&|end| end.container().is_some_and(|one| pattern.fits_container(one)))
            }
            Self::From(pattern) => facts.ends.is_some_and(|(client, _)| pattern.fits_end(client)),
            Self::To(pattern) => facts.ends.is_some_and(|(_, server)| pattern.fits_end(server)),
            Self::Network(pattern) => match facts.network {
                Some(network) => pattern.fits(network),
                None => facts.places().any(|place| pattern.fits(&place.network)),
            },
            Self::Service(pattern) => {
                let about = || facts.containers.into_iter().flatten();
                about().any(|container| pattern.fits_service(container))
                    || either(&|end| end.container().is_some_and(|one| pattern.fits_service(one)))
            }
            Self::Protocol(number) => facts.protocol == Some(Protocol(*number)),
            Self::Port(of, port) => facts.protocol.is_some_and(|protocol| {
                protocol.has_ports()
                    && of.is_none_or(|number| protocol == Protocol(number))
                    && (either(&|end| end.socket.port == *port)
                        || facts.via.is_some_and(|via| via.port == *port))
            }),
            Self::Ip(network) => {
                facts.places().any(|place| place.addresses.iter().any(|one| network.contains(one)))
                    || either(&|end| network.contains(&end.address()))
                    || facts.via.is_some_and(|via| network.contains(&via.address))
            }
            Self::Renamed(role, id) => {
                let is_it = |end: &Endpoint| end.container().is_some_and(|one| one.id == *id);
                let about = || facts.containers.into_iter().flatten().any(|one| one.id == *id);
                match role {
                    Role::Either => about() || either(&is_it),
                    Role::From => facts.ends.is_some_and(|(client, _)| is_it(client)),
                    Role::To => facts.ends.is_some_and(|(_, server)| is_it(server)),
                }
            }
            Self::Flow(number) => facts.flow == Some(*number),
            Self::Events(kinds) => {
                kinds.iter().any(|kind| kind.includes(facts.kind))
                    || facts.drops && kinds.contains(&Kind::Drop)
            }
        }
    }
}

/// A criterion, or that it must not hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The criterion.
    pub is: Criterion,
    /// Whether it is negated.
    #[serde(default)]
    pub not: bool,
}

/// All that is asked of an event; nothing lets everything pass.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filter(pub Vec<Term>);

impl Filter {
    /// As many terms as can be asked for: each flow that goes on is held against all of them.
    pub const MOST: usize = 64;

    /// Whether there can be wanted events of a kind.
    pub fn admits_kind(&self, kind: Kind) -> bool {
        let (mut is_asked, mut is_held) = (false, false);
        for Term { is, not } in &self.0 {
            let Criterion::Events(kinds) = is else { continue };
            let holds = kinds.iter().any(|asked| asked.includes(kind));
            if *not && holds {
                return false;
            }
            is_asked |= !not;
            is_held |= !not && holds;
        }
        is_held || !is_asked
    }

    /// Whether an event is wanted.
    pub fn admits(&self, facts: &Facts<'_>) -> bool {
        let (mut asked, mut held) = (0, 0);
        for Term { is, not } in &self.0 {
            let kind = is.kind();
            if *not {
                if is.holds(facts) {
                    return false;
                }
                continue;
            }
            asked |= kind;
            if held & kind == 0 && is.holds(facts) {
                held |= kind;
            }
        }
        asked == held
    }
}
