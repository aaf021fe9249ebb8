//! The last hour in points of a minute, for the overview: kept in memory, of this gateway, and never more than 60 points.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::Metrics;

/// What was counted at the beginning of each minute, the oldest first.
#[derive(Default)]
pub(super) struct Samples(Mutex<VecDeque<Counts>>);

/// What has been counted since the gateway's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub logins: u64,
    pub refused_logins: u64,
    pub refused_connections: u64,
    pub panics: u64,
    pub accept_errors: u64,
    pub failed_reloads: u64,
    /// Of this moment.
    pub sessions: u64,
}

/// The last hour, or less after a start. The last point of each list is the minute under way.
pub(super) struct Hour {
    pub logins: Vec<u64>,
    /// Logins and connections.
    pub refusals: Vec<u64>,
    pub sessions: Vec<u64>,
    /// In all.
    pub total: Counts,
}

impl Samples {
    /// Samples every minute, until the page is gone.
    pub(super) fn start(metrics: Arc<Metrics>) -> Arc<Self> {
        let samples = Arc::new(Self::default());
        let weak = Arc::downgrade(&samples);
        tokio::spawn(async move {
            let mut minutes = interval(MINUTE);
            minutes.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                minutes.tick().await;
                let Some(samples) = weak.upgrade() else { return };
                samples.add(Counts::of(&metrics));
            }
        });
        samples
    }

    fn add(&self, counts: Counts) {
        let mut samples = self.lock();
        if samples.len() >= POINTS {
            samples.pop_front();
        }
        samples.push_back(counts);
    }

    pub(super) fn hour(&self, now: Counts) -> Hour {
        let samples = self.lock();
        let later: Vec<Counts> = samples.iter().skip(1).copied().chain([now]).collect();
        let minutes: Vec<Counts> = samples.iter().zip(&later).map(|(begun, ended)| ended.since(begun)).collect();
        Hour {
            logins: minutes.iter().map(|minute| minute.logins).collect(),
            refusals: minutes.iter().map(|minute| minute.refused_logins + minute.refused_connections).collect(),
            sessions: later.iter().map(|counts| counts.sessions).collect(),
            total: samples.front().map_or(now, |first| now.since(first)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    pub(super) fn of(metrics: &Metrics) -> Self {
        Self {
            logins: sum(&metrics.logins, "answer", |answer| answer == "granted"),
            refused_logins: sum(&metrics.logins, "answer", |answer| answer != "granted"),
            refused_connections: sum(&metrics.refusals, "reason", |_| true),
            panics: metrics.panics.get(),
            accept_errors: metrics.accept_errors.get(),
            failed_reloads: sum(&metrics.reloads, "outcome", |outcome| outcome == "failed"),
            sessions: sum(&metrics.relaying, "protocol", |_| true),
        }
    }

    /// What has come since then; the sessions are those of now.
    fn since(&self, then: &Self) -> Self {
        Self {
            logins: self.logins.saturating_sub(then.logins),
            refused_logins: self.refused_logins.saturating_sub(then.refused_logins),
            refused_connections: self.refused_connections.saturating_sub(then.refused_connections),
            panics: self.panics.saturating_sub(then.panics),
            accept_errors: self.accept_errors.saturating_sub(then.accept_errors),
            failed_reloads: self.failed_reloads.saturating_sub(then.failed_reloads),
            sessions: self.sessions,
        }
    }
}

/// Of all counters or gauges whose label of this name is meant. They are read and not looked up: a look-up would add what was
/// never counted.
fn sum(metric: &impl Collector, name: &str, is_meant: impl Fn(&str) -> bool) -> u64 {
    let families = metric.collect();
    let series = families.iter().flat_map(|family| family.get_metric());
    let meant =
        series.filter(|series| series.get_label().iter().any(|label| label.name() == name && is_meant(label.value())));
    // One of the two is nought.
    meant.map(|series| (series.get_counter().get_value() + series.get_gauge().get_value()) as u64).sum()
}

/// One a minute, for an hour.
pub(super) const POINTS: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(logins: u64) -> Counts {
        Counts { logins, sessions: logins / 2, ..Counts::default() }
    }

    #[test]
    fn an_hour_has_sixty_points_and_its_total_is_theirs() {
        let samples = Samples::default();
        samples.add(logins(5));
        let hour = samples.hour(logins(7));
        assert_eq!((hour.logins, hour.sessions, hour.total.logins), (vec![2], vec![3], 2), "the minute under way");
        (1..1000).for_each(|minute| samples.add(logins(5 + minute * minute)));
        let hour = samples.hour(logins(5 + 1000 * 1000));
        assert_eq!((hour.logins.len(), hour.refusals.len(), hour.sessions.len()), (POINTS, POINTS, POINTS));
        assert_eq!(hour.logins.last(), Some(&(1000 * 1000 - 999 * 999)));
        assert_eq!(hour.total.logins, hour.logins.iter().sum::<u64>());
    }

    #[test]
    fn logins_are_told_apart_from_refusals_by_their_answer() {
        let metrics = Metrics::new().unwrap();
        for (protocol, answer, count) in [("imap", "granted", 3), ("pop3", "granted", 4), ("imap", "policy", 5)] {
            metrics.logins.with_label_values(&[protocol, answer]).inc_by(count);
        }
        metrics.refusals.with_label_values(&["imap", "rate"]).inc_by(6);
        metrics.relaying.with_label_values(&["pop3"]).set(2);
        let counts = Counts::of(&metrics);
        assert_eq!((counts.logins, counts.refused_logins, counts.refused_connections), (7, 5, 6));
        assert_eq!(counts.sessions, 2);
    }
}
