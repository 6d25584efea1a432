//! The agent: the one place that joins the rooms.
//!
//! [`run`] starts what has tasks of its own (link monitor, engine watcher, flow log, HTTP side, socket) and then the
//! [`core::Core`], which owns the kernel side, the flows and the names, and does one thing at a time. Channels between
//! them are bounded; whoever is slow is told so or counted, and holds up nobody else.

mod accounts;
mod asking;
mod attaching;
pub mod config;
mod confining;
mod core;
mod crossed;
mod delivery;
mod dropping;
mod error;
mod flow_log;
mod folding;
mod forgetting;
mod forgotten;
mod joining;
pub mod journal;
mod keeping;
pub mod kept;
mod labelled;
mod links;
mod lives;
mod naming;
mod ports;
mod process;
mod rings;
mod running;
mod scraping;
mod sizes;
mod snapshot;
mod stages;
mod state;
mod telling;
mod tending;
mod times;
mod told;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::UnixStream,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot, watch},
};
use tracing::info;

pub use confining::confine;
pub use error::AgentError;

pub use crate::{output::schema as flow_log_schema, sandbox::Confinement};

use self::{
    config::{Config, FlowLogTarget},
    core::{Core, Counted},
    flow_log::FlowLog,
    keeping::Keeping,
    scraping::{SCRAPES, Scrape},
    state::StateFile,
};
use crate::{
    datapath::{self, Datapath, Options},
    identity::{DockerWatcher, LinkMonitor},
    metrics,
    serve::{
        self, Door, Limits, Listener, Live, Readiness, ServeError, Site,
        flows::{self, Counts, History, Source},
    },
};

/// Link and engine events that may wait for the core.
const EVENTS: usize = 4096;

/// Who has no figures of its own, because there are too many.
const OTHERS: &str = "other";

/// What `netwatch flows` can look back on: an hour, and no more than would take 64 MiB of memory if it were not packed.
const HISTORY: flows::Limits = flows::Limits { bytes: 64 << 20, age: Duration::from_hours(1) };

/// Observes until SIGINT or SIGTERM. Whatever can fail fails before anything is attached.
pub async fn run(config: Config, confinement: Confinement) -> Result<(), AgentError> {
    start(config, confinement, None).await
}

/// Observes for one reader at the other end of a connection, as long as it is there. `begins` is called when nothing
/// can hinder it any more.
pub async fn observe(
    config: Config,
    reader: UnixStream,
    begins: impl FnOnce() + Send + 'static,
) -> Result<(), AgentError> {
    // Beside a program that has threads already, and for as long as somebody looks.
    start(config, Confinement::default(), Some((reader, Box::new(begins)))).await
}

/// Takes away what an agent has left that runs no more. Whether there was anything.
pub fn forget(config: &Config) -> Result<bool, AgentError> {
    let file = StateFile::of_this_namespace(&config.state).map_err(AgentError::State)?;
    let counted = config.pins.as_deref().map(datapath::remove_pinned).transpose()?;
    let written = file.remove().map_err(AgentError::Forget)?;
    Ok(counted == Some(true) || written)
}

/// Whether an agent that has ended has left something for the next one to go on with.
pub fn has_left(config: &Config) -> bool {
    StateFile::of_this_namespace(&config.state).is_ok_and(|file| file.is_there())
}

/// A reader in this process, and how to tell it that observing begins.
type Own = (UnixStream, Box<dyn FnOnce() + Send>);

