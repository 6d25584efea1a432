//! The ledger as a test keeps it: `seen = counted in a flow + each outcome`, in packets, segments and bytes.

use std::collections::HashMap;

use netwatch::{
    datapath::Datapath,
    model::{Protocol, Socket, Tally},
};
use netwatch_common::outcome::Outcome;

/// A flow at an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub ifindex: u32,
    pub local: Socket,
    pub remote: Socket,
    pub protocol: Protocol,
}

/// What has been handed out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub ingress: Tally,
    pub egress: Tally,
    /// How many entries of the flow table it was in.
    pub entries: u32,
    /// In how many portions it was handed out.
    pub readings: u32,
}

/// All flows that the flow table has handed out.
#[derive(Default)]
pub struct Ledger {
    pub flows: HashMap<Place, Counted>,
    counted: Tally,
    /// Bytes of every frame, if they are all equal.
    frame: Option<u64>,
}

impl Ledger {
    /// For frames that all have this length: each portion that is handed out has to be whole frames, also while the kernel
    /// writes what is read.
    pub fn of_frames(bytes: u64) -> Self {
        Self { frame: Some(bytes), ..Self::default() }
    }

    /// Takes up what is new. What is accounted for has been seen, also while packets pass.
    pub fn read(&mut self, datapath: &mut Datapath) {
        datapath.read_flows(|one| {
            let place = Place {
                ifindex: one.ifindex,
                local: one.local,
                remote: one.remote,
                protocol: one.protocol,
            };
            let new = one.ingress.new + one.egress.new;
            if let Some(frame) = self.frame {
                let whole = (new.segments, new.bytes) == (new.packets, new.packets * frame);
                assert!(whole, "not frames of {frame} bytes: {one:?}");
            }
            let counted = self.flows.entry(place).or_default();
            counted.ingress += one.ingress.new;
            counted.egress += one.egress.new;
            counted.entries += u32::from(one.fresh);
            counted.readings += 1;
            self.counted += new;
        });
        let accounted = self.accounted(datapath);
        let seen = datapath.seen();
        assert!(
            accounted.packets <= seen.packets && accounted.bytes <= seen.bytes,
            "{accounted:?} of {seen:?}"
        );
    }

    /// Takes up the rest, when all is quiet.
    pub fn close(&mut self, datapath: &mut Datapath) {
        self.read(datapath);
        assert_eq!(datapath.seen(), self.accounted(datapath), "{:?}", datapath.outcomes());
    }

    /// The sum over the flows of an interface: ingress, egress.
    pub fn at(&self, ifindex: u32) -> [Tally; 2] {
        let here = self.flows.iter().filter(|(place, _)| place.ifindex == ifindex);
        here.fold([Tally::ZERO; 2], |[ingress, egress], (_, counted)| {
            [ingress + counted.ingress, egress + counted.egress]
        })
    }

    fn accounted(&self, datapath: &Datapath) -> Tally {
        datapath.outcomes().into_iter().fold(self.counted, |sum, (_, tally)| sum + tally)
    }
}

/// How many packets were counted under a reason for being in no flow.
pub fn outcome(datapath: &Datapath, outcome: Outcome) -> Tally {
    datapath.outcomes()[outcome as usize].1
}
