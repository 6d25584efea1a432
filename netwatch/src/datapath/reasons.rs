//! The kernel's words for why it drops packets.

use std::{collections::HashMap, sync::Arc};

use netwatch_common::drop::NOT_TOLD;

use super::btf::Btf;

const ENUM: &str = "skb_drop_reason";
const PREFIXES: [&str; 2] = ["SKB_DROP_REASON_", "SKB_"];
/// Values of the enum that are no reasons.
const NO_REASONS: [&str; 2] = ["MAX", "SUBSYS_MASK"];

/// Labels by the running kernel's numbers, which differ from version to version.
#[derive(Default)]
pub(super) struct Reasons {
    labels: HashMap<u32, Arc<str>>,
}

impl Reasons {
    /// Those of a kernel; none where it has no such enum (before 5.17).
    pub(super) fn of(btf: &Btf) -> Self {
        let values = btf.values_of(ENUM).unwrap_or_default();
        let labels = values.into_iter().filter_map(|(name, value)| Some((value, label(&name)?)));
        Self { labels: labels.collect() }
    }

    /// `netfilter-drop`; the number for a reason that is not in the enum (of a subsystem: its number in the upper half,
    /// from Linux 6.4 on).
    pub(super) fn label(&self, reason: u32) -> Arc<str> {
        if reason == NOT_TOLD {
            return "not-told".into();
        }
        self.labels.get(&reason).cloned().unwrap_or_else(|| format!("reason-{reason:#x}").into())
    }

    /// The number of a reason in the running kernel.
    pub(super) fn number(&self, label: &str) -> Option<u32> {
        self.labels.iter().find(|(_, known)| &***known == label).map(|(number, _)| *number)
    }
}

fn label(name: &str) -> Option<Arc<str>> {
    let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let word = name.to_ascii_lowercase().replace('_', "-");
    (!NO_REASONS.contains(&name)).then(|| word.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_kernels_in_lower_case() {
        assert_eq!(label("SKB_DROP_REASON_NETFILTER_DROP").as_deref(), Some("netfilter-drop"));
        assert_eq!(label("SKB_CONSUMED").as_deref(), Some("consumed"));
        assert_eq!(label("SKB_DROP_REASON_SUBSYS_MASK"), None);
        assert_eq!(label("SOMETHING_ELSE"), None);
    }

    #[test]
    fn what_has_no_word_has_a_number() {
        let reasons = Reasons { labels: HashMap::from([(2, "not-specified".into())]) };
        assert_eq!(&*reasons.label(2), "not-specified");
        assert_eq!(&*reasons.label(0x0002_0003), "reason-0x20003");
        assert_eq!(&*reasons.label(NOT_TOLD), "not-told");
    }
}
