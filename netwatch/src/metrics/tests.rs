//! The scrape as Prometheus sees it.

mod chosen;
mod forms;

use std::{
    collections::{BTreeMap, HashSet},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use netwatch_common::outcome::Outcome;

use super::{
    Form, LabelChoice, RenderError,
    catalogue::{Kind, Metric},
    docs, fixture,
};
use crate::model::{EndReason, Protocol, Snapshot};

/// As it is unless told otherwise.
fn render(snapshot: &Snapshot, form: Form) -> Result<String, RenderError> {
    super::render(snapshot, form, &LabelChoice::default())
}

/// Series (name and labels as written) to value; fails on a series that is there twice.
fn scrape(snapshot: &Snapshot) -> BTreeMap<String, f64> {
    series(&render(snapshot, Form::Text).unwrap())
}

fn series(text: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(
            series.insert(name.to_owned(), value.parse().unwrap()),
            None,
            "duplicate series {name}"
        );
    }
    series
}

fn value(snapshot: &Snapshot, series: &str) -> f64 {
    let all = scrape(snapshot);
    *all.get(series).unwrap_or_else(|| panic!("no {series} in {all:#?}"))
}

#[track_caller]
fn expect(snapshot: &Snapshot, series: &str, expected: f64) {
    let found = value(snapshot, series);
    assert!((found - expected).abs() < 1e-9, "{series}: {found}, not {expected}");
}

fn sum(snapshot: &Snapshot, prefix: &str) -> f64 {
    scrape(snapshot)
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(_, value)| value)
        .sum()
}

#[test]
fn every_metric_of_the_catalogue_is_scraped_and_not_zero() {
    let all = scrape(&fixture::full());
    for entry in Metric::ALL.iter().map(|metric| metric.entry()) {
        let sample = if entry.kind == Kind::Histogram {
            format!("{}_count", entry.name)
        } else {
            entry.name.to_owned()
        };
        let of = |name: &String| name == &sample || name.starts_with(&format!("{sample}{{"));
        let found: Vec<_> = all.iter().filter(|(name, _)| of(name)).collect();
        assert!(found.iter().any(|(_, value)| **value > 0.0), "{} has no figure", entry.name);
        for (name, _) in found {
            for label in entry.labels {
                assert!(name.contains(&format!("{label}=\"")), "{name} lacks {label}");
            }
        }
    }
}

#[test]
fn nothing_is_scraped_that_is_not_in_the_catalogue() {
    let known: HashSet<_> = Metric::ALL.iter().map(|metric| metric.entry().name).collect();
    assert_eq!(known.len(), Metric::ALL.len(), "a name is there twice");
    for family in super::gather(&fixture::full(), &LabelChoice::default()) {
        let name = family.metric.entry().name;
        assert!(known.contains(name), "{name}");
    }
}

#[test]
fn an_empty_snapshot_has_the_ledger_but_no_engine() {
    let all = scrape(&Snapshot::default());
    assert!(!all.contains_key("netwatch_engine_up"));
    for outcome in Outcome::ALL {
        assert!(all.contains_key(&format!(
            "netwatch_packet_outcomes_total{{outcome=\"{}\"}}",
            outcome.name()
        )));
    }
    for reason in EndReason::ALL {
        assert!(
            all.contains_key(&format!(
                "netwatch_flows_ended_total{{reason=\"{}\"}}",
                reason.name()
            ))
        );
    }
}

#[test]
fn interface_figures_are_in_both_units() {
    let full = fixture::full();
    for (series, expected) in [
        ("receive_packets", 10.0),
        ("receive_segments", 20.0),
        ("receive_bytes", 2_500.0),
        ("receive_wire_bytes", 3_000.0),
        ("transmit_packets", 11.0),
        ("transmit_segments", 21.0),
        ("transmit_bytes", 3_500.0),
        ("transmit_wire_bytes", 4_000.0),
    ] {
        expect(
            &full,
            &format!("netwatch_interface_{series}_total{{interface=\"veth12ab\"}}"),
            expected,
        );
    }
}

#[test]
fn container_and_edge_figures_are_on_the_wire() {
    let full = fixture::full();
    let labels = "{container=\"web\",network=\"shop_default\"}";
    expect(&full, &format!("netwatch_container_receive_packets_total{labels}"), 2.0);
    expect(&full, &format!("netwatch_container_transmit_bytes_total{labels}"), 600.0);
    let edge = "client=\"web\",server=\"db\",protocol=\"tcp\",port=\"5432\"";
    expect(&full, &format!("netwatch_edge_packets_total{{{edge},direction=\"sent\"}}"), 7.0);
    expect(&full, &format!("netwatch_edge_bytes_total{{{edge},direction=\"received\"}}"), 800.0);
    expect(&full, &format!("netwatch_edge_connections_total{{{edge}}}"), 3.0);
    let other = "client=\"other\",server=\"other\",protocol=\"other\",port=\"\"";
    expect(&full, &format!("netwatch_edge_connections_total{{{other}}}"), 3.0);
    let icmp = "client=\"web\",server=\"db\",protocol=\"icmp\",port=\"\"";
    expect(&full, &format!("netwatch_edge_connections_total{{{icmp}}}"), 3.0);
}

#[test]
fn seen_is_the_sum_of_the_outcomes() {
    let full = fixture::full();
    expect(&full, "netwatch_packets_seen_total", sum(&full, "netwatch_packet_outcomes_total"));
    expect(&full, "netwatch_bytes_seen_total", sum(&full, "netwatch_byte_outcomes_total"));
    expect(&full, "netwatch_packet_outcomes_total{outcome=\"counted\"}", 90.0);
}

