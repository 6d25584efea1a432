//! The same with the real agent: what it tells of itself adds up, at every moment and in the end.

use std::thread;

use super::{
    PORTS, alone, send,
    support::{
        agent::Agent, counters::Quiet, cpu, frames::Sender, metrics::Metrics, shell::run, veth,
    },
};

/// Of each of two senders.
const FLOWS: u32 = 5 * PORTS;

/// Packets that were seen, and those that are accounted for.
fn books(metrics: &Metrics, unit: &str) -> (u64, u64) {
    (
        metrics.count(&format!("netwatch_{unit}s_seen_total"), &[]),
        metrics.sum(&format!("netwatch_{unit}_outcomes_total"), &[]),
    )
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_agents_books_balance_in_a_flood() {
    alone(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let agent = Agent::start(&["--interface", "one", "--interface", "two"]);
        let mut first = 0;
        let senders = cpu::two().map(|cpu| {
            let flows = first..first + FLOWS;
            first += FLOWS;
            thread::spawn(move || {
                cpu::stay_on(cpu);
                send(&mut Sender::at(one), flows);
            })
        });
        while senders.iter().any(|sender| !sender.is_finished()) {
            let metrics = agent.metrics();
            for unit in ["packet", "byte"] {
                let (seen, accounted) = books(&metrics, unit);
                assert!(accounted <= seen, "{accounted} {unit}s of {seen}");
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        let quiet = Quiet::wait_for(&agent);
        assert_eq!(quiet.netwatch, quiet.kernel);
        assert_eq!(quiet.netwatch["one"].transmit_packets, u64::from(2 * FLOWS));
        for unit in ["packet", "byte"] {
            let (seen, accounted) = books(&quiet.metrics, unit);
            assert_eq!(seen, accounted, "{unit}s");
        }
    });
}
