//! Passwords: right ones are remembered, so that a scrape costs no bcrypt; wrong ones are slowed down.
//!
//! Promises: checking wrong passwords takes a tenth of one CPU at most, however many come from wherever; whoever has been
//! wrong a few times has to wait, others do not; who waits learns of no password whether it is right, unless it was right from
//! there before; what is remembered is bounded, and is no password.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ring::{hmac, rand::SystemRandom};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{source::Source, tries::Tries};

/// Right passwords that are remembered.
const MOST_KNOWN: usize = 256;
/// Sources with a password that waits to be checked: one each, so that nobody fills the queue.
const QUEUE: usize = 16;
/// For how long one waits.
const PATIENCE: Duration = Duration::from_secs(4);
/// After a wrong password nothing is checked for so many times as checking it took.
const PAUSE: u32 = 9;
/// What to say to who finds the queue full.
const BUSY: Duration = Duration::from_secs(5);
/// For users that there are not, so that the time tells nothing. Made from a password that nobody knows; its cost is replaced.
const NOBODY: &str = "$2y$10$QmX1Zc7yV3s0yq0m6cQkUe5o1mVb6wT0w1f7Jq2cC3o8xW9b5rD2K";

/// A user's name and password as a request has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Vec<u8>,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Not looked at; it may come again after this.
    Later(Duration),
}

/// Where a password has been right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Elsewhere,
    Here,
}

/// The memory about passwords.
pub(super) struct Passwords {
    /// `None`: the system gives no random numbers; then nothing is remembered.
    key: Option<hmac::Key>,
    right: Mutex<VecDeque<(hmac::Tag, Source)>>,
    tries: Mutex<Tries>,
    queue: Mutex<HashSet<Source>>,
    gate: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            right: Mutex::default(),
            tries: Mutex::default(),
            queue: Mutex::default(),
            gate: Arc::new(Semaphore::new(1)),
        })
    }

    /// Checks, or says why not. `users` are names and hashes.
    pub(super) async fn check(
        self: &Arc<Self>,
        users: &BTreeMap<String, String>,
        source: Source,
        given: Credentials,
    ) -> Verdict {
        let hash = users.get(&given.user).cloned();
        // Looked up for who is no user too, so that the time tells nothing.
        let against = hash.clone().unwrap_or_else(|| nobody(users));
        let known = self.known(&message(&given, &against), source);
        let known = known.filter(|_| hash.is_some());
        if known == Some(Known::Here) {
            return Verdict::Right;
        }
        if let Some(wait) = self.tries(|tries| tries.wait(source, Instant::now())) {
            return Verdict::Later(wait);
        }
        if known.is_some() {
            self.remember(&message(&given, &against), source);
            return Verdict::Right;
        }
        let Some(place) = self.queue_up(source) else { return Verdict::Later(BUSY) };
        // In a task of its own: who closes the connection meanwhile has tried all the same.
        let passwords = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _place = place;
            passwords.take_turn(source, given, against, hash.is_some()).await
        });
        task.await.unwrap_or(Verdict::Later(BUSY))
    }

    fn queue_up(self: &Arc<Self>, source: Source) -> Option<Waiting> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in = queue.len() < QUEUE && queue.insert(source);
        is_in.then(|| Waiting { passwords: Arc::clone(self), source })
    }

    /// One after the other.
    async fn take_turn(
        self: Arc<Self>,
        source: Source,
        given: Credentials,
        against: String,
        is_user: bool,
    ) -> Verdict {
        let gate = timeout(PATIENCE, Arc::clone(&self.gate).acquire_owned()).await;
        let Ok(Ok(gate)) = gate else { return Verdict::Later(BUSY) };
        // Others of the same source may have been wrong in the meantime.
        if let Some(wait) = self.tries(|tries| tries.wait(source, Instant::now())) {
            return Verdict::Later(wait);
        }
        let begin = Instant::now();
        let message = message(&given, &against);
        let checked = spawn_blocking(move || bcrypt::verify(&given.password, &against)).await;
        if is_user && matches!(checked, Ok(Ok(true))) {
            self.remember(&message, source);
            self.tries(|tries| tries.right(source));
            return Verdict::Right;
        }
        self.tries(|tries| tries.wrong(source, Instant::now()));
        tokio::spawn(close_for(gate, begin.elapsed() * PAUSE));
        Verdict::Wrong
    }

    fn tries<T>(&self, with: impl FnOnce(&mut Tries) -> T) -> T {
        with(&mut self.tries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// In the same time whatever is known.
    fn known(&self, message: &[u8], source: Source) -> Option<Known> {
        let key = self.key.as_ref()?;
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            right.iter().filter(|(tag, _)| hmac::verify(key, message, tag.as_ref()).is_ok());
        found.map(|(_, from)| if *from == source { Known::Here } else { Known::Elsewhere }).max()
    }

    fn remember(&self, message: &[u8], source: Source) {
        let Some(key) = &self.key else { return };
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() == MOST_KNOWN {
            right.pop_front();
        }
        right.push_back((hmac::sign(key, message), source));
    }
}

/// The place of a source in the queue.
struct Waiting {
    passwords: Arc<Passwords>,
    source: Source,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = self.passwords.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.remove(&self.source);
    }
}

