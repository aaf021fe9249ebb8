//! The directory's counters, each looked up once: an answer from the cache must not pay for a label.

use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::{PasswordAnswer, Unavailable};
use crate::metrics::Metrics;

pub(super) struct Counts {
    /// From the cache, in its time.
    pub(super) cached: IntCounter,
    /// From the cache, past its time, because the directory is down.
    pub(super) stale: IntCounter,
    /// "Nobody", from the cache.
    pub(super) negative: IntCounter,
    /// A route, from a source.
    pub(super) found: IntCounter,
    /// "Nobody", from the sources.
    pub(super) unknown: IntCounter,
    /// No answer.
    pub(super) unavailable: IntCounter,
    right: IntCounter,
    wrong: IntCounter,
    unchecked: IntCounter,
    seconds: Histogram,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let answers = |label| metrics.directory_answers.with_label_values(&[label]);
        Self {
            cached: answers("cached"),
            stale: answers("stale"),
            negative: answers("negative"),
            found: answers("found"),
            unknown: answers("unknown"),
            unavailable: answers("unavailable"),
            right: answers("password_right"),
            wrong: answers("password_wrong"),
            unchecked: answers("password_unavailable"),
            seconds: metrics.directory_seconds.clone(),
        }
    }

    pub(super) fn password(&self, answer: &Result<PasswordAnswer, Unavailable>) {
        match answer {
            Ok(PasswordAnswer::Right) => self.right.inc(),
            Ok(PasswordAnswer::Wrong) => self.wrong.inc(),
            Ok(PasswordAnswer::CannotCheck) => {}
            Err(_) => self.unchecked.inc(),
        }
    }

    /// One question to a server took this long, answered or not.
    pub(super) fn took(&self, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
    }
}
