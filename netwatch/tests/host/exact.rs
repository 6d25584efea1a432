//! Counters against the kernel's own.

use super::{
    QUICK,
    support::{
        agent::Agent,
        counters::Quiet,
        docker::{BIG, Container, unique},
        events::tally,
        serial::host,
    },
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn counters_equal_the_kernels_and_every_byte_is_found_again() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let mysql = Container::web(&unique("mysql"), &[]);
    let centos = Container::idle(&unique("centos"), &[]);
    agent.until_named(&mysql.name);
    agent.until_named(&centos.name);
    let before = Quiet::wait_for(&agent);
    let server = mysql.address("bridge");
    centos.exec(&["/bin/wget", "-q", "-O", "/dev/null", &format!("http://{server}/big")]);
    centos.ping(&server, 3);
    centos.ping(&centos.gateway("bridge"), 3);
    let lines = agent.until_ended("tcp", &centos.address("bridge"), &server);
    let ended: Vec<_> = lines.iter().filter(|line| line["event"] == "end").collect();
    assert_eq!((ended.len(), ended[0]["reason"].as_str()), (1, Some("fin")), "one flow");
    let (_, received) = tally(ended[0], "received");
    assert!(received > BIG, "{received}");

    let after = Quiet::wait_for(&agent);
    for (interface, kernel) in &after.kernel {
        let Some(earlier) = before.kernel.get(interface) else { continue };
        let counted = after.netwatch[interface].since(before.netwatch[interface]);
        assert_eq!(counted, kernel.since(*earlier), "{interface}");
    }
    let metrics = &after.metrics;
    for container in [&mysql, &centos] {
        let labels = [("container", container.name.as_str())];
        let interface = agent.until_named(&container.name);
        // The veths came while the agent ran and no packet passed before: all that the kernel ever counted.
        assert_eq!(after.netwatch[&interface], after.kernel[&interface]);
        let veth = [("interface", interface.as_str())];
        for (from, of) in [("receive", "transmit"), ("transmit", "receive")] {
            assert_eq!(
                metrics.sum(&format!("netwatch_container_{from}_bytes_total"), &labels),
                metrics.count(&format!("netwatch_interface_{of}_wire_bytes_total"), &veth),
            );
        }
    }
    let edge =
        [("client", centos.name.as_str()), ("server", mysql.name.as_str()), ("protocol", "tcp")];
    let (_, sent) = tally(ended[0], "sent");
    assert_eq!(metrics.sum("netwatch_edge_bytes_total", &edge), sent + received, "once");
    for unit in ["packet", "byte"] {
        assert_eq!(
            metrics.count(&format!("netwatch_{unit}s_seen_total"), &[]),
            metrics.sum(&format!("netwatch_{unit}_outcomes_total"), &[]),
        );
    }
}
