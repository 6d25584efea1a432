//! What netwatch stands on: memory, the programs as the kernel takes them, the engine, clocks.

use super::{
    super::facts::{Clock, Engine, EngineSocket, Facts, Memory, Refusal},
    Case, Finding,
};
use crate::{
    datapath::{PinPlace, Trial},
    model::Feature,
};

/// From this release on maps count to a control group, and not to `RLIMIT_MEMLOCK`.
const MAPS_IN_GROUP: (u32, u32) = (5, 11);
/// It lifts resource limits (linux/capability.h).
const SYS_RESOURCE: u32 = 24;

pub(super) fn memory(facts: &Facts) -> Finding {
    let Memory { memlock, group, needed } = facts.memory;
    let may_raise = facts.capabilities.is_some_and(|mask| mask & (1 << SYS_RESOURCE) != 0);
    let counts = facts.kernel.version().is_some_and(|version| version < MAPS_IN_GROUP);
    if counts
        && !may_raise
        && let Some(limit) = memlock.filter(|limit| *limit < needed)
    {
        return Finding::new(
            Case::MemoryLocked,
            format!("RLIMIT_MEMLOCK is {}, the maps need {}", bytes(limit), bytes(needed)),
        );
    }
    match group {
        None => Finding::new(Case::MemoryEnough, "no limit"),
        Some(limit) if limit < needed => Finding::new(
            Case::MemoryTight,
            format!(
                "the control group's limit is {}, the agent may need {}",
                bytes(limit),
                bytes(needed)
            ),
        ),
        Some(limit) => Finding::new(
            Case::MemoryEnough,
            format!("a limit of {}, of which the agent may need {}", bytes(limit), bytes(needed)),
        ),
    }
}

fn bytes(number: u64) -> String {
    format!("{} MiB", number >> 20)
}

pub(super) fn load(load: &Result<Trial, Refusal>) -> Finding {
    let trial = match load {
        Ok(trial) => trial,
        Err(refusal) => {
            let finding = Finding::new(Case::LoadRefused, &*refusal.message);
            return match refusal.remedy {
                Some(remedy) => finding.remedy(remedy),
                None => finding,
            };
        }
    };
    let lacking: Vec<&Feature> =
        trial.features.iter().filter(|feature| !feature.is_available()).collect();
    if lacking.is_empty() {
        let memory = bytes(trial.map_bytes);
        return Finding::new(
            Case::Loads,
            format!("the kernel takes all programs, {memory} of maps"),
        );
    }
    let names: Vec<&str> = lacking.iter().map(|feature| feature.name).collect();
    let details = lacking
        .iter()
        .map(|feature| {
            format!("{}: {}", feature.name, feature.lacking.as_deref().unwrap_or_default())
        })
        .collect();
    Finding::new(
        Case::LoadsPartly,
        format!("the kernel takes the programs that count; lacking: {}", names.join(", ")),
    )
    .details(details)
}

pub(super) fn sandbox(means: &[Feature]) -> Finding {
    let lacking: Vec<String> = means
        .iter()
        .filter_map(|means| Some(format!("{}: {}", means.name, means.lacking.as_deref()?)))
        .collect();
    if lacking.is_empty() {
        let all: Vec<&str> = means.iter().map(|means| means.name).collect();
        return Finding::new(Case::SandboxWhole, all.join(", "));
    }
    Finding::new(Case::SandboxPartly, format!("lacking: {}", lacking.join("; ")))
}

pub(super) fn bpffs(place: Option<&PinPlace>) -> Finding {
    let Some(place) = place else {
        return Finding::new(Case::BpffsUnused, "not asked for (--ephemeral)");
    };
    let case = match place {
        PinPlace::Usable => return Finding::new(Case::BpffsUsable, "what counts can stay there"),
        PinPlace::NotMounted(_) => Case::BpffsAbsent,
        PinPlace::Foreign(_) => Case::BpffsForeign,
    };
    Finding::new(case, place.to_string())
}

pub(super) fn conntrack(told: &Result<(), String>) -> Finding {
    match told {
        Ok(()) => Finding::new(Case::ConntrackTold, "the kernel tells of connections"),
        Err(lacking) => Finding::new(Case::ConntrackLacking, lacking.as_str()),
    }
}

pub(super) fn engine(facts: &Facts) -> Finding {
    let (reason, socket) = match &facts.engine {
        Engine::Up { version, api, endpoint } => {
            let message = format!("version {version} at {endpoint}, API {api}");
            return Finding::new(Case::EngineUp, message);
        }
        Engine::Down { reason, socket } => (reason, socket),
    };
    let case = match socket {
        EngineSocket::Absent => Case::EngineAbsent,
        EngineSocket::Forbidden => Case::EngineForbidden,
        EngineSocket::Other => Case::EngineDown,
    };
    // One sentence, as `netwatch run` logs it: the cause, then what to do.
    let Some((why, remedy)) = reason.split_once("; ") else { return Finding::new(case, reason) };
    let command = case.advice().and_then(|advice| advice.command(facts.distribution));
    let remedy = match command {
        Some(command) if !remedy.contains(command) => format!("{remedy}: {command}"),
        _ => remedy.to_owned(),
    };
    Finding::new(case, why).remedy(remedy)
}

pub(super) fn clock(clock: &Clock) -> Finding {
    let source = match &clock.source {
        Some(source) => format!("clock source {source}"),
        None => "clock source not known".to_owned(),
    };
    if !clock.goes_on {
        let message = format!("CLOCK_MONOTONIC does not go on, {source}");
        return Finding::new(Case::ClockBroken, message);
    }
    let (case, wall) = match clock.synchronised {
        Some(true) => (Case::ClockSane, "the wall clock is synchronised"),
        Some(false) => (Case::ClockUnsynchronised, "the wall clock is not synchronised"),
        None => (Case::ClockUnknown, "whether the wall clock is synchronised is not told"),
    };
    Finding::new(case, format!("{wall}, {source}"))
}
