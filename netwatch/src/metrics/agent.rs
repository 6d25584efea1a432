//! The agent about itself.

use super::{catalogue::Metric, family::Families};
use crate::model::{Snapshot, WebStatus};

/// The only map whose fill is known.
const FLOW_MAP: [&str; 1] = ["flows"];

/// Adds everything about the agent.
pub(super) fn collect(snapshot: &Snapshot, families: &mut Families) {
    let agent = &snapshot.agent;
    if let Some(up) = agent.engine_up {
        families.add(Metric::EngineUp, [], u64::from(up));
    }

    for feature in &agent.features {
        let labels = [feature.name, feature.lacking.as_deref().unwrap_or_default()];
        families.add(Metric::FeatureAvailable, labels, u64::from(feature.is_available()));
    }

    families.add(Metric::ConntrackOverruns, [], agent.conntrack_overruns);
    families.add_real(Metric::AwaySeconds, [], agent.away.as_secs_f64());

    let attach = &agent.attach;
    families.add(Metric::AttachedInterfaces, [], attach.attached);
    families.histogram(
        Metric::AttachSeconds,
        [],
        &attach.seconds_buckets,
        attach.seconds_sum,
        attach.seconds_count,
    );
    families.add(Metric::AttachFailures, [], attach.failures);
    families.add(Metric::AttachGapPackets, [], attach.gap_packets);

    for runs in &agent.programs {
        families.add(Metric::ProgramRuns, [runs.program], runs.runs);
        families.add_real(Metric::ProgramRunSeconds, [runs.program], runs.time.as_secs_f64());
    }

    let (used, room) = agent.flow_entries;
    families.add(Metric::MapEntries, FLOW_MAP, used);
    families.add(Metric::MapMaxEntries, FLOW_MAP, room);
    families.add(Metric::MapMemory, [], agent.map_bytes);
    families.add(Metric::FlowEvictions, [], agent.evictions);
    families.add(Metric::Samples, [], agent.samples);
    families.add(Metric::SamplesLost, [], agent.samples_lost);
    families.add(Metric::DropDetailsLost, [], agent.drop_details_lost);
    families.add(Metric::DropsMissed, [], agent.drops_missed);
    families.add(Metric::FlowLogLines, [], agent.log_lines);
    families.add(Metric::FlowLogLinesLost, [], agent.log_lines_lost);
    families.add(Metric::FlowLogRotations, [], agent.log_rotations);
    if let Some(up) = agent.log_up {
        families.add(Metric::FlowLogUp, [], u64::from(up));
    }

    families.add(Metric::JournalLinesLost, [], agent.journal_lines_lost);
    web(&agent.web, families);
    families.add_real(Metric::UpToDateSeconds, [], agent.scrape.age.as_secs_f64());
    families.add(Metric::Scrapes, [], agent.scrape.scrapes);
    families.add_real(Metric::ScrapeSeconds, [], agent.scrape.time.as_secs_f64());
    if let Some(process) = &agent.process {
        families.add_real(Metric::ProcessCpuSeconds, [], process.cpu_seconds);
        families.add_real(Metric::ProcessStartTime, [], process.started);
        families.add(Metric::ProcessVirtualMemory, [], process.virtual_bytes);
        families.add(Metric::ProcessResidentMemory, [], process.resident_bytes);
        families.add(Metric::ProcessOpenFds, [], process.open_fds);
        families.add(Metric::ProcessMaxFds, [], process.max_fds);
    }

    let readers = &agent.readers;
    families.add(Metric::FlowReaders, [], readers.connected);
    families.add(Metric::FlowReadersRefused, [], readers.refused);
    families.add(Metric::FlowReaderLines, [], readers.lines);
    families.add(Metric::FlowReaderLinesLost, [], readers.lost);
}

fn web(web: &WebStatus, families: &mut Families) {
    for (code, count) in &web.requests {
        let code = if *code == 0 { "other".to_owned() } else { code.to_string() };
        families.add(Metric::WebRequests, [code.as_str()], *count);
    }
    families.add(Metric::WebConnectionsDisplaced, [], web.displaced);
    families.add(Metric::WebHandshakesFailed, [], web.handshakes_failed);
    if let Some(good) = web.settings_good {
        families.add(Metric::WebConfigUp, [], u64::from(good));
        families.add(Metric::WebConfigFailures, [], web.settings_failed);
    }
}
