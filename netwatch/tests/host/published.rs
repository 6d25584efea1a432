//! A connection by a published port of the host is one flow, whoever makes it and whatever passes it on.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::{
    QUICK,
    support::{
        agent::Agent,
        docker::{BIG, Container, docker, unique},
        engine::with_engine,
        events::{end, tally},
        netns::in_namespace,
        outside::{Outside, Outside6},
        serial::host,
        wait::until,
    },
};

const PORT: u16 = 18_081;

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_published_port_leads_to_who_is_behind_it_now() {
    let _host = host();
    let cli = Container::idle(&unique("cli"), &[]);
    let web = Container::web(&unique("web"), &["--publish", "18081:80"]);
    let agent = Agent::start(&QUICK);
    let gateway = cli.gateway("bridge");
    leads_to(&agent, &cli, &web);

    // The same port, another container.
    drop(web);
    let api = Container::web(&unique("api"), &["--publish", "18081:80"]);
    leads_to(&agent, &cli, &api);

    // A port that nobody has published.
    let refused = cli.try_exec(&["wget", "-q", "-O", "-", &format!("http://{gateway}:18082/")]);
    assert!(refused.is_err(), "somebody listens at {gateway}:18082");
    let line = agent.until_event("the flow to 18082", |line| line["server"]["port"] == 18_082);
    assert_eq!((line.get("behind"), line.get("via")), (None, None), "{line}");
    assert_eq!(end(&line, "server"), ("host", "host"));
}

/// Fetches through the published port until a flow tells this container, and looks at that flow.
fn leads_to(agent: &Agent, cli: &Container, server: &Container) {
    let (address, gateway) = (cli.address("bridge"), cli.gateway("bridge"));
    let id = docker(&["inspect", "--format", "{{.Id}}", &server.name]);
    let line: Value = until(&format!("{} is told", server.name), || {
        let answer = cli.exec(&["wget", "-q", "-O", "-", &format!("http://{gateway}:18081/small")]);
        assert_eq!(answer, "hello\n");
        let events = agent.events();
        let mut lines = events.between("tcp", &address, &server.address("bridge")).into_iter();
        lines.find(|line| line["server"]["container_id"] == id.trim()).cloned()
    });
    assert_eq!(line["via"]["port"], 18_081);
    assert_eq!(end(&line, "client"), (cli.name.as_str(), "container"));
    assert_eq!(line["server"]["port"], 80);
}

/// As Docker is out of the box: a proxy takes what comes from this host's containers and from loopback, and all of IPv6.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn with_a_proxy_it_is_one_flow_of_the_real_client() {
    let _host = host();
    let scene = Scene::set(&[]);
    let Scene { gateway, outside, outside6, .. } = &scene;
    scene.host_calls("127.0.0.1", "proxy");
    scene.host_calls(gateway, "nat");
    scene.host_calls("::1", "proxy");
    scene.container_calls(&scene.cli, gateway, "proxy");
    scene.container_calls(&scene.web, gateway, "proxy");
    scene.outside_calls(&outside.gateway, &outside.address, "nat");
    scene.outside_calls(outside6.gateway, outside6.address, "proxy");
    scene.has_told_all(7);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn without_a_proxy_it_is_one_flow_of_the_real_client() {
    let _host = host();
    let options = &[
        "--userland-proxy=false",
        "--ipv6",
        "--fixed-cidr-v6=2001:db8:17::/64",
        "--experimental",
        "--ip6tables",
    ];
    with_engine(options, |engine| {
        let scene = Scene::set(&["--docker-host", engine]);
        let Scene { gateway, outside, outside6, .. } = &scene;
        let gateway6 = &scene.cli.endpoint("bridge", "IPv6Gateway");
        scene.host_calls("127.0.0.1", "nat");
        for gateway in [gateway, gateway6] {
            scene.host_calls(gateway, "nat");
            scene.container_calls(&scene.cli, gateway, "nat");
            scene.container_calls(&scene.web, gateway, "nat");
        }
        scene.outside_calls(&outside.gateway, &outside.address, "nat");
        scene.outside_calls(outside6.gateway, outside6.address, "nat");
        scene.has_told_all(9);
    });
}

/// A server with a published port, clients of all kinds, and an agent that sees nothing of the way outside.
struct Scene {
    agent: Agent,
    cli: Container,
    web: Container,
    gateway: String,
    outside: Outside,
    outside6: Outside6,
}

