//! The packets that nearly all are: TCP or UDP behind nothing but Ethernet II and IPv4 without options, or IPv6 without
//! extension headers, whole. Every header stands at a constant offset, so nothing is copied out of the packet: whoever asks
//! reads it where it stands, and only what is asked for is read.

use super::{Header, Packet, Reader, ethernet, fragment, geneve, protocol, vxlan};
use crate::flow::{Address, family};

/// What the kernel programs ask of each packet. The names are those of [`Packet`]'s fields.
#[expect(missing_docs, reason = "documented there")]
pub trait Headers {
    /// Whether it is known beforehand to be a packet of IPv4.
    const IS_IPV4: bool;

    fn source(&self) -> Address;
    fn destination(&self) -> Address;
    fn source_port(&self) -> u16;
    fn destination_port(&self) -> u16;
    /// Both ports as they stand in the packet, the source first, as the word that they make in memory.
    fn ports(&self) -> u32;
    fn protocol(&self) -> u8;
    fn family(&self) -> u8;
    fn fragment(&self) -> u8;
    fn ttl(&self) -> u8;
    fn traffic_class(&self) -> u8;
    fn tcp_flags(&self) -> u8;
    fn tcp_window(&self) -> u16;
    fn tcp_sequence(&self) -> u32;
    fn header_len(&self) -> u32;
    fn end(&self) -> u32;

    /// Bytes behind the transport header, as [`Packet::payload_len`].
    #[inline(always)]
    fn payload_len(&self) -> u32 {
        self.end().saturating_sub(self.header_len())
    }
}

/// What is done with a plain packet: compiled for each kind by itself.
pub trait Visitor {
    /// What it answers.
    type Answer;

    /// Visits a packet of TCP, or of UDP.
    fn visit<P: Headers, const TCP: bool>(self, packet: &P) -> Self::Answer;
}

/// A plain packet: its headers, and how many bytes are behind them.
struct Plain<H, const V4: bool, const TCP: bool> {
    header: H,
    payload_len: u32,
}

const IPV4_TRANSPORT: u32 = ethernet::HEADER + 20;
const IPV6_TRANSPORT: u32 = ethernet::HEADER + 40;
/// Where the protocol stands in either.
const IPV4_PROTOCOL: usize = 23;
const IPV6_PROTOCOL: usize = 20;
const UDP_HEADER: u32 = 8;

/// Has a plain packet visited; `None` for any other, also for one that may carry a tunnel.
#[inline(always)]
pub fn plain<R: Reader + ?Sized, V: Visitor>(reader: &R, visitor: V) -> Option<V::Answer> {
    // No plain packet is shorter than one of UDP and IPv4.
    let shortest = reader.header::<42>(0)?;
    match (shortest.u16(12), shortest.u8(IPV4_PROTOCOL), shortest.u8(IPV6_PROTOCOL)) {
        (ethernet::IPV4, protocol::TCP, _) => Plain::<_, true, true>::of(reader.header::<54>(0)?)
            .map(|it| visitor.visit::<_, true>(&it)),
        (ethernet::IPV4, protocol::UDP, _) => {
            Plain::<_, true, false>::of(shortest).map(|it| visitor.visit::<_, false>(&it))
        }
        (ethernet::IPV6, _, protocol::TCP) => Plain::<_, false, true>::of(reader.header::<74>(0)?)
            .map(|it| visitor.visit::<_, true>(&it)),
        (ethernet::IPV6, _, protocol::UDP) => Plain::<_, false, false>::of(reader.header::<62>(0)?)
            .map(|it| visitor.visit::<_, false>(&it)),
        _ => None,
    }
}

impl<H: Header, const V4: bool, const TCP: bool> Plain<H, V4, TCP> {
    const TRANSPORT: u32 = if V4 { IPV4_TRANSPORT } else { IPV6_TRANSPORT };
    const PORTS: usize = Self::TRANSPORT as usize;

