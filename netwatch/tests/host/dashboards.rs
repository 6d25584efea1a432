//! Every query of the dashboards, and every rule, on a real Prometheus that scrapes a real agent with traffic.

use std::{fs, path::Path};

use serde_json::Value;

use super::{
    prometheus::percent,
    scraped::Scraped,
    support::{serial::host, wait::until},
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
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/prometheus/rules.yml");
    let scraped = Scraped::start(Some(&rules.canonicalize().unwrap()), &[]);
    let Scraped { prometheus, client, server, .. } = &scraped;
    let traffic = || {
        client.ping(&server.address("bridge"), 1);
        scraped.fetch();
    };
    traffic();
    for query in queries(&server.name) {
        let rare = |words: &[&str]| words.iter().any(|word| query.contains(word));
        let may_be_empty = rare(&ONLY_IN_TROUBLE) || rare(&NOT_HERE);
        // The container that answers asks nobody.
        let is_of_a_client = query.contains("client=~");
        if may_be_empty || is_of_a_client {
            let answer = prometheus.api(&format!("query?query={}", percent(&query))).unwrap();
            assert_eq!(answer["status"], "success", "{query}: {answer}");
        } else {
            scraped.until_answered(&query, traffic);
        }
    }
    until("the rules are evaluated", || {
        let answer = prometheus.api("rules")?;
        let rules = answer["data"]["groups"][0]["rules"].as_array()?;
        (rules.len() == 9 && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    });
}
