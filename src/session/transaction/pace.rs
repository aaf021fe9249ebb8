//! How slowly a message may come: who sends it drop by drop would hold a place at its server for ever.

use std::time::Duration;

use tokio::time::Instant;

/// Of one message, from its first byte on.
pub(super) struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), bytes: 0 }
    }

    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Until when more has to come: within `idle`, and, that much pause forgiven, at [`RATE`] bytes a second all in all.
    pub(super) fn due(&self, idle: Duration) -> Instant {
        let earned = Duration::from_secs(self.bytes / RATE);
        (Instant::now() + idle).min(self.since + idle + earned)
    }
}

/// Bytes a second; slower than any line that mail is sent over.
const RATE: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const IDLE: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_forgiven_and_a_drip_is_not() {
        let mut pace = Pace::new();
        advance(IDLE - Duration::from_secs(1)).await;
        assert_eq!(pace.due(IDLE), Instant::now() + Duration::from_secs(1));
        pace.count(1);
        assert_eq!(pace.due(IDLE), Instant::now() + Duration::from_secs(1), "a byte earns nothing");
        pace.count(5000);
        assert_eq!(pace.due(IDLE), Instant::now() + Duration::from_secs(11));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_fast_has_all_of_the_idle_time_at_each_byte() {
        let mut pace = Pace::new();
        pace.count(10_000_000);
        advance(Duration::from_secs(60)).await;
        assert_eq!(pace.due(IDLE), Instant::now() + IDLE);
    }
}
