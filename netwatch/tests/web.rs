//! The HTTP side of the real agent, in a namespace of its own, among clients that would have nobody else answered.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it has measured"
)]

mod support;

#[path = "web/crowd.rs"]
mod crowd;
#[path = "web/scraper.rs"]
mod scraper;

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use crowd::Crowd;
use scraper::Scraper;
use support::{agent::Agent, netns::in_new_namespace, serial, shell::run};

/// How often each scraper asks, once a second.
const ROUNDS: u32 = 8;
/// What a scrape may take in the middle.
const LIMIT: Duration = Duration::from_millis(100);

const SCRAPERS: Ipv4Addr = Ipv4Addr::LOCALHOST;
const OTHERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Four scrapers at once, two of which keep their connection; what each scrape took.
fn scrape(address: SocketAddr) -> Vec<Duration> {
    let scrapers: Vec<_> = [false, true, false, true]
        .into_iter()
        .zip([0, 0, 300, 600])
        .map(|(keeps, offset)| {
            thread::spawn(move || {
                let mut scraper = Scraper::new(SCRAPERS, address, keeps);
                let begin = Instant::now() + Duration::from_millis(offset);
                let ask = |round| {
                    let due = begin + Duration::from_secs(1) * round;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let before = Instant::now();
                    let text = scraper.ask();
                    assert!(text.contains("\nnetwatch_scrapes_total "), "{text}");
                    before.elapsed()
                };
                (0..ROUNDS).map(ask).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut took: Vec<_> =
        scrapers.into_iter().flat_map(|scraper| scraper.join().expect("its answers")).collect();
    took.sort_unstable();
    took
}

/// A thousand connections that say nothing, twenty that say a byte each tenth of a second, four that ask much and take nothing.
fn among_others_from(others: Ipv4Addr) {
    let _alone = serial::alone();
    in_new_namespace(move || {
        run("ip", &["link", "set", "lo", "up"]);
        let agent = Agent::start(&[]);
        let crowd = Crowd::start(others, agent.address);
        let took = scrape(agent.address);
        let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
        let metrics = agent.metrics();
        let displaced = metrics.count("netwatch_web_connections_displaced_total", &[]);
        eprintln!(
            "{} scrapes among others from {others}: median {median:?}, longest {longest:?}; {} connections made by the others, {displaced} displaced",
            took.len(),
            crowd.made(),
        );
        assert!(displaced > 900, "places were short: {displaced}");
        assert!(median < LIMIT, "{took:?}");
        crowd.end();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn scrapers_are_answered_whatever_clients_at_another_address_do() {
    among_others_from(OTHERS);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn scrapers_are_answered_whatever_clients_at_their_own_address_do() {
    among_others_from(SCRAPERS);
}