#[test]
fn the_histogram_has_its_buckets() {
    let full = fixture::full();
    expect(&full, "netwatch_attach_seconds_bucket{le=\"0.01\"}", 4.0);
    expect(&full, "netwatch_attach_seconds_bucket{le=\"+Inf\"}", 6.0);
    expect(&full, "netwatch_attach_seconds_sum", 0.0625);
}

#[test]
fn packet_sizes_are_histograms_by_container() {
    let labels = "container=\"web\",network=\"shop_default\",direction=\"receive\"";
    let name = "netwatch_container_packet_size_bytes";
    let mut full = fixture::full();
    expect(&full, &format!("{name}_bucket{{{labels},le=\"512\"}}"), 0.0);
    expect(&full, &format!("{name}_bucket{{{labels},le=\"1024\"}}"), 30.0);
    expect(&full, &format!("{name}_bucket{{{labels},le=\"+Inf\"}}"), 30.0);
    expect(&full, &format!("{name}_sum{{{labels}}}"), 30_420.0);
    full.sizes.push(fixture::sizes("web"));
    expect(&full, &format!("{name}_bucket{{{labels},le=\"1024\"}}"), 60.0);
    expect(&full, &format!("{name}_sum{{{labels}}}"), 60_840.0);
    expect(&full, &format!("{name}_count{{{labels}}}"), 60.0);
}

#[test]
fn dns_counts_are_by_container_and_code() {
    let full = fixture::full();
    expect(&full, "netwatch_dns_queries_total{container=\"web\"}", 34.0);
    expect(&full, "netwatch_dns_responses_total{container=\"web\",rcode=\"NXDOMAIN\"}", 3.0);
    expect(&full, "netwatch_dns_messages_lost_total{reason=\"ring-full\"}", 28.0);
}

/// Two containers can have one name over time, two interfaces over a rename.
#[test]
fn what_has_the_same_labels_is_added_up() {
    let mut twice = fixture::full();
    twice.interfaces.push(fixture::interface(8, "veth12ab"));
    twice.containers.push(fixture::traffic("web"));
    twice.known.push(Arc::new(fixture::container("web")));
    twice.edges.push(fixture::edge("web", Some(Protocol::TCP), 5432));
    twice.edges.push(fixture::edge("y", None, 80));
    expect(&twice, "netwatch_interface_receive_bytes_total{interface=\"veth12ab\"}", 5_000.0);
    expect(
        &twice,
        "netwatch_container_transmit_bytes_total{container=\"web\",network=\"shop_default\"}",
        1_200.0,
    );
    let edge = "client=\"web\",server=\"db\",protocol=\"tcp\",port=\"5432\"";
    expect(&twice, &format!("netwatch_edge_connections_total{{{edge}}}"), 6.0);
    let info = "interface=\"veth12ab\",kind=\"veth\",network=\"shop_default\",container=\"web\"";
    expect(&twice, &format!("netwatch_interface_info{{{info}}}"), 1.0);
}

#[test]
fn a_container_in_a_foreign_namespace_says_whose() {
    let mut host = fixture::container("node-exporter");
    host.attachments.clear();
    host.host_network = true;
    let mut sidecar = fixture::container("sidecar");
    sidecar.attachments.clear();
    sidecar.shares_with = Some("web".to_owned());
    let known = vec![Arc::new(host), Arc::new(sidecar)];
    let snapshot = Snapshot { known, ..fixture::full() };
    let text = render(&snapshot, Form::Text).unwrap();
    assert!(text.contains("{container=\"node-exporter\",id=\"node-exporter-id\""), "{text}");
    assert!(text.contains("network=\"host\",address=\"\"} 1\n"), "{text}");
    assert!(text.contains("network=\"container:web\",address=\"\"} 1\n"), "{text}");
}

/// Quotes, a backslash, a line that looks like a sample, NUL, escape sequences, bytes that were no UTF-8, and length.
fn hostile() -> Snapshot {
    let mut snapshot = fixture::full();
    let invalid = String::from_utf8_lossy(b"caf\xe9\xff").into_owned();
    for name in [
        "a\"b\\c",
        "x\"} 1\nnetwatch_forged_total 1",
        "nul\0\u{1b}[31m\r\u{9b}",
        &invalid,
        &"ü".repeat(500),
        "\\",
        "",
    ] {
        snapshot.containers.push(fixture::traffic(name));
        snapshot.sizes.push(fixture::sizes(name));
        snapshot.edges.push(fixture::edge(name, Some(Protocol::UDP), 53));
        snapshot.interfaces.push(fixture::interface(9, name));
        snapshot.known.push(Arc::new(fixture::container(name)));
    }
    snapshot
}

#[test]
fn hostile_names_stay_inside_their_label() {
    let text = render(&hostile(), Form::Text).unwrap();
    assert!(text.contains(r#"{container="a\"b\\c",network="shop_default"}"#), "{text}");
    assert!(text.contains(r#"{container="x\"} 1\nnetwatch_forged_total 1","#), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("netwatch_forged")));
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    assert!(text.contains(&format!("container=\"{}…\"", "ü".repeat(200))));
    scrape(&hostile());
}

#[test]
#[ignore = "needs promtool: cargo xtask test"]
fn promtool_finds_nothing() {
    let all = chosen::everything();
    let texts = [fixture::full(), Snapshot::default(), hostile()].map(|snapshot| {
        [LabelChoice::default(), all.clone()]
            .map(|choice| super::render(&snapshot, Form::Text, &choice).unwrap())
    });
    for text in texts.as_flattened() {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn the_docs_are_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, docs::page()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == docs::page(),
        "docs/metrics.md is stale: UPDATE_DOCS=1 cargo test -p netwatch --lib metrics"
    );
}
