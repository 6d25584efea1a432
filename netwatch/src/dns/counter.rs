//! Counts queries and answers, each once, for the one who asks.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use super::message::{self, Content};
use crate::model::{Answer, DnsCounts, EntrySide, Exchange, Instant, Message, Question};

/// How long a message waits: for what other hooks saw of it, and for the name of a container that has just begun.
const PATIENCE: Duration = Duration::from_millis(300);
/// Messages that may wait. More are counted at once, by what is known of them.
const MOST_WAITING: usize = 16_384;

/// Who has no counts of its own.
const OTHERS: &str = "other";

/// Where a message was seen, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vantage {
    /// At the veth of the container that asks.
    Client,
    /// At the veth of the container that answers.
    Server,
    /// At a bridge, or another interface.
    Elsewhere,
}

/// A message that waits to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The interface that it passed.
    pub ifindex: u32,
    /// Where that is.
    pub vantage: Vantage,
    /// When it passed.
    pub time: Instant,
    pub(super) content: Arc<Content>,
    side: EntrySide,
    /// Of its bytes: equal for what several hooks saw of one message, also after its addresses were translated.
    fingerprint: u64,
}

impl Heard {
    /// What query and answer share.
    pub fn exchange(&self) -> Exchange {
        self.content.exchange
    }

    /// What was asked for and the answer, if it is one.
    pub fn answer(&self) -> Option<(&Question, &Answer)> {
        self.content.question.as_ref().zip(self.content.answer.as_ref())
    }

    /// The hook.
    fn place(&self) -> (u32, EntrySide) {
        (self.ifindex, self.side)
    }
}

/// The best hook that saw a message.
#[derive(Clone, Copy)]
struct Best {
    vantage: Vantage,
    place: (u32, EntrySide),
    /// When it was seen last, anywhere.
    time: Instant,
}

/// Counts messages.
///
/// At the veth of the container that asks, each message counts. What was seen elsewhere counts only if it was not seen
/// there: once, at the best of the hooks that saw it. Without that rule, a query that a container sends to the outside
/// would count twice, at its veth and at the bridge.
#[derive(Default)]
pub struct Counter {
    waiting: VecDeque<Heard>,
    /// By fingerprint.
    best: HashMap<u64, Best>,
    hasher: RandomState,
    counts: BTreeMap<Arc<str>, DnsCounts>,
    /// So many counts in all; what comes then is counted for all others together.
    most: usize,
    unreadable: u64,
}

impl Counter {
    /// Has so many counts, of queries and of answers of each code.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Takes up a message that passed an interface. Answers with what it was, if it can be read.
    pub fn hear(&mut self, message: &Message, is_veth: bool) -> Option<&Heard> {
        let Some(content) = message::read(message) else {
            self.unreadable += 1;
            return None;
        };
        let is_query = content.answer.is_none();
        let vantage = match message.side {
            _ if !is_veth => Vantage::Elsewhere,
            EntrySide::Ingress if is_query => Vantage::Client,
            EntrySide::Egress if !is_query => Vantage::Client,
            _ => Vantage::Server,
        };
        let heard = Heard {
            ifindex: message.ifindex,
            vantage,
            time: message.time,
            content: Arc::new(content),
            side: message.side,
            fingerprint: self.hasher.hash_one((message.protocol, message.len, &message.bytes)),
        };
        let here = Best { vantage, place: heard.place(), time: heard.time };
        let best = self.best.entry(heard.fingerprint).or_insert(here);
        if vantage < best.vantage {
            *best = here;
        }
        best.time = heard.time;
        self.waiting.push_back(heard);
        self.waiting.back()
    }