impl Scene {
    fn set(arguments: &[&str]) -> Self {
        let cli = Container::idle(&unique("cli"), &[]);
        let web = Container::web(&unique("web"), &["--publish", &format!("{PORT}:80")]);
        let outside = Outside::create();
        let outside6 = outside.with_ipv6();
        let agent = Agent::start(&[&QUICK, arguments, &["--exclude", "nwt-out0"]].concat());
        for container in [&cli, &web] {
            agent.until_named(&container.name);
        }
        Self { agent, gateway: cli.gateway("bridge"), cli, web, outside, outside6 }
    }

    fn host_calls(&self, called: &str, by: &str) {
        let called = SocketAddr::new(called.parse().expect("an address"), PORT);
        let line = self.one(called, by, ("host", "host"), || Some(fetch(called)));
        let masked = called.ip().is_loopback();
        assert_eq!(line.get("masquerade").is_some(), masked, "{line}");
    }

    fn outside_calls(&self, called: &str, client: &str, by: &str) {
        let called = SocketAddr::new(called.parse().expect("an address"), PORT);
        let path = format!("/run/netns/{}", self.outside.namespace);
        let namespace = File::open(path).expect("the namespace");
        let line = self.one(called, by, ("external", "external"), || {
            Some(in_namespace(&namespace, move || fetch(called)))
        });
        assert_eq!(line["client"]["address"], client);
    }

    fn container_calls(&self, client: &Container, called: &str, by: &str) {
        let called = SocketAddr::new(called.parse().expect("an address"), PORT);
        let script = format!("wget -q -O - http://{called}/big | wc -c");
        let line = self.one(called, by, (&client.name, "container"), || {
            assert_eq!(client.exec(&["/bin/sh", "-c", &script]).trim(), BIG.to_string());
            None
        });
        let field = if called.is_ipv6() { "GlobalIPv6Address" } else { "IPAddress" };
        assert_eq!(line["client"]["address"], client.endpoint("bridge", field).as_str());
    }

    /// Fetches once, and expects one flow that tells both ends and how it went. The client is asked for its own end.
    fn one(
        &self,
        called: SocketAddr,
        by: &str,
        client: (&str, &str),
        fetch: impl FnOnce() -> Option<SocketAddr>,
    ) -> Value {
        let before = self.agent.events().flows("end");
        let own = fetch();
        let line = self.agent.until_event(&format!("{client:?} to {called}"), |line| {
            line["event"] == "end"
                && line["protocol"] == "tcp"
                && line["flow_id"].as_u64().is_some_and(|id| !before.contains(&id))
        });
        assert_eq!(end(&line, "client"), client, "{line}");
        assert_eq!(end(&line, "server"), (self.web.name.as_str(), "container"), "{line}");
        assert_eq!(line["server"]["port"], 80, "{line}");
        let via = (line["via"]["address"].as_str(), line["via"]["port"].as_u64());
        assert_eq!(via, (Some(called.ip().to_string().as_str()), Some(PORT.into())), "{line}");
        assert_eq!(line["via"]["by"], by, "{line}");
        if let Some(own) = own {
            assert_eq!(line["client"]["address"], own.ip().to_string(), "{line}");
            assert_eq!(line["client"]["port"], own.port(), "{line}");
        }
        let (_, received) = tally(&line, "received");
        assert!(received > BIG && received < BIG + BIG / 10, "{received} bytes: {line}");
        assert_eq!(line.get("undelivered"), None, "{line}");
        line
    }

    /// There were so many connections, and no other flow of TCP.
    fn has_told_all(self, connections: usize) {
        let edges = self.agent.metrics();
        let server = [("server", self.web.name.as_str()), ("protocol", "tcp"), ("port", "80")];
        let opened = edges.sum("netwatch_edge_connections_total", &server);
        assert_eq!(opened, connections as u64);
        let received = [&server[..], &[("direction", "received")]].concat();
        let bytes = edges.sum("netwatch_edge_bytes_total", &received);
        let log = self.agent.stop(libc::SIGTERM).log;
        let events = super::support::events::Events::parse(&log);
        let ends =
            events.0.iter().filter(|line| line["event"] == "end" && line["protocol"] == "tcp");
        let told: Vec<u64> = ends.map(|line| tally(line, "received").1).collect();
        assert_eq!(told.len(), connections, "{log}");
        assert_eq!(bytes, told.iter().sum::<u64>(), "what the edges have is what the lines told");
    }
}

/// Fetches `/big`, and answers with the end that it had.
fn fetch(server: SocketAddr) -> SocketAddr {
    let mut stream = TcpStream::connect(server).expect("a connection");
    let own = stream.local_addr().expect("an address");
    stream.write_all(b"GET /big HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    assert!(answer.len() as u64 > BIG, "{} bytes", answer.len());
    own
}
