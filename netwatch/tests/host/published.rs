//! Published ports of the host tell the container behind them.

use serde_json::{Value, json};

use super::{
    QUICK,
    support::{
        agent::Agent,
        docker::{Container, docker, unique},
        events::end,
        serial::host,
        wait::until,
    },
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_published_port_tells_who_is_behind_it_now() {
    let _host = host();
    let cli = Container::idle(&unique("cli"), &[]);
    let web = Container::web(&unique("web"), &["--publish", "18081:80"]);
    let agent = Agent::start(&QUICK);
    let (address, gateway) = (cli.address("bridge"), cli.gateway("bridge"));
    told(&agent, &cli, &web);

    // The same port, another container.
    drop(web);
    let api = Container::web(&unique("api"), &["--publish", "18081:80"]);
    told(&agent, &cli, &api);

    // A port that nobody has published.
    let refused = cli.try_exec(&["wget", "-q", "-O", "-", &format!("http://{gateway}:18082/")]);
    assert!(refused.is_err(), "somebody listens at {gateway}:18082");
    let line = until("the flow to 18082", || {
        let events = agent.events();
        let mut lines = events.between("tcp", &address, &gateway).into_iter();
        lines.find(|line| line["server"]["port"] == 18082).cloned()
    });
    assert_eq!(line.get("behind"), None, "{line}");
}

/// Fetches through the published port until a flow tells this container, and looks at that flow.
fn told(agent: &Agent, cli: &Container, server: &Container) {
    let (address, gateway) = (cli.address("bridge"), cli.gateway("bridge"));
    let line: Value = until(&format!("{} is told", server.name), || {
        let answer = cli.exec(&["wget", "-q", "-O", "-", &format!("http://{gateway}:18081/small")]);
        assert_eq!(answer, "hello\n");
        let events = agent.events();
        let mut lines = events.between("tcp", &address, &gateway).into_iter();
        lines.find(|line| line["behind"]["name"] == server.name.as_str()).cloned()
    });
    let id = docker(&["inspect", "--format", "{{.Id}}", &server.name]);
    let behind = json!({ "name": server.name, "container_id": id.trim(), "port": 80 });
    assert_eq!(line["behind"], behind);
    assert_eq!(end(&line, "client"), (cli.name.as_str(), "container"));
    assert_eq!(end(&line, "server"), ("host", "host"));
    assert_eq!(line["server"]["port"], 18081);
}
