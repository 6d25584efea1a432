//! What is in packaging/ and dashboards/: held against Prometheus's own tool and against the catalogue of metrics.

#![expect(clippy::expect_used, reason = "a test without its files has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use netwatch::metrics::catalogue::{Kind, Metric};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules(name: &str) -> String {
    fs::read_to_string(root().join("packaging/prometheus").join(name)).expect("a file of rules")
}

fn promtool(arguments: &[&str]) {
    let folder = root().join("packaging/prometheus");
    let output = Command::new("promtool").args(arguments).current_dir(folder).output();
    let output = output.expect("Debian's prometheus");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
#[ignore = "needs promtool: cargo xtask test"]
fn rules_and_scrape_are_valid_and_do_what_they_should() {
    promtool(&["check", "config", "--syntax-only", "scrape.yml"]);
    promtool(&["check", "rules", "rules.yml", "alerts.yml"]);
    promtool(&["test", "rules", "rules_test.yml"]);
}

/// What stands behind a key.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '-']));
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect()
}

#[test]
fn each_alert_is_tested_firing_and_silent() {
    let tests = rules("rules_test.yml");
    let alerts = rules("alerts.yml");
    let names = values(&alerts, "alert");
    assert!(names.len() >= 11, "{names:?}");
    for name in names {
        for how in ["fires", "is silent"] {
            let title = format!("- name: {name} {how}\n");
            let block = tests.split(&title).nth(1).unwrap_or_default();
            let block = block.split("\n- name:").next().unwrap_or_default();
            assert!(block.contains(&format!("alertname: {name}\n")), "{title}");
            assert_eq!(block.contains("exp_alerts: []"), how == "is silent", "{title}");
        }
    }
}

/// Words that a query may have for metrics: of the catalogue, of the recording rules, and what Prometheus makes itself.
fn known() -> BTreeSet<String> {
    let rules = rules("rules.yml");
    let mut known: BTreeSet<String> =
        values(&rules, "record").into_iter().map(str::to_owned).collect();
    for entry in Metric::ALL.iter().map(|metric| metric.entry()) {
        let suffixes: &[&str] =
            if entry.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        known.extend(suffixes.iter().map(|suffix| format!("{}{suffix}", entry.name)));
    }
    known
}

/// Names of metrics in a query.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words = query.split(move |c: char| !is_name(c));
    words.filter(|word| word.contains("netwatch_") || word.starts_with("process_"))
}

fn check(place: &str, query: &str, known: &BTreeSet<String>) {
    let mut found = names(query).peekable();
    assert!(found.peek().is_some() || query.starts_with("up{"), "{place}: {query}");
    for name in found {
        assert!(known.contains(name), "{place}: there is no metric {name}");
    }
}

/// The expressions of a file of rules, also those that go on below.
fn expressions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = line.trim_start().strip_prefix("expr: ") else { continue };
        let depth = line.len() - line.trim_start().len();
        let mut whole = first.trim_start_matches(">-").to_owned();
        while let Some(more) = lines.next_if(|line| line.len() - line.trim_start().len() > depth) {
            whole.push_str(more.trim_start());
        }
        found.push(whole);
    }
    found
}

#[test]
fn rules_name_only_metrics_that_there_are() {
    let known = known();
    for file in ["rules.yml", "alerts.yml"] {
        let text = rules(file);
        let expressions = expressions(&text);
        assert_eq!(expressions.len(), text.matches("expr:").count(), "{file}");
        for query in expressions {
            check(file, &query, &known);
        }
    }
}

#[test]
fn dashboards_name_only_metrics_that_there_are() {
    let known = known();
    let mut identifiers = BTreeSet::new();
    let mut count = 0;
    for file in fs::read_dir(root().join("dashboards")).expect("dashboards") {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a dashboard");
        let board: Value = serde_json::from_str(&text).expect("JSON");
        let place = path.display().to_string();
        assert!(identifiers.insert(board["uid"].to_string()), "{place}: its uid is another's");
        for panel in board["panels"].as_array().expect("panels") {
            assert!(
                panel["title"].is_string() && panel["fieldConfig"]["defaults"]["unit"].is_string()
            );
            for target in panel["targets"].as_array().expect("queries") {
                check(&place, target["expr"].as_str().expect("a query"), &known);
                count += 1;
            }
        }
    }
    assert_eq!(identifiers.len(), 5);
    assert!(count > 50, "only {count} queries");
}

const UNIT: &str = "packaging/systemd/netwatch.service";
/// What gives up the others takes these, before the agent's own list is in force.
const TO_GIVE_UP: [&str; 5] =
    ["capset", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"];

/// System calls as a unit names them: one, or a group and what is in it.
fn calls(word: &str) -> BTreeSet<String> {
    if !word.starts_with('@') {
        return [word.to_owned()].into();
    }
    let output = Command::new("systemd-analyze").args(["syscall-filter", word]).output();
    let text = String::from_utf8(output.expect("systemd-analyze").stdout).expect("text");
    let lines = text.lines().skip(1).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(calls).collect()
}

/// The unit's list is longer than the agent's own, of which a call must not be missing there: it would fail only in a service.
#[test]
#[ignore = "needs systemd's tools: cargo xtask test"]
fn the_unit_forbids_no_call_that_the_agent_makes() {
    let unit = fs::read_to_string(root().join(UNIT)).expect("the unit");
    let mut allowed = BTreeSet::new();
    for list in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        match list.strip_prefix('~') {
            None => allowed.extend(list.split(' ').flat_map(calls)),
            Some(list) => {
                let forbidden: BTreeSet<String> = list.split(' ').flat_map(calls).collect();
                allowed.retain(|call| !forbidden.contains(call));
            }
        }
    }
    let source = include_str!("../src/sandbox/calls.rs");
    let shipped = source.split("#[cfg(test)]").next().expect("code before its tests");
    let ours = shipped.split("libc::SYS_").skip(1).map(|rest| {
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next()
            .expect("a name")
    });
    let ours: BTreeSet<&str> = ours.chain(TO_GIVE_UP).collect();
    assert!(ours.len() > 100, "{ours:?}");
    let missing: Vec<_> = ours.iter().filter(|call| !allowed.contains(**call)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What a service may do, from 0 (nothing) to 10, by systemd's own reckoning.
#[test]
#[ignore = "needs systemd's tools: cargo xtask test"]
fn the_unit_is_exposed_little() {
    let unit = root().join(UNIT);
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=25"])
        .arg(&unit)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .expect("systemd-analyze");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // Ends with an error above the threshold, which is in tenths.
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Overall exposure level"), "{said}");
    assert!(!said.contains("ignoring"), "{said}");
}

#[test]
fn the_configuration_of_the_package_is_one_that_netwatch_takes() {
    let output = Command::new(env!("CARGO_BIN_EXE_netwatch"))
        .args(["run", "--check", "--config"])
        .arg(root().join("packaging/netwatch.toml"))
        .env_remove("NETWATCH_CONFIG")
        .output()
        .expect("netwatch runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    // What is commented out names options that there are.
    let text = fs::read_to_string(root().join("packaging/netwatch.toml")).expect("a file");
    let uncommented: String =
        text.lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
    for key in keys_of_toml(&uncommented) {
        let page = fs::read_to_string(root().join("docs/configuration.md")).expect("a page");
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}

/// The keys of lines such as `key = value`.
fn keys_of_toml(text: &str) -> Vec<&str> {
    let keys = text.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    keys.filter(|key| !key.contains(' ')).collect()
}
