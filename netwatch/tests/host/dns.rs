//! Who asks for names, and what is answered; counted by the name server as well.

use std::{fmt::Write as _, net::UdpSocket, time::Duration};

use serde_json::{Value, json};

use super::support::{
    agent::Agent,
    dns::{Counts, MISSING, Server, query},
    docker::{Container, Network, docker, unique},
    metrics::Metrics,
    outside::Outside,
    serial::host,
    shell::run,
    wait::until,
};

/// What netwatch has counted for one who asks.
fn counted(metrics: &Metrics, client: &str) -> Counts {
    let labels = [("container", client)];
    let of = |rcode| {
        metrics.sum("netwatch_dns_responses_total", &[("container", client), ("rcode", rcode)])
    };
    let all = ["NOERROR", "NXDOMAIN", "SERVFAIL"].map(|rcode| (rcode, of(rcode)));
    Counts {
        queries: metrics.sum("netwatch_dns_queries_total", &labels),
        responses: all.into_iter().filter(|(_, count)| *count > 0).collect(),
    }
}

/// Waits until netwatch has counted as much as the server, and looks whether it stays so.
fn expect(agent: &Agent, client: &str, server: &Server) {
    let expected = server.counts();
    agent.until_metrics(&format!("{expected:?} of {client}"), |metrics| {
        (counted(metrics, client) == expected).then_some(())
    });
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(counted(&agent.metrics(), client), expected, "once, not once for each hook");
    assert_eq!(server.counts(), expected);
}

/// Fails where a name has no address of one kind, which is no matter here.
fn nslookup(client: &Container, name: &str, server: &str) {
    let _ = client.try_exec(&["/bin/nslookup", name, server]);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn each_message_counts_once_for_the_container_that_asks() {
    let _host = host();
    let agent = Agent::start(&[]);
    let cli = Container::idle(&unique("asks"), &[]);
    agent.until_named(&cli.name);
    let gateway = cli.gateway("bridge");
    let server = Server::at(&gateway);
    // Through the veth and through the bridge device.
    nslookup(&cli, "web.example", &gateway);
    nslookup(&cli, &format!("{MISSING}.example"), &gateway);
    let message = query("tcp.example");
    let len = u16::try_from(message.len()).unwrap();
    let mut script = "printf '".to_owned();
    for byte in [&len.to_be_bytes(), &message[..]].concat() {
        let _ = write!(script, "\\{byte:03o}");
    }
    let _ = write!(script, "' | timeout 10 nc {gateway} 53 | wc -c");
    let answered = cli.exec(&["/bin/sh", "-c", &script]);
    assert_eq!(answered.trim(), (2 + message.len() + 16).to_string(), "over TCP");
    let counts = server.counts();
    assert!(counts.queries >= 3 && counts.responses["NXDOMAIN"] >= 1, "{counts:?}");
    expect(&agent, &cli.name, &server);
    let metrics = agent.metrics();
    // Each was read at two hooks, in both directions; nothing was lost.
    assert_eq!(metrics.count("netwatch_dns_messages_total", &[]), 4 * counts.queries);
    assert_eq!(metrics.sum("netwatch_dns_messages_lost_total", &[]), 0);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_container_that_answers_does_not_ask() {
    let _host = host();
    let agent = Agent::start(&[]);
    let cli = Container::idle(&unique("asks"), &[]);
    let dns = Container::idle(&unique("answers"), &[]);
    agent.until_named(&cli.name);
    agent.until_named(&dns.name);
    let address = dns.address("bridge");
    let server = Server::inside(&dns);
    nslookup(&cli, "web.example", &address);
    assert!(server.counts().queries >= 1);
    expect(&agent, &cli.name, &server);
    drop(server);

    // The host asks: no veth is its own, and the message still counts once.
    let server = Server::inside(&dns);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&query("host.example"), (address.as_str(), 53)).unwrap();
    socket.recv_from(&mut [0; 512]).expect("an answer");
    expect(&agent, "host", &server);
    assert_eq!(counted(&agent.metrics(), &dns.name), Counts::default());
}

/// On a network of the user's, the engine's own server stands between: it asks in the container's namespace.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn what_the_engines_server_asks_counts_for_its_container() {
    let _host = host();
    let agent = Agent::start(&[]);
    let network = Network::create("asking");
    let format = "{{(index .IPAM.Config 0).Gateway}}";
    let gateway = docker(&["network", "inspect", "--format", format, &network.name]);
    let gateway = gateway.trim();
    let cli = Container::idle(&unique("asks"), &["--network", &network.name, "--dns", gateway]);
    agent.until_named(&cli.name);
    let server = Server::at(gateway);
    nslookup(&cli, "web.example", "127.0.0.11");
    assert!(server.counts().queries >= 1);
    expect(&agent, &cli.name, &server);
    // A name that the engine knows it answers by itself: nobody outside hears of it.
    let before = server.counts();
    nslookup(&cli, &cli.name, "127.0.0.11");
    assert_eq!(server.counts().responses, before.responses);
    expect(&agent, &cli.name, &server);
}

