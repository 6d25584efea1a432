//! Agents that are stopped, started again, started twice, or whose socket somebody removes.

use std::{fs, process::Stdio};

use super::{
    alone, arguments, assert_counts_exactly,
    churn::ip,
    observed, send,
    support::{
        agent::{Agent, end_of, netwatch, send as signal},
        counters::of_kernel,
        frames::Sender,
        held,
        http::free_address,
        remains::{expect_nothing_since, remains},
        shell::run,
        veth,
        wait::until,
    },
    until_count, until_said,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn two_agents_on_one_host_count_beside_each_other() {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let first = Agent::start(&arguments(&[]));
        let mut sender = Sender::at(one);
        let second = Agent::start(&arguments(&[]));
        assert_counts_exactly(&first, &mut sender);
        assert_counts_exactly(&second, &mut sender);
        // One more at the same address is refused before it has touched anything.
        let refused = netwatch()
            .args(["run", "--web.listen-address", &first.address.to_string()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("the port is in use; choose another port"), "{said}");
        // And so is one at the same socket.
        let refused = netwatch()
            .args(["run", "--web.listen-address", &free_address().to_string(), "--socket"])
            .arg(first.socket())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("another agent listens there"), "{said}");
        assert!(second.stop(libc::SIGTERM).status.success());
        assert_counts_exactly(&first, &mut sender);
        assert_eq!(first.metrics().count("netwatch_detached_by_others_total", &[]), 0);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn agents_that_are_killed_and_started_again_leave_nothing_and_count_exactly() {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let before = remains();
        let mut sender = Sender::at(one);
        for mode in ["tcx", "clsact"] {
            for end in [libc::SIGKILL, libc::SIGTERM, libc::SIGABRT] {
                let agent = Agent::start(&arguments(&["--attach-mode", mode]));
                assert_counts_exactly(&agent, &mut sender);
                agent.stop(end);
            }
            let agent = Agent::start(&arguments(&["--attach-mode", mode]));
            assert!(agent.stop(libc::SIGTERM).status.success());
            expect_nothing_since(&before);
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_socket_that_somebody_removes_is_made_again() {
    observed(&[], |agent, mut sender| {
        let ask = || {
            let mut command = netwatch();
            command.args(["flows", "-o", "json", "--since", "1h", "--socket"]).arg(agent.socket());
            command.output().unwrap()
        };
        send(&mut sender, 3);
        let told = |text: &[u8]| String::from_utf8_lossy(text).lines().count();
        until("three flows", || (told(&ask().stdout) == 3).then_some(()));
        fs::remove_file(agent.socket()).unwrap();
        assert_eq!(ask().status.code(), Some(1), "no agent answers");
        until("it answers again", || ask().status.success().then_some(()));
        until_said(&agent, "somebody has removed the socket of `netwatch flows`; made it again");
        assert_eq!(told(&ask().stdout), 3, "with all that it had");
        // What somebody else puts there stays, until they take it away.
        fs::remove_file(agent.socket()).unwrap();
        fs::write(agent.socket(), "not yours").unwrap();
        until_said(&agent, "trying to make it again");
        assert_eq!(fs::read(agent.socket()).unwrap(), b"not yours");
        assert_counts_exactly(&agent, &mut sender);
        fs::remove_file(agent.socket()).unwrap();
        until("it answers again", || ask().status.success().then_some(()));
    });
}

/// A machine that was suspended, or a debugger: it goes on with all that the kernel has counted meanwhile.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_agent_that_was_stopped_for_a_while_has_missed_nothing() {
    observed(&[], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        let before = agent.metrics().count("netwatch_packets_seen_total", &[]);
        signal(agent.pid(), libc::SIGSTOP);
        for _ in 0..40 {
            send(&mut sender, 500);
        }
        signal(agent.pid(), libc::SIGCONT);
        // At either end.
        let seen = until_count(&agent, "netwatch_packets_seen_total", before + 40_000);
        assert_eq!(seen, before + 40_000);
        assert_counts_exactly(&agent, &mut sender);
    });
}

/// So many messages about interfaces while it is not heard that the kernel has to drop some.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn messages_about_interfaces_that_were_lost_lead_to_a_new_list() {
    observed(&["--interface", "v*"], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        let base = agent.metrics().count("netwatch_attached_interfaces", &[]);
        signal(agent.pid(), libc::SIGSTOP);
        let mut commands: Vec<String> = Vec::new();
        commands
            .extend((0..40).map(|each| format!("link add v{each} type veth peer name w{each}")));
        // Each of these is a message of two kilobytes.
        let mtu = |mtu| format!("link set v{} mtu {}", mtu % 40, 1_000 + mtu % 400);
        commands.extend((0..4_000).map(mtu));
        commands.extend((0..20).map(|each| format!("link delete v{each}")));
        // An index that was another one's before, under another name.
        commands.push("link add v99 index 7777 type veth peer name w99".into());
        commands.push("link delete v99".into());
        commands.push("link add v98 index 7777 type veth peer name w98".into());
        ip(&commands);
        signal(agent.pid(), libc::SIGCONT);
        until_count(&agent, "netwatch_link_overruns_total", 1);
        until_said(&agent, "the kernel dropped messages about interfaces");
        agent.until_metrics("all are attached to", |metrics| {
            let attached = metrics.count("netwatch_attached_interfaces", &[]);
            (attached == base + 21
                && metrics.has("netwatch_interface_info", &[("interface", "v98")]))
            .then_some(())
        });
        assert_eq!(agent.get("/-/ready").status, 200);
        assert_counts_exactly(&agent, &mut sender);
        let names = of_kernel();
        assert!(names.contains_key("v39") && !names.contains_key("v0"));
    });
}

/// An interface that is replaced while nothing is heard of it, index and all.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_index_that_is_another_ones_after_lost_messages_is_attached_to_anew() {
    observed(&["--interface", "v*"], |agent, mut sender| {
        run("ip", &["link", "add", "v1", "index", "7777", "type", "veth", "peer", "name", "w1"]);
        let is_attached = |name: &str| {
            let labels = [("interface", name)];
            agent.until_metrics(name, |metrics| {
                metrics.has("netwatch_interface_info", &labels).then_some(())
            });
        };
        is_attached("v1");
        signal(agent.pid(), libc::SIGSTOP);
        let mut commands = vec!["link delete v1".to_owned()];
        commands.push("link add v2 index 7777 type veth peer name w2".into());
        commands.extend(["w2", "v2"].map(|end| format!("link set {end} up")));
        commands.extend((0..4_000).map(|mtu| format!("link set two mtu {}", 1_000 + mtu % 400)));
        ip(&commands);
        run("ip", &["link", "set", "two", "mtu", "1500"]);
        signal(agent.pid(), libc::SIGCONT);
        until_count(&agent, "netwatch_link_overruns_total", 1);
        is_attached("v2");
        assert_counts_exactly(&agent, &mut sender);
        assert_counts_exactly(&agent, &mut Sender::at(7777));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_terminal_that_goes_away_ends_it_cleanly() {
    alone(|| {
        veth::pair(["one", "two"], 1_500);
        let before = remains();
        let mut agent = netwatch()
            .args(["run", "--web.listen-address", &free_address().to_string()])
            .args(["--interface", "one"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("it is attached", || (!held::by(agent.id()).links.is_empty()).then_some(()));
        signal(agent.id(), libc::SIGHUP);
        assert_eq!(end_of(&mut agent).code(), Some(0));
        expect_nothing_since(&before);
    });
}
