//! What is remembered of the directory's answers, and who waits for the next one.
//!
//! Users and recipients have a cache each: one name may be both, with two answers, and who sends mail to many addresses
//! must not push out who logs in. In each, known and unknown names have a bounded table each, so that guessing names
//! cannot push real ones out. One question a name is in flight, whoever asks; it runs as a task of its own and ends for
//! all who wait. An answer serves for `ttl` (a tenth more or less, so that a full cache does not expire at once), and for
//! `stale` longer while the directory is down. A password is never remembered.
//!
//! An answer is kept once, by the identity of the user whom it is about; each name that was asked for leads to one. So a
//! user with many aliases takes one place, and is forgotten by any of them.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Unavailable;
use super::counts::Counts;
use super::route::Entry;
use crate::config;

/// How an answer of the directory is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// How long ago the directory gave it.
    pub age: Duration,
    /// Its time has passed: it serves only while the directory is away.
    pub is_stale: bool,
}

/// What a question ends with.
pub(super) type Answer<T> = Result<Option<Arc<T>>, Unavailable>;

pub(super) struct Cache<T> {
    times: config::Cache,
    tables: Option<Tables<T>>,
    flights: Mutex<Flights<T>>,
    jitter: RandomState,
    counts: Arc<Counts>,
    /// Known names now.
    remembered: IntGauge,
    control: Handle,
}

/// What answers are kept by.
pub(super) trait Identified {
    /// Whom the answer is about; `None` = the name that was asked for.
    fn identity(&self) -> Option<&Arc<str>>;

    /// The entry that it comes from. Entries that share an identity, against what an operator was asked for, push each
    /// other out, but no name is ever answered from the entry of another.
    fn entry(&self) -> Option<&Entry>;
}

struct Tables<T> {
    /// Whose a name is.
    names: quick_cache::sync::Cache<Arc<str>, RememberedName>,
    /// By identity.
    known: quick_cache::sync::Cache<Arc<str>, Known<T>>,
    /// Until when.
    unknown: quick_cache::sync::Cache<Arc<str>, Instant>,
}

struct Known<T> {
    what: Arc<T>,
    /// A hash of the entry.
    entry: u64,
    /// By the name that was asked for last.
    stale_until: Instant,
}

#[derive(Clone)]
struct RememberedName {
    identity: Arc<str>,
    /// A hash of the entry that the name led to.
    entry: u64,
    fresh_until: Instant,
    stale_until: Instant,
}

/// The questions that are being asked.
struct Flights<T> {
    waiting: HashMap<Arc<str>, watch::Receiver<Option<Landed<T>>>>,
    /// Grows when the sources change: what was asked before must not be remembered after.
    epoch: u64,
    /// Until then the directory is known to be down, and stale answers are given without asking.
    down_until: Option<Instant>,
}

struct Landed<T> {
    answer: Answer<T>,
    stale: bool,
}

