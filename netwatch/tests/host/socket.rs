//! `netwatch flows` by the names of real containers.

use super::{
    QUICK,
    support::{
        agent::{Agent, netwatch},
        docker::{Container, unique},
        serial::host,
    },
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn the_socket_tells_of_the_containers_that_are_asked_for() {
    let _host = host();
    let web = Container::idle(&unique("web"), &[]);
    let other = Container::idle(&unique("other"), &[]);
    let agent = Agent::start(&QUICK);
    agent.until_named(&web.name);
    agent.until_named(&other.name);
    let (gateway, address) = (web.gateway("bridge"), web.address("bridge"));
    web.ping(&gateway, 1);
    other.ping(&gateway, 1);
    let expected = agent.until_ended("icmp", &address, &gateway);
    agent.until_ended("icmp", &other.address("bridge"), &gateway);
    let asked = |filter: &[&str]| -> Vec<serde_json::Value> {
        let mut command = netwatch();
        command.args(["flows", "-o", "json", "--since", "1h", "--proto", "icmp", "--socket"]);
        let output = command.arg(agent.socket()).args(filter).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(expected.len(), 2);
    for filter in [
        &["--container", &web.name] as &[&str],
        &["--from", &format!("{}*", &web.name[..web.name.len() - 1]), "--to", "host"],
        &["--network", "bridge", "--from", "*", "--not", "--container", &other.name],
    ] {
        assert_eq!(asked(filter), expected, "{filter:?}");
    }
    assert_eq!(asked(&["--network", "no*"]).len(), 0);
}
