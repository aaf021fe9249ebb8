//! A small value for each address, shared by all threads.
//!
//! It stands apart from the limits because both kinds of them, places and paces, keep one. The table is cut into shards
//! with a lock each, so that two threads seldom meet; hashing is keyed with random keys, so that nobody outside can
//! choose addresses that collide.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Table<S> {
    hasher: RandomState,
    shards: [Mutex<S>; SHARDS],
}

/// One map of a [`Table`], locked.
pub(super) type Addresses<V> = HashMap<IpAddr, V>;

impl<S: Default> Default for Table<S> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl<S> Table<S> {
    /// The shard of this address, locked, and some more bits of the hash.
    #[expect(clippy::indexing_slicing, reason = "the index is a remainder by the array's length")]
    pub(super) fn shard(&self, address: IpAddr) -> (MutexGuard<'_, S>, usize) {
        let hash = usize::try_from(self.hasher.hash_one(address) >> 32).unwrap_or_default();
        (locked(&self.shards[hash % SHARDS]), hash / SHARDS)
    }

    /// Every shard, locked one after the other.
    pub(super) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, S>> {
        self.shards.iter().map(locked)
    }
}

// The values are plain numbers, complete at every moment: a thread that panicked has left nothing half done.
fn locked<S>(shard: &Mutex<S>) -> MutexGuard<'_, S> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives memory back once a flood is over; maps never shrink by themselves.
pub(super) fn shrink<V>(addresses: &mut Addresses<V>) {
    if addresses.capacity() > 4 * addresses.len().max(64) {
        addresses.shrink_to_fit();
    }
}

/// How many locks a table has.
pub(super) const SHARDS: usize = 16;
