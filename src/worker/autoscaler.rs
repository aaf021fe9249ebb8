//! When to have more workers, and when fewer: decided from their loads, observe by observe.

use crate::config::Threads;

/// Counts observations of one kind in succession, so that a moment's load changes nothing.
#[derive(Debug)]
pub(super) struct Autoscaler {
    threads: Threads,
    busy: u32,
    idle: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Grow,
    Shrink,
}

impl Autoscaler {
    pub(super) fn new(threads: Threads) -> Self {
        Self { threads, busy: 0, idle: 0 }
    }

    /// `loads`: one figure from 0 to 1 for each worker that accepts.
    pub(super) fn observe(&mut self, loads: &[f64]) -> Change {
        let all_busy = loads.iter().all(|&load| load >= BUSY);
        #[allow(clippy::cast_precision_loss)] // at most 1024
        let fit_in_one_less = loads.iter().sum::<f64>() < ROOMY * (loads.len() as f64 - 1.0);
        self.busy = if all_busy && loads.len() < self.threads.max { self.busy + 1 } else { 0 };
        self.idle = if fit_in_one_less && loads.len() > self.threads.min { self.idle + 1 } else { 0 };
        if self.busy >= GROW_AFTER {
            self.busy = 0;
            return Change::Grow;
        }
        if self.idle >= SHRINK_AFTER {
            self.idle = 0;
            return Change::Shrink;
        }
        Change::None
    }
}

const BUSY: f64 = 0.8;
/// After one has gone, the others are still no more than half busy.
const ROOMY: f64 = 0.5;
const GROW_AFTER: u32 = 3;
const SHRINK_AFTER: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn observations(autoscaler: &mut Autoscaler, loads: &[f64], times: u32) -> Vec<Change> {
        (0..times).map(|_| autoscaler.observe(loads)).collect()
    }

    #[test]
    fn three_busy_beats_in_succession_bring_another_worker_but_not_beyond_the_maximum() {
        let mut autoscaler = Autoscaler::new(Threads { min: 1, max: 2 });
        assert_eq!(observations(&mut autoscaler, &[0.9], 2), [Change::None; 2]);
        assert_eq!(autoscaler.observe(&[0.7]), Change::None, "a pause starts the count anew");
        assert_eq!(observations(&mut autoscaler, &[0.9], 3), [Change::None, Change::None, Change::Grow]);
        assert!(observations(&mut autoscaler, &[1.0, 1.0], 100).iter().all(|&change| change == Change::None));
    }

    #[test]
    fn one_idle_worker_among_busy_ones_is_enough() {
        let mut autoscaler = Autoscaler::new(Threads { min: 1, max: 4 });
        assert!(observations(&mut autoscaler, &[1.0, 0.1], 100).iter().all(|&change| change != Change::Grow));
    }

    #[test]
    fn a_worker_retires_when_the_others_could_do_its_work_but_not_below_the_minimum() {
        let mut autoscaler = Autoscaler::new(Threads { min: 1, max: 4 });
        let changes = observations(&mut autoscaler, &[0.2, 0.1], SHRINK_AFTER);
        assert_eq!(changes.last(), Some(&Change::Shrink));
        assert_eq!(changes.iter().filter(|&&change| change == Change::Shrink).count(), 1);
        assert!(observations(&mut autoscaler, &[0.0], 100).iter().all(|&change| change == Change::None));
    }

    #[test]
    fn between_busy_and_idle_nothing_changes() {
        let mut autoscaler = Autoscaler::new(Threads { min: 1, max: 4 });
        assert!(observations(&mut autoscaler, &[0.6, 0.5], 100).iter().all(|&change| change == Change::None));
    }
}
