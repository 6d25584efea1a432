//! More interfaces than there are series for: what is folded is counted, and the largest get their own.

use std::collections::BTreeMap;

use super::{
    alone,
    support::{
        agent::Agent,
        counters::of_kernel,
        frames::{Sender, datagram},
        metrics::Metrics,
        shell::run,
        veth, wait,
    },
};

/// The fewest series that can be asked for have room for seven of these.
const INTERFACES: u16 = 12;
const NAMED: usize = 7;
const SENT: &str = "netwatch_interface_transmit_packets_total";

/// What each interface shows.
fn shown(metrics: &Metrics) -> BTreeMap<String, u64> {
    let names = metrics.find(SENT, &[]).map(|series| series.labels["interface"].clone());
    names.map(|name| (name.clone(), metrics.count(SENT, &[("interface", &name)]))).collect()
}

/// When all that the kernel has counted is shown.
fn settled(agent: &Agent, before: u64) -> Metrics {
    let sent = || -> u64 {
        let all = of_kernel().into_iter().filter(|(name, _)| name.starts_with("one"));
        all.map(|(_, counters)| counters.transmit_packets).sum()
    };
    wait::until("all is counted", || {
        let metrics = agent.metrics();
        (metrics.sum(SENT, &[]) == before + sent()).then_some(metrics)
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn folded_interfaces_lose_nothing_and_the_largest_has_its_own_series() {
    alone(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let names: Vec<_> = (0..INTERFACES).map(|number| format!("one{number}")).collect();
        let mut senders: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| Sender::at(veth::pair([name, &format!("two{number}")], 1_500)[0]))
            .collect();
        let agent = Agent::start(&["--interface", "one*", "--metrics.max-series", "1000"]);
        for (number, sender) in (0..).zip(&mut senders) {
            for port in 0..10 + number {
                sender.send(&datagram(1_000 + port));
            }
        }
        let metrics = settled(&agent, 0);
        let first = shown(&metrics);
        assert_eq!(first.len(), NAMED + 1, "{first:?}");
        let of_interfaces = [("kind", "interface")];
        let folded = metrics.count("netwatch_names_folded", &of_interfaces);
        assert_eq!(folded, u64::from(INTERFACES) - NAMED as u64);
        assert!(first["other"] >= 10 * folded, "{first:?}");

        let large = names.iter().position(|name| !first.contains_key(name)).expect("one is folded");
        let first_own = wait::until("the largest has its own", || {
            senders[large].send(&datagram(9));
            let shown = shown(&agent.metrics());
            shown.contains_key(&names[large]).then_some(shown)
        });
        for _ in 0..100 {
            senders[large].send(&datagram(9));
        }
        let last = shown(&settled(&agent, 0));
        assert!(last[&names[large]] >= first_own[&names[large]] + 100);
        assert_eq!(last.len(), NAMED + 1, "in the place of another one");
        assert!(last["other"] > first["other"]);
        for (name, before) in &first {
            assert!(last.get(name).is_none_or(|now| now >= before), "{name} of {last:?}");
        }

        // What is folded does not go with its interface.
        let gone = names.iter().find(|name| !last.contains_key(*name)).expect("one is folded");
        let had = of_kernel()[gone].transmit_packets;
        run("ip", &["link", "delete", gone]);
        let metrics = settled(&agent, had);
        assert_eq!(metrics.count("netwatch_names_folded", &of_interfaces), folded - 1);
        assert!(metrics.series.len() <= 1_000, "{}", metrics.series.len());
    });
}