    /// Counts what has waited long enough, and hands it out. `name` tells who asks; `None`: the message was only flooded
    /// there.
    pub fn settle(
        &mut self,
        now: Instant,
        name: &mut dyn FnMut(&Heard) -> Option<Arc<str>>,
    ) -> Vec<Heard> {
        let mut counted = Vec::new();
        let is_due = |heard: &Heard| now.since(heard.time) >= PATIENCE;
        let is_full = |waiting: &VecDeque<_>| waiting.len() > MOST_WAITING;
        while self.waiting.front().is_some_and(is_due) || is_full(&self.waiting) {
            let Some(heard) = self.waiting.pop_front() else { break };
            if self.is_counted(&heard)
                && let Some(client) = name(&heard)
            {
                self.count(
                    client,
                    heard.content.answer.as_ref().map(|answer| answer.rcode.clone()),
                );
                counted.push(heard);
            }
        }
        // What two CPUs saw of one message can stand in the ring a little apart.
        self.best.retain(|_, best| now.since(best.time) < 2 * PATIENCE);
        counted
    }

    /// Counts everything that waits: there will be no more.
    pub fn finish(&mut self, name: &mut dyn FnMut(&Heard) -> Option<Arc<str>>) -> Vec<Heard> {
        self.settle(Instant(u64::MAX), name)
    }

    /// Counts by client.
    pub fn counts(&self) -> Vec<(Arc<str>, DnsCounts)> {
        self.counts.iter().map(|(client, counts)| (Arc::clone(client), counts.clone())).collect()
    }

