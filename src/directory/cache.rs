//! What is remembered of the directory's answers, and who waits for the next one.
//!
//! Known and unknown users have a bounded table each, so that guessing names cannot push real users out. One question a
//! user is in flight, whoever asks; it runs as a task of its own and ends for all who wait. An answer serves for `ttl`
//! (a tenth more or less, so that a full cache does not expire at once), and for `stale` longer while the directory is
//! down. A password is never remembered.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::counts::Counts;
use super::{Route, Unavailable};
use crate::config;

/// What a question ends with.
pub(super) type Answer = Result<Option<Arc<Route>>, Unavailable>;

pub(super) struct Cache {
    times: config::Cache,
    tables: Option<Tables>,
    flights: Mutex<Flights>,
    jitter: RandomState,
    counts: Arc<Counts>,
    control: Handle,
}

struct Tables {
    known: quick_cache::sync::Cache<Arc<str>, Known>,
    /// Until when.
    unknown: quick_cache::sync::Cache<Arc<str>, Instant>,
}

#[derive(Clone)]
struct Known {
    route: Arc<Route>,
    fresh_until: Instant,
    stale_until: Instant,
}

/// The questions that are being asked.
#[derive(Default)]
struct Flights {
    waiting: HashMap<Arc<str>, watch::Receiver<Option<Landed>>>,
    /// Grows when all is forgotten: what was asked before must not be remembered after.
    epoch: u64,
    /// Until then the directory is known to be down, and stale answers are given without asking.
    down_until: Option<Instant>,
}

#[derive(Clone)]
struct Landed {
    answer: Answer,
    stale: bool,
}

impl Cache {
    pub(super) fn new(times: config::Cache, counts: Arc<Counts>, control: Handle) -> Self {
        let tables = (times.entries > 0).then(|| Tables {
            known: quick_cache::sync::Cache::new(times.entries),
            unknown: quick_cache::sync::Cache::new(times.entries.div_ceil(UNKNOWN_SHARE)),
        });
        Self { times, tables, flights: Mutex::default(), jitter: RandomState::new(), counts, control }
    }

