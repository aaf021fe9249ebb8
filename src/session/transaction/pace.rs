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

/// How long a client may be silent that holds a place at a server with so many connections, of so many at most. Where
/// places run short, a client that says nothing keeps others out, and is borne for less long: mail may have half of them,
/// so a quarter taken is half of that.
pub(super) fn silence(idle: Duration, open: usize, most: Option<u32>) -> Duration {
    let is_short = most.is_some_and(|most| open >= (most as usize).div_ceil(4));
    if is_short { idle.min(SHORT) } else { idle }
}

/// More than anyone pauses who has something to send.
const SHORT: Duration = Duration::from_secs(30);
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

    #[test]
    fn where_places_run_short_a_silent_client_has_less_time() {
        for (open, most, expected) in [
            (1, None, 300),
            (10_000, None, 300),
            (1, Some(10), 300),
            (2, Some(10), 300),
            (3, Some(10), 30),
            (10, Some(10), 30),
            (1, Some(1), 30),
            (499, Some(2000), 300),
            (500, Some(2000), 30),
        ] {
            assert_eq!(silence(IDLE, open, most), Duration::from_secs(expected), "{open} of {most:?}");
        }
        assert_eq!(silence(Duration::from_secs(1), 10, Some(10)), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_fast_has_all_of_the_idle_time_at_each_byte() {
        let mut pace = Pace::new();
        pace.count(10_000_000);
        advance(Duration::from_secs(60)).await;
        assert_eq!(pace.due(IDLE), Instant::now() + IDLE);
    }
}
