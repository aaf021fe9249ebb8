//! How often an address may try to sign in: [`MOST`] wrong tokens a [`WINDOW`], for so many addresses at a time.
//!
//! A token cannot be guessed; this bounds the work and the lines of the log that trying makes.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::config::address::counted_as;

pub(super) struct Tries(Mutex<LruCache<IpAddr, (u32, Instant)>>);

impl Default for Tries {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ADDRESSES)))
    }
}

impl Tries {
    /// Counts a try, before it is known whether it is a good one; whether it may be made.
    pub(super) fn take(&self, from: IpAddr, now: Instant) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, begun) = tries.get_or_insert_mut(counted(from), || (0, now));
        if now.saturating_duration_since(*begun) >= WINDOW {
            (*count, *begun) = (0, now);
        }
        *count = count.saturating_add(1);
        *count <= MOST
    }

    /// It was a good one.
    pub(super) fn forget(&self, from: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(&counted(from));
    }
}

fn counted(from: IpAddr) -> IpAddr {
    counted_as(from.to_canonical(), 64)
}

const MOST: u32 = 10;
pub(super) const WINDOW: Duration = Duration::from_secs(60);
const ADDRESSES: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_ten_tries_a_minute_and_takes_nobody_elses() {
        let (tries, now) = (Tries::default(), Instant::now());
        let [one, two] = ["2001:db8::1", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
        assert!((0..MOST).all(|_| tries.take(one, now)));
        assert!(!tries.take("2001:db8::2".parse().unwrap(), now), "the same network");
        assert!(tries.take(two, now));
        assert!(tries.take(one, now + WINDOW), "a minute later");
        assert!((1..MOST).all(|_| tries.take(two, now)) && !tries.take(two, now));
        tries.forget(two);
        assert!(tries.take(two, now), "the last one was a good one");
    }
}