    /// What is plain indeed. One question at a time: put together they cost more.
    #[inline(always)]
    fn of(header: H) -> Option<Self> {
        if V4 {
            // Version 4 and a header of 20 bytes; neither more fragments nor an offset.
            if header.u8(14) != 0x45 {
                return None;
            }
            if header.word(20) & u32::from_ne_bytes([0x3f, 0xff, 0, 0]) != 0 {
                return None;
            }
        } else if header.u8(14) >> 4 != 6 {
            return None;
        }
        let mut packet = Self { header, payload_len: 0 };
        if TCP {
            if header.u8(Self::PORTS + 12) < 5 << 4 {
                return None;
            }
        } else if matches!(packet.destination_port(), vxlan::PORT | vxlan::OLD_PORT | geneve::PORT)
        {
            return None;
        }
        let end = if V4 {
            ethernet::HEADER + u32::from(header.u16(16))
        } else {
            IPV6_TRANSPORT + u32::from(header.u16(18))
        };
        packet.payload_len = end.checked_sub(packet.header_len())?;
        Some(packet)
    }
}

impl<H: Header, const V4: bool, const TCP: bool> Headers for Plain<H, V4, TCP> {
    const IS_IPV4: bool = V4;

    #[inline(always)]
    fn source(&self) -> Address {
        if V4 {
            Address::from_v4_word(self.header.word(26))
        } else {
            Address([self.header.double(22), self.header.double(30)])
        }
    }

    #[inline(always)]
    fn destination(&self) -> Address {
        if V4 {
            Address::from_v4_word(self.header.word(30))
        } else {
            Address([self.header.double(38), self.header.double(46)])
        }
    }

    #[inline(always)]
    fn source_port(&self) -> u16 {
        self.header.u16(Self::PORTS)
    }

    #[inline(always)]
    fn destination_port(&self) -> u16 {
        self.header.u16(Self::PORTS + 2)
    }

    #[inline(always)]
    fn ports(&self) -> u32 {
        self.header.word(Self::PORTS)
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        if TCP { protocol::TCP } else { protocol::UDP }
    }

    #[inline(always)]
    fn family(&self) -> u8 {
        if V4 { family::IPV4 } else { family::IPV6 }
    }

    #[inline(always)]
    fn fragment(&self) -> u8 {
        fragment::NONE
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.header.u8(if V4 { 22 } else { 21 })
    }

    #[inline(always)]
    fn traffic_class(&self) -> u8 {
        if V4 { self.header.u8(15) } else { self.header.u8(14) << 4 | self.header.u8(15) >> 4 }
    }

    #[inline(always)]
    fn tcp_flags(&self) -> u8 {
        if TCP { self.header.u8(Self::PORTS + 13) } else { 0 }
    }

    #[inline(always)]
    fn tcp_window(&self) -> u16 {
        if TCP { self.header.u16(Self::PORTS + 14) } else { 0 }
    }

    #[inline(always)]
    fn tcp_sequence(&self) -> u32 {
        if TCP { self.header.word(Self::PORTS + 4) } else { 0 }
    }

    #[inline(always)]
    fn header_len(&self) -> u32 {
        let transport =
            if TCP { u32::from(self.header.u8(Self::PORTS + 12) >> 4) * 4 } else { UDP_HEADER };
        Self::TRANSPORT + transport
    }

    #[inline(always)]
    fn end(&self) -> u32 {
        self.header_len() + self.payload_len
    }

    #[inline(always)]
    fn payload_len(&self) -> u32 {
        self.payload_len
    }
}

macro_rules! fields {
    ($($name:ident: $type:ty),* $(,)?) => {
        impl Headers for Packet {
            const IS_IPV4: bool = false;

            $(#[inline(always)] fn $name(&self) -> $type { self.$name })*

            #[inline(always)]
            fn ports(&self) -> u32 {
                let [a, b] = self.source_port.to_be_bytes();
                let [c, d] = self.destination_port.to_be_bytes();
                u32::from_ne_bytes([a, b, c, d])
            }
        }

        impl Packet {
            /// What these headers say, and nothing else.
            pub fn of(headers: &impl Headers) -> Self {
                Self { $($name: headers.$name(),)* ..Self::default() }
            }
        }
    };
}

fields!(
    source: Address, destination: Address, source_port: u16, destination_port: u16, protocol: u8, family: u8, fragment: u8,
    ttl: u8, traffic_class: u8, tcp_flags: u8, tcp_window: u16, tcp_sequence: u32, header_len: u32, end: u32
);
