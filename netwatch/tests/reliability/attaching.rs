//! How soon a new interface is counted at, on a host on which 500 containers a minute come and go: frames pass it from the moment that
//! it is there, and those that are in no counter came too early.
//!
//! `NETWATCH_CHURN_SECONDS` makes a long run of it, at the end of which 99 of 100 have to have been counted at within [`PROMISED`]:
//! for an idle machine and a program with optimisation.

use std::{
    collections::BTreeMap,
    env, mem,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use netwatch::datapath::{Beside, Hook, hooked};

use super::{
    alone,
    churn::{ip, make_bridge},
    datagram,
    support::{
        agent::Agent,
        counters::{ByInterface, of_netwatch},
        frames::Sender,
        metrics::Metrics,
        veth,
        wait::PATIENCE,
    },
};

/// From the making of one to that of the next: 500 a minute.
const PACE: Duration = Duration::from_millis(120);
/// How many there are at a time.
const LIVING: u32 = 10;
const ORDINARY: Duration = Duration::from_secs(10);
const PROMISED: Duration = Duration::from_millis(50);
/// From one frame to the next, and from one look to the next.
const PAUSE: Duration = Duration::from_micros(500);

/// An interface, and the frames that have passed it.
struct Made {
    name: String,
    /// How long after it was asked for each frame was sent: into it, and by its peer.
    sent: [Vec<Duration>; 2],
    /// Until the kernel said that both programs are there.
    known: Duration,
}

impl Made {
    /// As an engine makes it.
    fn make(number: u32) -> Self {
        let (name, peer) = (format!("a{number}"), format!("p{number}"));
        let begin = Instant::now();
        let there = AtomicBool::new(false);
        let (sent, known) = thread::scope(|scope| {
            let sent = scope.spawn(|| send_until(&there, [&name, &peer], begin));
            ip(&[
                format!("link add {name} type veth peer name {peer}"),
                format!("link set {name} master bridge"),
                format!("link set {peer} up"),
                format!("link set {name} up"),
            ]);
            let index = veth::index(&name);
            let has = |hook| hooked(&name, index, hook).unwrap().iter().any(Beside::is_ours);
            while !Hook::ALL.into_iter().all(has) && begin.elapsed() < PATIENCE {
                thread::sleep(PAUSE);
            }
            let known = begin.elapsed();
            there.store(true, Ordering::Relaxed);
            (sent.join().unwrap(), known)
        });
        Self { name, sent, known }
    }

    /// When both programs counted, at the latest: then the first frame was sent that has been counted, or the kernel said so. What
    /// the peer sends may be dropped at first, without a word, until the kernel finds the time to tell it that it is up.
    fn counted_after(&self, counters: &ByInterface) -> Duration {
        let counters = counters[&self.name];
        let counted = [counters.transmit_packets, counters.receive_packets];
        let first = |(sent, counted): (&Vec<Duration>, u64)| {
            let before = sent.len().checked_sub(usize::try_from(counted).unwrap()).unwrap();
            sent.get(before).map_or(self.known, |first| self.known.min(*first))
        };
        self.sent.iter().zip(counted).map(first).max().unwrap()
    }
}

/// Sends frames at both ends of a pair from the moment that they can pass. When each was sent.
fn send_until(there: &AtomicBool, names: [&str; 2], begin: Instant) -> [Vec<Duration>; 2] {
    let mut sent = [const { Vec::new() }; 2];
    while names.iter().any(|name| veth::find(name).is_none()) && begin.elapsed() < PATIENCE {
        thread::sleep(PAUSE);
    }
    let mut senders = names.map(veth::index).map(Sender::at);
    let mut is_last = false;
    while !is_last {
        is_last = there.load(Ordering::Relaxed);
        for (sender, sent) in senders.iter_mut().zip(&mut sent) {
            // What the second end sends may arrive where the first one is up, as that one has just shown.
            if !sender.try_send(&datagram(1_000)) {
                break;
            }
            sent.push(begin.elapsed());
        }
        thread::sleep(PAUSE);
    }
    sent
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn five_hundred_a_minute_are_counted_at_as_they_come() {
    let asked = env::var("NETWATCH_CHURN_SECONDS").ok();
    let seconds = asked.map(|text| Duration::from_secs(text.parse().expect("a number")));
    alone(move || {
        make_bridge();
        let agent = Agent::start(&["--flow-idle-timeout", "1s"]);
        let begin = Instant::now();
        let mut living = BTreeMap::new();
        let (mut counted, mut known, mut frames) = (Vec::new(), Vec::new(), 0);
        for number in 0.. {
            let turn = begin + PACE * number;
            if turn - begin > seconds.unwrap_or(ORDINARY) {
                break;
            }
            thread::sleep(turn.saturating_duration_since(Instant::now()));
            living.insert(number, Made::make(number));
            if living.len() == LIVING as usize {
                // All at once: a scrape takes time too.
                let counters = of_netwatch(&agent.metrics());
                for made in mem::take(&mut living).into_values() {
                    frames += made.sent.concat().len();
                    counted.push(made.counted_after(&counters));
                    known.push(made.known);
                }
            }
            if let Some(oldest) = number.checked_sub(LIVING) {
                ip(&[format!("link delete a{oldest}")]);
            }
        }
        let took = begin.elapsed();
        let metrics = agent.metrics();
        assert_eq!(metrics.count("netwatch_attach_failures_total", &[]), 0);
        let all = u32::try_from(counted.len()).unwrap();
        let a_minute = f64::from(all) * 60.0 / took.as_secs_f64();
        println!("{all} interfaces, {a_minute:.0} a minute");
        let last = at_99_percent("counted at", counted);
        at_99_percent("known to be attached to", known);
        let missed = metrics.count("netwatch_attach_gap_packets_total", &[]);
        println!("of {frames} frames {missed} were not counted");
        println!(
            "by netwatch_attach_seconds: {:.2} % within {PROMISED:?}",
            within_promised(&metrics) * 100.0
        );
        if seconds.is_some() {
            assert!(last <= PROMISED, "{last:?} at 99 %");
        }
    });
}

#[expect(clippy::print_stdout, reason = "for whoever wants to know")]
fn at_99_percent(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let part = |of_hundred: usize| times[(times.len() - 1) * of_hundred / 100];
    println!(
        "{what} after, from before they were asked for: {:?} in the middle, {:?} at 99 %, {:?} at most",
        part(50),
        part(99),
        part(100)
    );
    part(99)
}

/// Which part of all, by the agent's own clock.
fn within_promised(metrics: &Metrics) -> f64 {
    let bound = PROMISED.as_secs_f64().to_string();
    metrics.value("netwatch_attach_seconds_bucket", &[("le", &bound)])
        / metrics.value("netwatch_attach_seconds_count", &[])
}
