//! Asks a running agent, at its socket and at its address.

use std::{path::Path, time::Duration};

use tokio::time::timeout;

use super::super::{
    facts::{Agent, Socket},
    scrape::Scrape,
};
use crate::{
    agent::config::Config,
    serve::{
        Place, ask,
        flows::{Answer, ClientError, Command, Filter, Notice, Reader, Request, Style},
    },
};

const PATIENCE: Duration = Duration::from_secs(5);
const READY: &str = "/-/ready";

pub(super) async fn look(config: &Config) -> Agent {
    let mut agent = Agent::default();
    if let Some(place) = &config.socket {
        agent.socket = timeout(PATIENCE, at_socket(&place.path)).await.unwrap_or_else(|_| {
            Socket::Strange(format!("what listens at {} does not answer", place.path.display()))
        });
    }
    for place in &config.listen {
        if let Some(scrape) = metrics(place, &config.telemetry_path).await {
            agent.metrics = Some(scrape);
            agent.not_ready = match ask(place, READY).await {
                Ok((200, _)) => None,
                Ok((_, why)) => Some(why.trim().to_owned()),
                Err(error) => Some(error.to_string()),
            };
            break;
        }
    }
    agent
}

/// What netwatch serves there; `None` for anything else, and for nothing.
pub(super) async fn metrics(place: &Place, path: &str) -> Option<Scrape> {
    match ask(place, path).await {
        Ok((200, text)) => Scrape::of(text),
        _ => None,
    }
}

/// Asks for no events: an agent answers that these were all.
async fn at_socket(path: &Path) -> Socket {
    let request = Request {
        rank: None,
        fold_ns: None,
        command: Command::Flows,
        follow: false,
        last: Some(0),
        since_ns: None,
        until_ns: None,
        style: Style::default(),
        filter: Filter::default(),
    };
    let mut reader = match Reader::connect(path, &request).await {
        Ok(reader) => reader,
        Err(ClientError::NoAgent { .. }) => return Socket::Silent,
        Err(error @ ClientError::NotPermitted { .. }) => {
            return Socket::Forbidden(error.to_string());
        }
        Err(error) => return Socket::Strange(error.to_string()),
    };
    match reader.next().await {
        Ok(Answer::Notice(Notice::Done)) => Socket::Answers,
        Ok(Answer::Notice(Notice::Refused { reason })) => {
            Socket::Forbidden(format!("the agent at {} refuses: {reason}", path.display()))
        }
        Ok(_) => Socket::Strange(format!("what listens at {} is no agent", path.display())),
        Err(error) => Socket::Strange(error.to_string()),
    }
}
