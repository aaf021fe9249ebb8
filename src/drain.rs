//! How the gateway ends without losing anybody: *stop* taking new work, *wait* for what is going on, *cut* the rest.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// One per gateway, cloned into whatever must hear of the end.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Inner>);

/// Behind one pointer: a session has a clone, and each token's own would take a lock.
#[derive(Debug)]
struct Inner {
    stop: CancellationToken,
    stop_all: CancellationToken,
    cut: CancellationToken,
    tracker: TaskTracker,
}

impl Drain {
    /// Nothing is being stopped.
    #[must_use]
    pub fn new() -> Self {
        let stop = CancellationToken::new();
        let (stop_all, cut, tracker) = (stop.clone(), CancellationToken::new(), TaskTracker::new());
        Self(Arc::new(Inner { stop, stop_all, cut, tracker }))
    }

    /// For a part that can be stopped by itself (a worker that retires) and stops, and is cut, with the whole; it
    /// counts its own work.
    #[must_use]
    pub fn child(&self) -> Self {
        self.with(TaskTracker::new())
    }

    fn with(&self, tracker: TaskTracker) -> Self {
        let Inner { stop, stop_all, cut, .. } = &*self.0;
        Self(Arc::new(Inner { stop: stop.child_token(), stop_all: stop_all.clone(), cut: cut.clone(), tracker }))
    }

    /// For a part of this one that had stopped and is to work again: the work that it still has counts on.
    #[must_use]
    pub fn resumed(&self, part: &Self) -> Self {
        part.0.tracker.reopen();
        self.with(part.0.tracker.clone())
    }

    /// No new work from now on.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// No waiting from now on.
    pub fn cut(&self) {
        self.0.cut.cancel();
    }

    /// Whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Ready when it stops. Cancel safe.
    pub async fn stopping(&self) {
        self.0.stop.cancelled().await;
    }

    /// Ready when the whole gateway stops, whichever part this is: what a worker that retires has begun goes on. Cancel
    /// safe.
    pub fn all_stopping(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.stop_all.cancelled()
    }

    /// Counts as work while it lives.
    pub fn token(&self) -> TaskTrackerToken {
        self.0.tracker.token()
    }

    /// Work going on now.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.0.tracker.len()
    }

    /// Ready when no work goes on any more, or when it is cut; returns how much still does. Cancel safe.
    pub async fn finished(&self) -> usize {
        self.0.tracker.close();
        tokio::select! {
            () = self.0.tracker.wait() => 0,
            () = self.0.cut.cancelled() => self.0.tracker.len(),
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_last_piece_of_work_or_with_the_cut() {
        let drain = Drain::new();
        let (first, second) = (drain.token(), drain.token());
        drop(first);
        assert_eq!(drain.busy(), 1);
        drain.cut();
        assert_eq!(drain.finished().await, 1);
        drop(second);
        assert_eq!(drain.finished().await, 0);
    }

    #[tokio::test]
    async fn a_child_stops_with_its_parent_but_not_the_other_way_round() {
        let parent = Drain::new();
        let (first, second) = (parent.child(), parent.child());
        first.stop();
        assert!(first.is_stopping() && !parent.is_stopping() && !second.is_stopping());
        assert!(tokio::time::timeout(std::time::Duration::ZERO, first.all_stopping()).await.is_err());
        parent.stop();
        assert!(second.is_stopping());
        first.all_stopping().await;
    }
}
