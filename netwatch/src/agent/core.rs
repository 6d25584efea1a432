//! The core: owns the kernel side, the flows and the names, and does one thing at a time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use netwatch_common::outcome::Outcome;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep_until},
};
use tracing::info;

use super::{
    AgentError,
    accounts::Accounts,
    asking::Asking,
    attaching::Attaching,
    config::{Config, Selection},
    crossed::Crossed,
    delivery::Delivery,
    dropping::Dropping,
    flow_log::FlowLog,
    forgetting::Forgetting,
    joining::Joining,
    keeping::{Keeping, Parting},
    labelled::Labelled,
    ports::Ports,
    running::{QUESTIONS, Question},
    scraping::{Pace, Scrape, waiting},
    sizes::Sizes,
    stages::{Stage, Stages},
    tending,
    times::Timing,
};
use crate::{
    datapath::{Datapath, monotonic_now},
    dns,
    flow::{Edges, Limits, Tracker},
    identity::{Chronicle, Directory, Domains, EngineEvent, EngineState, LinkCounters, LinkEvent},
    model::{Clock, Feature, Instant, Shares, Tally},
    serve::{self, Readiness, flows::Counts},
};

/// How often the flows are read.
const READ_INTERVAL: Duration = Duration::from_millis(250);
/// Reading takes at most one part in so many of a CPU: with very many flows it is done less often.
const READING_SHARE: u32 = 50;
/// But at least this often. docs/flow-log.md promises how late a line is at most.
const LONGEST_READ_INTERVAL: Duration = Duration::from_secs(2);
/// Answering readers takes at most one part in so many of a CPU: with many that ask again and again, they wait longer.
pub(super) const ANSWERING_SHARE: u32 = 20;
/// After a reading that told of so much it is done as often as ever: the queue of the flow log has room for what comes in the
/// longest interval where less was told.
const MANY_EVENTS: usize = 2_000;
/// How often the programs are given the time: the grain of the last packet's time. As often the entries that gave way are
/// taken out of their ring, which has room for those of a CPU that does nothing but begin flows.
const CLOCK_INTERVAL: Duration = Duration::from_millis(10);

/// Two clocks that are read within so many nanoseconds are read at once; how often that is tried.
const CLOSE_NS: u64 = 50_000;
const CLOCK_TRIES: usize = 8;

/// What others count, for the metrics.
pub(super) struct Counted {
    pub(super) readers: Arc<Counts>,
    pub(super) web: Arc<serve::Counts>,
    pub(super) links: Arc<LinkCounters>,
}

pub(super) struct Core {
    pub(super) datapath: Datapath,
    pub(super) directory: Directory,
    pub(super) tracker: Tracker,
    pub(super) accounts: Accounts,
    pub(super) ports: Ports,
    /// What `--metrics.max-series` is shared out into.
    pub(super) shares: Shares,
    pub(super) attaching: Attaching,
    pub(super) dropping: Dropping,
    pub(super) flow_log: FlowLog,
    pub(super) sizes: Sizes,
    pub(super) dns: dns::Counter,
    pub(super) asking: Asking,
    pub(super) domains: Domains,
    pub(super) chronicle: Chronicle,
    pub(super) delivery: Delivery,
    pub(super) timing: Timing,
    /// Scrapes, and how long they took.
    pub(super) scrapes: (u64, Duration),
    pub(super) stages: Stages,
    pub(super) crossed: Crossed,
    pub(super) joining: Joining,
    pub(super) counted: Counted,
    pub(super) forgetting: Forgetting,
    pub(super) labelled: Labelled,
    /// Whether each sample is a line of the flow log.
    pub(super) log_samples: bool,
    pub(super) clock: Clock,
    /// The means of the kernel that the agent is confined by.
    pub(super) confined: Vec<Feature>,
    pub(super) selection: Selection,
    pub(super) readiness: watch::Sender<Readiness>,
    /// The first listing has been worked through: before that no flow is read.
    pub(super) ready: bool,
    /// And that of addresses.
    pub(super) listed: bool,
    /// Losses that the flow log has told of.
    pub(super) told: HashMap<Outcome, Tally>,
    /// What outlives this agent.
    pub(super) keeping: Keeping,
    /// All packets seen and all drops counted at the last reading of the flows.
    seen: (Tally, u64),
}

