//! What is refused before anything is attached.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Stdio},
};

use super::support::{
    agent::{Agent, netwatch},
    docker::{Container, unique},
    http,
    remains::{expect_nothing_since, remains},
    seccomp::without_bpf,
    serial::host,
    shell::output,
};

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
}

/// A copy of the program that every user may run.
pub(super) struct Copy {
    pub(super) folder: tempfile::TempDir,
}

impl Copy {
    pub(super) fn make() -> Self {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(mode).tempdir().unwrap();
        fs::copy(env!("CARGO_BIN_EXE_netwatch"), folder.path().join("netwatch")).unwrap();
        Self { folder }
    }

    /// What it says when it runs with less than all rights.
    fn refused(&self, restrictions: &[&str]) -> String {
        let free = http::free_address().to_string();
        let program = self.folder.path().join("netwatch");
        let command = [program.to_str().unwrap(), "run", "--web.listen-address", &free];
        let output = output("setpriv", &[restrictions, &command].concat());
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{restrictions:?}: {complaint}");
        complaint
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn each_missing_capability_is_named() {
    let _host = host();
    let before = remains();
    let copy = Copy::make();
    let hint = "hint: run netwatch as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
    for (restrictions, missing) in [
        (
            &["--reuid", "65534", "--regid", "65534", "--clear-groups"] as &[&str],
            "CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON are missing",
        ),
        (&["--bounding-set", "-net_admin"], "CAP_NET_ADMIN is missing"),
        (&["--bounding-set", "-bpf,-sys_admin"], "CAP_BPF is missing"),
        (&["--bounding-set", "-perfmon,-sys_admin"], "CAP_PERFMON is missing"),
    ] {
        let complaint = copy.refused(restrictions);
        assert!(complaint.contains(missing) && complaint.contains(hint), "{complaint}");
    }
    expect_nothing_since(&before);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn three_capabilities_are_enough() {
    let _host = host();
    let container = Container::idle(&unique("rights"), &[]);
    let copy = Copy::make();
    let program = copy.folder.path().join("netwatch");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-all,+bpf,+net_admin,+perfmon"]).arg(program);
    command.env("NETWATCH_EPHEMERAL", "true");
    let agent = Agent::start_by(&mut command, &[]);
    agent.until_named(&container.name);
    for feature in ["drops", "drops_in_containers"] {
        assert_eq!(agent.metrics().count("netwatch_feature_available", &[("feature", feature)]), 1);
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_kernel_without_bpf_is_said_to_be_one() {
    let _host = host();
    let mut command = netwatch();
    command.args(["run", "--web.listen-address", &http::free_address().to_string()]);
    without_bpf(&mut command);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert!(
        complaint.contains("this kernel has no BPF") && complaint.contains("hint: use a kernel of"),
        "{complaint}"
    );
}
