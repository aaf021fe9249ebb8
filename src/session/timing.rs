//! How long a refusal takes where a password was really checked, so that an unknown user can be answered no sooner and no
//! later: the time must not say who exists.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::config::PasswordCheck;

/// The latest of these times, in milliseconds: an unknown user is answered after one of them.
///
/// Before the first one there is a guess. Until all are measured, a wrong password is answered no sooner than an unknown
/// user.
#[derive(Debug)]
pub struct RefusalTime {
    times: [AtomicU32; TIMES],
    measured: AtomicUsize,
}

impl RefusalTime {
    /// `check`: who says that a password is wrong.
    #[must_use]
    pub fn new(check: PasswordCheck) -> Self {
        let guess = match check {
            PasswordCheck::Backend => BACKEND_MS,
            // Who knows the user is asked first, and its "no" ends the login.
            PasswordCheck::Directory | PasswordCheck::Both => DIRECTORY_MS,
        };
        Self { times: std::array::from_fn(|_| AtomicU32::new(guess)), measured: AtomicUsize::new(0) }
    }

    /// A check took this long, and found the password wrong.
    pub(super) async fn took(&self, time: Duration) {
        let (measured, pick) = (self.measured.load(Ordering::Relaxed), self.pick());
        if let Some(oldest) = self.times.get(measured % TIMES) {
            oldest.store(u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(LONGEST_MS), Ordering::Relaxed);
        }
        self.measured.fetch_add(1, Ordering::Relaxed);
        if measured < TIMES {
            sleep(pick.saturating_sub(time)).await;
        }
    }

    /// Waits as long as a check would have taken.
    pub(super) async fn imitate(&self) {
        sleep(self.pick()).await;
    }

    /// One of the times, give or take a millisecond's part.
    fn pick(&self) -> Duration {
        let random = RandomState::new().hash_one(());
        let measured = self.measured.load(Ordering::Relaxed).clamp(1, TIMES);
        let chosen = usize::try_from(random).unwrap_or_default() % measured;
        let chosen = self.times.get(chosen).map_or(BACKEND_MS, |time| time.load(Ordering::Relaxed));
        Duration::from_millis(chosen.into()) + Duration::from_micros((random >> 32) % 1000)
    }
}

/// How many times are kept.
const TIMES: usize = 16;
/// Before anything was measured, where a back-end checks passwords. Dovecot answers a wrong one after two seconds by default
/// (`auth_failure_delay`), and it takes a moment to reach it: the first wrong password is answered after this time, too, as
/// long as the back-end takes no longer. A quicker one is measured then; so only what comes first has to wait that long.
const BACKEND_MS: u32 = 2500;
/// The same where the directory does, with a bind.
const DIRECTORY_MS: u32 = 500;
const LONGEST_MS: u32 = 15_000;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    async fn imitated(refusals: &RefusalTime) -> u128 {
        let asked = Instant::now();
        refusals.imitate().await;
        asked.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_user_waits_as_long_as_a_wrong_password_took() {
        let refusals = RefusalTime::new(PasswordCheck::Backend);
        for round in 0..40 {
            refusals.took(Duration::from_millis(if round % 2 == 0 { 40 } else { 2000 })).await;
        }
        let mut seen = [false; 2];
        for _ in 0..200 {
            match imitated(&refusals).await {
                40..=42 => seen[0] = true,
                2000..=2002 => seen[1] = true,
                other => panic!("{other}"),
            }
        }
        assert_eq!(seen, [true; 2], "both, as they came");
    }

    #[tokio::test(start_paused = true)]
    async fn before_enough_was_measured_a_wrong_password_waits_for_the_unknown_user() {
        for (check, guess) in
            [(PasswordCheck::Backend, 2500), (PasswordCheck::Directory, 500), (PasswordCheck::Both, 500)]
        {
            let refusals = RefusalTime::new(check);
            assert!((guess..=guess + 2).contains(&imitated(&refusals).await), "{check:?}");
            let asked = Instant::now();
            refusals.took(Duration::from_millis(42)).await;
            let waited = asked.elapsed().as_millis() + 42;
            assert!((guess..=guess + 2).contains(&waited), "{check:?}: {waited}");
            assert!((42..=44).contains(&imitated(&refusals).await), "one that was measured is no guess any more");
            for _ in 0..TIMES {
                refusals.took(Duration::from_millis(42)).await;
            }
            let asked = Instant::now();
            refusals.took(Duration::from_millis(42)).await;
            assert_eq!(asked.elapsed(), Duration::ZERO, "nobody waits for what is known");
            assert!((42..=44).contains(&imitated(&refusals).await));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_wrong_password_at_a_dovecot_is_as_late_as_an_unknown_user_before_it() {
        let refusals = RefusalTime::new(PasswordCheck::Backend);
        let (unknown, asked, dovecot) = (imitated(&refusals).await, Instant::now(), Duration::from_millis(2040));
        refusals.took(dovecot).await;
        let wrong = (asked.elapsed() + dovecot).as_millis();
        assert!(wrong.abs_diff(unknown) <= 2, "{wrong} ms and {unknown} ms");
    }
}
