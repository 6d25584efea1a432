//! What netwatch cannot see is told, and why.

use super::{
    QUICK,
    lives::until_changed,
    support::{
        agent::Agent,
        docker::{Container, Network, docker, label, unique},
        serial::host,
        shell::{attempt, run},
    },
};

fn until_in_metrics(agent: &Agent, name: &str, network: &str, reason: &str) {
    agent.until_metrics(reason, |metrics| {
        let labels = [("container", name), ("network", network), ("reason", reason)];
        metrics.has("netwatch_container_out_of_sight", &labels).then_some(())
    });
}

/// A bridge of nobody's, which interfaces of containers hang on as on a network card: the kernel need not have dummies.
struct Parent(String);

impl Parent {
    fn create() -> Self {
        // At most 15 letters.
        let parent = Self(format!("nwtp{}", std::process::id()));
        run("ip", &["link", "add", &parent.0, "type", "bridge"]);
        run("ip", &["link", "set", &parent.0, "up"]);
        parent
    }

    /// Whether this kernel makes such interfaces.
    fn bears(&self, kind: &str) -> bool {
        let child = "nwt-child";
        let add = ["link", "add", "link", &self.0, "name", child, "type", kind];
        let made = attempt("ip", &add).is_ok();
        if made {
            run("ip", &["link", "delete", child]);
        }
        made
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = attempt("ip", &["link", "delete", &self.0]);
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn what_has_no_veth_of_its_own_is_told() {
    let _host = host();
    let early = Container::idle(&unique("early"), &["--network", "host"]);
    let agent = Agent::start(&QUICK);
    let lines = until_changed(&agent, &early.name, &["out-of-sight"]);
    assert_eq!(lines[0]["reason"], "host-network");
    until_in_metrics(&agent, &early.name, "", "host-network");
    let alone = Container::idle(&unique("alone"), &["--network", "none"]);
    let lines = until_changed(&agent, &alone.name, &["started", "out-of-sight"]);
    assert_eq!(lines[1]["reason"], "no-network");
    until_in_metrics(&agent, &alone.name, "", "no-network");
    let owner = Container::idle(&unique("owner"), &[]);
    let sidecar =
        Container::idle(&unique("sidecar"), &["--network", &format!("container:{}", owner.name)]);
    let lines = until_changed(&agent, &sidecar.name, &["started"]);
    assert_eq!(lines[0]["container"]["shares_with"], owner.name.as_str());
    sidecar.ping(&owner.gateway("bridge"), 1);
    let line = agent.until_event("the sidecar's ping", |line| {
        line["event"] == "end" && line["client"]["name"] == owner.name.as_str()
    });
    assert_eq!(line["client"]["shared_by"][0], sidecar.name.as_str());
    let log = agent.stderr();
    assert_eq!(log.matches(&alone.name).count(), 1, "{log}");
}

/// Out of sight in one network, seen in the other. A kernel without ipvlan has no such container, and nothing to tell.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn what_hangs_on_a_network_card_is_told() {
    let _host = host();
    let parent = Parent::create();
    let option = format!("parent={}", parent.0);
    let agent = Agent::start(&QUICK);
    for (driver, subnet) in [("macvlan", "198.18.7.0/24"), ("ipvlan", "198.18.8.0/24")] {
        let options = ["--driver", driver, "--opt", &option, "--subnet", subnet];
        let network = Network::create_with(driver, &options);
        let name = unique(&format!("{driver}-one"));
        let on = ["--network", &network.name];
        if !parent.bears(driver) {
            let make = ["create", "--label", &label(), "--name", &name];
            docker(&[&make[..], &on, &["netwatch-test:latest", "/bin/true"]].concat());
            let never_runs = Container { name };
            let start = attempt("docker", &["start", &never_runs.name]);
            assert!(start.is_err(), "without {driver} in the kernel");
            continue;
        }
        let one = Container::idle(&name, &on);
        let other = Container::idle(&unique(&format!("{driver}-other")), &on);
        let lines = until_changed(&agent, &one.name, &["started", "out-of-sight"]);
        assert_eq!(lines[1]["reason"], driver);
        assert_eq!(lines[1]["network"], network.name.as_str());
        assert_eq!(lines[0]["container"]["interfaces"], serde_json::json!([]));
        until_in_metrics(&agent, &one.name, &network.name, driver);
        one.ping(&other.address(&network.name), 2);

        // Its other network is seen; what it says there has its name.
        docker(&["network", "connect", "bridge", &one.name]);
        let words = ["started", "out-of-sight", "connected"];
        let lines = until_changed(&agent, &one.name, &words);
        assert_eq!(lines[2]["container"]["interfaces"].as_array().unwrap().len(), 1);
        one.ping(&one.gateway("bridge"), 1);
        let address = one.address("bridge");
        agent.until_event("its ping on the bridge", |line| {
            line["event"] == "end"
                && line["client"]["name"] == one.name.as_str()
                && line["client"]["address"] == address.as_str()
        });
        let unseen = one.address(&network.name);
        let events = agent.events();
        let told = events.0.iter().find(|line| line["client"]["address"] == unseen.as_str());
        assert_eq!(told, None, "nothing of it crosses a veth or bridge");
    }
}
