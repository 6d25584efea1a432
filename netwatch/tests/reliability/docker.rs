//! A real engine that is restarted and cleaned up, in a namespace of its own.

use super::{
    PATIENT, assert_books_balance,
    support::{
        agent::Agent,
        counters::Quiet,
        docker::{Container, Network, docker, unique},
        engine::{Engine, with_engine_itself},
        metrics::Metrics,
        serial::host,
    },
};

const OPTIONS: [&str; 1] = ["--userland-proxy=false"];

fn with_agent(body: impl FnOnce(&Agent, &mut Engine) + Send + 'static) {
    let _host = host();
    with_engine_itself(&OPTIONS, |engine| {
        let agent = Agent::start(&[&PATIENT[..], &["--docker-host", &engine.host()]].concat());
        body(&agent, engine);
    });
}

fn attached(metrics: &Metrics) -> u64 {
    metrics.count("netwatch_attached_interfaces", &[])
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_daemon_that_is_restarted_is_followed() {
    with_agent(|agent, engine| {
        let container = Container::idle(&unique("daemon"), &[]);
        agent.until_named(&container.name);
        container.ping(&container.gateway("bridge"), 2);
        for _ in 0..2 {
            engine.restart();
            // It ends its containers, and has not forgotten them.
            docker(&["start", &container.name]);
            agent.until_metrics("the engine answers", |metrics| {
                let up = metrics.get("netwatch_engine_up", &[])?;
                (up.to_bits() == 1f64.to_bits()).then_some(())
            });
            agent.until_named(&container.name);
            assert_eq!(agent.get("/-/ready").status, 200);
            container.ping(&container.gateway("bridge"), 3);
        }
        let quiet = Quiet::wait_for(agent);
        let veth = agent.until_named(&container.name);
        let received = quiet.netwatch[&veth].receive_packets;
        assert!(received >= 3, "{received}");
        assert_books_balance(&quiet.metrics);
        let labels = [("container", container.name.as_str())];
        let sent = quiet.metrics.sum("netwatch_container_transmit_packets_total", &labels);
        assert!(sent >= 2 + 3 + 3, "over all its lives: {sent}");
        assert!(!agent.stderr().contains("cannot attach"), "{}", agent.stderr());
    });
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn pruned_networks_leave_nothing() {
    with_agent(|agent, _| {
        let base = attached(&agent.metrics());
        for round in 0..3 {
            let networks: Vec<Network> =
                (0..3).map(|each| Network::create(&format!("prune-{round}-{each}"))).collect();
            for network in &networks {
                let options = ["--network", network.name.as_str()];
                let container = Container::idle(&unique("pruned"), &options);
                agent.until_named(&container.name);
                container.ping(&container.gateway(&network.name), 1);
            }
            docker(&["network", "prune", "--force"]);
            agent.until_metrics("no network is left", |metrics| {
                let has = |network: &Network| {
                    metrics.has("netwatch_interface_info", &[("network", &network.name)])
                };
                (attached(metrics) == base && !networks.iter().any(has)).then_some(())
            });
        }
        let metrics = Quiet::wait_for(agent).metrics;
        assert_books_balance(&metrics);
        assert_eq!(metrics.count("netwatch_attach_failures_total", &[]), 0);
        assert_eq!(metrics.count("netwatch_detached_by_others_total", &[]), 0);
    });
}
