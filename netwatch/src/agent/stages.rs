//! What the core spends its time on.

use std::time::Duration;

use crate::model::StageStatus;

/// One of its works; it does one at a time.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    Links,
    Engine,
    Rings,
    Reading,
    Telling,
    Scrapes,
    Readers,
}

/// In the order of [`Stage`].
const NAMES: [&str; 7] = ["links", "engine", "rings", "reading", "telling", "scrapes", "readers"];

/// How often and how long each was done.
#[derive(Default)]
pub(super) struct Stages([(u64, Duration); NAMES.len()]);

impl Stages {
    pub(super) fn add(&mut self, stage: Stage, took: Duration) {
        let (runs, time) = &mut self.0[stage as usize];
        *runs += 1;
        *time += took;
    }

    pub(super) fn status(&self) -> Vec<StageStatus> {
        let all = NAMES.into_iter().zip(self.0);
        all.map(|(stage, (runs, time))| StageStatus { stage, runs, time }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_time() {
        let mut stages = Stages::default();
        for stage in [Stage::Links, Stage::Readers, Stage::Readers] {
            stages.add(stage, Duration::from_millis(5));
        }
        let status = stages.status();
        let runs: Vec<_> = status.iter().map(|one| (one.stage, one.runs)).collect();
        assert_eq!(runs[0], ("links", 1));
        assert_eq!(runs[6], ("readers", 2));
        assert!(runs[1..6].iter().all(|(_, runs)| *runs == 0), "{runs:?}");
        assert_eq!(status[6].time, Duration::from_millis(10));
    }
}
