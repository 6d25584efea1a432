//! An engine that is not there, comes, dies and comes back.

use super::support::{
    agent::Agent,
    docker::{Container, socket, unique},
    proxy::Proxy,
    serial::host,
    user,
};

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn an_engine_may_come_and_go() {
    let _host = host();
    let container = Container::idle(&unique("engine"), &[]);
    let folder = user::folder();
    let path = folder.path().join("docker.sock");
    let agent = Agent::start(&["--docker-host", &format!("unix://{}", path.display())]);
    let engine_is = |up: f64| {
        agent.until_metrics("the engine's state", |metrics| {
            (metrics.get("netwatch_engine_up", &[]) == Some(up)).then_some(())
        });
        assert_eq!(agent.get("/-/ready").status, 200);
    };
    engine_is(0.0);
    assert!(!agent.metrics().has("netwatch_interface_info", &[("container", &container.name)]));
    let proxy = Proxy::start(&path, &socket());
    engine_is(1.0);
    agent.until_named(&container.name);
    drop(proxy);
    engine_is(0.0);
    agent.until_named(&container.name);
    let _proxy = Proxy::start(&path, &socket());
    engine_is(1.0);
}
