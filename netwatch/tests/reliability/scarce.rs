//! Too little of something: descriptors, memory, time on a CPU.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use super::{
    assert_books_balance, assert_counts_exactly, datagram, doctor, observed, send,
    support::{
        agent::{Agent, send as signal},
        cgroup::Group,
        shell::run,
        user::by_user,
        veth,
        wait::until,
    },
    until_count, until_said,
};

/// Leaves room for so many more. The limit is on their numbers, and some lower ones are free.
pub(super) fn leave_descriptors(agent: &Agent, room: usize) {
    let used = until("no connection goes on", || {
        let used = descriptors(agent);
        thread::sleep(Duration::from_millis(200));
        (used == descriptors(agent)).then_some(used)
    });
    let free = (0..).filter(|number| !used.contains(number));
    limit_descriptors(agent, free.take(room + 1).last().unwrap());
}

fn descriptors(agent: &Agent) -> BTreeSet<u64> {
    let all = fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap();
    all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).collect()
}

/// Takes the limit away again.
pub(super) fn free_descriptors(agent: &Agent) {
    limit_descriptors(agent, 4_096);
}

fn limit_descriptors(agent: &Agent, limit: u64) {
    // The lower one, which is its user's to set.
    let mut command = by_user("prlimit");
    command.arg(format!("--pid={}", agent.pid())).arg(format!("--nofile={limit}:"));
    assert!(command.status().unwrap().success());
}

/// Two links for each interface: without descriptors it cannot attach. It says so, and goes on trying.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_descriptors_it_is_not_ready_until_there_are_some() {
    observed(&["--interface", "v*"], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        // Room for the connection of whoever asks, and for one link: not for two.
        leave_descriptors(&agent, 1);
        run("ip", &["link", "add", "v1", "type", "veth", "peer", "name", "w1"]);
        until_said(&agent, "cannot attach; trying again");
        let ready = agent.get("/-/ready");
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("not attached everywhere: v1: "), "{}", ready.body);
        assert!(ready.body.contains("file descriptors"), "{}", ready.body);
        let said = doctor(&agent);
        assert!(said.contains("not attached everywhere: v1"), "{said}");
        assert_counts_exactly(&agent, &mut sender);
        assert!(until_count(&agent, "netwatch_attach_failures_total", 2) >= 2);
        // None at all: not even for who asks.
        leave_descriptors(&agent, 0);
        // Whoever comes is not answered, but for one who finds the descriptor of a connection that has just ended.
        drop(agent.try_get("/-/ready").or_else(|| agent.try_get("/-/ready")));
        until_said(&agent, "cannot accept HTTP connections; trying again");
        free_descriptors(&agent);
        until("it is ready", || (agent.get("/-/ready").status == 200).then_some(()));
        let v1 = veth::index("v1");
        for name in ["w1", "v1"] {
            run("ip", &["link", "set", name, "up"]);
        }
        assert_counts_exactly(&agent, &mut super::Sender::at(v1));
        let said = agent.stderr();
        assert_eq!(said.matches("cannot attach").count(), 1, "{said}");
        assert_eq!(said.matches("cannot accept HTTP").count(), 1, "{said}");
    });
}

/// What the units of docs/ ask for is enough for a flood of flows.
const ENOUGH: u64 = 256 << 20;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_flood_of_flows_stays_within_its_memory() {
    observed(&[], |agent, mut sender| {
        let group = Group::new("memory");
        group.limit_memory(ENOUGH);
        group.add(agent.pid());
        let before = agent.metrics().count("netwatch_packets_seen_total", &[]);
        for source in 0..5u8 {
            for port in 0..20_000 {
                let mut frame = datagram(1_000 + port);
                // The last byte of the source's address.
                frame[29] = source;
                sender.send(&frame);
            }
        }
        until_count(&agent, "netwatch_packets_seen_total", before + 200_000);
        assert_counts_exactly(&agent, &mut sender);
        let metrics = agent.metrics();
        let resident = metrics.count("process_resident_memory_bytes", &[]);
        assert!(resident < ENOUGH, "{resident}");
        assert!(metrics.count("netwatch_flows_started_total", &[]) >= 50_000);
        assert_books_balance(&metrics);
    });
}

/// The kernel ends it then. Nothing of it is left, and the next one counts.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_memory_the_kernel_ends_it_and_the_next_one_goes_on() {
    observed(&[], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        let group = Group::new("memory");
        group.add(agent.pid());
        // Less than what its history takes up with these flows.
        group.limit_memory(group.memory() + (8 << 20));
        let pid = agent.pid();
        until("the kernel ends it", || {
            for port in 0..20_000 {
                sender.send(&datagram(1_000 + port));
            }
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            state.rsplit_once(") ")?.1.starts_with('Z').then_some(())
        });
        assert!(group.times_at_limit() > 0);
        let stopped = agent.stop(libc::SIGTERM);
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&stopped.status),
            Some(libc::SIGKILL)
        );
        let agent = Agent::start(&super::arguments(&[]));
        assert_counts_exactly(&agent, &mut sender);
    });
}

/// Two thousandths of a CPU for a second of flood: whatever it could not take is in the ledger, and nothing else.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn starved_of_cpu_it_accounts_for_every_packet() {
    observed(&["--max-flows", "4096"], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        let group = Group::new("cpu");
        group.limit_cpu(10);
        group.add(agent.pid());
        let before = agent.metrics().count("netwatch_packets_seen_total", &[]);
        for source in 0..4u8 {
            for port in 0..20_000 {
                let mut frame = datagram(1_000 + port);
                frame[29] = source;
                sender.send(&frame);
            }
        }
        group.free_cpu();
        let seen = until_count(&agent, "netwatch_packets_seen_total", before + 160_000);
        assert_eq!(seen, before + 160_000);
        let metrics = agent.metrics();
        assert_books_balance(&metrics);
        let lost: u64 = ["flow-table-full", "flow-limit"]
            .iter()
            .map(|outcome| metrics.count("netwatch_packet_outcomes_total", &[("outcome", outcome)]))
            .sum();
        assert!(lost > 0, "it was not starved");
        assert!(doctor(&agent).contains("packets in no flow"), "{}", doctor(&agent));
        until("the flow log tells of it", || {
            agent.events().0.iter().any(|line| line["event"] == "lost").then_some(())
        });
        send(&mut sender, 10);
        assert_counts_exactly(&agent, &mut sender);
        signal(agent.pid(), libc::SIGTERM);
    });
}