impl<T: Identified + Send + Sync + 'static> Cache<T> {
    pub(super) fn new(times: config::Cache, counts: Arc<Counts>, remembered: IntGauge, control: Handle) -> Self {
        let tables = (times.entries > 0).then(|| Tables {
            names: quick_cache::sync::Cache::new(times.entries),
            known: quick_cache::sync::Cache::new(times.entries),
            unknown: quick_cache::sync::Cache::new(times.entries.div_ceil(UNKNOWN_SHARE)),
        });
        let flights = Mutex::new(Flights { waiting: HashMap::new(), epoch: 0, down_until: None });
        Self { times, tables, flights, jitter: RandomState::new(), counts, remembered, control }
    }

    /// The answer for this name: remembered, or that of the one question in flight.
    pub(super) async fn find<F>(self: &Arc<Self>, name: &Arc<str>, question: impl FnOnce() -> F) -> Answer<T>
    where
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        if let Some(answer) = self.fresh(name) {
            return Ok(answer);
        }
        let mut flight = match self.join(name, question) {
            Joined::Flight(flight) => flight,
            Joined::Remembered(answer) => return Ok(answer),
            Joined::Landed(landed) => return self.count(landed),
        };
        let landed = match flight.wait_for(Option::is_some).await {
            Ok(landed) => landed.clone(),
            Err(_) => None,
        };
        self.count(landed.unwrap_or(Landed { answer: Err(Unavailable::Lost), stale: false }))
    }

    /// How many users there is an answer for while the directory is down.
    pub(super) fn served_stale(&self) -> usize {
        let now = Instant::now();
        self.tables
            .as_ref()
            .map_or(0, |tables| tables.known.iter().filter(|(_, known)| now < known.stale_until).count())
    }

    /// What is remembered of a name now; `None` when the next question goes to the directory.
    pub(super) fn memory(&self, name: &Arc<str>) -> Option<Memory> {
        let (tables, now) = (self.tables.as_ref()?, Instant::now());
        let named = tables.names.peek(name).filter(|named| tables.known_as(named).is_some());
        let (time, fresh_until) = match (named, tables.unknown.peek(name)) {
            (Some(named), _) if now < named.stale_until => (self.times.ttl, named.fresh_until),
            (_, Some(until)) if now < until => (self.times.negative_ttl, until),
            _ => return None,
        };
        let asked = fresh_until.checked_sub(self.jittered(time, name))?;
        Some(Memory { age: now.saturating_duration_since(asked), is_stale: now >= fresh_until })
    }

    /// Whose a name is, as far as it is remembered.
    pub(super) fn identity(&self, name: &str) -> Option<Arc<str>> {
        Some(self.tables.as_ref()?.names.peek(name)?.identity)
    }

    /// What is remembered of the user of this identity, fresh or stale.
    pub(super) fn known(&self, identity: &str) -> Option<Arc<T>> {
        let known = self.tables.as_ref()?.known.get(identity)?;
        (Instant::now() < known.stale_until).then_some(known.what)
    }

    /// Forgets the user whom a name leads to, or whose identity it is. A question that is in flight is answered, but its
    /// answer is not remembered, and who asks from now on does not get it. Whether there was something to forget.
    pub(super) fn forget(&self, name: &str) -> bool {
        let mut flights = self.flights();
        // One of them may be about this user by another name.
        flights.epoch += 1;
        flights.waiting.clear();
        let Some(tables) = &self.tables else { return false };
        let identity = tables.names.get(name).map(|named| named.identity);
        let known = tables.known.remove(identity.as_deref().unwrap_or(name));
        let unknown = tables.unknown.remove(name);
        self.show_size(tables);
        known.is_some() || unknown.is_some()
    }

    /// Forgets the names that `keeps` denies, known (with the answer) and unknown ones. Questions in flight are answered
    /// but not remembered: they may have been asked before what made the others wrong.
    pub(super) fn retain(&self, keeps: impl Fn(&str, Option<&T>) -> bool) {
        let mut flights = self.flights();
        flights.epoch += 1;
        flights.waiting.clear();
        if let Some(tables) = &self.tables {
            let keeps_known = |name: &str, known: &Known<T>| keeps(name.trim_start(), Some(&known.what));
            tables.names.retain(|name, named| {
                tables.known.peek(&named.identity).is_some_and(|known| keeps_known(name, &known))
            });
            tables.known.retain(|identity, known| keeps_known(identity, known));
            tables.unknown.retain(|name, _| keeps(name.trim_start(), None));
            self.show_size(tables);
        }
    }

    /// In the metric.
    fn show_size(&self, tables: &Tables<T>) {
        self.remembered.set(i64::try_from(tables.known.len()).unwrap_or(i64::MAX));
    }

    fn fresh(&self, name: &str) -> Option<Option<Arc<T>>> {
        let tables = self.tables.as_ref()?;
        if let Some(named) = tables.names.get(name) {
            if Instant::now() < named.fresh_until
                && let Some(known) = tables.known_as(&named)
            {
                self.counts.cached.inc();
                return Some(Some(known.what));
            }
        } else if tables.unknown.get(name).is_some_and(|until| Instant::now() < until) {
            self.counts.negative.inc();
            return Some(None);
        }
        None
    }

    fn stale(&self, name: &str) -> Option<Arc<T>> {
        let tables = self.tables.as_ref()?;
        let named = tables.names.get(name).filter(|named| Instant::now() < named.stale_until)?;
        Some(tables.known_as(&named)?.what)
    }

    fn join<F>(self: &Arc<Self>, name: &Arc<str>, question: impl FnOnce() -> F) -> Joined<T>
    where
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        let mut flights = self.flights();
        if let Some(flight) = flights.waiting.get(name) {
            return Joined::Flight(flight.clone());
        }
        // A flight may have landed since the first look.
        if let Some(answer) = self.fresh(name) {
            return Joined::Remembered(answer);
        }
        let is_full = flights.waiting.len() >= FLIGHTS_MAX;
        let is_down = flights.down_until.is_some_and(|until| Instant::now() < until);
        let stale = self.stale(name);
        match &stale {
            Some(what) if is_full || is_down => {
                return Joined::Landed(Landed { answer: Ok(Some(Arc::clone(what))), stale: true });
            }
            None if is_full => return Joined::Landed(Landed { answer: Err(Unavailable::Overloaded), stale: false }),
            _ => {}
        }
        // One of those who are remembered asks whether the directory is back; the others do not wait for the answer.
        if let (Some(until), Some(_)) = (&mut flights.down_until, stale) {
            *until = Instant::now() + DOWN;
        }
        let (landing, flight) = watch::channel(None);
        flights.waiting.insert(Arc::clone(name), flight.clone());
        let flying = Flying { cache: Arc::clone(self), name: Arc::clone(name), epoch: flights.epoch, landing };
        drop(flights);
        let question = question();
        self.control.spawn(async move {
            let answer = question.await;
            flying.land(answer);
        });
        Joined::Flight(flight)
    }

    fn remember(&self, name: &Arc<str>, answer: &Option<Arc<T>>) {
        let Some(tables) = &self.tables else { return };
        let now = Instant::now();
        if let Some(what) = answer {
            let fresh_until = now + self.jittered(self.times.ttl, name);
            let stale_until = fresh_until + self.times.stale;
            let identity = match what.identity() {
                Some(identity) => Arc::clone(identity),
                // A question by identity, see [`super::identity_key`].
                None if name.starts_with(' ') => name.trim_start().into(),
                None => Arc::clone(name),
            };
            tables.unknown.remove(name);
            let entry = self.jitter.hash_one(what.entry());
            tables.known.insert(Arc::clone(&identity), Known { what: Arc::clone(what), entry, stale_until });
            tables.names.insert(Arc::clone(name), RememberedName { identity, entry, fresh_until, stale_until });
        } else {
            // Another name may lead to the same user still.
            if let Some((_, named)) = tables.names.remove(name)
                && *named.identity == **name
            {
                tables.known.remove(name);
            }
            tables.unknown.insert(Arc::clone(name), now + self.jittered(self.times.negative_ttl, name));
        }
        self.show_size(tables);
    }

    /// 90 to 110 %, the same for a name as long as the process lives.
    fn jittered(&self, time: Duration, name: &Arc<str>) -> Duration {
        let percent = 90 + u32::try_from(self.jitter.hash_one(name) % 21).unwrap_or_default();
        time * percent / 100
    }

    fn count(&self, landed: Landed<T>) -> Answer<T> {
        match &landed.answer {
            Ok(Some(_)) if landed.stale => self.counts.stale.inc(),
            Ok(Some(_)) => self.counts.found.inc(),
            Ok(None) => self.counts.unknown.inc(),
            Err(_) => self.counts.unavailable.inc(),
        }
        landed.answer
    }

    fn flights(&self) -> MutexGuard<'_, Flights<T>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Tables<T> {
    /// What the name led to, as it is remembered now.
    fn known_as(&self, named: &RememberedName) -> Option<Known<T>> {
        self.known.get(&named.identity).filter(|known| known.entry == named.entry)
    }
}