    /// The answer for this user: remembered, or that of the one question in flight.
    pub(super) async fn find<F>(self: &Arc<Self>, user: &Arc<str>, question: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        if let Some(answer) = self.fresh(user) {
            return Ok(answer);
        }
        let mut flight = match self.join(user, question) {
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

    /// Whether there is something to answer from while the directory is down.
    pub(super) fn serves_stale(&self) -> bool {
        !self.times.stale.is_zero() && self.tables.as_ref().is_some_and(|tables| !tables.known.is_empty())
    }

    /// Forgets one user; who asks from now on does not get the answer of a question that is in flight. Whether there was
    /// something to forget.
    pub(super) fn forget(&self, user: &str) -> bool {
        let mut flights = self.flights();
        flights.waiting.remove(user);
        let Some(tables) = &self.tables else { return false };
        let (known, unknown) = (tables.known.remove(user), tables.unknown.remove(user));
        self.counts.users.set(i64::try_from(tables.known.len()).unwrap_or(i64::MAX));
        known.is_some() || unknown.is_some()
    }

    /// Forgets everything; questions in flight are answered but not remembered.
    pub(super) fn clear(&self) {
        let mut flights = self.flights();
        flights.epoch += 1;
        flights.waiting.clear();
        flights.down_until = None;
        if let Some(tables) = &self.tables {
            tables.known.clear();
            tables.unknown.clear();
        }
        self.counts.users.set(0);
    }

    fn fresh(&self, user: &str) -> Option<Option<Arc<Route>>> {
        let tables = self.tables.as_ref()?;
        if let Some(known) = tables.known.get(user) {
            if Instant::now() < known.fresh_until {
                self.counts.cached.inc();
                return Some(Some(known.route));
            }
        } else if tables.unknown.get(user).is_some_and(|until| Instant::now() < until) {
            self.counts.negative.inc();
            return Some(None);
        }
        None
    }

    fn stale(&self, user: &str) -> Option<Arc<Route>> {
        let known = self.tables.as_ref()?.known.get(user)?;
        (Instant::now() < known.stale_until).then_some(known.route)
    }

    fn join<F>(self: &Arc<Self>, user: &Arc<str>, question: impl FnOnce() -> F) -> Joined
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut flights = self.flights();
        if let Some(flight) = flights.waiting.get(user) {
            return Joined::Flight(flight.clone());
        }
        // A flight may have landed since the first look.
        if let Some(answer) = self.fresh(user) {
            return Joined::Remembered(answer);
        }
        let is_full = flights.waiting.len() >= FLIGHTS_MAX;
        let is_down = flights.down_until.is_some_and(|until| Instant::now() < until);
        match self.stale(user) {
            Some(route) if is_full || is_down => {
                return Joined::Landed(Landed { answer: Ok(Some(route)), stale: true });
            }
            None if is_full => return Joined::Landed(Landed { answer: Err(Unavailable::Overloaded), stale: false }),
            _ => {}
        }
        let (landing, flight) = watch::channel(None);
        flights.waiting.insert(Arc::clone(user), flight.clone());
        let flying = Flying { cache: Arc::clone(self), user: Arc::clone(user), epoch: flights.epoch, landing };
        drop(flights);
        let question = question();
        self.control.spawn(async move {
            let answer = question.await;
            flying.land(answer);
        });
        Joined::Flight(flight)
    }

    fn remember(&self, user: &Arc<str>, answer: &Option<Arc<Route>>) {
        let Some(tables) = &self.tables else { return };
        let now = Instant::now();
        if let Some(route) = answer {
            let fresh_until = now + self.jittered(self.times.ttl, user);
            let stale_until = fresh_until + self.times.stale;
            tables.unknown.remove(user);
            tables.known.insert(Arc::clone(user), Known { route: Arc::clone(route), fresh_until, stale_until });
        } else {
            tables.known.remove(user);
            tables.unknown.insert(Arc::clone(user), now + self.jittered(self.times.negative_ttl, user));
        }
        self.counts.users.set(i64::try_from(tables.known.len()).unwrap_or(i64::MAX));
    }

    /// 90 to 110 %, the same for a user as long as the process lives.
    fn jittered(&self, time: Duration, user: &Arc<str>) -> Duration {
        let percent = 90 + u32::try_from(self.jitter.hash_one(user) % 21).unwrap_or_default();
        time * percent / 100
    }

    fn count(&self, landed: Landed) -> Answer {
        match &landed.answer {
            Ok(Some(_)) if landed.stale => self.counts.stale.inc(),
            Ok(Some(_)) => self.counts.found.inc(),
            Ok(None) => self.counts.unknown.inc(),
            Err(_) => self.counts.unavailable.inc(),
        }
        landed.answer
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Joined {
    Flight(watch::Receiver<Option<Landed>>),
    /// Counted already.
    Remembered(Option<Arc<Route>>),
    Landed(Landed),
}

/// A question that is being asked. Dropped without an answer (a panic), it leaves the table, and those who wait are
/// woken by the channel's end.
struct Flying {
    cache: Arc<Cache>,
    user: Arc<str>,
    epoch: u64,
    landing: watch::Sender<Option<Landed>>,
}

impl Flying {
    fn land(self, answer: Answer) {
        let mut flights = self.cache.flights();
        let mut landed = Landed { answer, stale: false };
        // Nobody waits for it any more when the user was forgotten meanwhile.
        let is_awaited =
            flights.waiting.get(&self.user).is_some_and(|flight| flight.same_channel(&self.landing.subscribe()));
        if flights.epoch == self.epoch && is_awaited {
            match &landed.answer {
                Ok(answer) => {
                    flights.down_until = None;
                    self.cache.remember(&self.user, answer);
                }
                Err(problem) if problem.is_outage() => {
                    flights.down_until = Some(Instant::now() + DOWN);
                    if let Some(route) = self.cache.stale(&self.user) {
                        landed = Landed { answer: Ok(Some(route)), stale: true };
                    }
                }
                Err(_) => {}
            }
        }
        drop(flights);
        // Before the flight leaves the table, so that nobody joins it too late.
        self.landing.send_replace(Some(landed));
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        let mut flights = self.cache.flights();
        let ours = self.landing.subscribe();
        if flights.waiting.get(&self.user).is_some_and(|flight| flight.same_channel(&ours)) {
            flights.waiting.remove(&self.user);
        }
    }
}

/// Questions in flight at once; each is bounded in time by its sources.
const FLIGHTS_MAX: usize = 16_384;
/// The table of unknown users has an entry for so many known ones.
const UNKNOWN_SHARE: usize = 4;
/// How long stale answers are given without asking, once the directory is down.
const DOWN: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
