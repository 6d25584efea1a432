//! Where netwatch means something else than etherparse. Each rule has a name, and `promise.rs` says when it holds.

/// Why the two may differ on a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// netwatch follows two tags, of the types 0x8100 and 0x88a8; etherparse three, and of type 0x9100 too.
    Tags,
    /// etherparse reads through MACsec.
    Macsec,
    /// netwatch reads LLC, and through SNAP.
    Llc,
    /// etherparse reads ARP of any kind to its end before it says what kind it is.
    ArpOfOtherKinds,
    /// etherparse judges the first byte of an IP header that is cut off.
    CutHeader,
    /// netwatch goes by the Ethernet type, etherparse by the version in the IP header.
    VersionAgainstType,
    /// What netwatch skips (options, extension and authentication headers) need not be there.
    SkippedUnread,
    /// IP states a length that its own header does not fit in: etherparse then goes by the frame.
    LengthBelowHeader,
    /// netwatch finds a bad header behind the end that IP states, before it looks at that end.
    BadBehindTheEnd,
    /// netwatch reads the transport header of a first fragment.
    FirstFragment,
    /// netwatch reads nothing behind the fragment header of a later fragment.
    LaterFragment,
    /// One fragment header says that the packet is a fragment, another that it is none.
    SeveralFragmentHeaders,
    /// etherparse follows any number of extension headers.
    ExtensionLimit,
    /// etherparse refuses hop-by-hop options that do not stand first.
    HopByHopLater,
    /// etherparse refuses authentication headers of less than 12 bytes, netwatch those that leave no room for a length.
    ShortAuthentication,
    /// etherparse does not know SCTP and UDP-Lite.
    MoreTransports,
    /// etherparse reads ICMP over IPv6 and ICMPv6 over IPv4.
    IcmpOfTheOtherFamily,
    /// etherparse reads IGMP, and refuses it by its length; to netwatch it is a protocol without ports.
    Igmp,
    /// etherparse refuses ICMP timestamps by their length.
    IcmpTimestamp,
    /// netwatch looks for the frame inside VXLAN and Geneve.
    Tunnel,
    /// netwatch looks for the packet that a redirect of ICMPv6 quotes.
    Redirect,
}
