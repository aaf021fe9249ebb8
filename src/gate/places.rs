//! How many may be inside at the same time.
//!
//! A place is taken in one step: there is no moment between looking whether there is room and taking it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use super::table::{Addresses, Table, shrink};

/// A number of places for all.
pub(super) struct Places {
    limit: u32,
    taken: AtomicU32,
}

impl Places {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, taken: AtomicU32::new(0) }
    }

    /// Takes one; `false` = there was none.
    pub(super) fn take(&self) -> bool {
        // Relaxed: the number guards nothing but itself.
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < self.limit).then(|| taken + 1))
            .is_ok()
    }

    /// Gives one back that was taken.
    pub(super) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number of places for each address. An address is in the table only while it has taken one, so the table is no
/// longer than the connections are many.
pub(super) struct PlacesPerIp {
    limit: u32,
    taken: Table<Addresses<u32>>,
}

impl PlacesPerIp {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, taken: Table::default() }
    }

    /// Takes one; `false` = there was none.
    pub(super) fn take(&self, address: IpAddr) -> bool {
        let (mut addresses, _) = self.taken.shard(address);
        if self.limit == 0 {
            return false;
        }
        let taken = addresses.entry(address).or_default();
        let free = *taken < self.limit;
        *taken += u32::from(free);
        free
    }

    /// Gives one back that was taken.
    pub(super) fn give_back(&self, address: IpAddr) {
        let (mut addresses, _) = self.taken.shard(address);
        if let Some(taken) = addresses.get_mut(&address) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                addresses.remove(&address);
            }
        }
    }

    /// Gives unused memory back; answers how many addresses are in the table.
    pub(super) fn sweep(&self) -> usize {
        self.taken
            .shards()
            .map(|mut addresses| {
                shrink(&mut addresses);
                addresses.len()
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_is_remembered_only_while_it_is_inside() {
        let places = PlacesPerIp::new(2);
        let address = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(n));
        for n in 0..10_000 {
            assert!(places.take(address(n)));
        }
        assert!(places.take(address(7)));
        assert!(!places.take(address(7)));
        assert_eq!(places.sweep(), 10_000);
        for n in 0..10_000 {
            places.give_back(address(n));
        }
        assert_eq!(places.sweep(), 1, "one was there twice");
        places.give_back(address(7));
        assert_eq!(places.sweep(), 0);
        assert!(places.taken.shards().all(|addresses| addresses.capacity() < 64), "memory was given back");
    }

    #[test]
    fn a_limit_of_none_lets_none_in_and_remembers_none() {
        let places = PlacesPerIp::new(0);
        assert!(!places.take(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(places.sweep(), 0);
        assert!(!Places::new(0).take());
    }
}
