//! What metrics promise of their sums: while traffic flows no counter ever decreases, and what one scrape has seen but not yet
//! accounted for, the next one has; when traffic pauses, edges are what the flow log says of each flow, and what containers
//! have sent is in edges but for what the ledger names.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::support::{
    agent::Agent,
    events::Events,
    metrics::{Metrics, Series},
};

/// As often as a Prometheus would at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Ports from here on are no label.
const FIRST_EPHEMERAL: u64 = 32_768;

/// What the endings of counters' names are, those of a histogram's parts included.
const COUNTERS: [&str; 4] = ["_total", "_bucket", "_count", "_sum"];

/// What was seen of an agent under load.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) scrapes: u32,
    pub(crate) counters: HashMap<(String, BTreeMap<String, String>), f64>,
    /// Packets and bytes that the last scrape had seen.
    seen: [u64; 2],
    /// The most that one had seen and not accounted for.
    pub(crate) behind: [u64; 2],
}

impl Watch {
    /// Scrapes until told to stop, at least twice.
    pub(crate) fn until(stop: &AtomicBool, agent: &Agent) -> Self {
        let mut watch = Self::default();
        while watch.scrapes < 2 || !stop.load(Ordering::Relaxed) {
            watch.look(&agent.metrics());
            thread::sleep(INTERVAL);
        }
        watch
    }

    pub(crate) fn look(&mut self, metrics: &Metrics) {
        self.scrapes += 1;
        for Series { name, labels, value } in &metrics.series {
            if COUNTERS.iter().any(|end| name.ends_with(end)) {
                let before = self.counters.insert((name.clone(), labels.clone()), *value);
                let fell = before.is_some_and(|before| before > *value);
                assert!(!fell, "{name} {labels:?} fell from {before:?} to {value}");
            }
        }
        for (at, unit) in ["packet", "byte"].iter().enumerate() {
            let seen = metrics.count(&format!("netwatch_{unit}s_seen_total"), &[]);
            let accounted = metrics.sum(&format!("netwatch_{unit}_outcomes_total"), &[]);
            assert!(accounted <= seen, "{accounted} {unit}s accounted for of {seen}");
            let before = self.seen[at];
            assert!(accounted >= before, "{accounted} {unit}s, {before} were seen a scrape ago");
            self.seen[at] = seen;
            self.behind[at] = self.behind[at].max(seen - accounted);
        }
    }
}

/// Client, server, protocol and port.
type Edge = [String; 4];

/// Packets and bytes that the client sent, the same received, and flows.
type Traffic = [u64; 5];

/// The edges of these containers by the metrics.
fn edges_of_metrics(metrics: &Metrics, containers: &[&str]) -> BTreeMap<Edge, Traffic> {
    let mut edges = BTreeMap::new();
    for series in metrics.find("netwatch_edge_connections_total", &[]) {
        let names = ["client", "server", "protocol", "port"];
        let edge = names.map(|name| series.labels[name].clone());
        if edge[..2].iter().any(|end| containers.contains(&end.as_str())) {
            let labels: Vec<_> = names.into_iter().zip(edge.iter().map(String::as_str)).collect();
            let way = |unit: &str, direction| {
                let labels = [&labels[..], &[("direction", direction)]].concat();
                metrics.count(&format!("netwatch_edge_{unit}_total"), &labels)
            };
            let [sent, received] = ["sent", "received"]
                .map(|direction| ["packets", "bytes"].map(|unit| way(unit, direction)));
            let flows = metrics.count(&series.name, &labels);
            edges.insert(edge, [sent[0], sent[1], received[0], received[1], flows]);
        }
    }
    edges
}

/// The same by the last lines of each flow: a second one has what came late, and only that.
fn edges_of_log(events: &Events, containers: &[&str]) -> BTreeMap<Edge, Traffic> {
    let mut edges = BTreeMap::<Edge, Traffic>::new();
    for line in events.0.iter().filter(|line| line["event"] == "end") {
        let edge = edge(line);
        if edge[..2].iter().any(|end| containers.contains(&end.as_str())) {
            let number = |way: &str, unit: &str| line[way][unit].as_u64().unwrap_or_default();
            let sum = edges.entry(edge).or_default();
            for (sum, (way, unit)) in sum.iter_mut().zip([
                ("sent", "packets"),
                ("sent", "bytes"),
                ("received", "packets"),
                ("received", "bytes"),
            ]) {
                *sum += number(way, unit);
            }
            sum[4] += u64::from(line["reason"] != "late");
        }
    }
    edges
}

/// The labels that a flow's edge has.
fn edge(line: &Value) -> Edge {
    let name = |end: &str| {
        let word = |field: &str| line[end][field].as_str().unwrap_or_default().to_owned();
        if line[end]["kind"] == "container" { word("name") } else { word("kind") }
    };
    let port = line["server"]["port"].as_u64().filter(|port| *port < FIRST_EPHEMERAL);
    let port = port.map(|port| port.to_string()).unwrap_or_default();
    let protocol = line["protocol"].as_str().unwrap_or_default().to_owned();
    [name("client"), name("server"), protocol, port]
}

/// What is wrong, when nothing moves: `in_no_flow` are bytes that the containers' veths received and that are in no flow.
pub(crate) fn mistakes(
    metrics: &Metrics,
    events: &Events,
    containers: &[&str],
    in_no_flow: u64,
) -> String {
    let mut text = String::new();
    let (told, counted) = (edges_of_log(events, containers), edges_of_metrics(metrics, containers));
    for edge in told.keys().chain(counted.keys()) {
        let (told, counted) = (told.get(edge), counted.get(edge));
        if told != counted {
            let _ = writeln!(text, "{edge:?}: {counted:?}, in the log {told:?}");
        }
    }
    let is_ours = |name: &String| containers.contains(&name.as_str());
    let of_edges = counted.iter().fold(0, |sum, (edge, traffic)| {
        let sent = if is_ours(&edge[0]) { traffic[1] } else { 0 };
        let answered = if is_ours(&edge[1]) { traffic[3] } else { 0 };
        sum + sent + answered
    });
    let of_containers: u64 = containers
        .iter()
        .map(|name| metrics.sum("netwatch_container_transmit_bytes_total", &[("container", name)]))
        .sum();
    if of_edges + in_no_flow != of_containers {
        let _ = writeln!(
            text,
            "{of_containers} bytes sent, {of_edges} in edges, {in_no_flow} in no flow"
        );
    }
    text
}

/// What containers have sent to each other.
pub(crate) fn among(metrics: &Metrics, containers: &[&str]) -> u64 {
    let edges = edges_of_metrics(metrics, containers);
    let inside = edges
        .iter()
        .filter(|(edge, _)| edge[..2].iter().all(|end| containers.contains(&end.as_str())));
    inside.map(|(_, traffic)| traffic[1] + traffic[3]).sum()
}
