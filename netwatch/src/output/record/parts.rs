//! Parts that records of several kinds have.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::model::{
    Attachment, Container, Direction, DropPlace, Endpoint, EntrySide, FlowDrop, Interfaces, Mac,
    Name, Protocol, Repairs, Seen, Socket, Source, Tally, Traits,
};

/// The letters of TCP flags, lowest bit first.
const FLAGS: &str = "FSRP.UEW";
const ECN: [&str; 4] = ["not-ect", "ect1", "ect0", "ce"];
/// Mnemonics of response codes (RFC 6895, section 2.3).
const RCODES: [&str; 15] = [
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
    "DSOTYPENI",
    "BADVERS",
    "BADCOOKIE",
    "BADTRUNC",
];

/// A time with its offset (RFC 3339).
pub(super) fn time<'de, D: Deserializer<'de>>(source: D) -> Result<Timestamp, D::Error> {
    String::deserialize(source)?.parse().map_err(D::Error::custom)
}

#[derive(Deserialize)]
pub(super) struct EndRecord {
    name: String,
    kind: String,
    domain: Option<String>,
    container_id: Option<String>,
    #[serde(default)]
    image: String,
    project: Option<String>,
    service: Option<String>,
    #[serde(default)]
    shared_by: Vec<String>,
    address: IpAddr,
    #[serde(default)]
    port: u16,
    mac: Option<String>,
}

impl EndRecord {
    pub(super) fn endpoint(self) -> Result<Endpoint, String> {
        let name = match (self.kind.as_str(), self.domain) {
            ("container", _) => Name::Container(Arc::new(Container {
                id: self.container_id.unwrap_or_default(),
                name: self.name,
                image: self.image,
                project: self.project,
                service: self.service,
                attachments: match self.mac {
                    Some(text) => vec![Attachment {
                        addresses: vec![self.address],
                        mac: Some(mac(&text)?),
                        ..Attachment::default()
                    }],
                    None => Vec::new(),
                },
                pid: None,
                namespace: None,
                host_network: false,
                shares_with: None,
                published: Vec::new(),
                shared_by: self.shared_by,
                source: Source::Engine,
            })),
            ("host", _) => Name::Host,
            ("multicast", _) => Name::Multicast,
            ("broadcast", _) => Name::Broadcast,
            ("interface", _) => Name::Interface(self.name),
            ("external", Some(domain)) => Name::Domain(domain.into()),
            ("external", None) => Name::External,
            (other, _) => {
                return Err(format!("'{}' is no known kind of an end", other.escape_debug()));
            }
        };
        Ok(Endpoint { socket: Socket { address: self.address, port: self.port }, name })
    }
}

#[derive(Clone, Copy, Deserialize)]
pub(super) struct TallyRecord {
    packets: u64,
    bytes: u64,
    #[serde(default)]
    skbs: u64,
}

impl From<TallyRecord> for Tally {
    fn from(record: TallyRecord) -> Self {
        Self { packets: record.skbs, segments: record.packets, bytes: record.bytes }
    }
}

#[derive(Deserialize)]
pub(super) struct DirectionRecord {
    #[serde(flatten)]
    pub(super) tally: TallyRecord,
    #[serde(default)]
    retransmitted: u64,
    #[serde(default)]
    out_of_order: u64,
    #[serde(default)]
    zero_window: bool,
    #[serde(default)]
    largest: u16,
    #[serde(default)]
    ttl_min: u8,
    #[serde(default)]
    ttl_max: u8,
    #[serde(default)]
    dscp: u8,
    #[serde(default)]
    ecn: Vec<String>,
}

impl DirectionRecord {
    pub(super) fn direction(&self, flags: &str) -> Result<Direction, String> {
        let bit = |known: Option<usize>, word: &dyn std::fmt::Debug| {
            known.map(|at| 1_u8 << at).ok_or_else(|| format!("{word:?} is no known flag"))
        };
        let mut tcp_flags = 0;
        for letter in flags.chars() {
            tcp_flags |= bit(FLAGS.find(letter), &letter)?;
        }
        let mut ecn = 0;
        for word in &self.ecn {
            ecn |= bit(ECN.iter().position(|known| known == word), word)?;
        }
        Ok(Direction {
            tcp_flags,
            repairs: Repairs { retransmitted: self.retransmitted, out_of_order: self.out_of_order },
            traits: Traits {
                largest: self.largest,
                ttl_min: self.ttl_min,
                ttl_max: self.ttl_max,
                dscp: self.dscp,
                ecn,
                zero_window: self.zero_window,
            },
        })
    }
}

#[derive(Deserialize)]
pub(super) struct SeenRecord {
    ifindex: u32,
    interface: Option<String>,
    hook: String,
    from: String,
    #[serde(flatten)]
    tally: TallyRecord,
}

impl SeenRecord {
    pub(super) fn seen(&self) -> Result<Seen, String> {
        Ok(Seen {
            ifindex: self.ifindex,
            side: side(&self.hook)?,
            from_client: is_client(&self.from)?,
            tally: self.tally.into(),
        })
    }
}

/// The names of the interfaces, each once.
pub(super) fn interfaces(seen: &[SeenRecord]) -> Interfaces {
    let mut names: Vec<(u32, Arc<str>)> = seen
        .iter()
        .filter_map(|seen| Some((seen.ifindex, seen.interface.as_deref()?.into())))
        .collect();
    names.sort_unstable();
    names.dedup_by_key(|(index, _)| *index);
    names.into()
}

#[derive(Deserialize)]
pub(super) struct DropRecord {
    reason: String,
    place: String,
    #[serde(default)]
    ifindex: u32,
    from: String,
    packets: u64,
}

impl DropRecord {
    pub(super) fn dropped(self) -> Result<FlowDrop, String> {
        let place = match self.place.strip_prefix("in:") {
            Some(container) => DropPlace::Inside(container.into()),
            None => DropPlace::Interface(self.place.as_str().into()),
        };
        let (reason, ifindex, packets) = (self.reason.into(), self.ifindex, self.packets);
        Ok(FlowDrop { reason, place, ifindex, from_client: is_client(&self.from)?, packets })
    }
}

fn is_client(word: &str) -> Result<bool, String> {
    match word {
        "client" => Ok(true),
        "server" => Ok(false),
        _ => Err(format!("'{}' is neither client nor server", word.escape_debug())),
    }
}

pub(super) fn side(word: &str) -> Result<EntrySide, String> {
    match word {
        "ingress" => Ok(EntrySide::Ingress),
        "egress" => Ok(EntrySide::Egress),
        _ => Err(format!("'{}' is no known hook", word.escape_debug())),
    }
}

pub(super) fn protocol(word: &str) -> Result<Protocol, String> {
    word.parse().map_err(|()| format!("'{}' is no known protocol", word.escape_debug()))
}

pub(super) fn mac(text: &str) -> Result<Mac, String> {
    text.parse().map_err(|()| format!("'{}' is no Ethernet address", text.escape_debug()))
}

/// The same word, which lives as long as the program.
pub(super) fn rcode(word: &str) -> &'static str {
    RCODES.into_iter().find(|known| *known == word).unwrap_or("other")
}
