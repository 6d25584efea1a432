//! One connection to the engine, from the first request to the last.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::atomic::Ordering,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error,
    models::{
        ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum, NetworkInspect,
    },
    query_parameters::{
        EventsOptions, EventsOptionsBuilder, InspectContainerOptions, InspectNetworkOptions,
        ListContainersOptionsBuilder, ListNetworksOptions,
    },
};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use tokio::{sync::mpsc, time};

use super::{
    EngineCounters, EngineEvent, convert,
    failure::Failure,
    known::{Known, Question},
};
use crate::{identity::Network, model::Container};

const TIMEOUT_SECONDS: u64 = 5;
const TIMEOUT: Duration = Duration::from_secs(TIMEOUT_SECONDS);
/// A stream of events that is silent and one that hangs look alike: ask now and then.
const PING: Duration = Duration::from_secs(10);
/// Inspections at a time while the first list is made.
const AT_ONCE: usize = 8;
const EVENTS: [&str; 13] = [
    "create",
    "start",
    "rename",
    "update",
    "die",
    "died",
    "destroy",
    "remove",
    "connect",
    "disconnect",
    "restart",
    "pause",
    "unpause",
];

/// How a connection ended.
pub(super) struct Ended {
    /// It had worked before.
    pub(super) was_up: bool,
    /// `None`: nobody listens to us any more.
    pub(super) failure: Option<Failure>,
}

/// Containers with whether they run, and networks.
type List = (Vec<(Container, bool)>, Vec<Network>);

enum Answer {
    Listed(Result<List, Failure>),
    Container { life: u64, result: Result<Box<ContainerInspectResponse>, Failure> },
    Place { container: String, life: u64, result: Result<Box<NetworkInspect>, Failure> },
    Networks(Result<Vec<Network>, Failure>),
    Pong(Result<(), Failure>),
}

/// Connects and follows until something ends it.
pub(super) async fn run(
    endpoint: &str,
    events: &mpsc::Sender<EngineEvent>,
    counters: &EngineCounters,
) -> Ended {
    match connect(endpoint).await {
        Ok((docker, up)) => {
            if events.send(up).await.is_err() {
                return Ended { was_up: true, failure: None };
            }
            Ended { was_up: true, failure: follow(&docker, events, counters).await.err() }
        }
        Err(failure) => Ended { was_up: false, failure: Some(failure) },
    }
}

async fn connect(endpoint: &str) -> Result<(Docker, EngineEvent), Failure> {
    let docker = if endpoint.starts_with("unix://") {
        Docker::connect_with_unix(endpoint, TIMEOUT_SECONDS, API_DEFAULT_VERSION)?
    } else {
        Docker::connect_with_host(endpoint)?.with_timeout(TIMEOUT)
    };
    let docker = ask(docker.negotiate_version()).await?;
    let version = ask(docker.version()).await?;
    let up = EngineEvent::Up {
        version: convert::bounded(version.version.as_deref().unwrap_or("unknown")),
        api: docker.client_version().to_string(),
        endpoint: endpoint.to_owned(),
    };
    Ok((docker, up))
}

