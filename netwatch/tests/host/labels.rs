//! `--metrics.labels`: a container's figures say its image and service, also when it has gone and over restarts of the agent, and go
//! on with the next one of its name.

use std::collections::BTreeMap;

use super::{
    PING_BYTES, QUICK,
    support::{
        agent::Agent,
        docker::{Container, docker, unique},
        lasting::Lasting,
        serial::host,
    },
};

type Labels = BTreeMap<String, String>;

const SENT: &str = "netwatch_container_transmit_bytes_total";

/// The labels of what a container has sent, once it is at least so much and of this service; and how much it is.
fn until_sent(agent: &Agent, name: &str, service: &str, least: u64) -> (Labels, u64) {
    agent.until_metrics(&format!("{least} bytes of {name}, {service}"), |metrics| {
        let all: Vec<_> = metrics.find(SENT, &[("container", name)]).collect();
        assert!(all.len() < 2, "a name is there once: {all:?}");
        let series = all.into_iter().find(|series| series.labels["service"] == service)?;
        let bytes = metrics.count(SENT, &[("container", name)]);
        (bytes >= least).then(|| (series.labels.clone(), bytes))
    })
}

fn inspect(container: &Container, what: &str) -> String {
    let format = format!("{{{{{what}}}}}");
    docker(&["inspect", "--format", &format, &container.name]).trim().to_owned()
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn figures_are_labelled_by_who_has_the_name_or_had_it_last() {
    let _host = host();
    let places = Lasting::new();
    let arguments = [&QUICK[..], &["--metrics.labels", "image,service,no-network"]].concat();
    let agent = places.start(&arguments);
    let name = unique("labelled");
    let of = |service: &str| format!("com.docker.compose.service={service}");
    let first = Container::idle(&name, &["--label", &of("first")]);
    agent.until_named(&name);
    first.ping(&first.gateway("bridge"), 3);
    let (labels, _) = until_sent(&agent, &name, "first", 3 * PING_BYTES);
    let names: Vec<_> = labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["container", "image", "service"]);
    assert_eq!(labels["image"], inspect(&first, ".Config.Image"));

    drop(first);
    agent.until_metrics("it has gone", |metrics| {
        (!metrics.has("netwatch_container_info", &[("container", &name)])).then_some(())
    });
    let (gone, bytes) = until_sent(&agent, &name, "first", 3 * PING_BYTES);
    assert_eq!(gone, labels);
    agent.stop(libc::SIGUSR2);
    let agent = places.start(&arguments);
    let left = until_sent(&agent, &name, "first", bytes);
    assert_eq!(left, (labels, bytes));

    let second = Container::idle(&name, &["--label", &of("second")]);
    agent.until_named(&name);
    second.ping(&second.gateway("bridge"), 3);
    let (labels, _) = until_sent(&agent, &name, "second", bytes + 3 * PING_BYTES);
    assert_eq!(labels["image"], inspect(&second, ".Config.Image"));
    agent.stop(libc::SIGTERM);
    places.expect_nothing();
}
