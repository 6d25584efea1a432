//! Least privilege: what an agent has left, and that all of it works with that.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    QUICK,
    support::{
        agent::{Agent, netwatch_of_nobody},
        docker::{Container, socket, unique},
        proxy::Proxy,
        serial::host,
        user,
    },
};

/// CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF (linux/capability.h).
const THREE: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// A line of a thread's status.
fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("a line of the status").trim().to_owned()
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn no_thread_of_the_agent_has_more_than_three_capabilities() {
    let _host = host();
    let agent = Agent::start(&[]);
    let threads = fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
    let threads: Vec<_> = threads.map(|thread| thread.unwrap().path()).collect();
    assert!(threads.len() > 2, "{threads:?}");
    for thread in threads {
        let status = fs::read_to_string(thread.join("status")).unwrap();
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            let mask = u64::from_str_radix(&field(&status, set), 16).unwrap();
            assert_eq!(mask, THREE, "{set} of {}: {mask:x}", thread.display());
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(u64::from_str_radix(&field(&status, set), 16), Ok(0));
        }
        assert_eq!(field(&status, "NoNewPrivs"), "1");
        assert_eq!(field(&status, "Seccomp"), "2", "{}", thread.display());
    }
    let metrics = agent.metrics();
    for feature in ["landlock", "seccomp", "drops_in_containers"] {
        assert_eq!(metrics.count("netwatch_feature_available", &[("feature", feature)]), 1);
    }
    assert!(agent.stderr().contains("CAP_NET_ADMIN"), "{}", agent.stderr());
}

/// What docs/security.md says that a filtered proxy has to let through.
fn allowed() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md");
    let page = fs::read_to_string(page).unwrap();
    let allowed: Vec<String> =
        page.lines().filter(|line| line.starts_with("GET /")).map(str::to_owned).collect();
    assert!(allowed.len() > 4, "{allowed:?}");
    allowed
}

/// A request without version, identifiers and what is asked in detail.
fn kind(request: &str) -> String {
    let path = request.split(['?', ' ']).nth(1).unwrap_or_default();
    let mut parts: Vec<&str> = path.split('/').skip(1).collect();
    if parts.first().is_some_and(|first| first.starts_with("v1.")) {
        parts.remove(0);
    }
    if let [first, second, ..] = parts[..]
        && (first == "networks" || second != "json")
        && ["containers", "networks"].contains(&first)
    {
        parts[1] = "ID";
    }
    let method = request.split(' ').next().unwrap_or_default();
    format!("{method} /{}", parts.join("/"))
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn nobody_with_three_capabilities_observes_and_asks_the_engine_for_little() {
    let _host = host();
    let folder = user::folder();
    let path = folder.path().join("engine.sock");
    let proxy = Proxy::start(&path, &socket());
    let server = Container::web(&unique("theirs"), &[]);

    let engine = format!("unix://{}", path.display());
    let arguments = [&["--docker-host", &engine], &QUICK[..]].concat();
    let agent = Agent::start_by(&mut netwatch_of_nobody(), &arguments);
    let client = Container::idle(&unique("ours"), &[]);
    agent.until_named(&client.name);
    let address = server.address("bridge");
    client.exec(&["wget", "-q", "-O", "/dev/null", &format!("http://{address}/small")]);
    agent.until_event("the flow by its names", |event| {
        event["event"] == "end"
            && event["client"]["name"] == *client.name
            && event["server"]["name"] == *server.name
    });
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    assert!(field(&status, "Uid").starts_with("65534"), "{status}");
    assert_eq!(u64::from_str_radix(&field(&status, "CapEff"), 16), Ok(THREE));
    // One thing takes more, and says so: the engine's folder of network namespaces is root's.
    agent.until_metrics("what is lacking", |metrics| {
        let mut all = metrics.find("netwatch_feature_available", &[]);
        let lacking = all.find(|series| series.labels["feature"] == "drops_in_containers")?;
        (lacking.value == 0.0 && lacking.labels["lacking"].contains("ermission")).then_some(())
    });
    let stopped = agent.stop(libc::SIGTERM);
    assert!(stopped.status.success(), "{}", stopped.stderr);

    let asked: BTreeSet<String> = proxy.requests().iter().map(|request| kind(request)).collect();
    let allowed = allowed();
    assert!(asked.contains("GET /containers/json") && asked.contains("GET /events"), "{asked:?}");
    for request in asked {
        assert!(allowed.contains(&request), "{request} is not in docs/security.md");
    }
}
