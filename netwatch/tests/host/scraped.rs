//! A client, a server and an agent that a Prometheus scrapes.

use std::path::Path;

use tempfile::TempDir;

use super::{
    QUICK,
    prometheus::{Prometheus, percent},
    support::{
        agent::Agent,
        docker::{Container, unique},
        wait::until,
    },
};

pub(crate) struct Scraped {
    pub(crate) prometheus: Prometheus,
    pub(crate) agent: Agent,
    pub(crate) client: Container,
    pub(crate) server: Container,
    _folder: TempDir,
}

impl Scraped {
    /// With rules, if there are any, and with more arguments for the agent.
    pub(crate) fn start(rules: Option<&Path>, arguments: &[&str]) -> Self {
        let server = Container::web(&unique("answers"), &[]);
        server.until_serving();
        let client = Container::idle(&unique("asks"), &[]);
        let agent = Agent::start(&[&QUICK[..], arguments].concat());
        agent.until_named(&server.name);
        agent.until_named(&client.name);
        let folder = TempDir::new().unwrap();
        let target = agent.address.to_string();
        let prometheus = match rules {
            Some(rules) => Prometheus::start_with_rules(folder.path(), &target, rules),
            None => Prometheus::start(folder.path(), &target),
        };
        Self { prometheus, agent, client, server, _folder: folder }
    }

    /// The client downloads from the server.
    pub(crate) fn fetch(&self) {
        let address = self.server.address("bridge");
        self.client.exec(&["wget", "-qO", "/dev/null", &format!("http://{address}/big")]);
    }

    /// Asks until the answer is not empty, with traffic in between: rates need two figures that differ.
    pub(crate) fn until_answered(&self, query: &str, traffic: impl FnMut()) {
        self.until_answered_with(query, |_| true, traffic);
    }

    /// Asks until there is an answer such as is wanted. What passes besides, multicast of the host above all, may come first.
    pub(crate) fn until_answered_with(
        &self,
        query: &str,
        is_wanted: impl Fn(&str) -> bool,
        mut traffic: impl FnMut(),
    ) {
        until(query, || {
            let path = format!("query?query={}", percent(query));
            let answer = self.prometheus.api(&path)?;
            assert_eq!(answer["status"], "success", "{query}: {answer}");
            let result = &answer["data"]["result"];
            if result.as_array()?.is_empty() || !is_wanted(&result.to_string()) {
                traffic();
                return None;
            }
            Some(())
        });
    }
}
