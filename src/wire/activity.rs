//! What a session that moves bytes shows to whoever watches it, and how it is asked to end.
//!
//! It stands apart because it is all that two threads share of a session: the one that lives it writes, alone and
//! without a lock; any other may read, or kick.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::time::Instant;

/// Something with a activity.
pub trait HasActivity: Send + Sync {
    /// It.
    fn activity(&self) -> &Activity;
}

/// See the module.
#[derive(Debug)]
pub struct Activity {
    since: Instant,
    /// Milliseconds after `since`.
    last_active: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    is_kicked: AtomicBool,
    waker: AtomicWaker,
}

impl Activity {
    /// Of a session that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            last_active: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            is_kicked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// When it began.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// So many more bytes, now. Only the session itself may say so: there is one writer.
    pub fn record_bytes(&self, up: u64, down: u64) {
        self.up.store(self.up.load(Ordering::Relaxed) + up, Ordering::Relaxed);
        self.down.store(self.down.load(Ordering::Relaxed) + down, Ordering::Relaxed);
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_active.store(now, Ordering::Relaxed);
    }

    /// Bytes so far: from the client, from the back-end.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.up.load(Ordering::Relaxed), self.down.load(Ordering::Relaxed))
    }

    /// When something last_active last, to the millisecond.
    #[must_use]
    pub fn last_active(&self) -> Instant {
        self.since + Duration::from_millis(self.last_active.load(Ordering::Relaxed))
    }

    /// Asks the session to end; from any thread, as often as one likes.
    pub fn kick(&self) {
        self.is_kicked.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it was asked to end.
    #[must_use]
    pub fn is_kicked(&self) -> bool {
        self.is_kicked.load(Ordering::Relaxed)
    }

    /// From now on a kick wakes this task. A task has to say so once, before it looks at [`is_kicked`](Self::is_kicked).
    pub fn wakes(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Ready when it was asked to end; for one task at a time. Cancel safe.
    pub async fn kicked(&self) {
        poll_fn(|cx| {
            self.wakes(cx);
            if self.is_kicked() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl HasActivity for Activity {
    fn activity(&self) -> &Activity {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn the_last_movement_is_where_the_clock_was() {
        let activity = Activity::new();
        tokio::time::advance(Duration::from_millis(1500)).await;
        activity.record_bytes(3, 0);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(activity.last_active() - activity.since(), Duration::from_millis(1500));
        activity.record_bytes(1, 7);
        assert_eq!(activity.bytes(), (4, 7));
        assert_eq!(activity.last_active(), Instant::now());
    }

    #[tokio::test]
    async fn a_kick_wakes_who_waits_and_is_there_for_who_comes_later() {
        let activity = Arc::new(Activity::new());
        let waiting = tokio::spawn({
            let activity = activity.clone();
            async move { activity.kicked().await }
        });
        tokio::task::yield_now().await;
        let other = activity.clone();
        std::thread::spawn(move || other.kick()).join().expect("a thread");
        waiting.await.expect("no panic");
        activity.kicked().await;
    }
}
