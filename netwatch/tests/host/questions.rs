//! Every query of docs/questions.md has an answer from a real Prometheus that has scraped a run in which all of it happened.

use super::{
    drops::Rule,
    scraped::Scraped,
    support::{
        dns::{MISSING, Server},
        docker::{Container, unique},
        outside::Outside,
        serial::host,
        shell::run,
    },
};

const PAGE: &str = include_str!("../../../docs/questions.md");

/// The queries of the page.
fn queries() -> Vec<&'static str> {
    let blocks = PAGE.split("```promql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// Whether an answer has to name a container.
fn is_by_container(query: &str) -> bool {
    let groups = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let words = ["container", "client", "server"];
    groups.flat_map(|group| group.split(", ")).any(|label| words.contains(&label))
        && !query.contains("by (image)")
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn every_question_has_an_answer() {
    let _host = host();
    let outside = Outside::create();
    // The way out stands for a network card, which is not observed either; what is excluded is in no flow.
    let scraped = Scraped::start(None, &["--exclude", "nwt-out0", "--exclude-port", "9"]);
    let Scraped { client, server, agent, .. } = &scraped;
    let published = Container::web(&unique("shown"), &["--publish", "18080:80"]);
    agent.until_named(&published.name);
    let on_host = Container::idle(&unique("unseen"), &["--network", "host"]);
    let _names = Server::inside(server);
    let address = server.address("bridge");
    // What it drops is sent to the server and never there.
    let from = client.address("bridge");
    let _rule =
        Rule::add(&["-s", &from, "-d", &address, "-p", "tcp", "--dport", "7", "-j", "DROP"]);
    let traffic = || {
        scraped.fetch();
        client.ping(&address, 1);
        client.ping(&outside.address, 1);
        let from_outside = format!("http://{}:18080/small", outside.gateway);
        let ask = ["busybox", "wget", "-q", "-O", "-", &from_outside];
        run("ip", &[&["netns", "exec", &outside.namespace], &ask[..]].concat());
        let shell = |script: &str| client.exec(&["/bin/sh", "-c", script]);
        shell(&format!(
            "nslookup web.example {address}; nslookup {MISSING}.example {address}; true"
        ));
        // Nobody listens at the first, nothing comes to the second.
        shell(&format!("for port in 4 7 9; do nc -w 1 {address} $port </dev/null; done; true"));
    };
    let queries = queries();
    assert!(queries.len() > 20, "{}", queries.len());
    for query in queries {
        let known = [client, server, &published, &on_host].map(|container| &container.name);
        let names_one = |answer: &str| known.iter().any(|name| answer.contains(name.as_str()));
        let is_wanted = |answer: &str| names_one(answer) || !is_by_container(query);
        scraped.until_answered_with(query, is_wanted, traffic);
    }
}