async fn close_for(gate: OwnedSemaphorePermit, time: Duration) {
    sleep(time).await;
    drop(gate);
}

/// What is right: this password of this user, while its hash is this one.
fn message(given: &Credentials, hash: &str) -> Vec<u8> {
    let mut message = (given.user.len() as u64).to_be_bytes().to_vec();
    message.extend_from_slice(given.user.as_bytes());
    message.extend_from_slice(&(hash.len() as u64).to_be_bytes());
    message.extend_from_slice(hash.as_bytes());
    message.extend_from_slice(&given.password);
    message
}

/// A hash that takes as long as the slowest of the users'.
fn nobody(users: &BTreeMap<String, String>) -> String {
    let cost = users.values().filter_map(|hash| hash.get(4..6)).max().unwrap_or("10");
    format!("{}{cost}{}", &NOBODY[..4], &NOBODY[6..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> BTreeMap<String, String> {
        BTreeMap::from([("me".to_owned(), bcrypt::hash("right", 4).unwrap())])
    }

    fn given(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.into() }
    }

    fn from(last: u8) -> Source {
        Source::from(std::net::IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn nobody_takes_as_long_as_the_slowest() {
        let mut users = users();
        users.insert("slow".into(), bcrypt::hash("x", 6).unwrap());
        let hash = nobody(&users);
        assert_eq!(hash.parse::<bcrypt::HashParts>().unwrap().get_cost(), 6);
        assert!(!bcrypt::verify("anything", &hash).unwrap());
    }

    #[tokio::test]
    async fn right_and_wrong() {
        let (passwords, users) = (Passwords::new(), users());
        for (user, password, verdict) in [
            ("me", "right", Verdict::Right),
            ("me", "wrong", Verdict::Wrong),
            ("me", "", Verdict::Wrong),
            ("you", "right", Verdict::Wrong),
        ] {
            // A source of its own for each, so that none has to wait.
            let source = from(u8::try_from(user.len() * 20 + password.len()).unwrap());
            assert_eq!(
                passwords.check(&users, source, given(user, password)).await,
                verdict,
                "{user} {password}"
            );
        }
    }

    #[tokio::test]
    async fn who_was_wrong_too_often_waits_and_who_is_known_never_does() {
        let (passwords, users) = (Passwords::new(), users());
        let (attacker, scraper) = (from(1), from(2));
        assert_eq!(passwords.check(&users, attacker, given("me", "right")).await, Verdict::Right);
        let mut wrong = 0;
        while passwords.check(&users, attacker, given("me", "wrong")).await == Verdict::Wrong {
            wrong += 1;
        }
        assert_eq!(wrong, super::super::tries::FREE);
        // Even its right password, if it is one that is not known yet.
        let mut changed = users.clone();
        changed.insert("me".into(), bcrypt::hash("right", 4).unwrap());
        let again = passwords.check(&changed, attacker, given("me", "right")).await;
        assert!(matches!(again, Verdict::Later(_)), "{again:?}");
        assert_eq!(passwords.check(&users, attacker, given("me", "right")).await, Verdict::Right);
        assert_eq!(passwords.check(&users, scraper, given("me", "right")).await, Verdict::Right);
    }

    /// A password that is right elsewhere must not be one that is answered while others are not.
    #[tokio::test]
    async fn who_waits_learns_of_no_password() {
        let (passwords, users) = (Passwords::new(), users());
        let (attacker, scraper, other) = (from(1), from(2), from(3));
        assert_eq!(passwords.check(&users, scraper, given("me", "right")).await, Verdict::Right);
        while passwords.check(&users, attacker, given("me", "wrong")).await == Verdict::Wrong {}
        for (user, password) in [("me", "right"), ("me", "wrong"), ("you", "right")] {
            let told = passwords.check(&users, attacker, given(user, password)).await;
            assert!(matches!(told, Verdict::Later(_)), "{user} {password}: {told:?}");
        }
        assert_eq!(passwords.check(&users, scraper, given("me", "right")).await, Verdict::Right);
        // Known from elsewhere, it costs no bcrypt, and is known from here then.
        assert_eq!(passwords.check(&users, other, given("me", "right")).await, Verdict::Right);
        assert_eq!(passwords.right.lock().unwrap().len(), 2);
        while passwords.check(&users, other, given("me", "wrong")).await == Verdict::Wrong {}
        assert_eq!(passwords.check(&users, other, given("me", "right")).await, Verdict::Right);
    }

    #[tokio::test]
    async fn a_hash_that_has_changed_forgets_its_password() {
        let (passwords, mut users) = (Passwords::new(), users());
        assert_eq!(passwords.check(&users, from(1), given("me", "right")).await, Verdict::Right);
        users.insert("me".into(), bcrypt::hash("other", 4).unwrap());
        assert_eq!(passwords.check(&users, from(1), given("me", "right")).await, Verdict::Wrong);
        users.clear();
        users.insert("you".into(), bcrypt::hash("right", 4).unwrap());
        assert_eq!(passwords.check(&users, from(1), given("me", "right")).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let passwords = Passwords::new();
        for number in 0..MOST_KNOWN + 10 {
            passwords.remember(&number.to_be_bytes(), from(1));
        }
        assert_eq!(passwords.right.lock().unwrap().len(), MOST_KNOWN);
        let known = |number: usize, source| passwords.known(&number.to_be_bytes(), source);
        assert_eq!(known(9, from(1)), None);
        assert_eq!(known(10, from(1)), Some(Known::Here));
        assert_eq!(known(10, from(2)), Some(Known::Elsewhere));
    }

    #[tokio::test]
    async fn a_source_waits_once_and_the_queue_is_bounded() {
        let passwords = Passwords::new();
        let first = passwords.queue_up(from(1)).unwrap();
        assert!(passwords.queue_up(from(1)).is_none());
        let others: Vec<_> = (2..17).map(|last| passwords.queue_up(from(last)).unwrap()).collect();
        assert_eq!(others.len() + 1, QUEUE);
        assert!(passwords.queue_up(from(17)).is_none());
        drop(first);
        assert!(passwords.queue_up(from(17)).is_some());
    }

    /// What bcrypt makes of a password, and what Go's, which other exporters have, makes of it too.
    #[test]
    fn only_the_first_72_bytes_count_and_nul_is_one_of_them() {
        let hash = bcrypt::hash("x".repeat(72), 4).unwrap();
        assert!(bcrypt::verify("x".repeat(72), &hash).unwrap());
        assert!(bcrypt::verify("x".repeat(72) + "anything", &hash).unwrap());
        assert!(!bcrypt::verify("x".repeat(71), &hash).unwrap());
        let hash = bcrypt::hash("a\0b", 4).unwrap();
        assert!(bcrypt::verify("a\0b", &hash).unwrap());
        assert!(!bcrypt::verify("a\0c", &hash).unwrap());
        assert!(!bcrypt::verify("a", &hash).unwrap());
    }
}