    /// Whose counts there are.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.counts.keys()
    }

    /// These have been gone for long.
    pub fn forget(&mut self, names: &HashSet<Arc<str>>) {
        self.counts.retain(|client, _| !names.contains(client));
    }

    /// Messages that could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn is_counted(&self, heard: &Heard) -> bool {
        let is_best = |best: &Best| best.place == heard.place();
        heard.vantage == Vantage::Client || self.best.get(&heard.fingerprint).is_none_or(is_best)
    }

    fn count(&mut self, client: Arc<str>, rcode: Option<Cow<'static, str>>) {
        let known = self.counts.get(&client);
        let is_counted = known.is_some_and(|counts| {
            rcode.as_ref().is_none_or(|rcode| counts.responses.contains_key(rcode))
        });
        let all: usize = self.counts.values().map(|counts| 1 + counts.responses.len()).sum();
        // Somebody new has two: of the query, and of its answer.
        let client = if is_counted || all + 2 <= self.most { client } else { OTHERS.into() };
        let counts = self.counts.entry(client).or_default();
        match rcode {
            None => counts.queries += 1,
            Some(rcode) => *counts.responses.entry(rcode).or_default() += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dns::message::tests::message as dns, model::Protocol};

    const QUERY: u16 = 0x0100;
    const ANSWER: u16 = 0x8180;
    const VETH: u32 = 5;
    const BRIDGE: u32 = 3;
    const OTHER_VETH: u32 = 7;

    fn hear(counter: &mut Counter, flags: u16, ifindex: u32, side: EntrySide, time_ms: u64) {
        let message = dns(Protocol::UDP, flags, &[]);
        let time = Instant(time_ms * 1_000_000);
        counter.hear(&Message { time, ifindex, side, ..message }, ifindex != BRIDGE);
    }

    #[expect(clippy::unnecessary_wraps, reason = "the shape that the counter asks for")]
    fn name(heard: &Heard) -> Option<Arc<str>> {
        Some(match (heard.vantage, heard.ifindex) {
            (Vantage::Client, VETH) => "web".into(),
            (Vantage::Client, _) => "db".into(),
            _ => "external".into(),
        })
    }

    fn counted(mut counter: Counter) -> Vec<(String, u64, u64)> {
        counter.finish(&mut name);
        let sum = |counts: &DnsCounts| counts.responses.values().sum();
        let all = counter.counts().into_iter();
        all.map(|(client, counts)| (client.to_string(), counts.queries, sum(&counts))).collect()
    }

    #[test]
    fn a_query_to_the_outside_counts_at_the_veth() {
        let mut counter = Counter::new(99);
        hear(&mut counter, QUERY, VETH, EntrySide::Ingress, 1);
        hear(&mut counter, QUERY, BRIDGE, EntrySide::Ingress, 1);
        // The answer comes through the bridge first.
        hear(&mut counter, ANSWER, BRIDGE, EntrySide::Egress, 2);
        hear(&mut counter, ANSWER, VETH, EntrySide::Egress, 2);
        assert_eq!(counted(counter), [("web".to_owned(), 1, 1)]);
    }

    #[test]
    fn between_two_containers_it_counts_for_the_one_who_asks() {
        let mut counter = Counter::new(99);
        hear(&mut counter, QUERY, VETH, EntrySide::Ingress, 1);
        hear(&mut counter, QUERY, OTHER_VETH, EntrySide::Egress, 1);
        hear(&mut counter, ANSWER, OTHER_VETH, EntrySide::Ingress, 2);
        hear(&mut counter, ANSWER, VETH, EntrySide::Egress, 2);
        assert_eq!(counted(counter), [("web".to_owned(), 1, 1)]);
    }

    #[test]
    fn two_containers_that_ask_the_same_count_each() {
        let mut counter = Counter::new(99);
        hear(&mut counter, QUERY, VETH, EntrySide::Ingress, 1);
        hear(&mut counter, QUERY, OTHER_VETH, EntrySide::Ingress, 1);
        hear(&mut counter, QUERY, BRIDGE, EntrySide::Ingress, 1);
        assert_eq!(counted(counter), [("db".to_owned(), 1, 0), ("web".to_owned(), 1, 0)]);
    }

    #[test]
    fn what_no_veth_of_the_client_saw_counts_at_the_best_hook() {
        let mut counter = Counter::new(99);
        // The host asks a container, and again, since the answer does not come.
        for time in [1, 2] {
            hear(&mut counter, QUERY, BRIDGE, EntrySide::Egress, time);
            hear(&mut counter, QUERY, OTHER_VETH, EntrySide::Egress, time);
        }
        assert_eq!(counted(counter), [("external".to_owned(), 2, 0)]);
        let mut counter = Counter::new(99);
        hear(&mut counter, QUERY, BRIDGE, EntrySide::Ingress, 1);
        hear(&mut counter, QUERY, BRIDGE, EntrySide::Egress, 1);
        assert_eq!(counted(counter), [("external".to_owned(), 1, 0)]);
    }

    #[test]
    fn messages_wait_for_names_and_no_longer() {
        let mut counter = Counter::new(99);
        hear(&mut counter, QUERY, VETH, EntrySide::Ingress, 1000);
        counter.settle(Instant(1_200_000_000), &mut |_| panic!("too early"));
        assert!(counter.counts().is_empty());
        counter.settle(Instant(1_300_000_000), &mut name);
        assert_eq!(counter.counts()[0].1.queries, 1);
        assert!(!counter.best.is_empty());
        counter.settle(Instant(1_600_000_000), &mut name);
        assert!(counter.best.is_empty() && counter.waiting.is_empty());
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut counter = Counter::new(99);
        for _ in 0..MOST_WAITING + 5 {
            hear(&mut counter, QUERY, VETH, EntrySide::Ingress, 1000);
        }
        counter.settle(Instant(1_000_000_000), &mut name);
        assert_eq!((counter.waiting.len(), counter.counts()[0].1.queries), (MOST_WAITING, 5));
    }

    #[test]
    fn flooded_and_unreadable_messages_count_nowhere() {
        let mut counter = Counter::new(99);
        hear(&mut counter, ANSWER, VETH, EntrySide::Egress, 1);
        let junk = Message { bytes: vec![0xff; 40].into(), ..dns(Protocol::UDP, QUERY, &[]) };
        counter.hear(&junk, true);
        counter.finish(&mut |_| None);
        assert!(counter.counts().is_empty());
        assert_eq!(counter.unreadable(), 1);
    }
}
