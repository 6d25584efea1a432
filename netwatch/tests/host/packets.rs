//! What single packets tell, and what is excluded.

use super::{
    PING_BYTES, QUICK,
    support::{
        agent::Agent,
        counters::Quiet,
        docker::{BIG, Container, unique},
        serial::host,
    },
};

/// With every packet sampled, the estimate is no estimate: it has to be what the exact counters say.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn packet_sizes_add_up_to_the_exact_counters() {
    let _host = host();
    let agent = Agent::start(&["--sample-rate", "1", "--sample-length", "0"]);
    let web = Container::web(&unique("serves"), &[]);
    let cli = Container::idle(&unique("fetches"), &[]);
    agent.until_named(&web.name);
    agent.until_named(&cli.name);
    let server = web.address("bridge");
    cli.exec(&["/bin/wget", "-q", "-O", "/dev/null", &format!("http://{server}/big")]);
    cli.ping(&server, 5);
    let metrics = Quiet::wait_for(&agent).metrics;
    assert_eq!(metrics.count("netwatch_samples_lost_total", &[]), 0);
    for container in [&web, &cli] {
        for direction in ["receive", "transmit"] {
            let labels = [("container", container.name.as_str()), ("network", "bridge")];
            let exact = |unit: &str| {
                metrics.count(&format!("netwatch_container_{direction}_{unit}_total"), &labels)
            };
            let of = |part: &str| {
                let labels = [labels[0], labels[1], ("direction", direction)];
                metrics.count(&format!("netwatch_container_packet_size_bytes_{part}"), &labels)
            };
            assert_eq!((of("count"), of("sum")), (exact("packets"), exact("bytes")), "{direction}");
            let below = |bound: &str| {
                let labels = [labels[0], labels[1], ("direction", direction), ("le", bound)];
                metrics.count("netwatch_container_packet_size_bytes_bucket", &labels)
            };
            // The pings, and what little else is so small.
            assert!(below("128") - below("64") >= 5, "{PING_BYTES} bytes each");
        }
    }
    let received = [("container", cli.name.as_str()), ("direction", "receive")];
    let within = |bound: &str| {
        let labels = [received[0], received[1], ("le", bound)];
        metrics.count("netwatch_container_packet_size_bytes_bucket", &labels)
    };
    // However large the skbs were: on the wire they are no larger than the MTU, and as many.
    let full = within("1514") - within("1464");
    assert!(full >= BIG / 1514, "{full}");
    assert_eq!(within("+Inf"), within("1514"));
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_sample_is_a_line_with_names() {
    let _host = host();
    let agent = Agent::start(&["--flow-log-samples", "--sample-rate", "1"]);
    let web = Container::idle(&unique("pinged"), &[]);
    let cli = Container::idle(&unique("pings"), &[]);
    let veth = agent.until_named(&cli.name);
    agent.until_named(&web.name);
    cli.ping(&web.address("bridge"), 2);
    let line = agent.until_event("a sample of the ping", |line| {
        line["event"] == "sample"
            && line["protocol"] == "icmp"
            && line["interface"] == veth.as_str()
            && line["hook"] == "ingress"
    });
    assert_eq!(line["source"]["name"], cli.name);
    assert_eq!(line["destination"]["name"], web.name);
    assert_eq!((line["length"].as_u64(), line["rate"].as_u64()), (Some(PING_BYTES), Some(1)));
    assert_eq!(line["network"], "bridge");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn excluded_traffic_is_counted_at_its_interface_only() {
    let _host = host();
    let agent = Agent::start(&[QUICK[0], QUICK[1], "--exclude-port", "tcp/80"]);
    let web = Container::web(&unique("serves"), &[]);
    let cli = Container::idle(&unique("fetches"), &[]);
    agent.until_named(&web.name);
    agent.until_named(&cli.name);
    let server = web.address("bridge");
    cli.exec(&["/bin/wget", "-q", "-O", "/dev/null", &format!("http://{server}/big")]);
    cli.ping(&server, 2);
    agent.until_ended("icmp", &cli.address("bridge"), &server);
    let metrics = Quiet::wait_for(&agent).metrics;
    let lines = agent.events();
    assert!(lines.between("tcp", &cli.address("bridge"), &server).is_empty());
    let received = [("container", cli.name.as_str())];
    assert!(metrics.sum("netwatch_container_receive_bytes_total", &received) > BIG);
    let filtered = [("outcome", "filtered")];
    // At both veths.
    assert!(metrics.count("netwatch_byte_outcomes_total", &filtered) > 2 * BIG);
    for unit in ["packet", "byte"] {
        assert_eq!(
            metrics.count(&format!("netwatch_{unit}s_seen_total"), &[]),
            metrics.sum(&format!("netwatch_{unit}_outcomes_total"), &[]),
        );
    }
}
