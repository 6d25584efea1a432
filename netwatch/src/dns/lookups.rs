//! Joins queries and answers.

use std::{collections::HashMap, time::Duration};

use super::{Heard, Vantage};
use crate::model::{Answer, Exchange, Instant, Question};

/// So long a query waits for its answer: as long as resolvers do (`resolv.conf(5)`, `timeout`).
const PATIENCE: Duration = Duration::from_secs(5);
/// Queries that may wait. Of more, the answers are told without their times, and that one has none is not.
const MOST_WAITING: usize = 16_384;

/// A look-up whose ends have no names yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of the answer; where none came, of the last query.
    pub time: Instant,
    /// Who asks whom.
    pub exchange: Exchange,
    /// The interface at which the look-up was seen.
    pub ifindex: u32,
    /// Where that is.
    pub vantage: Vantage,
    /// What is asked for.
    pub question: Option<Question>,
    /// What is answered.
    pub answer: Option<Answer>,
    /// From the first query to the answer.
    pub took: Option<Duration>,
    /// Queries that were seen.
    pub queries: u32,
}

/// What query and answer have in common. The question too: a connection may carry several look-ups.
type Key = (Exchange, Option<Question>);

/// A query that has no answer yet.
#[derive(Debug)]
struct Waiting {
    first: Instant,
    last: Instant,
    queries: u32,
    ifindex: u32,
    vantage: Vantage,
}

/// Look-ups that are going on.
#[derive(Debug, Default)]
pub struct Lookups {
    waiting: HashMap<Key, Waiting>,
}

impl Lookups {
    /// Takes up a message that counts. An answer ends a look-up.
    pub fn hear(&mut self, heard: &Heard) -> Option<Asked> {
        let content = &heard.content;
        let key = (content.exchange, content.question.clone());
        let Some(answer) = &content.answer else {
            self.query(key, heard);
            return None;
        };
        let query = self.waiting.remove(&key);
        let (exchange, question) = key;
        Some(Asked {
            time: heard.time,
            exchange,
            ifindex: heard.ifindex,
            vantage: heard.vantage,
            question,
            answer: Some(answer.clone()),
            took: query.as_ref().map(|query| heard.time.since(query.first)),
            queries: query.map_or(0, |query| query.queries),
        })
    }

    fn query(&mut self, key: Key, heard: &Heard) {
        let is_full = self.waiting.len() >= MOST_WAITING;
        let (time, ifindex, vantage) = (heard.time, heard.ifindex, heard.vantage);
        match self.waiting.get_mut(&key) {
            Some(waiting) => {
                waiting.last = time;
                waiting.queries += 1;
            }
            None if is_full => {}
            None => {
                let waiting = Waiting { first: time, last: time, queries: 1, ifindex, vantage };
                self.waiting.insert(key, waiting);
            }
        }
    }

    /// Gives up those that have waited long enough, the first one first.
    pub fn give_up(&mut self, now: Instant) -> Vec<Asked> {
        let is_due = |_: &Key, waiting: &mut Waiting| now.since(waiting.last) >= PATIENCE;
        let mut asked: Vec<Asked> = self
            .waiting
            .extract_if(is_due)
            .map(|((exchange, question), waiting)| Asked {
                time: waiting.last,
                exchange,
                ifindex: waiting.ifindex,
                vantage: waiting.vantage,
                question,
                answer: None,
                took: None,
                queries: waiting.queries,
            })
            .collect();
        asked.sort_by_key(|asked| asked.time);
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::{Counter, message::tests::message},
        model::{EntrySide, Message, Protocol},
    };
    use std::sync::Arc;

    const QUERY: u16 = 0x0100;
    const ANSWER: u16 = 0x8180;
    const MISSING: u16 = 0x8183;
    /// `192.0.2.1` (RFC 5737), for the question of the test's message.
    const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

    fn heard(flags: u16, rest: &[u8], time_ms: u64) -> Heard {
        let mut counter = Counter::new(99);
        let mut message = message(Protocol::UDP, flags, rest);
        if !rest.is_empty() {
            let mut bytes = message.bytes.to_vec();
            bytes[7] = 1;
            message.bytes = bytes.into();
        }
        let side = if flags & 0x8000 == 0 { EntrySide::Ingress } else { EntrySide::Egress };
        counter.hear(&Message { time: Instant(time_ms * 1_000_000), side, ..message }, true);
        let [heard] = &counter.finish(&mut |_| Some("web".into()))[..] else { panic!("one") };
        heard.clone()
    }

    #[test]
    fn an_answer_is_joined_with_its_query() {
        let mut lookups = Lookups::default();
        assert_eq!(lookups.hear(&heard(QUERY, &[], 1)), None);
        let asked = lookups.hear(&heard(ANSWER, &RECORD, 3)).unwrap();
        let question = Question { name: "web.example".into(), kind: "A".into() };
        assert_eq!(asked.question, Some(question));
        let answer = Answer { rcode: "NOERROR".into(), addresses: vec![[192, 0, 2, 1].into()] };
        assert_eq!(asked.answer, Some(answer));
        assert_eq!((asked.took, asked.queries), (Some(Duration::from_millis(2)), 1));
        assert_eq!((asked.exchange.client.port, asked.exchange.server.port), (40_000, 53));
        assert_eq!(lookups.give_up(Instant(u64::MAX)), []);
    }

    #[test]
    fn a_query_that_is_sent_again_is_one_look_up() {
        let mut lookups = Lookups::default();
        lookups.hear(&heard(QUERY, &[], 0));
        lookups.hear(&heard(QUERY, &[], 2000));
        let asked = lookups.hear(&heard(MISSING, &[], 2010)).unwrap();
        assert_eq!((asked.took, asked.queries), (Some(Duration::from_millis(2010)), 2));
        assert_eq!(asked.answer.unwrap().rcode, "NXDOMAIN");
    }

    #[test]
    fn no_answer_is_told_five_seconds_after_the_last_query() {
        let mut lookups = Lookups::default();
        lookups.hear(&heard(QUERY, &[], 0));
        lookups.hear(&heard(QUERY, &[], 4000));
        assert_eq!(lookups.give_up(Instant(8_999_000_000)), []);
        let [asked] = &lookups.give_up(Instant(9_000_000_000))[..] else { panic!("one") };
        assert_eq!((asked.time, asked.queries), (Instant(4_000_000_000), 2));
        assert_eq!((&asked.answer, asked.took), (&None, None));
        // Late, but told all the same.
        let late = lookups.hear(&heard(ANSWER, &[], 9001)).unwrap();
        assert_eq!((late.took, late.queries), (None, 0));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut lookups = Lookups::default();
        for id in 0..=u16::MAX {
            let mut heard = heard(QUERY, &[], 0);
            Arc::make_mut(&mut heard.content).exchange.id = id;
            lookups.hear(&heard);
        }
        assert_eq!(lookups.give_up(Instant(u64::MAX)).len(), MOST_WAITING);
    }
}
