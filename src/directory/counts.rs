//! The directory's counters, each looked up once: an answer from the cache must not pay for a label.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge, IntGaugeVec};

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
    up: IntGaugeVec,
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
            up: metrics.directory_up.clone(),
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

    /// 1 while the source at this place of the list answers.
    pub(super) fn up(&self, place: usize) -> IntGauge {
        self.up.with_label_values(&[&place.to_string()])
    }

    /// One question to a server took this long, answered or not.
    pub(super) fn took(&self, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
    }
}
