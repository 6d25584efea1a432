//! Others on the same host: tools that detach our programs or flush qdiscs, a kernel that refuses one of them.

use super::{
    alone, arguments, assert_counts_exactly, doctor, observed, send,
    support::{
        agent::{Agent, netwatch, send as signal},
        frames::Sender,
        held, seccomp,
        shell::run,
        stranger::Stranger,
        veth,
    },
    until_count, until_said,
};

const DETACHED: &str = "netwatch_detached_by_others_total";
const GAP: &str = "netwatch_attach_gap_packets_total";

#[test]
#[ignore = "needs root: cargo xtask test"]
fn programs_that_another_tool_detaches_are_attached_again() {
    observed(&["--attach-mode", "tcx"], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        let links = held::by(agent.pid()).links;
        assert_eq!(links.len(), 4, "two interfaces, two hooks each");
        // While it sleeps, so that what passes unseen is known to the packet.
        signal(agent.pid(), libc::SIGSTOP);
        for link in links {
            run("bpftool", &["link", "detach", "id", &link.to_string()]);
        }
        send(&mut sender, 300);
        signal(agent.pid(), libc::SIGCONT);
        assert_eq!(until_count(&agent, DETACHED, 2), 2);
        until_said(&agent, "somebody else has detached netwatch here; attached again");
        // Sent at one end, received at the other.
        assert_eq!(agent.metrics().count(GAP, &[]), 600);
        assert_eq!(agent.get("/-/ready").status, 200);
        assert!(
            doctor(&agent).contains("2 times that somebody else detached"),
            "{}",
            doctor(&agent)
        );
        assert_counts_exactly(&agent, &mut sender);
        assert_eq!(agent.metrics().count(DETACHED, &[]), 2);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_flushed_qdisc_is_made_again_and_a_filter_in_our_place_is_left_alone() {
    observed(&["--attach-mode", "clsact"], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        run("tc", &["qdisc", "delete", "dev", "one", "clsact"]);
        run("tc", &["qdisc", "add", "dev", "one", "clsact"]);
        // With the priority that the kernel gives to the first one.
        let theirs = ["filter", "add", "dev", "one", "egress", "pref", "49152"];
        run("tc", &[&theirs[..], &["bpf", "bytecode", "1,6 0 0 0"]].concat());
        assert_eq!(until_count(&agent, DETACHED, 1), 1);
        until_said(&agent, "somebody else has detached netwatch here; attached again");
        assert_counts_exactly(&agent, &mut sender);
        assert!(agent.stop(libc::SIGTERM).status.success());
        let left = run("tc", &["filter", "show", "dev", "one", "egress"]);
        assert!(left.contains("pref 49152 bpf") && !left.contains("netwatch"), "{left}");
        let left = run("tc", &["qdisc", "show", "dev", "two"]);
        assert!(!left.contains("clsact"), "{left}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_program_of_somebody_elses_that_comes_and_goes_changes_nothing() {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let agent = Agent::start(&arguments(&[]));
        let mut sender = Sender::at(one);
        let stranger = Stranger::before_all("stranger", one);
        assert_counts_exactly(&agent, &mut sender);
        drop(stranger);
        assert_counts_exactly(&agent, &mut sender);
        assert_eq!(agent.metrics().count(DETACHED, &[]), 0);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_program_that_the_kernel_refuses_is_gone_without() {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let mut command = netwatch();
        seccomp::without_raw_tracepoints(&mut command);
        let agent = Agent::start_by(&mut command, &arguments(&[]));
        until_said(&agent, "goes on without");
        let metrics = agent.metrics();
        for feature in ["drops", "drop_reasons"] {
            let labels = [("feature", feature)];
            let lacking = metrics.find("netwatch_feature_available", &labels).next().unwrap();
            assert_eq!(lacking.value.to_bits(), 0f64.to_bits());
            assert!(lacking.labels["lacking"].contains("kfree_skb"), "{lacking:?}");
        }
        assert_eq!(agent.get("/-/ready").status, 200);
        assert_counts_exactly(&agent, &mut Sender::at(one));
        drop(agent);
        // It heals by a start on a kernel that takes the program.
        let agent = Agent::start(&arguments(&[]));
        let value = agent.metrics().value("netwatch_feature_available", &[("feature", "drops")]);
        assert_eq!(value.to_bits(), 1f64.to_bits());
    });
}
