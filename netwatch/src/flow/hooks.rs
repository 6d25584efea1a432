//! What each hook has counted of one conversation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq as _};

use crate::model::{EntrySide, Seen, Tally};

/// A hook, and which way the packets went that it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hook {
    pub(super) ifindex: u32,
    pub(super) side: EntrySide,
    /// From the low end of the key to the high one.
    pub(super) from_low: bool,
}

/// Sums by hook and direction. Between two interfaces there are four: so many are kept in place as long as they are small.
pub(super) enum Hooks {
    Few([Option<Small>; 4]),
    Many(Vec<(Hook, Tally)>),
}

const _: () = assert!(size_of::<Hooks>() == 80);

/// A hook with up to 2³² packets and 2⁴⁸ bytes. What most conversations never reach would be half of their memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small {
    ifindex: u32,
    packets: u32,
    segments: u32,
    lower_bytes: u32,
    upper_bytes: u16,
    side: EntrySide,
    from_low: bool,
}

impl Small {
    fn new(Hook { ifindex, side, from_low }: Hook, tally: Tally) -> Option<Self> {
        Some(Self {
            ifindex,
            packets: tally.packets.try_into().ok()?,
            segments: tally.segments.try_into().ok()?,
            #[expect(clippy::cast_possible_truncation, reason = "the upper ones stand beside")]
            lower_bytes: tally.bytes as u32,
            upper_bytes: (tally.bytes >> u32::BITS).try_into().ok()?,
            side,
            from_low,
        })
    }

    fn hook(&self) -> Hook {
        Hook { ifindex: self.ifindex, side: self.side, from_low: self.from_low }
    }

    fn tally(&self) -> Tally {
        Tally {
            packets: self.packets.into(),
            segments: self.segments.into(),
            bytes: u64::from(self.upper_bytes) << u32::BITS | u64::from(self.lower_bytes),
        }
    }
}

impl Default for Hooks {
    fn default() -> Self {
        Self::Few([None; 4])
    }
}

impl Hooks {
    /// Adds what a hook has seen anew.
    pub(super) fn add(&mut self, hook: Hook, new: Tally) {
        match self {
            Self::Few(few) => {
                if !add_to(few, hook, new) {
                    *self = Self::Many(self.iter().collect());
                    self.add(hook, new);
                }
            }
            Self::Many(many) => match many.iter_mut().find(|(known, _)| *known == hook) {
                Some((_, tally)) => *tally += new,
                None => many.push((hook, new)),
            },
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Hook, Tally)> {
        let (few, many): (&[_], &[_]) = match self {
            Self::Few(few) => (few, &[]),
            Self::Many(many) => (&[], many),
        };
        let few = few.iter().flatten().map(|small| (small.hook(), small.tally()));
        few.chain(many.iter().copied())
    }

    /// The packets of one direction, each once.
    ///
    /// Of the hooks that a packet crosses, the one nearest its sender has seen the most: whatever is lost is lost on
    /// the way. So the largest count is the sender's, also when that hook was attached too late to see the beginning.
    pub(super) fn counted(&self, from_low: bool) -> Tally {
        let hooks = self.iter().filter(|(hook, _)| hook.from_low == from_low);
        hooks.fold(Tally::ZERO, |most, (_, tally)| most.max(tally))
    }

    /// Whether one of the ends sent into this interface.
    pub(super) fn are_behind(&self, ifindex: u32) -> bool {
        self.iter().any(|(hook, _)| hook.ifindex == ifindex && hook.side == EntrySide::Ingress)
    }

    /// All of them.
    pub(super) fn seen(&self, low_is_client: bool) -> Vec<Seen> {
        let seen = |(hook, tally): (Hook, Tally)| Seen {
            ifindex: hook.ifindex,
            side: hook.side,
            from_client: hook.from_low == low_is_client,
            tally,
        };
        self.iter().map(seen).collect()
    }
}

/// Whether there was room for it.
fn add_to(few: &mut [Option<Small>], hook: Hook, new: Tally) -> bool {
    let is_for = |place: &Option<Small>| place.is_none_or(|small| small.hook() == hook);
    let Some(place) = few.iter_mut().find(|place| is_for(place)) else { return false };
    let before = place.map_or(Tally::ZERO, |small| small.tally());
    let Some(small) = Small::new(hook, before + new) else { return false };
    *place = Some(small);
    true
}

impl fmt::Debug for Hooks {
    /// What they have counted, whichever of the two it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hooks").field(&self.iter().collect::<Vec<_>>()).finish()
    }
}

impl Serialize for Hooks {
    /// As a sequence, whichever of the two it is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.iter().count()))?;
        self.iter().try_for_each(|one| all.serialize_element(&one))?;
        all.end()
    }
}

impl<'de> Deserialize<'de> for Hooks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut hooks = Self::default();
        for (hook, tally) in Vec::<(Hook, Tally)>::deserialize(deserializer)? {
            hooks.add(hook, tally);
        }
        Ok(hooks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn hook() -> impl Strategy<Value = Hook> {
        (1..4_u32, any::<bool>(), any::<bool>()).prop_map(|(ifindex, ingress, from_low)| Hook {
            ifindex,
            side: if ingress { EntrySide::Ingress } else { EntrySide::Egress },
            from_low,
        })
    }

    /// Around where a figure does not fit into its place any more.
    fn tally() -> impl Strategy<Value = Tally> {
        let figure = |bits: u32| prop_oneof![0..100_u64, (1_u64 << bits) - 2..(1 << bits) + 2];
        (figure(32), figure(32), figure(48)).prop_map(|(packets, segments, bytes)| Tally {
            packets,
            segments,
            bytes,
        })
    }

    proptest! {
        #[test]
        fn whatever_is_added_is_there_and_goes_through_a_state(
            all in vec((hook(), tally()), 0..9),
        ) {
            let mut expected: Vec<(Hook, Tally)> = Vec::new();
            let mut hooks = Hooks::default();
            for (hook, new) in all {
                hooks.add(hook, new);
                match expected.iter_mut().find(|(known, _)| *known == hook) {
                    Some((_, tally)) => *tally += new,
                    None => expected.push((hook, new)),
                }
            }
            prop_assert_eq!(hooks.iter().collect::<Vec<_>>(), expected.clone());
            let bytes = postcard::to_allocvec(&hooks).unwrap();
            prop_assert_eq!(&bytes, &postcard::to_allocvec(&expected).unwrap());
            let again: Hooks = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(again.iter().collect::<Vec<_>>(), expected);
        }
    }
}