/// `Ok` when nobody listens to us any more.
async fn follow(
    docker: &Docker,
    events: &mpsc::Sender<EngineEvent>,
    counters: &EngineCounters,
) -> Result<(), Failure> {
    let mut known = Known::new();
    let mut stream = pin!(docker.events(Some(subscription())));
    let mut answers: FuturesUnordered<BoxFuture<'_, Answer>> = FuturesUnordered::new();
    answers.push(list(docker).map(Answer::Listed).boxed());
    let mut ping = time::interval_at(time::Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // The stream first: its request is sent when it is first polled, and must be the first.
            biased;
            () = events.closed() => return Ok(()),
            event = stream.next() => known.event(&event.ok_or(Failure::Ended)??),
            Some(answer) = answers.next() => take(&mut known, answer, counters)?,
            _ = ping.tick() => {
                answers.push(ask(docker.ping()).map(|pong| Answer::Pong(pong.map(drop))).boxed());
            }
        }
        for question in known.questions.drain(..) {
            answers.push(answer(docker, question).boxed());
        }
        for event in known.out.drain(..) {
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Events from now on: those that come before the engine has registered us are told afterwards.
fn subscription() -> EventsOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
    let filters =
        HashMap::from([("type", vec!["container", "network"]), ("event", EVENTS.to_vec())]);
    EventsOptionsBuilder::default().since(&since).filters(&filters).build()
}

async fn answer(docker: &Docker, question: Question) -> Answer {
    match question {
        Question::Container { id, life } => {
            let result = ask(docker.inspect_container(&id, None::<InspectContainerOptions>)).await;
            Answer::Container { life, result: result.map(Box::new) }
        }
        Question::Place { network, container, life } => {
            let result = ask(docker.inspect_network(&network, None::<InspectNetworkOptions>)).await;
            Answer::Place { container, life, result: result.map(Box::new) }
        }
        Question::Networks => Answer::Networks(networks(docker).await),
    }
}

/// Only a failed list or ping ends the connection: anything else may be about one container, which may have gone.
fn take(known: &mut Known, answer: Answer, counters: &EngineCounters) -> Result<(), Failure> {
    let failure = match answer {
        Answer::Listed(result) => {
            let (containers, networks) = result?;
            known.listed(containers, networks);
            return Ok(());
        }
        Answer::Pong(result) => return result,
        Answer::Container { life, result } => {
            result.map(|inspected| known.inspected(life, &inspected)).err()
        }
        Answer::Place { container, life, result } => {
            result.map(|network| known.placed(&container, life, &network)).err()
        }
        Answer::Networks(result) => result.map(|networks| known.networks(networks)).err(),
    };
    if let Some(failure) = failure.filter(|failure| !gone(failure)) {
        counters.errors.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%failure, "an answer of the container engine");
    }
    Ok(())
}

/// Removed while we asked: everyday life.
fn gone(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Client(Error::DockerResponseServerError { status_code: 404 | 409, .. })
    )
}

async fn list(docker: &Docker) -> Result<List, Failure> {
    let networks = networks(docker).await?;
    let options = ListContainersOptionsBuilder::default().all(true).build();
    let summaries = ask(docker.list_containers(Some(options))).await?;
    let inspections = stream::iter(summaries).map(|summary| inspect(docker, summary));
    // Not an async closure in `filter_map`: with one, rustc 1.95 breaks down on the second incremental build.
    let containers: Vec<_> = inspections.buffer_unordered(AT_ONCE).collect().await;
    Ok((containers.into_iter().flatten().collect(), networks))
}

async fn networks(docker: &Docker) -> Result<Vec<Network>, Failure> {
    let networks = ask(docker.list_networks(None::<ListNetworksOptions>)).await?;
    Ok(networks.iter().filter_map(convert::network).collect())
}

/// A container of the list, with its process if it runs.
async fn inspect(docker: &Docker, summary: ContainerSummary) -> Option<(Container, bool)> {
    let listed = convert::from_summary(&summary)?;
    if !matches!(
        summary.state,
        Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::PAUSED)
    ) {
        return Some((listed, false));
    }
    match ask(docker.inspect_container(&listed.id, None::<InspectContainerOptions>)).await {
        Ok(inspected) => {
            let container = convert::from_inspection(&inspected)?;
            let running = container.pid.is_some();
            Some((container, running))
        }
        Err(failure) if gone(&failure) => None,
        Err(failure) => {
            tracing::debug!(%failure, container = listed.id, "cannot inspect a container; the list must do");
            Some((listed, true))
        }
    }
}

/// bollard's own timeout ends with the header of the answer.
async fn ask<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    Ok(time::timeout(TIMEOUT, request).await.map_err(|_| Failure::Hung)??)
}
