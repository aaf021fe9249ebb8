//! Whether a server answers, by each protocol: each has a port of its own there, and often a program of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::proto::Protocol;

/// What the attempts to reach one server came to.
#[derive(Debug)]
pub(super) struct Health {
    protocols: Mutex<BTreeMap<Protocol, Last>>,
    series: Arc<Series>,
}

/// What is known of one protocol there.
#[derive(Debug, Default)]
struct Last {
    /// Why the last attempt failed, if it did.
    problem: Option<Arc<str>>,
    /// When an attempt was answered last.
    answered: Option<Instant>,
    tried: Option<Instant>,
}

/// A protocol by which a server was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// By which protocol.
    pub protocol: Protocol,
    /// At which port of the server.
    pub port: u16,
    /// Why the last attempt failed; `None` = the server answered it.
    pub problem: Option<Arc<str>>,
}

/// How a server is, by all protocols together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has tried it yet.
    Unknown,
    /// It answered by every protocol by which it was tried last.
    Up,
    /// By some protocols it did not.
    Degraded,
    /// By none.
    Down,
}

impl State {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    pub(super) fn of(reached: &[Reached]) -> Self {
        let down = reached.iter().filter(|one| one.problem.is_some()).count();
        match (reached.len(), down) {
            (0, _) => Self::Unknown,
            (_, 0) => Self::Up,
            (tried, down) if down < tried => Self::Degraded,
            (..) => Self::Down,
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
    pub(super) fn new(series: &Arc<Series>) -> Self {
        Self { protocols: Mutex::default(), series: series.clone() }
    }

    /// The same series; nothing is known of this port yet.
    pub(super) fn of_another_port(&self) -> Self {
        Self::new(&self.series)
    }

    pub(super) fn series(&self) -> &Series {
        &self.series
    }

    /// An attempt that began at `started` has ended. One that failed tells nothing new when a later one was answered
    /// before that: a server that is slow to refuse a wrong password is there all the same.
    pub(super) fn note(&self, protocol: Protocol, started: Instant, problem: Option<&str>) -> Change {
        let mut protocols = self.lock();
        let is_new = !protocols.contains_key(&protocol);
        let last = protocols.entry(protocol).or_default();
        let now = Instant::now();
        last.tried = Some(now);
        let was_down = last.problem.is_some();
        match problem {
            None => {
                last.answered = Some(now);
                last.problem = None;
            }
            Some(_) if last.answered.is_some_and(|answered| answered > started) => {}
            Some(problem) => last.problem = Some(problem.into()),
        }
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

    /// The protocols that were tried, each with why the last attempt failed.
    pub(super) fn known(&self) -> Vec<(Protocol, Option<Arc<str>>)> {
        self.lock().iter().map(|(protocol, last)| (*protocol, last.problem.clone())).collect()
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
        for (protocol, problem) in self.known() {
            if problem.is_some() {
                self.series.moved(protocol, Change::UpAgain);
            }
        }
    }
}

/// Servers that the metrics show as one. The labels come from the configuration alone: a server that it names, or a
/// pattern by which the directory may name any number of hosts.
#[derive(Debug)]
pub(super) struct Series {
    label: Box<str>,
    /// How many of them are down.
    down: Mutex<BTreeMap<Protocol, usize>>,
    /// Looked up once.
    connected: IntCounter,
    metrics: Arc<Metrics>,
}

impl Series {
    pub(super) fn new(label: &str, metrics: &Arc<Metrics>) -> Arc<Self> {
        let connected = metrics.backend_connects.with_label_values(&[label, Outcome::Connected.label()]);
        Arc::new(Self { label: label.into(), down: Mutex::default(), connected, metrics: metrics.clone() })
    }

    pub(super) fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Connected => self.connected.inc(),
            other => self.metrics.backend_connects.with_label_values(&[&self.label, other.label()]).inc(),
        }
    }

    fn moved(&self, protocol: Protocol, change: Change) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let count = down.entry(protocol).or_default();
        *count = match change {
            Change::Same => *count,
            Change::Down => count.saturating_add(1),
            Change::UpAgain => count.saturating_sub(1),
        };
        // Under the lock, so that the last to change it is the last to say so.
        let gauge = self.metrics.backend_up.with_label_values(&[&self.label, protocol.name()]);
        gauge.set(i64::from(*count == 0));
    }
}

/// What an attempt came to; the label is a metric's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Connected,
    Failed,
    TimedOut,
    TlsFailed,
    Loop,
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::TlsFailed => "tls_failed",
            Self::Loop => "loop",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn health() -> (Health, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        (Health::new(&Series::new("mail1.example.com", &metrics)), metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn each_protocol_has_a_state_of_its_own_and_only_changes_are_told() {
        let (health, metrics) = health();
        let note = |protocol, problem| health.note(protocol, Instant::now(), problem);
        let up =
            |protocol: Protocol| metrics.backend_up.with_label_values(&["mail1.example.com", protocol.name()]).get();
        assert_eq!(note(Protocol::Imap, Some("refused")), Change::Down);
        assert_eq!(note(Protocol::Submission, None), Change::Same, "it was not down before");
        assert_eq!(note(Protocol::Imap, Some("refused")), Change::Same);
        assert_eq!((up(Protocol::Imap), up(Protocol::Submission)), (0, 1));
        let reached = |health: &Health| {
            let known = health.known().into_iter();
            known.map(|(protocol, problem)| Reached { protocol, port: 1, problem }).collect::<Vec<_>>()
        };
        assert_eq!(State::of(&reached(&health)), State::Degraded);
        assert_eq!(note(Protocol::Imap, None), Change::UpAgain);
        assert_eq!((up(Protocol::Imap), State::of(&reached(&health))), (1, State::Up));
        note(Protocol::Imap, Some("refused"));
        note(Protocol::Submission, Some("refused"));
        assert_eq!(State::of(&reached(&health)), State::Down);
        assert_eq!(State::of(&[]), State::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_old_news_where_a_later_attempt_was_answered() {
        let (health, _) = health();
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        health.note(Protocol::Imap, Instant::now(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(health.note(Protocol::Imap, before, Some("login: timed out")), Change::Same);
        assert_eq!(health.note(Protocol::Imap, Instant::now(), Some("greeting: timed out")), Change::Down);
        assert_eq!(health.note(Protocol::Imap, before, Some("login: timed out")), Change::Same, "and it stays down");
    }

    #[tokio::test(start_paused = true)]
    async fn servers_of_one_pattern_are_up_together_and_one_that_is_forgotten_counts_no_more() {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let series = Series::new("*.stores.example.com", &metrics);
        let (one, two) = (Health::new(&series), Health::new(&series));
        let up = || metrics.backend_up.with_label_values(&["*.stores.example.com", "imap"]).get();
        one.note(Protocol::Imap, Instant::now(), None);
        two.note(Protocol::Imap, Instant::now(), Some("refused"));
        one.note(Protocol::Imap, Instant::now(), Some("refused"));
        one.note(Protocol::Imap, Instant::now(), None);
        assert_eq!(up(), 0, "the other is still down");
        drop(two);
        assert_eq!(up(), 1);
        drop(one);
        assert_eq!(up(), 1);
    }
}
