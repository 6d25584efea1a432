//! `netwatch flows` by the names of real containers.

use super::{
    QUICK,
    support::{
        agent::{Agent, netwatch},
        docker::{Container, docker, unique},
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

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn the_wide_form_has_what_kernel_and_engine_say_of_a_service() {
    let _host = host();
    let project = unique("shop");
    let label = format!("com.docker.compose.project={project}");
    let service = ["--label", &label, "--label", "com.docker.compose.service=web"];
    let web = Container::idle(&unique("web"), &service);
    let other = Container::idle(&unique("other"), &[]);
    let agent = Agent::start(&QUICK);
    let veth = agent.until_named(&web.name);
    agent.until_named(&other.name);
    let (gateway, address) = (web.gateway("bridge"), web.address("bridge"));
    web.ping(&gateway, 1);
    other.ping(&gateway, 1);
    agent.until_ended("icmp", &address, &gateway);
    agent.until_ended("icmp", &other.address("bridge"), &gateway);
    let mac = docker(&["inspect", "--format", "{{.NetworkSettings.MacAddress}}", &web.name]);
    for service in [&format!("{project}/web"), &format!("{project}/*")] {
        let mut command = netwatch();
        command.args(["flows", "-o", "wide", "--events", "end", "--proto", "icmp"]);
        let output =
            command.args(["--service", service, "--socket"]).arg(agent.socket()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1, "{text}");
        for field in [
            format!(" client-addr={address} "),
            format!(" server-addr={gateway} "),
            format!(" client-mac={} ", mac.trim()),
            " client-image=netwatch-test:latest ".to_owned(),
        ] {
            assert!(lines[0].contains(&field), "{field} in {text}");
        }
        let (_, interfaces) = lines[0].split_once(" interfaces=").unwrap();
        let interfaces = interfaces.split_once(' ').unwrap().0;
        assert!(interfaces.split(',').any(|name| name == veth), "{veth} in {text}");
    }
}
