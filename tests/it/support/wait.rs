//! Waiting, always with an end: the only place of the tests that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// For things that take well under a second on an idle machine; long, because the machine may not be idle.
pub const SOON: Duration = Duration::from_secs(20);

/// The first `Some` that `look` gives; fails the test, naming `what`, when there is none within `limit`.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
        thread::sleep(PAUSE);
    }
}

/// Waits for a condition; fails the test as [`until`] does.
#[track_caller]
pub fn until_true(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    until(what, limit, || is_so().then_some(()));
}

const PAUSE: Duration = Duration::from_millis(10);