impl Core {
    pub(super) fn new(
        config: &Config,
        datapath: Datapath,
        flow_log: FlowLog,
        counted: Counted,
        readiness: watch::Sender<Readiness>,
        confined: Vec<Feature>,
        mut keeping: Keeping,
    ) -> Self {
        keeping.only_with(&datapath);
        let limits = Limits {
            idle: config.idle_timeout,
            active: config.active_timeout,
            max_flows: config.max_flows as usize,
        };
        let shares = Shares::of(config.max_series);
        Self {
            datapath,
            directory: Directory::new(),
            tracker: Tracker::new(limits, Edges::new(shares.edges)),
            accounts: Accounts::new(shares.containers),
            ports: Ports::new(shares.interfaces),
            shares,
            attaching: Attaching::new(),
            dropping: Dropping::new(shares.drops),
            flow_log,
            sizes: Sizes::new(shares.sizes),
            dns: dns::Counter::new(shares.dns),
            asking: Asking::default(),
            domains: Domains::default(),
            chronicle: Chronicle::default(),
            delivery: Delivery::new(shares.undelivered),
            timing: Timing::new(shares.times),
            scrapes: (0, Duration::ZERO),
            stages: Stages::default(),
            crossed: Crossed::default(),
            joining: Joining::start(),
            counted,
            forgetting: Forgetting::new(config.linger),
            labelled: Labelled::new(!config.labels.more.is_empty()),
            log_samples: config.log_samples,
            clock: clock(),
            confined,
            selection: config.selection.clone(),
            readiness,
            ready: false,
            listed: false,
            told: HashMap::new(),
            keeping,
            seen: (Tally::ZERO, 0),
        }
    }

    /// Works until told to stop; then reads the last counters, ends all flows and detaches.
    pub(super) async fn run(
        mut self,
        mut links: mpsc::Receiver<LinkEvent>,
        mut engine: mpsc::Receiver<EngineEvent>,
        mut scrapes: mpsc::Receiver<Scrape>,
        mut questions: mpsc::Receiver<Question>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), AgentError> {
        let mut next_reading = tokio::time::Instant::now();
        let (mut next_answer, mut pace) = (next_reading, Pace::from(next_reading));
        let mut next_look = next_reading;
        let mut tick = interval(CLOCK_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let result = loop {
            // In this order: a new link must not wait for a scrape.
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => break Ok(()),
                event = links.recv() => match event {
                    Some(event) => {
                        let done = self.timed(Stage::Links, |core| core.on_link(&event));
                        if let Err(error) = done { break Err(error) }
                    }
                    None => break Err(AgentError::LinksEnded),
                },
                Some(event) = engine.recv() => {
                    self.timed(Stage::Engine, |core| core.on_engine(&event));
                }
                _ = tick.tick() => {
                    self.datapath.refresh_clock();
                    self.timed(Stage::Rings, Self::read_evicted);
                }
                () = sleep_until(next_reading) => {
                    let begin = tokio::time::Instant::now();
                    let events = self.read();
                    next_reading = begin + pause(begin.elapsed(), events);
                }
                () = sleep_until(next_look) => {
                    let begin = tokio::time::Instant::now();
                    self.tend();
                    next_look = begin + tending::pause(begin.elapsed());
                }
                Some(asked) = waiting(pace.next(), &mut scrapes) => if !asked.is_empty() {
                    let begin = tokio::time::Instant::now();
                    let snapshot = Arc::new(self.timed(Stage::Scrapes, Self::snapshot));
                    for scrape in asked {
                        // Whoever asked may have gone.
                        let _ = scrape.send(Arc::clone(&snapshot));
                    }
                    pace.made(begin, begin.elapsed());
                },
                Some(asked) = after(next_answer, &mut questions, QUESTIONS) => {
                    let begin = tokio::time::Instant::now();
                    self.timed(Stage::Readers, |core| core.answer(asked));
                    next_answer = begin + begin.elapsed() * ANSWERING_SHARE;
                }
            }
        };
        // All of it is moved into what ends it.
        Box::pin(self.finish()).await;
        result
    }

    fn timed<T>(&mut self, stage: Stage, work: impl FnOnce(&mut Self) -> T) -> T {
        let begin = std::time::Instant::now();
        let done = work(self);
        self.stages.add(stage, begin.elapsed());
        done
    }

