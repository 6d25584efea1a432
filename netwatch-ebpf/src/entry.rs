//! What a packet changes in the entry of its flow.

use netwatch_common::{
    flow::{FlowEntry, Half, WORDS, mark},
    parse::{Headers, Packet, protocol},
    sample::INGRESS,
};

use crate::{
    clock, echo,
    flow::Sighting,
    skb::{self, Weight},
    tcp,
};

/// Makes an entry that of a flow which has no packet yet.
#[inline(always)]
pub fn open(entry: &mut FlowEntry, key: &[u64; WORDS]) {
    entry.incarnation = entry.incarnation.wrapping_add(1);
    entry.ended = 0;
    // Word by word: an assignment would become a call of memcpy or memset, which the verifier refuses.
    let words = (&raw mut *entry).cast::<u64>();
    for word in 1..size_of::<FlowEntry>() / 8 {
        let value = if word <= WORDS { key[word - 1] } else { 0 };
        // SAFETY: within the entry, whose first word is followed by its key.
        unsafe { words.add(word).write_volatile(value) };
    }
}

/// What a packet changes in its entry.
#[inline(always)]
pub fn update<const HOOK: u8, const TCP: bool>(
    seen: &Sighting<'_>,
    entry: &mut FlowEntry,
    mut now: u64,
) {
    let Sighting { packet, weight, .. } = *seen;
    let FlowEntry { timing_ns, ended, source_mac, ingress, egress, .. } = entry;
    let (half, other) = if HOOK == INGRESS { (ingress, egress) } else { (egress, ingress) };
    if half.first_ns == 0 {
        // The recent time may lie before what another CPU has seen exactly.
        now = clock::exact();
        begin::<TCP>(half, packet, now);
        if other.first_ns == 0 {
            skb::source_mac(seen.ctx, source_mac);
            half.marks |= mark::SOURCE_MAC;
        }
    }
    advance::<TCP>(half, ended, packet, &weight, now, tcp::is_control(packet));
    if TCP {
        if half.marks & mark::HANDSHAKE != 0 && tcp::completes_handshake(half, other, packet) {
            *timing_ns = clock::exact();
        }
    } else if matches!(packet.protocol, protocol::ICMP | protocol::ICMPV6) {
        echo::follow(timing_ns, half, other, packet, now);
    }
    if *ended != 0 {
        other.marks &= !mark::USUAL;
        half.marks &= !mark::USUAL;
    } else if half.marks & mark::HANDSHAKE == 0 {
        half.marks |= mark::USUAL;
    }
}

/// What every packet of a known direction changes. Its bytes are counted here.
#[inline(always)]
pub fn advance<const TCP: bool>(
    half: &mut Half,
    ended: &mut u8,
    packet: &impl Headers,
    weight: &Weight,
    now: u64,
    is_control: bool,
) {
    half.last_ns = now;
    half.packets += 1;
    half.bytes += u64::from(weight.bytes);
    if weight.segments != 1 {
        half.more_segments += u64::from(weight.segments - 1);
    }
    if u32::from(half.largest) < weight.largest {
        half.largest = weight.largest.min(u32::from(u16::MAX)) as u16;
    }
    // What seldom changes is only compared.
    if half.ttl_min != packet.ttl() {
        half.ttl_min = half.ttl_min.min(packet.ttl());
        half.ttl_max = half.ttl_max.max(packet.ttl());
    }
    if half.traffic_class != packet.traffic_class() {
        half.traffic_class = packet.traffic_class();
        half.marks |= ecn(packet.traffic_class());
    }
    if TCP {
        tcp::follow(ended, half, packet, weight, is_control);
    }
}

/// The first packet of a direction.
#[inline(always)]
fn begin<const TCP: bool>(half: &mut Half, packet: &Packet, now: u64) {
    half.first_ns = now;
    half.ttl_min = packet.ttl;
    half.ttl_max = packet.ttl;
    half.traffic_class = packet.traffic_class;
    half.marks = ecn(packet.traffic_class);
    if TCP {
        tcp::begin(half, packet);
    } else {
        half.opened_by = packet.icmp_type;
    }
}

/// The mark of the ECN codepoint in a traffic class.
#[inline(always)]
fn ecn(traffic_class: u8) -> u8 {
    1 << (traffic_class & 3)
}

/// The exact time where it matters (how long a handshake, an echo or a connection took), else the recent one.
#[inline(always)]
pub fn time_of<const TCP: bool>(seen: &Sighting<'_>) -> u64 {
    let is_timed = if TCP {
        tcp::is_control(seen.packet)
    } else {
        matches!(seen.packet.protocol, protocol::ICMP | protocol::ICMPV6)
    };
    if is_timed { clock::exact() } else { clock::recent() }
}
