//! Interfaces that change while they are observed.

use super::{
    PING_BYTES, QUICK,
    support::{
        agent::Agent,
        counters::Quiet,
        docker::{Container, Network, docker, unique},
        events::end,
        serial::host,
        shell::run,
    },
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_renamed_interface_is_counted_on() {
    let _host = host();
    let agent = Agent::start(&[]);
    let container = Container::idle(&unique("renamed"), &[]);
    let veth = agent.until_named(&container.name);
    container.ping(&container.gateway("bridge"), 2);
    // An interface has to be down for that on some kernels.
    for arguments in [
        &["link", "set", &veth, "down"] as &[&str],
        &["link", "set", &veth, "name", "nwt-renamed0"],
        &["link", "set", "nwt-renamed0", "up"],
    ] {
        run("ip", arguments);
    }
    agent.until_metrics("the new name", |metrics| {
        let labels = [("interface", "nwt-renamed0"), ("container", container.name.as_str())];
        let old = [("interface", veth.as_str())];
        (metrics.has("netwatch_interface_info", &labels)
            && !metrics.has("netwatch_interface_receive_packets_total", &old))
        .then_some(())
    });
    container.ping(&container.gateway("bridge"), 2);
    let quiet = Quiet::wait_for(&agent);
    // Attached before its first packet, so all that the kernel ever counted, before and after.
    assert_eq!(quiet.netwatch["nwt-renamed0"], quiet.kernel["nwt-renamed0"]);
    assert!(quiet.kernel["nwt-renamed0"].receive_bytes >= 4 * PING_BYTES);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_container_may_join_and_leave_networks() {
    let _host = host();
    let network = Network::create("joined");
    let web = Container::idle(&unique("there"), &["--network", &network.name]);
    let cli = Container::idle(&unique("joins"), &[]);
    let agent = Agent::start(&QUICK);
    agent.until_named(&web.name);
    agent.until_named(&cli.name);
    let labels = [("container", cli.name.as_str()), ("network", network.name.as_str())];
    let sent = "netwatch_container_transmit_bytes_total";
    assert!(!agent.metrics().has(sent, &labels));

    docker(&["network", "connect", &network.name, &cli.name]);
    agent.until_metrics("its second interface", |metrics| {
        metrics.has("netwatch_container_info", &labels).then_some(())
    });
    let (client, server) = (cli.address(&network.name), web.address(&network.name));
    cli.ping(&server, 2);
    let lines = agent.until_ended("icmp", &client, &server);
    let ended = lines.last().unwrap();
    assert_eq!(end(ended, "client"), (cli.name.as_str(), "container"));
    assert_eq!(end(ended, "server"), (web.name.as_str(), "container"));
    assert_eq!(ended["network"], network.name);
    let counted = agent.metrics().sum(sent, &labels);
    assert!(counted >= 2 * PING_BYTES, "{counted}");

    docker(&["network", "disconnect", &network.name, &cli.name]);
    agent.until_metrics("only its first interface", |metrics| {
        let of_cli = metrics.find("netwatch_interface_info", &labels[..1]);
        (of_cli.count() == 1).then_some(())
    });
    // What it sent there stays counted; the address is nobody's now.
    assert!(agent.metrics().sum(sent, &labels) >= counted);
    cli.ping(&cli.gateway("bridge"), 1);
}
