//! How many may come in an interval.
//!
//! The generic cell rate algorithm (ITU-T I.371) of governor: at most `count` at once, and one more with every
//! `interval / count` that passes. The table of addresses is ours, because governor's own grows without bound.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::table::{Addresses, SHARDS, Table, shrink};
use crate::config::Rate;

/// A pace for all.
pub(super) struct Pace(RateLimiter<NotKeyed, InMemoryState, DefaultClock>);

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self(RateLimiter::direct(quota(rate)))
    }

    /// Whether one more may come now; if so, it is counted.
    pub(super) fn admits(&self) -> bool {
        self.0.check().is_ok()
    }
}

/// A pace for each address.
pub(super) struct PacePerIp<C: Clock = DefaultClock>(RateLimiter<IpAddr, Arrivals, C, Plain<C>>);

/// governor's own choice: answer yes or no, and nothing more.
type Plain<C> = NoOpMiddleware<<C as Clock>::Instant>;

impl PacePerIp {
    pub(super) fn new(rate: Rate) -> Self {
        Self::with_clock(rate, DefaultClock::default())
    }
}

impl<C: Clock> PacePerIp<C> {
    fn with_clock(rate: Rate, clock: C) -> Self {
        Self(RateLimiter::new(quota(rate), Arrivals::default(), clock))
    }

    /// Whether one more may come now from this address; if so, it is counted.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.0.check_key(&address).is_ok()
    }

    /// Forgets the addresses that have been quiet long enough; answers how many are left.
    pub(super) fn sweep(&self) -> usize {
        self.0.retain_recent();
        self.0.shrink_to_fit();
        self.0.len()
    }
}

fn quota(Rate { count, interval }: Rate) -> Quota {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    // governor counts in 64 bits of nanoseconds, and wants at least one.
    let each = (interval.min(LONGEST) / count.get()).max(Duration::from_nanos(1));
    Quota::with_period(each).unwrap_or(Quota::per_second(count)).allow_burst(count)
}

/// When each address may come again, as governor reckons it ("theoretical arrival time"); bounded.
///
/// A new address that finds its shard full shares a bucket with others of its kind. A bucket's time is also what an
/// address starts from that gets a place of its own later: being squeezed never makes a limit wider.
#[derive(Default)]
struct Arrivals(Table<Shard>);

struct Shard {
    own: Addresses<Nanos>,
    shared: [Option<Nanos>; SHARED],
}

impl Default for Shard {
    fn default() -> Self {
        Self { own: Addresses::default(), shared: [None; SHARED] }
    }
}

impl StateStore for Arrivals {
    type Key = IpAddr;

    #[expect(clippy::indexing_slicing, reason = "the index is a remainder by the array's length")]
    fn measure_and_replace<T, F, E>(&self, address: &IpAddr, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (mut shard, bits) = self.0.shard(*address);
        let Shard { own, shared } = &mut *shard;
        let shared = &mut shared[bits % SHARED];
        if let Some(arrival) = own.get_mut(address) {
            let (answer, next) = measure(Some(*arrival))?;
            *arrival = next;
            return Ok(answer);
        }
        let (answer, next) = measure(*shared)?;
        if own.len() < OWN {
            own.insert(*address, next);
        } else {
            *shared = Some(next);
        }
        Ok(answer)
    }
}

impl ShrinkableKeyedStateStore<IpAddr> for Arrivals {
    fn retain_recent(&self, drop_below: Nanos) {
        for mut shard in self.0.shards() {
            shard.own.retain(|_, arrival| *arrival > drop_below);
            for shared in &mut shard.shared {
                *shared = shared.filter(|arrival| *arrival > drop_below);
            }
        }
    }

    fn shrink_to_fit(&self) {
        self.0.shards().for_each(|mut shard| shrink(&mut shard.own));
    }

    fn len(&self) -> usize {
        self.0.shards().map(|shard| shard.own.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Addresses with a time of their own: 100,000 in a table, about 7 MB.
const OWN: usize = 100_000 / SHARDS;
/// Buckets of a shard for the addresses beyond: 1,024 in a table.
const SHARED: usize = 64;
/// No interval is longer, whatever was written.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(n))
    }

    fn pace(count: u32, interval: Duration) -> (PacePerIp<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (PacePerIp::with_clock(Rate { count, interval }, clock.clone()), clock)
    }

    #[test]
    fn count_may_come_at_once_and_one_more_with_each_part_of_the_interval() {
        let (pace, clock) = pace(6, Duration::from_secs(60));
        for _ in 0..6 {
            assert!(pace.admits(address(1)));
        }
        assert!(!pace.admits(address(1)));
        assert!(pace.admits(address(2)), "another address has a pace of its own");
        clock.advance(Duration::from_millis(9_999));
        assert!(!pace.admits(address(1)));
        clock.advance(Duration::from_millis(1));
        assert!(pace.admits(address(1)));
        assert!(!pace.admits(address(1)));
        clock.advance(Duration::from_secs(3600));
        assert_eq!((0..10).filter(|_| pace.admits(address(1))).count(), 6, "quiet hours are not saved up");
    }

    #[test]
    fn a_sweep_forgets_those_who_are_quiet_and_only_those() {
        let (pace, clock) = pace(2, Duration::from_secs(60));
        assert!(pace.admits(address(1)));
        clock.advance(Duration::from_secs(50));
        assert!(pace.admits(address(2)) && pace.admits(address(2)));
        clock.advance(Duration::from_secs(10));
        assert_eq!(pace.sweep(), 1);
        assert!(!pace.admits(address(2)), "who was fast is still known");
        assert!(pace.admits(address(1)) && pace.admits(address(1)));
    }

    #[test]
    fn a_full_table_only_makes_limits_tighter_and_grows_no_more() {
        let (pace, clock) = pace(1, Duration::from_secs(3600));
        let admitted = (0..300_000).filter(|n| pace.admits(address(*n))).count();
        let (own, buckets) = (SHARDS * OWN, SHARDS * SHARED);
        assert_eq!(pace.0.len(), own);
        assert!((own..=own + buckets).contains(&admitted), "{admitted}");
        assert!((0..300_000).all(|n| !pace.admits(address(n))), "nobody gets in twice");
        clock.advance(Duration::from_secs(2 * 3600));
        assert_eq!(pace.sweep(), 0);
        assert!(pace.admits(address(299_999)));
    }

    #[test]
    fn an_address_that_leaves_a_shared_bucket_takes_its_debt_along() {
        let (pace, clock) = pace(1, Duration::from_secs(3600));
        for n in 0..200_000 {
            pace.admits(address(n));
        }
        // All have paid now, but nobody has swept: a new one has to share a bucket.
        clock.advance(Duration::from_secs(3601));
        assert!(pace.admits(address(300_000)));
        clock.advance(Duration::from_secs(3599));
        assert_eq!(pace.sweep(), 0, "there is room again");
        assert!(!pace.admits(address(300_000)), "a second is missing yet");
        clock.advance(Duration::from_secs(1));
        assert!(pace.admits(address(300_000)));
        assert_eq!(pace.sweep(), 1);
    }

    #[test]
    fn the_widest_and_the_narrowest_rate_are_kept() {
        for (count, interval) in [(u32::MAX, Duration::from_millis(1)), (u32::MAX, Duration::MAX), (1, Duration::MAX)] {
            let (pace, clock) = pace(count, interval);
            clock.advance(Duration::from_secs(60 * 60 * 24 * 3650));
            assert!(pace.admits(address(1)), "{count} in {interval:?}");
            assert_eq!(pace.admits(address(1)), count > 1, "{count} in {interval:?}");
        }
    }
}
