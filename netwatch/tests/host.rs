//! The real agent on a real Docker engine, real kernel, real Prometheus.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, net::TcpListener, path::Path, process::Command, process::Stdio};

use support::{
    agent::{Agent, netwatch},
    counters::Quiet,
    docker::{BIG, Container, Network, docker, socket, unique},
    events::{end, tally},
    http,
    proxy::Proxy,
    remains::{expect_nothing_since, remains},
    serial::host,
    shell::{output, run},
    wait::until,
};

/// ICMP echo over Ethernet with 56 bytes of data.
const PING_BYTES: u64 = 14 + 20 + 8 + 56;
const QUICK: [&str; 2] = ["--flow-idle-timeout", "2s"];

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn running_containers_are_named_within_five_seconds() {
    let _host = host();
    let name = unique("running");
    let _container = Container::idle(&name, &[]);
    let begin = std::time::Instant::now();
    let agent = Agent::start(&[]);
    agent.until_named(&name);
    assert!(
        agent
            .metrics()
            .has("netwatch_container_info", &[("container", &name), ("network", "bridge")])
    );
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn both_ends_of_a_ping_are_named_and_counted_once() {
    let _host = host();
    let network = Network::create("shop");
    let mysql = Container::idle("mysql01", &[]);
    let centos = Container::idle("centos01", &[]);
    let _other = Container::idle("centos02", &[]);
    let web = Container::idle(&unique("web"), &["--network", &network.name]);
    let cli = Container::idle(&unique("cli"), &["--network", &network.name]);
    let agent = Agent::start(&QUICK);
    for container in [&mysql, &centos, &web, &cli] {
        agent.until_named(&container.name);
    }
    for (from, to, network) in [(&centos, &mysql, "bridge"), (&cli, &web, network.name.as_str())] {
        let (client, server) = (from.address(network), to.address(network));
        from.ping(&server, 3);
        let lines = agent.until_ended("icmp", &client, &server);
        let kinds: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["start", "end"], "one flow");
        for line in &lines {
            assert_eq!(end(line, "client"), (from.name.as_str(), "container"));
            assert_eq!(end(line, "server"), (to.name.as_str(), "container"));
            assert_eq!(line["network"], network);
        }
        assert_eq!(tally(&lines[1], "sent"), (3, 3 * PING_BYTES));
        assert_eq!(tally(&lines[1], "received"), (3, 3 * PING_BYTES));
    }
    let gateway = centos.gateway("bridge");
    centos.ping(&gateway, 2);
    let lines = agent.until_ended("icmp", &centos.address("bridge"), &gateway);
    assert_eq!(end(&lines[1], "server"), ("host", "host"));
    assert_eq!(tally(&lines[1], "sent"), (2, 2 * PING_BYTES));
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn counters_equal_the_kernels_and_every_byte_is_found_again() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let mysql = Container::web(&unique("mysql"), &[]);
    let centos = Container::idle(&unique("centos"), &[]);
    agent.until_named(&mysql.name);
    agent.until_named(&centos.name);
    let before = Quiet::wait_for(&agent);
    let server = mysql.address("bridge");
    centos.exec(&["/bin/wget", "-q", "-O", "/dev/null", &format!("http://{server}/big")]);
    centos.ping(&server, 3);
    centos.ping(&centos.gateway("bridge"), 3);
    let lines = agent.until_ended("tcp", &centos.address("bridge"), &server);
    let ended: Vec<_> = lines.iter().filter(|line| line["event"] == "end").collect();
    assert_eq!((ended.len(), ended[0]["reason"].as_str()), (1, Some("fin")), "one flow");
    let (_, received) = tally(ended[0], "received");
    assert!(received > BIG, "{received}");

    let after = Quiet::wait_for(&agent);
    for (interface, kernel) in &after.kernel {
        let Some(earlier) = before.kernel.get(interface) else { continue };
        let counted = after.netwatch[interface].since(before.netwatch[interface]);
        assert_eq!(counted, kernel.since(*earlier), "{interface}");
    }
    let metrics = &after.metrics;
    for container in [&mysql, &centos] {
        let labels = [("container", container.name.as_str())];
        let interface = agent.until_named(&container.name);
        // The veths came while the agent ran and no packet passed before: all that the kernel ever counted.
        assert_eq!(after.netwatch[&interface], after.kernel[&interface]);
        let veth = [("interface", interface.as_str())];
        for (from, of) in [("receive", "transmit"), ("transmit", "receive")] {
            assert_eq!(
                metrics.sum(&format!("netwatch_container_{from}_bytes_total"), &labels),
                metrics.count(&format!("netwatch_interface_{of}_wire_bytes_total"), &veth),
            );
        }
    }
    let edge =
        [("client", centos.name.as_str()), ("server", mysql.name.as_str()), ("protocol", "tcp")];
    let (_, sent) = tally(ended[0], "sent");
    assert_eq!(metrics.sum("netwatch_edge_bytes_total", &edge), sent + received, "once");
    for unit in ["packet", "byte"] {
        assert_eq!(
            metrics.count(&format!("netwatch_{unit}s_seen_total"), &[]),
            metrics.sum(&format!("netwatch_{unit}_outcomes_total"), &[]),
        );
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn twenty_containers_in_a_row_are_named_from_their_first_packet() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let names: Vec<_> = (0..20).map(|number| unique(&format!("first{number}"))).collect();
    for name in &names {
        // All have the same address, and busybox's ping the same identifier: the veth decides whose packets these are.
        let script =
            "ping -c 1 -W 5 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); sleep 1";
        docker(&[
            "run",
            "--rm",
            "--name",
            name,
            "--label",
            "netwatch.test=0",
            "netwatch-test:latest",
            "/bin/sh",
            "-c",
            script,
        ]);
    }
    until("all are named", || {
        let events = agent.events();
        let is_named = |name: &&String| {
            events.0.iter().any(|event| {
                event["event"] == "end"
                    && event["protocol"] == "icmp"
                    && event["client"]["name"] == name.as_str()
            })
        };
        names.iter().all(|name| is_named(&name)).then_some(())
    });
    let metrics = agent.metrics();
    let count = metrics.count("netwatch_attach_seconds_count", &[]);
    let quick = metrics.count("netwatch_attach_seconds_bucket", &[("le", "0.05")]);
    println!("{quick} of {count} attached within 50 ms");
    assert!(count >= 20 && quick * 2 > count, "{quick} of {count} within 50 ms");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn nothing_is_left_behind() {
    let _host = host();
    let container = Container::idle(&unique("left"), &[]);
    let before = remains();
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let agent = Agent::start(&[]);
        agent.until_named(&container.name);
        container.ping(&container.gateway("bridge"), 1);
        until("the start of the ping", || {
            agent.events().0.iter().any(|event| event["protocol"] == "icmp").then_some(())
        });
        let stopped = agent.stop(signal);
        assert!(stopped.status.success(), "{}\n{}", stopped.status, stopped.stderr);
        assert!(
            stopped.log.ends_with('\n') && stopped.log.contains("\"shutdown\""),
            "{}",
            stopped.log
        );
        expect_nothing_since(&before);
    }
    for mode in ["tcx", "clsact"] {
        let agent = Agent::start(&["--attach-mode", mode]);
        agent.until_named(&container.name);
        agent.stop(libc::SIGKILL);
        if mode == "clsact" {
            assert!(
                remains().iter().any(|word| word.starts_with("filter")),
                "filters outlive a killed agent"
            );
        }
        let agent = Agent::start(&["--attach-mode", mode]);
        agent.until_named(&container.name);
        assert!(agent.stop(libc::SIGTERM).status.success());
        expect_nothing_since(&before);
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn an_engine_may_come_and_go() {
    let _host = host();
    let container = Container::idle(&unique("engine"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    let agent = Agent::start(&["--docker-host", &format!("unix://{}", path.display())]);
    let engine_is = |up: f64| {
        agent.until_metrics("the engine's state", |metrics| {
            (metrics.get("netwatch_engine_up", &[]) == Some(up)).then_some(())
        });
        assert_eq!(agent.get("/-/ready").status, 200);
    };
    engine_is(0.0);
    assert!(!agent.metrics().has("netwatch_interface_info", &[("container", &container.name)]));
    let proxy = Proxy::start(&path, &socket());
    engine_is(1.0);
    agent.until_named(&container.name);
    drop(proxy);
    engine_is(0.0);
    agent.until_named(&container.name);
    let _proxy = Proxy::start(&path, &socket());
    engine_is(1.0);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn bad_input_is_refused_before_anything_is_attached() {
    let _host = host();
    let before = remains();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = http::free_address().to_string();
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--web.listen-address", &taken], 1, &taken),
        (&["--web.listen-address", &free, "--interface", "nwt-none0"], 2, "nwt-none0"),
        (
            &["--web.listen-address", &free, "--flow-log", "/nonexistent/flows.log"],
            1,
            "/nonexistent",
        ),
        (&["--web.listen-address", &free, "--config", "/nonexistent.toml"], 1, "/nonexistent.toml"),
    ];
    for (arguments, code, word) in cases {
        let output = netwatch().arg("run").args(arguments).stdin(Stdio::null()).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
        assert!(complaint.contains(word), "{arguments:?}: {complaint}");
    }
    expect_nothing_since(&before);
    // Without root, and so without capabilities.
    let copy = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let program = copy.path().join("netwatch");
    fs::copy(env!("CARGO_BIN_EXE_netwatch"), &program).unwrap();
    let program = program.to_str().unwrap();
    let drop = [
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        program,
        "run",
        "--web.listen-address",
        &free,
    ];
    let output = output("setpriv", &drop);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert!(
        complaint.contains("CAP_NET_ADMIN") && complaint.contains("hint: run netwatch as root"),
        "{complaint}"
    );
}

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

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_restarted_container_goes_on_under_its_name() {
    let _host = host();
    let container = Container::idle(&unique("again"), &[]);
    let agent = Agent::start(&[]);
    let labels = [("container", container.name.as_str())];
    agent.until_named(&container.name);
    container.ping(&container.gateway("bridge"), 2);
    let before = agent.metrics().sum("netwatch_container_transmit_bytes_total", &labels);
    run("/bin/sh", &["-c", &format!("docker restart -t 0 {} >/dev/null", container.name)]);
    agent.until_named(&container.name);
    container.ping(&container.gateway("bridge"), 2);
    agent.until_metrics("the sum goes on", |metrics| {
        (metrics.sum("netwatch_container_transmit_bytes_total", &labels) >= before + 2 * PING_BYTES)
            .then_some(())
    });
}
