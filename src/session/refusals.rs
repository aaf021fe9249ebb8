//! How long a refusal takes where a password was really checked, so that an unknown user can be answered no sooner:
//! the time must not say who exists.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// The mean of late, in milliseconds.
#[derive(Debug)]
pub struct RefusalTime(AtomicU32);

impl Default for RefusalTime {
    fn default() -> Self {
        Self(AtomicU32::new(AT_FIRST_MS))
    }
}

impl RefusalTime {
    /// A quarter of what is new: a single slow answer does not stay.
    pub(super) fn took(&self, time: Duration) {
        let new = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(LONGEST_MS);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(old - old / 4 + new / 4));
    }

    /// Waits as long as a check would have taken, give or take an eighth.
    pub(super) async fn imitate(&self) {
        let mean = u64::from(self.0.load(Ordering::Relaxed));
        let jitter = RandomState::new().hash_one(mean) % (mean / 4 + 1);
        sleep(Duration::from_millis(mean - mean / 8 + jitter)).await;
    }
}

/// Before anything was measured.
const AT_FIRST_MS: u32 = 500;
const LONGEST_MS: u32 = 15_000;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn an_unknown_user_waits_as_long_as_a_wrong_password_took() {
        let refusals = RefusalTime::default();
        for _ in 0..40 {
            refusals.took(Duration::from_secs(2));
        }
        for _ in 0..20 {
            let asked = Instant::now();
            refusals.imitate().await;
            let waited = asked.elapsed().as_millis();
            assert!((1700..=2300).contains(&waited), "{waited}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_before_anything_was_measured_too() {
        let asked = Instant::now();
        RefusalTime::default().imitate().await;
        assert!(asked.elapsed() >= Duration::from_millis(400));
    }
}
