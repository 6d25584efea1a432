//! Too little of something: descriptors, memory, time on a CPU.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{
    assert_books_balance, assert_counts_exactly, doctor, frame, observed, send,
    support::{
        agent::{Agent, send as signal},
        cgroup::Group,
        held,
        shell::run,
        veth,
        wait::until,
    },
    until_count, until_said,
};

pub(super) fn allow_descriptors(agent: &Agent, count: u64) {
    let pid = Pid::from_raw(i32::try_from(agent.pid()).unwrap());
    let limit = Rlimit { current: Some(count), maximum: Some(65_536) };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

fn descriptors(agent: &Agent) -> u64 {
    held::by(agent.pid()).descriptors as u64
}

/// Two links for each interface: without descriptors it cannot attach. It says so, and goes on trying.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_descriptors_it_is_not_ready_until_there_are_some() {
    observed(&["--interface", "v*"], |agent, mut sender| {
        assert_counts_exactly(&agent, &mut sender);
        let base = until("no scrape goes on", || {
            let count = descriptors(&agent);
            std::thread::sleep(std::time::Duration::from_millis(100));
            (count == descriptors(&agent)).then_some(count)
        });
        // Room for the connection of whoever asks, and for one link: not for two.
        allow_descriptors(&agent, base + 1);
        run("ip", &["link", "add", "v1", "type", "veth", "peer", "name", "w1"]);
        until_said(&agent, "cannot attach; trying again");
        let ready = agent.get("/-/ready");
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("not attached everywhere: v1: "), "{}", ready.body);
        let said = doctor(&agent);
        assert!(said.contains("not attached everywhere: v1"), "{said}");
        assert_counts_exactly(&agent, &mut sender);
        assert!(until_count(&agent, "netwatch_attach_failures_total", 2) >= 2);
        // None at all: not even for who asks.
        allow_descriptors(&agent, base);
        assert!(agent.try_get("/-/ready").is_none());
        until_said(&agent, "cannot accept HTTP connections; trying again");
        allow_descriptors(&agent, 4_096);
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
        for source in 0..20u8 {
            for port in 0..30_000 {
                let mut frame = frame(1_000 + port);
                // The last byte of the source's address.
                frame[29] = source;
                sender.send(&frame);
            }
        }
        until_count(&agent, "netwatch_flows_started_total", 100_000);
        assert_counts_exactly(&agent, &mut sender);
        let metrics = agent.metrics();
        let resident = metrics.count("process_resident_memory_bytes", &[]);
        assert!(resident < ENOUGH, "{resident}");
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
                sender.send(&frame(1_000 + port));
            }
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
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
        for source in 0..10u8 {
            for port in 0..20_000 {
                let mut frame = frame(1_000 + port);
                frame[29] = source;
                sender.send(&frame);
            }
        }
        group.free_cpu();
        let seen = until_count(&agent, "netwatch_packets_seen_total", before + 400_000);
        assert_eq!(seen, before + 400_000);
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
