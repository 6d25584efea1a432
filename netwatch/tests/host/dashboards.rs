//! Every query of the dashboards, and every rule, on a real Prometheus that scrapes a real agent with traffic.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    QUICK,
    prometheus::{Prometheus, percent},
    support::{
        agent::Agent,
        docker::{Container, unique},
        serial::host,
        wait::until,
    },
};

/// Figures that a host has only when something goes wrong: their queries may have an empty answer.
const ONLY_IN_TROUBLE: [&str; 6] = [
    "dropped_packets",
    "undelivered",
    "outcome!=",
    "netwatch_attach_seconds",
    "netwatch_bpf_program_run_seconds",
    "flow_log",
];
/// What needs names to be looked up, or packets to be sampled, which may take none of so few.
const NOT_HERE: [&str; 2] = ["netwatch_dns_", "packet_size"];

/// The queries of the dashboards, with the values of their variables.
fn queries(container: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards");
    let mut queries = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let board: Value =
            serde_json::from_str(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let query = query.replace("$instance", ".*").replace("$container", container);
                queries.push(query.replace("$__rate_interval", "1m"));
            }
        }
    }
    queries
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn every_query_of_the_dashboards_has_an_answer() {
    let _host = host();
    let server = Container::web(&unique("shown"), &[]);
    server.until_serving();
    let client = Container::idle(&unique("looks"), &[]);
    let agent = Agent::start(&QUICK);
    agent.until_named(&server.name);
    agent.until_named(&client.name);
    let address = server.address("bridge");
    let folder = TempDir::new().unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/prometheus/rules.yml");
    let rules = rules.canonicalize().unwrap();
    let prometheus =
        Prometheus::start_with_rules(folder.path(), &agent.address.to_string(), &rules);
    // Rates need two figures that differ, so it goes on until they have been seen.
    let traffic = || {
        client.ping(&address, 1);
        client.exec(&["wget", "-qO", "/dev/null", &format!("http://{address}/big")]);
    };
    traffic();
    for query in queries(&server.name) {
        let rare = |words: &[&str]| words.iter().any(|word| query.contains(word));
        let may_be_empty = rare(&ONLY_IN_TROUBLE) || rare(&NOT_HERE);
        // The container that answers asks nobody.
        let is_of_a_client = query.contains("client=~");
        until(&query, || {
            let answer = prometheus.api(&format!("query?query={}", percent(&query)))?;
            assert_eq!(answer["status"], "success", "{query}: {answer}");
            let empty = answer["data"]["result"].as_array()?.is_empty();
            if empty && !may_be_empty && !is_of_a_client {
                traffic();
                return None;
            }
            Some(())
        });
    }
    until("the rules are evaluated", || {
        let answer = prometheus.api("rules")?;
        let rules = answer["data"]["groups"][0]["rules"].as_array()?;
        (rules.len() == 9 && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    });
}
