//! The heart of the matter: netwatch's figures and the witnesses' are the same, to the packet and to the byte.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use netwatch::model::Tally;

use crate::{
    network::{Family, Node},
    observer::Observer,
    witness::{Way, Witness},
};

/// How long anything may take: the last packets on their way a moment, but the verifier, emulated on a busy machine, long.
pub const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// The two ends of what is going on, each with a witness.
pub struct Talk<'a> {
    pub client: (&'a Node, Witness),
    pub server: (&'a Node, Witness),
}

/// What both witnesses and both interfaces have seen.
#[derive(Debug)]
pub struct Seen {
    /// client → server.
    pub sent: Tally,
    /// server → client.
    pub received: Tally,
}

impl<'a> Talk<'a> {
    /// Witnesses from now on.
    pub fn between(client: &'a Node, server: &'a Node, family: Family) -> Result<Self> {
        let end = |node: &'a Node| Ok::<_, anyhow::Error>((node, Witness::at(node, family)?));
        Ok(Self { client: end(client)?, server: end(server)? })
    }

    /// Both ends.
    pub fn ends(&mut self) -> [(&Node, &mut Witness); 2] {
        let Self { client: (client, at_client), server: (server, at_server) } = self;
        [(client, at_client), (server, at_server)]
    }

    /// The sums over both ends and both ways: what is in flows of one way, and what the witnesses saw of another.
    pub fn sums(&mut self, observer: &Observer, counted: Way, seen: Way) -> Result<(Tally, Tally)> {
        let senders = [(self.client.0.outside, false), (self.server.0.outside, true)];
        let (mut have, mut want) = (Tally::ZERO, Tally::ZERO);
        for (node, witness) in self.ends() {
            for (sender, is_back) in senders {
                let way = |way: Way| if is_back { way.back() } else { way };
                have += observer.count(node, node.outside == sender, way(counted));
                want += witness.count(way(seen))?;
            }
        }
        Ok((have, want))
    }

    /// Waits until the hooks at both ends have counted exactly what the witnesses saw, both ways.
    pub fn is_exact(&mut self, observer: &mut Observer, way: Way) -> Result<Seen> {
        until(|| {
            observer.read();
            let mut wrong = Vec::new();
            for ((node, witness), sends) in self.ends().into_iter().zip([way, way.back()]) {
                for (sent, way) in [(true, sends), (false, sends.back())] {
                    let (have, want) = (observer.count(node, sent, way), witness.count(way)?);
                    if have != want || want.is_zero() {
                        wrong.push(format!("at {}: {way:?}: {have:?}, not {want:?}", node.name));
                    }
                }
            }
            if wrong.is_empty() { Ok(Ok(())) } else { Ok(Err(wrong.join("; "))) }
        })?;
        let seen =
            Seen { sent: self.client.1.count(way)?, received: self.server.1.count(way.back())? };
        Ok(seen)
    }
}

impl Seen {
    /// That it was so many packets of so many bytes each way, Ethernet header included.
    pub fn was(self, packets: u64, bytes: usize) -> Result<Self> {
        let want = Tally { packets, segments: packets, bytes: packets * u64::try_from(bytes)? };
        ensure!(self.sent == want && self.received == want, "{self:?}, not {want:?} each way");
        Ok(self)
    }

    /// For a report: the numbers differ from run to run, that they agree does not.
    pub fn detail(&self) -> String {
        let text = |tally: Tally| format!("{} packets {} bytes", tally.segments, tally.bytes);
        format!("exact; sent {}, received {}", text(self.sent), text(self.received))
    }
}

/// Waits until `seen = counted + each outcome`.
pub fn ledger(observer: &mut Observer) -> Result<()> {
    until(|| Ok(observer.imbalance().map_or(Ok(()), Err)))
}

/// Asks again until all is well, or tells what was wrong last.
pub fn until(mut probe: impl FnMut() -> Result<Result<(), String>>) -> Result<()> {
    let begin = Instant::now();
    loop {
        match probe()? {
            Ok(()) => return Ok(()),
            Err(wrong) if begin.elapsed() > PATIENCE => bail!(wrong),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
