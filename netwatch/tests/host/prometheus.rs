//! A real Prometheus, Debian's.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::support::{
    agent::Agent,
    docker::{Container, unique},
    http,
    serial::host,
    shell::output,
    wait::until,
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
    let query = format!(
        "/api/v1/query?query=netwatch_container_receive_bytes_total%7Bcontainer%3D%22{}%22%7D",
        container.name
    );
    until("an answer by name", || {
        let answer = http::get(server.address, &query).ok()?;
        let answer: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
        let value: f64 = answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
        (value >= 2.0 * 98.0).then_some(())
    });
}

struct Prometheus {
    child: std::process::Child,
    address: std::net::SocketAddr,
}

impl Prometheus {
    fn start(folder: &Path, target: &str) -> Self {
        let address = http::free_address();
        let config = folder.join("prometheus.yml");
        let text = format!(
            "scrape_configs:\n- job_name: netwatch\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{target}']\n"
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