    /// Takes up what the hooks have seen, and tells of it; answers with how many events of flows that were.
    fn read(&mut self) -> usize {
        let now = monotonic_now();
        let is_quiet = self.timed(Stage::Reading, Self::take_up);
        self.timed(Stage::Telling, |core| core.tell_all(now, is_quiet))
    }

    /// Answers whether no hook has seen anything.
    pub(super) fn take_up(&mut self) -> bool {
        self.clock = self.clock.or_set(clock());
        let seen = (self.datapath.seen(), self.datapath.dropped());
        let is_quiet = seen.0 == self.seen.0;
        if seen != self.seen {
            self.seen = seen;
            self.read_flows();
        }
        self.read_rings();
        self.settle_messages();
        self.settle_drops();
        is_quiet
    }

    fn tell_all(&mut self, now: Instant, is_quiet: bool) -> usize {
        self.tell_losses(now);
        let events = if self.can_name(now) {
            self.keeping.speaks();
            self.tell(now, Tracker::tick)
        } else {
            0
        };
        self.tell_lives(now);
        self.flow_log.tick(self.clock);
        self.directory.expire(now);
        self.domains.expire(now);
        self.keep(self.seen.0, is_quiet);
        events
    }

    /// The last counters, the end of every flow, and either nothing left attached or everything.
    async fn finish(mut self) {
        self.flow_log.begin_to_close();
        if !self.ready {
            // Nobody else will read it.
            self.ready = true;
            self.catch_up();
        }
        let leaves = self.keeping.leaves();
        for index in self.datapath.counted() {
            if leaves {
                self.settle(index);
            } else {
                self.detach(index);
            }
        }
        self.read_flows();
        self.read_rings();
        self.finish_messages();
        if !leaves {
            // Otherwise they go on, and the next agent will tell of their end.
            self.tell(monotonic_now(), Tracker::finish);
        }
        self.tell_losses(monotonic_now());
        // Nothing more comes that they could wait for.
        self.tell_lives(Instant(u64::MAX));
        let parting = self.part().await;
        let Self { flow_log, datapath, clock, .. } = self;
        flow_log.close(clock).await;
        match parting {
            Parting::Leave => {
                datapath.leave();
                info!("stopped; counting goes on for the next netwatch");
            }
            Parting::Remove => {
                datapath.remove();
                info!("stopped");
            }
        }
    }
}

/// The next questions, at this time at the earliest and so many at most.
pub(super) async fn after<T>(
    time: tokio::time::Instant,
    questions: &mut mpsc::Receiver<T>,
    most: usize,
) -> Option<Vec<T>> {
    sleep_until(time).await;
    let mut asked = Vec::new();
    let count = questions.recv_many(&mut asked, most).await;
    (count > 0).then_some(asked)
}

/// From the beginning of a reading that took so long, and told of so many events, to the next one.
fn pause(took: Duration, events: usize) -> Duration {
    if events > MANY_EVENTS {
        return READ_INTERVAL;
    }
    (took * READING_SHARE).clamp(READ_INTERVAL, LONGEST_READ_INTERVAL)
}

/// How the monotonic clock stands to the wall clock now.
fn clock() -> Clock {
    let measure = || {
        let before = monotonic_now().0;
        let wall = Timestamp::now().as_nanosecond();
        let between = monotonic_now().0.saturating_sub(before);
        (between, wall - i128::from(before + between / 2))
    };
    // Whoever is interrupted between the readings measures the interruption too: the closest ones count.
    let (mut between, mut offset_ns) = measure();
    for _ in 0..CLOCK_TRIES {
        if between < CLOSE_NS {
            break;
        }
        (between, offset_ns) = measure().min((between, offset_ns));
    }
    Clock { offset_ns }
}

/// The engine's state as the metric has it: unknown while it is being connected to for the first time.
pub(super) fn engine_up(state: EngineState) -> Option<bool> {
    match state {
        EngineState::Expected => None,
        EngineState::Up => Some(true),
        EngineState::Down => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_its_share_and_no_more_unless_there_is_much_to_tell() {
        let ms = Duration::from_millis;
        assert_eq!(pause(ms(1), 0), READ_INTERVAL);
        assert_eq!(pause(ms(20), 0), ms(1_000));
        assert_eq!(pause(ms(500), MANY_EVENTS), LONGEST_READ_INTERVAL);
        assert_eq!(pause(ms(500), MANY_EVENTS + 1), READ_INTERVAL);
    }
}
