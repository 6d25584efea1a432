//! Names of addresses outside this host: those by which a container looked them up itself.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use crate::model::{Exchange, Instant};

/// So long an answer names what its container talks to. Longer than most answers are good for: connections outlive them.
const LIFE: Duration = Duration::from_hours(1);
/// Names that are kept. Of more, the oldest is forgotten.
const MOST: usize = 16_384;

/// Who looked up an address: the interface that the answer came through. Each container has its own names, so that nobody
/// can make up one for others.
type Key = (u32, IpAddr);

/// So long an answer is awaited.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names of addresses by who looked them up. Only what was asked for is believed: an answer that nobody asked for would be
/// an easy way to give things wrong names. The last answer counts where several names have one address.
#[derive(Debug, Default)]
pub struct Domains {
    names: HashMap<Key, (Arc<str>, Instant)>,
    /// In the order of their answers, the first one first. A key that was answered again is in it again.
    order: VecDeque<(Instant, Key)>,
    /// Queries that came from an interface and have no answer.
    asked: HashMap<(u32, Exchange), Instant>,
    /// The same in their order, with those that have one or were asked again.
    asked_order: VecDeque<(Instant, (u32, Exchange))>,
}

impl Domains {
    /// Takes up that the container behind an interface asks.
    pub fn ask(&mut self, ifindex: u32, exchange: Exchange, now: Instant) {
        self.asked.insert((ifindex, exchange), now);
        self.asked_order.push_back((now, (ifindex, exchange)));
        while self.asked_order.len() > MOST {
            self.give_up_first();
        }
    }

    /// Takes up an answer that came to the container behind an interface.
    pub fn learn(
        &mut self,
        ifindex: u32,
        exchange: Exchange,
        name: &Arc<str>,
        addresses: &[IpAddr],
        now: Instant,
    ) {
        if self.asked.remove(&(ifindex, exchange)).is_none() {
            return;
        }
        for address in addresses {
            let key = (ifindex, *address);
            self.names.insert(key, (Arc::clone(name), now));
            self.order.push_back((now, key));
        }
        while self.order.len() > MOST {
            self.forget_first();
        }
    }

    /// The name of an address for the container behind one of these interfaces.
    pub fn name(&self, ifindexes: impl Iterator<Item = u32>, address: IpAddr) -> Option<Arc<str>> {
        let mut found = ifindexes.filter_map(|ifindex| self.names.get(&(ifindex, address)));
        found.next().map(|(name, _)| Arc::clone(name))
    }

    /// Forgets answers that are too old.
    pub fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) >= LIFE) {
            self.forget_first();
        }
        while self.asked_order.front().is_some_and(|(at, _)| now.since(*at) >= PATIENCE) {
            self.give_up_first();
        }
    }

    fn give_up_first(&mut self) {
        if let Some((at, asked)) = self.asked_order.pop_front()
            && self.asked.get(&asked) == Some(&at)
        {
            self.asked.remove(&asked);
        }
    }

    fn forget_first(&mut self) {
        if let Some((at, key)) = self.order.pop_front()
            && self.names.get(&key).is_some_and(|(_, last)| *last == at)
        {
            self.names.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Protocol, Socket};

    const SECOND: u64 = 1_000_000_000;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn exchange(id: u16) -> Exchange {
        let socket = |port| Socket { address: ip(53), port };
        Exchange { protocol: Protocol::UDP, client: socket(40_000), server: socket(53), id }
    }

    fn learn(domains: &mut Domains, ifindex: u32, name: &str, addresses: &[IpAddr], now: u64) {
        domains.ask(ifindex, exchange(1), Instant(now));
        domains.learn(ifindex, exchange(1), &name.into(), addresses, Instant(now));
    }

    fn name(domains: &Domains, ifindex: u32, last: u8) -> Option<String> {
        domains.name([ifindex].into_iter(), ip(last)).map(|name| name.to_string())
    }

    #[test]
    fn each_has_the_names_that_it_looked_up() {
        let mut domains = Domains::default();
        learn(&mut domains, 5, "db.example", &[ip(1), ip(2)], 0);
        learn(&mut domains, 6, "evil.example", &[ip(1)], 1);
        assert_eq!(name(&domains, 5, 1).as_deref(), Some("db.example"));
        assert_eq!(name(&domains, 5, 2).as_deref(), Some("db.example"));
        assert_eq!(name(&domains, 6, 1).as_deref(), Some("evil.example"));
        assert_eq!(name(&domains, 6, 2), None);
        let both = domains.name([7, 5].into_iter(), ip(1));
        assert_eq!(both.as_deref(), Some("db.example"));
    }

    #[test]
    fn the_last_answer_counts_and_an_hour_long() {
        let mut domains = Domains::default();
        learn(&mut domains, 5, "old.example", &[ip(1)], 0);
        learn(&mut domains, 5, "new.example", &[ip(1)], 10 * SECOND);
        domains.expire(Instant(3605 * SECOND));
        assert_eq!(name(&domains, 5, 1).as_deref(), Some("new.example"));
        domains.expire(Instant(3610 * SECOND));
        assert_eq!(name(&domains, 5, 1), None);
        assert!(domains.order.is_empty() && domains.asked_order.is_empty());
    }

    #[test]
    fn what_nobody_asked_for_is_not_believed() {
        let mut domains = Domains::default();
        let answer = |domains: &mut Domains, ifindex, id| {
            domains.learn(ifindex, exchange(id), &"evil.example".into(), &[ip(1)], Instant(0));
        };
        domains.ask(5, exchange(7), Instant(0));
        answer(&mut domains, 5, 8);
        answer(&mut domains, 6, 7);
        assert!(name(&domains, 5, 1).is_none() && name(&domains, 6, 1).is_none());
        domains.expire(Instant(10 * SECOND));
        answer(&mut domains, 5, 7);
        assert_eq!(name(&domains, 5, 1), None, "too late");
        domains.ask(5, exchange(7), Instant(11 * SECOND));
        answer(&mut domains, 5, 7);
        assert_eq!(name(&domains, 5, 1).as_deref(), Some("evil.example"));
    }

    #[test]
    fn they_are_bounded() {
        let mut domains = Domains::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            let address = IpAddr::from(number.to_be_bytes());
            learn(&mut domains, 5, "many.example", &[address], number.into());
        }
        assert_eq!((domains.names.len(), domains.order.len()), (MOST, MOST));
        assert!(domains.name([5].into_iter(), IpAddr::from([0, 0, 0, 0])).is_none());
    }
}
