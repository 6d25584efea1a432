//! A real Prometheus, Debian's.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    scraped::Scraped,
    support::{
        agent::Agent,
        docker::{Container, unique},
        http, seen,
        serial::host,
        shell::{output, run},
        wait::until,
    },
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_real_prometheus_answers_by_container_name() {
    let _host = host();
    let container = Container::idle(&unique("scraped"), &[]);
    let agent = Agent::start(&[]);
    agent.until_named(&container.name);
    container.ping(&container.gateway("bridge"), 2);
    let scrape = agent.get("/metrics");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("metrics");
    fs::write(&page, &scrape.body).unwrap();
    let check = format!("promtool check metrics < {}", page.display());
    let output = output("sh", &["-c", &check]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    let server = Prometheus::start(folder.path(), &agent.address.to_string());
    let query =
        format!("netwatch_container_receive_bytes_total{{container=\"{}\"}}", container.name);
    until("an answer by name", || (server.value(&query)? >= 2.0 * 98.0).then_some(()));
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn an_exemplar_leads_to_its_flow() {
    let _host = host();
    let scraped = Scraped::start(None, &[]);
    let Scraped { prometheus, agent, client, server, .. } = &scraped;
    scraped.fetch();
    let query = format!("netwatch_tcp_handshake_seconds_bucket{{server=\"{}\"}}", server.name);
    let number = until("an exemplar", || {
        let path = format!("query_exemplars?query={}&start=0&end=4000000000", percent(&query));
        let answer = prometheus.api(&path)?;
        let exemplar = &answer["data"][0]["exemplars"][0];
        Some(exemplar["labels"]["flow_id"].as_str()?.to_owned())
    });
    let socket = agent.socket();
    let lines = run(
        env!("CARGO_BIN_EXE_netwatch"),
        &["flows", "--socket", socket.to_str().unwrap(), "--id", &number, "-o", "json"],
    );
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "end"), "{lines}");
    for event in events {
        assert_eq!(event["flow_id"].to_string(), number);
        assert_eq!(event["client"]["name"], client.name.as_str());
        assert_eq!(event["server"]["name"], server.name.as_str());
    }
}

/// A Prometheus with one target. Dropping it ends it.
pub(crate) struct Prometheus {
    child: std::process::Child,
    pub(crate) address: std::net::SocketAddr,
}

impl Prometheus {
    pub(crate) fn start(folder: &Path, target: &str) -> Self {
        Self::start_with(folder, target, "")
    }

    /// With lines about how to ask.
    pub(crate) fn start_with(folder: &Path, target: &str, how: &str) -> Self {
        Self::start_as(folder, target, how, "")
    }

    /// With a file of rules.
    pub(crate) fn start_with_rules(folder: &Path, target: &str, rules: &Path) -> Self {
        let rules =
            format!("global: {{evaluation_interval: 1s}}\nrule_files: ['{}']\n", rules.display());
        Self::start_as(folder, target, "", &rules)
    }

    fn start_as(folder: &Path, target: &str, how: &str, more: &str) -> Self {
        let address = http::free_address();
        let config = folder.join("prometheus.yml");
        let text = format!(
            "{more}scrape_configs:\n- job_name: netwatch\n  scrape_interval: 1s\n{how}  static_configs:\n  - targets: ['{target}']\n"
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }

    /// The answer of its API, if it is one.
    pub(crate) fn api(&self, path: &str) -> Option<Value> {
        let answer = http::get(self.address, &format!("/api/v1/{path}")).ok()?;
        serde_json::from_str(&answer.body).ok()
    }

    /// The first value of a query.
    pub(crate) fn value(&self, query: &str) -> Option<f64> {
        let answer = self.api(&format!("query?query={}", percent(query)))?;
        let value = answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
        seen::note_value(query, value);
        Some(value)
    }

    pub(crate) fn until_value(&self, query: &str) -> f64 {
        until(query, || self.value(query))
    }

    /// Waits until its target is in this state, for a reason with these words.
    pub(crate) fn until_target(&self, health: &str, why: &str) {
        until(&format!("the target is {health}: {why}"), || {
            let answer = self.api("targets")?;
            let target = &answer["data"]["activeTargets"][0];
            let is_so = target["health"] == health && target["lastError"].as_str()?.contains(why);
            is_so.then_some(())
        });
    }
}

/// A query as it may stand in a URL.
pub(crate) fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