/// The look-ups of a client in the flow log: name, and code or why there is none.
fn look_ups(agent: &Agent, client: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = agent.events().0;
    let of_client = |line: &&Value| line["event"] == "dns" && line["client"]["name"] == client;
    let rcode = |line: &Value| [&line["answer"]["rcode"], &line["reason"]].map(text).concat();
    events
        .iter()
        .filter(of_client)
        .map(|line| (text(&line["question"]["name"]), rcode(line)))
        .collect()
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_look_up_is_a_line_with_its_answer() {
    let _host = host();
    let agent = Agent::start(&[]);
    let cli = Container::idle(&unique("asks"), &[]);
    // On the default bridge, where nobody resolves it.
    let other = Container::idle(&format!("{MISSING}-{}", unique("name")), &[]);
    agent.until_named(&cli.name);
    let gateway = cli.gateway("bridge");
    let server = Server::at(&gateway);
    nslookup(&cli, "web.example", &gateway);
    let found = agent.until_event("web.example", |line| {
        line["event"] == "dns"
            && line["question"] == json!({"name": "web.example", "type": "A"})
            && line["client"]["name"] == cli.name.as_str()
    });
    assert_eq!(found["answer"], json!({"rcode": "NOERROR", "addresses": ["192.0.2.1"]}));
    assert_eq!((&found["server"]["name"], &found["queries"]), (&json!("host"), &json!(1)));
    assert!(found["answered_ns"].as_u64().unwrap() > 0, "{found}");

    for _ in 0..2 {
        nslookup(&cli, &other.name, &gateway);
    }
    let expected = server.counts();
    let all = until("each look-up", || {
        let all = look_ups(&agent, &cli.name);
        (all.len() as u64 >= expected.queries).then_some(all)
    });
    let answers = |code: &str| all.iter().filter(|(_, rcode)| rcode == code).count() as u64;
    for (rcode, count) in &expected.responses {
        assert_eq!(answers(rcode), *count, "{rcode} once each: {all:?}");
    }
    let events = agent.events().0;
    let hints: Vec<&Value> = events.iter().filter(|line| line["hint"].is_string()).collect();
    let [hint] = hints[..] else { panic!("the hint once: {hints:?}") };
    assert_eq!(hint["hint"], "no-container-names-on-default-bridge");
    assert_eq!(hint["question"]["name"], other.name.as_str());

    // Nobody answers any more.
    drop(server);
    nslookup(&cli, "late.example", &gateway);
    let lost = agent.until_event("late.example", |line| line["question"]["name"] == "late.example");
    assert_eq!((&lost["reason"], &lost["answer"]), (&json!("no-answer"), &Value::Null));
}

/// What a container talks to outside has the name that it asked for; what another one talks to has not.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn an_outside_end_is_named_as_it_was_looked_up() {
    let _host = host();
    let outside = Outside::create();
    // The address that the name server answers with. The route goes with the interface.
    run("ip", &["-n", &outside.namespace, "address", "add", "192.0.2.1/32", "dev", "eth0"]);
    run("ip", &["route", "add", "192.0.2.1/32", "dev", "nwt-out0"]);
    let agent = Agent::start(&["--exclude", "nwt-out0", "--flow-idle-timeout", "2s"]);
    let other = Container::idle(&unique("other"), &[]);
    let gateway = other.gateway("bridge");
    let cli = Container::idle(&unique("asks"), &["--dns", &gateway]);
    agent.until_named(&cli.name);
    agent.until_named(&other.name);
    let _server = Server::at(&gateway);
    cli.ping("web.example", 1);
    other.ping("192.0.2.1", 1);
    let start = |client: &Container| {
        agent.until_event("a ping", |line| {
            line["event"] == "start"
                && line["protocol"] == "icmp"
                && line["client"]["name"] == client.name.as_str()
                && line["server"]["address"] == "192.0.2.1"
        })
    };
    let named = start(&cli);
    assert_eq!(named["server"]["domain"], "web.example", "{named}");
    assert_eq!(
        (&named["server"]["name"], &named["server"]["kind"]),
        (&json!("external"), &json!("external"))
    );
    assert_eq!(start(&other)["server"].get("domain"), None);
}
