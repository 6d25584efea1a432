//! What the running kernel offers for explaining drops. Looked up before the object is loaded: the program gets it with it.

use netwatch_common::drop::{KernelFacts, NO_REASON};

use super::{
    btf::{Btf, BtfError},
    reasons::Reasons,
};

/// Where the kernel gives packets up.
pub(super) const TRACEPOINT: &str = "kfree_skb";
/// No drops: used, or left in the queue of a socket that was closed. Each TCP connection leaves its last FIN there.
const ARRIVED: [&str; 2] = ["consumed", "queue-purge"];
/// Counted, but no flow is told of them. Without a reason the kernel also gives up what it has dealt with: seen on 6.18
/// for each ACK in TIME-WAIT and for multicast that nobody has joined. And a bridge floods copies to ports that they
/// are not for; the packet itself arrives.
const UNTOLD: [&str; 2] = ["not-specified", "otherhost"];

/// What the program gets, and the words for what it tells.
pub(super) struct Offer {
    pub(super) facts: KernelFacts,
    pub(super) reasons: Reasons,
    /// Why it offers nothing.
    pub(super) lacking: Option<String>,
}

impl Offer {
    /// Asks the running kernel.
    pub(super) fn of_this_kernel() -> Self {
        let asked = Btf::of_this_kernel().and_then(|btf| {
            let reasons = Reasons::of(&btf);
            Ok((facts(&btf, &reasons)?, reasons))
        });
        match asked {
            Ok((facts, reasons)) => Self { facts, reasons, lacking: None },
            Err(error) => Self {
                facts: KernelFacts::default(),
                reasons: Reasons::default(),
                lacking: Some(error.to_string()),
            },
        }
    }
}

fn facts(btf: &Btf, reasons: &Reasons) -> Result<KernelFacts, BtfError> {
    let missing = || BtfError::Missing(format!("tracepoint {TRACEPOINT} in its type information"));
    let number = |label: &str| reasons.number(label).unwrap_or(NO_REASON);
    Ok(KernelFacts {
        skb_dev: btf.offset_of("sk_buff.dev")?,
        skb_sk: btf.offset_of("sk_buff.sk")?,
        skb_iif: btf.offset_of("sk_buff.skb_iif")?,
        skb_dst: btf.offset_of("sk_buff._skb_refdst")?,
        skb_head: btf.offset_of("sk_buff.head")?,
        skb_tail: btf.offset_of("sk_buff.tail")?,
        skb_network_header: btf.offset_of("sk_buff.network_header")?,
        skb_protocol: btf.offset_of("sk_buff.protocol")?,
        device_ifindex: btf.offset_of("net_device.ifindex")?,
        device_net: btf.offset_of("net_device.nd_net.net")?,
        sock_net: btf.offset_of("sock.__sk_common.skc_net.net")?,
        dst_dev: btf.offset_of("dst_entry.dev")?,
        net_inum: btf.offset_of("net.ns.inum")?,
        arguments: btf.arguments_of(TRACEPOINT).filter(|count| *count >= 2).ok_or_else(missing)?,
        arrived: ARRIVED.map(number),
        untold: UNTOLD.map(number),
    })
}
