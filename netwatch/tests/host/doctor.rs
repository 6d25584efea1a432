//! `netwatch doctor` beside a real agent, with filters of others, and with less than all rights.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{
    refusals::Copy,
    support::{
        agent::{Agent, netwatch, netwatch_of_root},
        docker::{Container, socket, unique},
        http,
        remains::{expect_nothing_since, remains},
        seccomp::without_bpf,
        serial::host,
        shell::run,
        stranger::Stranger,
        user::Root,
        wait::until,
    },
};

/// What it found, with the check's name as key.
struct Found(Value);

impl Found {
    fn by(command: &mut Command) -> Self {
        Self::of(&command.stdin(Stdio::null()).output().unwrap())
    }

    fn of(output: &Output) -> Self {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout).expect(&complaint);
        let code = match report["verdict"].as_str().unwrap() {
            "ok" => 0,
            "degraded" => 4,
            _ => 3,
        };
        assert_eq!(output.status.code(), Some(code), "{complaint}");
        Self(report)
    }

    fn check(&self, name: &str) -> &Value {
        let checks = self.0["checks"].as_array().unwrap();
        checks.iter().find(|finding| finding["check"] == name).unwrap()
    }

    fn result(&self, name: &str) -> &str {
        self.check(name)["result"].as_str().unwrap()
    }

    fn message(&self, name: &str) -> &str {
        self.check(name)["message"].as_str().unwrap()
    }

    fn details(&self, name: &str) -> Vec<&str> {
        self.check(name)["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap())
            .collect()
    }
}

