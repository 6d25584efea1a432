//! Who is who: containers that run, come, go and come back.

use super::{
    PING_BYTES, QUICK,
    support::{
        agent::Agent,
        docker::{Container, docker, label, unique},
        serial::host,
        shell::run,
        wait::until,
    },
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn running_containers_are_named_within_five_seconds() {
    let _host = host();
    let name = unique("running");
    let _container = Container::idle(&name, &[]);
    let begin = std::time::Instant::now();
    let agent = Agent::start(&[]);
    agent.until_named(&name);
    assert!(
        agent
            .metrics()
            .has("netwatch_container_info", &[("container", &name), ("network", "bridge")])
    );
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn twenty_containers_in_a_row_are_named_from_their_first_packet() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let names: Vec<_> = (0..20).map(|number| unique(&format!("first{number}"))).collect();
    for name in &names {
        // All have the same address, and busybox's ping the same identifier: the veth decides whose packets these are.
        let script =
            "ping -c 1 -W 5 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); sleep 1";
        docker(&[
            "run",
            "--rm",
            "--name",
            name,
            "--label",
            &label(),
            "netwatch-test:latest",
            "/bin/sh",
            "-c",
            script,
        ]);
    }
    until("all are named", || {
        let events = agent.events();
        let is_named = |name: &&String| {
            events.0.iter().any(|event| {
                event["event"] == "end"
                    && event["protocol"] == "icmp"
                    && event["client"]["name"] == name.as_str()
            })
        };
        names.iter().all(|name| is_named(&name)).then_some(())
    });
    let metrics = agent.metrics();
    let count = metrics.count("netwatch_attach_seconds_count", &[]);
    let quick = metrics.count("netwatch_attach_seconds_bucket", &[("le", "0.05")]);
    // How many those are is the machine's word, which may be busy: tests/reliability/attaching.rs measures it on one that is not.
    println!("{quick} of {count} attached within 50 ms");
    assert!(count >= 20, "{count}");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_restarted_container_goes_on_under_its_name() {
    let _host = host();
    let container = Container::idle(&unique("again"), &[]);
    let agent = Agent::start(&[]);
    let labels = [("container", container.name.as_str())];
    agent.until_named(&container.name);
    container.ping(&container.gateway("bridge"), 2);
    let before = agent.metrics().sum("netwatch_container_transmit_bytes_total", &labels);
    run("/bin/sh", &["-c", &format!("docker restart -t 0 {} >/dev/null", container.name)]);
    agent.until_named(&container.name);
    container.ping(&container.gateway("bridge"), 2);
    agent.until_metrics("the sum goes on", |metrics| {
        (metrics.sum("netwatch_container_transmit_bytes_total", &labels) >= before + 2 * PING_BYTES)
            .then_some(())
    });
}
