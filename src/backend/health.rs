//! Whether a server answers, by each protocol: each has a port of its own there, and often a program of its own.
//!
//! ```text
//! Reachable ── a login got no connection, or not a word ──▶ Suspect ── nor does a recheck ──▶ Unreachable
//!     ▲                                                        │                                  │
//!     └──────────────── whatever answers a login, or a recheck ┴──────────────────────────────────┘
//! ```
//!
//! While it is not reachable, logins go to other servers first where others can serve, and once it is unreachable nobody
//! else waits for it either. A server that speaks and then fails is shown as down, and still tried.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::series::Series;
use crate::proto::Protocol;

/// What the attempts to reach one server came to.
#[derive(Debug)]
pub(super) struct Health {
    protocols: Mutex<BTreeMap<Protocol, Last>>,
    /// What [`Last::reach`] says, so that a login need not wait for the lock: two bits for each protocol.
    reach: AtomicU8,
    /// How long the gateway waits before it looks at a server that is away, and between two looks.
    interval: Duration,
    series: Arc<Series>,
}

/// What is known of one protocol there.
#[derive(Debug, Default)]
struct Last {
    /// Why the last attempt failed, if it did.
    problem: Option<Arc<str>>,
    /// When the first attempt failed since one was answered.
    down_since: Option<SystemTime>,
    /// When an attempt was answered last.
    answered: Option<Instant>,
    tried: Option<Instant>,
    reach: Reach,
    recheck: Recheck,
}

/// Whether connecting to it makes sense, worst last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    #[default]
    Reachable = 0,
    Suspect = 1,
    Unreachable = 2,
}

/// What a failed attempt says of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It said something, and is there.
    Spoke,
    /// The client left while it said nothing: for that alone nobody is sent elsewhere, but the gateway looks for itself.
    LeftEarly,
    /// It gave a login no connection, or not a word.
    Silent,
    /// Nor did it give that to a recheck.
    StillSilent,
}

impl Reach {
    const fn after(self, sign: Sign) -> Self {
        match (self, sign) {
            (_, Sign::Spoke) => Self::Reachable,
            (reach, Sign::LeftEarly) => reach,
            (Self::Reachable | Self::Suspect, Sign::Silent) => Self::Suspect,
            (Self::Unreachable, Sign::Silent) | (_, Sign::StillSilent) => Self::Unreachable,
        }
    }
}

/// The gateway's own look at a server that is not reachable, where logins do not find out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Recheck {
    #[default]
    Unneeded,
    Due(Instant),
    Running,
}

/// A protocol by which clients are led to a server, or by which it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// By which protocol.
    pub protocol: Protocol,
    /// At which port of the server.
    pub port: u16,
    /// What the last attempt came to.
    pub last: LastAttempt,
}

impl Reached {
    /// Why the last attempt failed, if it did.
    #[must_use]
    pub const fn problem(&self) -> Option<&Arc<str>> {
        match &self.last {
            LastAttempt::NotTried | LastAttempt::Answered => None,
            LastAttempt::Failed { why, .. } => Some(why),
        }
    }
}

/// What the last attempt by a protocol came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastAttempt {
    /// There was none since the gateway started.
    NotTried,
    /// The server answered it.
    Answered,
    /// It failed, as all have since this time.
    Failed {
        /// Since when.
        since: SystemTime,
        /// In words for an operator.
        why: Arc<str>,
    },
}

/// How a server is, by all protocols of the listeners together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has tried it yet.
    Unknown,
    /// It answered the last attempt by each of them.
    Up,
    /// It answered the last attempt by each of those by which it was tried; by others nobody has tried it yet.
    PartlyTried,
    /// By some the last attempt failed; by others it was answered, or there was none yet.
    Degraded,
    /// By each of them the last attempt failed.
    Down,
}

impl State {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::PartlyTried => "partly_tried",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    pub(super) fn of(reached: &[Reached]) -> Self {
        let (mut not_tried, mut up, mut down) = (0, 0, 0);
        for one in reached {
            *match one.last {
                LastAttempt::NotTried => &mut not_tried,
                LastAttempt::Answered => &mut up,
                LastAttempt::Failed { .. } => &mut down,
            } += 1;
        }
        match (not_tried, up, down) {
            (_, 0, 0) => Self::Unknown,
            (0, _, 0) => Self::Up,
            (_, _, 0) => Self::PartlyTried,
            (0, 0, _) => Self::Down,
            (..) => Self::Degraded,
        }
    }
}

/// What an attempt has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Same,
    Down,
    UpAgain,
}

