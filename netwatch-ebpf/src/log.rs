//! Kernel-side messages. They are only in the object built with the feature `log`, which the agent loads at
//! `--log.level debug`; in the ordinary one these functions are empty.

use netwatch_common::outcome::Outcome;

use crate::skb::Skb;

/// A packet is in no flow.
#[inline(always)]
pub fn not_counted(ctx: &Skb, outcome: Outcome) {
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(
        ctx,
        "ifindex {}: {} bytes not in a flow, outcome {}",
        crate::skb::ifindex(ctx),
        ctx.len(),
        outcome as u32
    );
    #[cfg(not(feature = "log"))]
    let _ = (ctx, outcome);
}