/// Asks about an agent, and about one of its interfaces only: others come and go on this host.
fn beside(agent: &Agent, interface: &str) -> Command {
    let mut command = netwatch_of_root(Root::Asks);
    command.args(["doctor", "-o", "json", "--interface", interface, "--socket"]);
    command.arg(agent.socket()).args(["--web.listen-address", &agent.address.to_string()]);
    command
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn doctor_finds_a_running_agent_and_all_well() {
    let _host = host();
    let container = Container::idle(&unique("well"), &[]);
    let before = remains();
    let agent = Agent::start(&[]);
    let veth = agent.until_named(&container.name);
    let found = Found::by(&mut beside(&agent, &veth));
    for (check, result) in [
        ("kernel", "supported"),
        ("btf", "present"),
        ("capabilities", "complete"),
        ("load", "loads"),
        ("engine", "up"),
        ("interfaces", "attached"),
        ("agent", "running"),
        ("losses", "none"),
        ("http", "netwatch"),
    ] {
        assert_eq!(found.result(check), result, "{:#}", found.check(check));
    }
    assert!(found.message("engine").contains(&format!("at unix://{}", socket())));
    assert!(found.message("interfaces").ends_with(&format!("attached to 1: {veth}")));
    assert!(found.details("interfaces").iter().any(|line| line.contains("because of --interface")));
    // It has left the agent its programs, and the kernel none of its own.
    assert_eq!(
        agent.metrics().get("netwatch_feature_available", &[("feature", "drops")]),
        Some(1.0)
    );
    drop(agent);
    expect_nothing_since(&before);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn doctor_finds_an_interface_that_no_agent_is_attached_to() {
    let _host = host();
    let container = Container::idle(&unique("apart"), &[]);
    let agent = Agent::start(&[]);
    let veth = agent.until_named(&container.name);
    let apart = Agent::start(&["--interface", "nwt-none*"]);
    drop(agent);
    let found = until("the programs are gone", || {
        let found = Found::by(&mut beside(&apart, &veth));
        (found.result("interfaces") != "attached").then_some(found)
    });
    assert_eq!(found.result("interfaces"), "missing");
    assert!(found.message("interfaces").ends_with(&format!("not attached to 1: {veth}")));
    assert_eq!(found.result("agent"), "running");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn doctor_names_filters_of_others_and_their_place() {
    let _host = host();
    for (mode, expected, place) in
        [("auto", &["first", "clsact"] as &[&str], "behind"), ("clsact", &["behind"], "before")]
    {
        // Its veth takes the filter with it.
        let container = Container::idle(&unique("filters"), &[]);
        let agent = Agent::start(&["--attach-mode", mode]);
        let veth = agent.until_named(&container.name);
        if mode == "auto" {
            run("tc", &["qdisc", "add", "dev", &veth, "clsact"]);
        }
        let filter = ["filter", "add", "dev", &veth, "ingress", "pref", "1", "protocol", "all"];
        run(
            "tc",
            &[&filter as &[&str], &["u32", "match", "u32", "0", "0", "flowid", "1:1"]].concat(),
        );
        let found = Found::by(beside(&agent, &veth).args(["--attach-mode", mode]));
        assert!(expected.contains(&found.result("tc")), "{:#}", found.check("tc"));
        let line = format!("{veth} ingress: u32 by clsact, {place} netwatch");
        assert_eq!(found.details("tc"), [line]);
        drop(agent);
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn doctor_names_a_program_that_runs_before_ours() {
    let _host = host();
    let container = Container::idle(&unique("stranger"), &[]);
    let agent = Agent::start(&[]);
    let veth = agent.until_named(&container.name);
    let index = std::fs::read_to_string(format!("/sys/class/net/{veth}/ifindex")).unwrap();
    let index = index.trim().parse().unwrap();
    let look = || Found::by(&mut beside(&agent, &veth));
    if look().result("tc") != "first" {
        return; // A kernel without TCX, where the test of filters says it all.
    }
    let stranger = Stranger::before_all("nwt_stranger", index);
    let found = look();
    assert_eq!(found.result("tc"), "behind");
    assert_eq!(found.message("tc"), "TCX; a program runs before netwatch's");
    let details = found.details("tc");
    assert_eq!(details.len(), 1, "{details:?}");
    let id = details[0].strip_prefix(&format!("{veth} ingress: nwt_stranger (program "));
    let id = id.and_then(|rest| rest.strip_suffix(") by tcx, before netwatch")).unwrap();
    let shown = run("bpftool", &["prog", "show", "id", id]);
    assert!(shown.contains("name nwt_stranger"), "{shown}");
    drop(stranger);
    assert_eq!(look().result("tc"), "first");
}

/// Runs a copy of the program, which every user may, with less than all rights.
fn restricted(copy: &Copy, restrictions: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(restrictions).arg(copy.folder.path().join("netwatch"));
    command.args(["doctor", "-o", "json", "--socket", "none"]);
    command.args(["--web.listen-address", &http::free_address().to_string()]);
    command
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn doctor_tells_who_may_nothing_what_to_do() {
    let _host = host();
    let before = remains();
    let copy = Copy::make();
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let output = restricted(&copy, &nobody).stdin(Stdio::null()).output().unwrap();
    let found = Found::of(&output);
    assert_eq!(output.status.code(), Some(3));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.starts_with("netwatch: failed: capabilities, load; degraded: "),
        "{complaint}"
    );
    let refusal = "not permitted: CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON are missing";
    for check in ["capabilities", "load"] {
        assert_eq!(found.message(check), refusal);
        let remedy = found.check(check)["remedy"].as_str().unwrap();
        assert!(remedy.starts_with("run netwatch as root, or give it CAP_BPF, "), "{remedy}");
    }
    // What `netwatch run` says, to the letter.
    let mut run = Command::new("setpriv");
    run.args(nobody).arg(copy.folder.path().join("netwatch"));
    run.args(["run", "--web.listen-address", &http::free_address().to_string()]);
    let said = run.stdin(Stdio::null()).output().unwrap();
    let remedy = found.check("load")["remedy"].as_str().unwrap();
    let expected = format!("netwatch: {refusal}\nhint: {remedy}\n");
    assert_eq!(String::from_utf8_lossy(&said.stderr), expected);
    assert_eq!(found.result("engine"), "not-permitted");
    assert_eq!(found.result("tc"), "unknown");
    expect_nothing_since(&before);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn doctor_is_content_with_three_capabilities() {
    let _host = host();
    let copy = Copy::make();
    let three = ["--bounding-set", "-all,+bpf,+net_admin,+perfmon"];
    let found = Found::by(&mut restricted(&copy, &three));
    assert_eq!(found.result("capabilities"), "complete");
    assert_eq!(found.result("load"), "loads");
    assert_eq!(found.0["verdict"], "degraded");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn doctor_says_that_a_kernel_has_no_bpf() {
    let _host = host();
    let mut command = netwatch();
    command.args(["doctor", "-o", "json", "--web.listen-address"]);
    command.arg(http::free_address().to_string());
    without_bpf(&mut command);
    let found = Found::by(&mut command);
    assert_eq!(found.result("load"), "refused");
    assert_eq!(found.message("load"), "this kernel has no BPF (the bpf system call)");
    assert_eq!(found.result("tc"), "unknown");
}