impl Health {
    pub(super) fn new(interval: Duration, series: &Arc<Series>) -> Self {
        Self { protocols: Mutex::default(), reach: AtomicU8::new(0), interval, series: series.clone() }
    }

    /// The same series; nothing is known of this port yet.
    pub(super) fn of_another_port(&self) -> Self {
        Self::new(self.interval, &self.series)
    }

    pub(super) fn series(&self) -> &Series {
        &self.series
    }

    /// An attempt that began at `started` has ended. One that failed tells nothing new when a later one was answered
    /// before that: a server that is slow to refuse a wrong password is there all the same.
    pub(super) fn note(&self, protocol: Protocol, started: Instant, failed: Option<(&str, Sign)>) -> Change {
        let mut protocols = self.lock();
        let is_new = !protocols.contains_key(&protocol);
        let last = protocols.entry(protocol).or_default();
        let now = Instant::now();
        last.tried = Some(now);
        let was_down = last.problem.is_some();
        match failed {
            None => {
                *last = Last { answered: Some(now), tried: last.tried, ..Last::default() };
            }
            Some(_) if last.answered.is_some_and(|answered| answered > started) => {}
            Some((problem, sign)) => {
                last.problem = Some(problem.into());
                last.down_since = last.down_since.or_else(|| Some(SystemTime::now()));
                last.reach = last.reach.after(sign);
                last.recheck = match (sign, last.recheck) {
                    (Sign::Spoke, _) => Recheck::Unneeded,
                    (_, Recheck::Unneeded) => Recheck::Due(now + self.interval),
                    (_, wanted) => wanted,
                };
            }
        }
        let (shift, reach) = (shift(protocol), last.reach as u8);
        // Under the lock: nobody else writes.
        let others = self.reach.load(Ordering::Relaxed) & !(0b11 << shift);
        self.reach.store(others | reach << shift, Ordering::Relaxed);
        let change = match (was_down, last.problem.is_some()) {
            (false, true) => Change::Down,
            (true, false) => Change::UpAgain,
            (true, true) | (false, false) => Change::Same,
        };
        if is_new || change != Change::Same {
            self.series.moved(protocol, change);
        }
        change
    }

    /// Whether a login by this protocol has something to wait for, as far as is known.
    pub(super) fn reach(&self, protocol: Protocol) -> Reach {
        match self.reach.load(Ordering::Relaxed) >> shift(protocol) & 0b11 {
            0 => Reach::Reachable,
            1 => Reach::Suspect,
            _ => Reach::Unreachable,
        }
    }

    /// Why the last attempt by this protocol failed, if it did.
    pub(super) fn problem(&self, protocol: Protocol) -> Option<Arc<str>> {
        self.lock().get(&protocol)?.problem.clone()
    }

    /// The protocols by which it is to be rechecked now; each is owed a [`rechecked`](Self::rechecked).
    pub(super) fn start_rechecks(&self) -> Vec<Protocol> {
        let now = Instant::now();
        let mut protocols = self.lock();
        let due = protocols.iter_mut().filter(|(_, last)| matches!(last.recheck, Recheck::Due(at) if at <= now));
        due.map(|(protocol, last)| {
            last.recheck = Recheck::Running;
            *protocol
        })
        .collect()
    }

    /// A recheck is over; if the server is still away, it is left alone for a while.
    pub(super) fn rechecked(&self, protocol: Protocol) {
        if let Some(last) = self.lock().get_mut(&protocol)
            && last.recheck == Recheck::Running
        {
            last.recheck = Recheck::Due(Instant::now() + self.interval);
        }
    }

    /// What the last attempt by each protocol came to, of those that were tried.
    pub(super) fn known(&self) -> BTreeMap<Protocol, LastAttempt> {
        let came_to = |last: &Last| match (&last.problem, last.down_since) {
            (Some(why), Some(since)) => LastAttempt::Failed { since, why: why.clone() },
            _ => LastAttempt::Answered,
        };
        self.lock().iter().map(|(protocol, last)| (*protocol, came_to(last))).collect()
    }

    /// Whether anybody has tried it since.
    pub(super) fn was_tried_since(&self, then: Instant) -> bool {
        self.lock().values().any(|last| last.tried.is_some_and(|tried| tried >= then))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Protocol, Last>> {
        self.protocols.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        for (protocol, last) in self.known() {
            if let LastAttempt::Failed { .. } = last {
                self.series.moved(protocol, Change::UpAgain);
            }
        }
    }
}

/// Where a protocol's bits are.
const fn shift(protocol: Protocol) -> u8 {
    2 * protocol.index()
}

#[cfg(test)]
mod tests;
