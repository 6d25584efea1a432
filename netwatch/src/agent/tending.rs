//! What is looked at now and then, because nobody tells of it: programs that somebody else has detached, and interfaces that
//! could not be attached to.

use std::{collections::HashMap, fs, time::Duration};

use tracing::warn;

use super::core::Core;
use crate::model::Interface;

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of a CPU.
const SHARE: u32 = 200;
/// But at least this often: what is detached is not seen.
const LONGEST_INTERVAL: Duration = Duration::from_secs(5);

/// From the beginning of a look that took so long to the next one.
pub(super) fn pause(took: Duration) -> Duration {
    (took * SHARE).clamp(INTERVAL, LONGEST_INTERVAL)
}

impl Core {
    /// Attaches again wherever that is due, and forgets who has been gone for long.
    pub(super) fn tend(&mut self) {
        if !self.ready {
            return;
        }
        let carried = carried();
        for index in self.datapath.attached() {
            let Some(interface) = self.directory.interface(index).cloned() else { continue };
            let ahead = self.ahead(&interface, &carried);
            match self.datapath.lost(index) {
                [false, false] => {
                    if let Some(ahead) = ahead {
                        self.attaching.is_ahead(index, ahead);
                    }
                }
                lost => self.attach_again(&interface, lost, ahead),
            }
        }
        for index in self.attaching.missing() {
            if let Some(interface) = self.directory.interface(index).cloned() {
                self.consider(&interface);
            }
        }
        self.tell_readiness();
        self.forget_the_gone();
    }

    fn attach_again(&mut self, interface: &Interface, lost: [bool; 2], ahead: Option<i128>) {
        let Interface { index, name, .. } = interface;
        self.attaching.detached_by_others(*index, ahead);
        match self.datapath.attach_again(*index, name, lost) {
            Ok(()) => warn!(
                interface = name,
                "somebody else has detached netwatch here; attached again, and what passed in between is in no figure but \
                 netwatch_attach_gap_packets_total"
            ),
            Err(error) => {
                warn!(interface = name, %error, "somebody else has detached netwatch here; cannot attach again");
                self.let_go(*index);
                self.attaching.failed(*index, format!("{name}: {error}"));
            }
        }
    }

    /// How many packets the device itself has counted that we have not, if that can be told.
    pub(super) fn ahead(
        &self,
        interface: &Interface,
        carried: &HashMap<String, u64>,
    ) -> Option<i128> {
        let carried = *carried.get(&interface.name)?;
        let counted = self.datapath.counters(interface.index).unwrap_or_default();
        let counted = counted.receive.tally.packets + counted.transmit.tally.packets;
        Some(i128::from(carried) - i128::from(counted))
    }
}

/// Packets that each device of our network namespace has carried, by its own counters.
pub(super) fn carried() -> HashMap<String, u64> {
    fs::read_to_string("/proc/net/dev").map(|text| parse(&text)).unwrap_or_default()
}

/// Two lines of headings, then for each device bytes and packets received, six more, bytes and packets sent.
fn parse(text: &str) -> HashMap<String, u64> {
    let device = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let mut counters = counters.split_whitespace().skip(1).step_by(8).map(str::parse::<u64>);
        let (received, sent) = (counters.next()?.ok()?, counters.next()?.ok()?);
        Some((name.trim().to_owned(), received + sent))
    };
    text.lines().filter_map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_of_devices_is_read() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  103376    1162    1    2    3     4          5         6   103376    1163    0    0    0     0       0          0
veth1a2:1234 12    0    0    0     0          0         0       56       4    0    0    0     0       0          0
  half: 1 2 3
";
        let devices = parse(text);
        assert_eq!(devices.get("lo"), Some(&2_325));
        assert_eq!(devices.get("veth1a2"), Some(&16));
        assert_eq!(devices.len(), 2);
    }

    #[test]
    fn looking_takes_its_share_and_no_more() {
        assert_eq!(pause(Duration::from_millis(1)), INTERVAL);
        assert_eq!(pause(Duration::from_millis(10)), Duration::from_secs(2));
        assert_eq!(pause(Duration::from_secs(1)), LONGEST_INTERVAL);
    }
}