async fn start(
    config: Config,
    confinement: Confinement,
    own: Option<Own>,
) -> Result<(), AgentError> {
    let signals = Signals::new()?;
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    let web = Arc::new(serve::Counts::default());
    let live =
        Live::open(config.web_config.as_deref(), Arc::clone(&web)).map_err(ServeError::from)?;
    let door = Door::new(live, Arc::clone(&web));
    let listeners = serve::bind(&config.listen).await?;
    let places: Vec<String> = listeners.iter().map(Listener::name).collect();
    // Without a reader or a socket nobody could ask for it.
    let is_asked = config.socket.is_some() || own.is_some();
    let history = is_asked.then(|| Arc::new(History::new(HISTORY)));
    let (hang_up, reopening) = watch::channel(());
    let flow_log = FlowLog::open(&config, history.clone(), Arc::clone(&stop), reopening)?;
    let leaves = Arc::new(AtomicBool::new(false));
    let directory = config.pins.as_ref().map(|_| config.state.as_path());
    let keeping = Keeping::new(directory, Arc::clone(&leaves)).map_err(AgentError::State)?;
    let earlier = keeping.read();
    let inheritance = earlier.inheritance();
    let mut datapath = Datapath::load(&Options { inheritance, ..config.kernel_side() })?;
    // Not before: who may not observe is not to hear of a directory first.
    let socket = config.socket.as_ref().map(flows::bind).transpose()?;
    let messages = config.kernel_messages.then(|| datapath.messages()).transpose()?;

    let (link_events, links) = mpsc::channel(EVENTS);
    let (engine_events, engine) = mpsc::channel(EVENTS);
    let (scrape, scrapes) = mpsc::channel(SCRAPES);
    let (readiness, ready) = watch::channel(Readiness::NotReady("attaching".into()));
    let monitor = LinkMonitor::spawn(link_events)?;
    let _watcher = DockerWatcher::spawn(config.docker_host.clone(), engine_events);

    let mut servers = Vec::new();
    for listener in listeners {
        let limits = Limits { requests: config.max_requests, ..Limits::default() };
        let router = serve::router(site(&config, scrape.clone(), ready.clone()), limits)?;
        let server = serve::serve(listener, router, door.clone(), limits, stopped.clone());
        servers.push(tokio::spawn(server));
    }
    let (running, questions) = running::channel();
    let readers = Arc::new(Counts::default());
    if let Some(history) = history {
        let counts = Arc::clone(&readers);
        let source = Source { history, running, counts, patience: flows::PATIENCE };
        if let Some((reader, begins)) = own {
            begins();
            let (source, stop) = (source.clone(), Arc::clone(&stop));
            servers.push(tokio::spawn(async move {
                flows::serve_one(reader, &source).await;
                stop.send_replace(true);
            }));
        }
        if let Some(socket) = socket {
            servers.push(tokio::spawn(flows::serve(socket, source)));
        }
    }
    if !confinement.features.is_empty() {
        info!(left = %confinement, "gave up what is not needed");
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        revision = option_env!("NETWATCH_REVISION").unwrap_or("unknown"),
        listen = places.join(", "),
        socket = %config.socket.as_ref().map_or(Path::new("none"), |socket| &socket.path).display(),
        "netwatch started"
    );

    let counted = Counted { readers, web, links: monitor.counters() };
    let confined = confinement.features;
    let mut core = Core::new(&config, datapath, flow_log, counted, readiness, confined, keeping);
    core.take_over(earlier);
    let stopping = Arc::clone(&stop);
    let has_file = matches!(config.flow_log, Some(FlowLogTarget::File(_)));
    tokio::spawn(async move {
        let name = signals.next(has_file.then_some(hang_up)).await;
        info!("{name}: stopping");
        leaves.store(name == LEAVE, Ordering::Relaxed);
        stopping.send_replace(true);
    });
    // It owns everything: 16 kB, which are moved around where a future is awaited as it is.
    let result = Box::pin(core.run(links, engine, scrapes, questions, stopped)).await;
    stop.send_replace(true);
    for server in servers {
        // A server that panicked has said so; there is nothing left to do for it.
        let _ = server.await;
    }
    if let Some(messages) = messages {
        messages.abort();
    }
    result
}

fn site(
    config: &Config,
    scrape: mpsc::Sender<Scrape>,
    readiness: watch::Receiver<Readiness>,
) -> Site {
    let labels = Arc::new(config.labels.clone());
    Site {
        telemetry_path: config.telemetry_path.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        metrics: Arc::new(move |form| {
            let (scrape, labels) = (scrape.clone(), Arc::clone(&labels));
            Box::pin(async move {
                let (reply, snapshot) = oneshot::channel();
                scrape.send(reply).await.map_err(|_| "the agent is stopping")?;
                let snapshot = snapshot.await.map_err(|_| "the agent is stopping")?;
                let form = match form {
                    serve::Form::Text => metrics::Form::Text,
                    serve::Form::OpenMetrics => metrics::Form::OpenMetrics,
                };
                metrics::render(&snapshot, form, &labels).map_err(|error| error.to_string())
            })
        }),
        readiness,
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    leave: Signal,
}

/// It ends the agent, and lets counting go on for the next one. systemd's `RestartKillSignal=`.
const LEAVE: &str = "SIGUSR2";

impl Signals {
    fn new() -> Result<Self, AgentError> {
        let listen = |kind| signal(kind).map_err(AgentError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            leave: listen(SignalKind::user_defined2())?,
        })
    }

    /// The one that ends the agent. With a file for the flow log, a SIGHUP only has that opened again; without, it comes from
    /// a terminal that is gone.
    async fn next(mut self, hang_up: Option<watch::Sender<()>>) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.leave.recv() => return LEAVE,
                _ = self.hang_up.recv() => match &hang_up {
                    Some(hang_up) => {
                        info!("SIGHUP: opening the flow log again");
                        hang_up.send_replace(());
                    }
                    None => return "SIGHUP",
                }
            }
        }
    }
}
