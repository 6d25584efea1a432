//! What the flow log tells of traffic between containers, with the host and with the outside.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::Value;

use super::{
    PING_BYTES, QUICK,
    support::{
        agent::Agent,
        docker::{BIG, Container, Network, unique},
        events::{end, tally},
        outside::Outside,
        serial::host,
        shell::run,
    },
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn both_ends_of_a_ping_are_named_and_counted_once() {
    let _host = host();
    let network = Network::create("shop");
    let mysql = Container::idle("mysql01", &[]);
    let centos = Container::idle("centos01", &[]);
    let _other = Container::idle("centos02", &[]);
    let web = Container::idle(&unique("web"), &["--network", &network.name]);
    let cli = Container::idle(&unique("cli"), &["--network", &network.name]);
    let agent = Agent::start(&QUICK);
    for container in [&mysql, &centos, &web, &cli] {
        agent.until_named(&container.name);
    }
    for (from, to, network) in [(&centos, &mysql, "bridge"), (&cli, &web, network.name.as_str())] {
        let (client, server) = (from.address(network), to.address(network));
        from.ping(&server, 3);
        let lines = agent.until_ended("icmp", &client, &server);
        let kinds: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["start", "end"], "one flow");
        for line in &lines {
            assert_eq!(end(line, "client"), (from.name.as_str(), "container"));
            assert_eq!(end(line, "server"), (to.name.as_str(), "container"));
            assert_eq!(line["network"], network);
        }
        assert_eq!(tally(&lines[1], "sent"), (3, 3 * PING_BYTES));
        assert_eq!(tally(&lines[1], "received"), (3, 3 * PING_BYTES));
        // The kernel drops its own copy of each reply when ping has had one.
        assert_eq!((lines[1].get("drops"), lines[1].get("undelivered")), (None, None));
    }
    let gateway = centos.gateway("bridge");
    centos.ping(&gateway, 2);
    let lines = agent.until_ended("icmp", &centos.address("bridge"), &gateway);
    assert_eq!(end(&lines[1], "server"), ("host", "host"));
    assert_eq!(tally(&lines[1], "sent"), (2, 2 * PING_BYTES));
}

/// The end of the only flow among these lines.
fn only_end(lines: &[Value]) -> &Value {
    let kinds: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "end"], "one flow: {lines:?}");
    &lines[1]
}

/// Interfaces and hooks that a flow crossed, by the number of each interface.
fn crossed(line: &Value, interface: &str) -> Vec<String> {
    let index = std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex")).unwrap();
    let index: u32 = index.trim().parse().unwrap();
    let seen = line["seen"].as_array().unwrap();
    seen.iter()
        .filter(|seen| seen["ifindex"] == index)
        .map(|seen| seen["hook"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_download_on_a_network_of_the_user_is_one_flow() {
    let _host = host();
    let network = Network::create("shop");
    let web = Container::web(&unique("web"), &["--network", &network.name]);
    let cli = Container::idle(&unique("cli"), &["--network", &network.name]);
    let agent = Agent::start(&QUICK);
    agent.until_named(&web.name);
    agent.until_named(&cli.name);
    let (client, server) = (cli.address(&network.name), web.address(&network.name));
    // By name: the engine's DNS server answers on this network.
    cli.exec(&["/bin/wget", "-q", "-O", "/dev/null", &format!("http://{}/big", web.name)]);
    let lines = agent.until_ended("tcp", &client, &server);
    let ended = only_end(&lines);
    assert_eq!(ended["reason"], "fin");
    assert_eq!(end(ended, "client"), (cli.name.as_str(), "container"));
    assert_eq!(end(ended, "server"), (web.name.as_str(), "container"));
    assert_eq!(ended["server"]["port"], 80);
    assert_eq!(ended["network"], network.name);
    let ((_, sent), (_, received)) = (tally(ended, "sent"), tally(ended, "received"));
    assert!(received > BIG && sent < BIG, "{ended}");
    let edge = [
        ("client", cli.name.as_str()),
        ("server", web.name.as_str()),
        ("protocol", "tcp"),
        ("port", "80"),
    ];
    let once = |metrics: &super::support::metrics::Metrics| {
        (metrics.sum("netwatch_edge_bytes_total", &edge) == sent + received).then_some(())
    };
    agent.until_metrics("the edge has each byte once", once);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn the_host_is_named_in_both_roles() {
    let _host = host();
    let web = Container::web(&unique("web"), &[]);
    let agent = Agent::start(&QUICK);
    let veth = agent.until_named(&web.name);
    let (address, gateway) = (web.address("bridge"), web.gateway("bridge"));

    let mut stream = TcpStream::connect((address.as_str(), 80)).unwrap();
    stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");
    drop(stream);
    let lines = agent.until_ended("tcp", &gateway, &address);
    let ended = only_end(&lines);
    assert_eq!(end(ended, "client"), ("host", "host"));
    assert_eq!(end(ended, "server"), (web.name.as_str(), "container"));
    assert_eq!(ended["network"], "bridge");
    // Both directions at both: what the host sends leaves by docker0, and by the veth.
    assert_eq!(crossed(ended, "docker0").len(), 2, "{ended}");
    assert_eq!(crossed(ended, &veth).len(), 2, "{ended}");

    let listener = TcpListener::bind((gateway.as_str(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = [0; 6];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(b"pong\n").unwrap();
    });
    let ask = format!("echo hello | nc -w 5 {gateway} {port}");
    assert_eq!(web.exec(&["/bin/sh", "-c", &ask]), "pong\n");
    server.join().unwrap();
    let ended = agent.until_event("the container's question", |event| {
        event["event"] == "end" && event["server"]["port"] == port
    });
    assert_eq!(end(&ended, "client"), (web.name.as_str(), "container"));
    assert_eq!(end(&ended, "server"), ("host", "host"));
    assert_eq!(ended["network"], "bridge");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn what_leaves_the_host_is_attributed_too() {
    let _host = host();
    let outside = Outside::create();
    let container = Container::idle(&unique("cli"), &[]);
    // The way out stands for the host's network card, which is not observed either.
    let agent = Agent::start(&[&QUICK[..], &["--exclude", "nwt-out0"]].concat());
    let veth = agent.until_named(&container.name);
    container.ping(&outside.address, 3);
    let lines = agent.until_ended("icmp", &container.address("bridge"), &outside.address);
    let ended = only_end(&lines);
    assert_eq!(end(ended, "client"), (container.name.as_str(), "container"));
    assert_eq!(end(ended, "server"), ("external", "external"));
    assert_eq!(tally(ended, "sent"), (3, 3 * PING_BYTES));
    assert_eq!(tally(ended, "received"), (3, 3 * PING_BYTES));
    assert_eq!(crossed(ended, "docker0").len(), 2, "{ended}");
    assert_eq!(crossed(ended, &veth).len(), 2, "{ended}");

    // And in: from the outside to a published port.
    let web = Container::web(&unique("web"), &["--publish", "18080:80"]);
    agent.until_named(&web.name);
    let answer = run(
        "ip",
        &[
            "netns",
            "exec",
            &outside.namespace,
            "busybox",
            "wget",
            "-q",
            "-O",
            "-",
            &format!("http://{}:18080/small", outside.gateway),
        ],
    );
    assert_eq!(answer, "hello\n");
    let lines = agent.until_ended("tcp", &outside.address, &web.address("bridge"));
    let ended = only_end(&lines);
    assert_eq!(end(ended, "client"), ("external", "external"));
    assert_eq!(end(ended, "server"), (web.name.as_str(), "container"));
    assert_eq!(ended["server"]["port"], 80, "the container's port, not the published one");
}