// Derived, they would ask of what is remembered to be Clone.
impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self { what: Arc::clone(&self.what), ..*self }
    }
}

impl<T> Clone for Landed<T> {
    fn clone(&self) -> Self {
        Self { answer: self.answer.clone(), stale: self.stale }
    }
}

enum Joined<T> {
    Flight(watch::Receiver<Option<Landed<T>>>),
    /// Counted already.
    Remembered(Option<Arc<T>>),
    Landed(Landed<T>),
}

/// A question that is being asked. Dropped without an answer (a panic), it leaves the table, and those who wait are
/// woken by the channel's end.
struct Flying<T: Identified + Send + Sync + 'static> {
    cache: Arc<Cache<T>>,
    name: Arc<str>,
    epoch: u64,
    landing: watch::Sender<Option<Landed<T>>>,
}

impl<T: Identified + Send + Sync + 'static> Flying<T> {
    fn land(self, answer: Answer<T>) {
        let mut flights = self.cache.flights();
        let mut landed = Landed { answer, stale: false };
        // No longer when the user was forgotten, or a source changed, meanwhile.
        let is_valid = flights.epoch == self.epoch
            && flights.waiting.get(&self.name).is_some_and(|flight| flight.same_channel(&self.landing.subscribe()));
        match &landed.answer {
            Ok(answer) if is_valid => {
                flights.down_until = None;
                self.cache.remember(&self.name, answer);
            }
            Err(problem) if problem.is_outage() => {
                flights.down_until = Some(Instant::now() + DOWN);
                if let Some(what) = self.cache.stale(&self.name) {
                    landed = Landed { answer: Ok(Some(what)), stale: true };
                }
            }
            Ok(_) | Err(_) => {}
        }
        drop(flights);
        // Before the flight leaves the table, so that nobody joins it too late.
        self.landing.send_replace(Some(landed));
    }
}

impl<T: Identified + Send + Sync + 'static> Drop for Flying<T> {
    fn drop(&mut self) {
        let mut flights = self.cache.flights();
        let ours = self.landing.subscribe();
        if flights.waiting.get(&self.name).is_some_and(|flight| flight.same_channel(&ours)) {
            flights.waiting.remove(&self.name);
        }
    }
}

/// Questions in flight at once; each is bounded in time by its sources.
const FLIGHTS_MAX: usize = 16_384;
/// The table of unknown names has an entry for so many known ones.
const UNKNOWN_SHARE: usize = 4;
/// How long stale answers are given without asking, once the directory is down.
const DOWN: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
