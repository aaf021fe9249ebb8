//! Who logged in from where, and until when that counts: pure, every verb is told the time.
//!
//! It stands apart from the stores because it is the same in front of each of them: they only get what has changed.
//! No verb looks at the whole table, for a login waits for the lock; but for a clock that was put back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use super::seen::{Protocols, Seen};
use crate::proto::Protocol;

/// See the module.
pub(super) struct Table {
    /// In seconds.
    window: u64,
    most: usize,
    addresses: HashMap<IpAddr, Address>,
    /// Every address, by the time at which its last user goes.
    by_expiry: BTreeSet<(u64, IpAddr)>,
    /// Those with a living session.
    living: BTreeSet<IpAddr>,
    /// Those that the store has not heard about.
    changed: HashSet<IpAddr>,
    last: u64,
    next: u64,
}

struct Address {
    until: u64,
    entries: Vec<Entry>,
}

struct Entry {
    seen: Seen,
    /// Sessions that are open now; while there are any, the window does not end.
    living: u32,
    /// Tells it from a later entry of the same user.
    id: u64,
}

impl Entry {
    fn counts(&self, now: u64) -> bool {
        self.living > 0 || now < self.seen.until
    }
}

impl Table {
    /// `window` in seconds; at most so many addresses.
    pub(super) fn new(window: u64, most: usize, now: u64) -> Self {
        Self {
            window,
            most,
            addresses: HashMap::new(),
            by_expiry: BTreeSet::new(),
            living: BTreeSet::new(),
            changed: HashSet::new(),
            last: now,
            next: 0,
        }
    }

    /// How many addresses it holds.
    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// A clock that is put back makes no window longer: all end earlier by as much.
    fn now_is(&mut self, now: u64) {
        let back = self.last.saturating_sub(now);
        self.last = now;
        if back == 0 {
            return;
        }
        self.by_expiry.clear();
        for (address, at) in &mut self.addresses {
            at.entries.iter_mut().for_each(|entry| entry.seen.until = entry.seen.until.saturating_sub(back));
            at.until = at.until.saturating_sub(back);
            self.by_expiry.insert((at.until, *address));
            self.changed.insert(*address);
        }
    }

    /// A session begins. Returns the entry's id for [`left`](Self::left), and whether something had to make room.
    pub(super) fn entered(&mut self, now: u64, address: IpAddr, user: &str, protocol: Protocol) -> (u64, bool) {
        self.now_is(now);
        let mut crowded = self.make_room(address);
        let id = self.next;
        self.next += 1;
        let until = now + self.window;
        let at = self.addresses.entry(address).or_insert_with(|| Address { until: 0, entries: Vec::with_capacity(1) });
        at.entries.retain(|entry| entry.counts(now));
        let mut entry = match at.entries.iter().position(|entry| *entry.seen.user == *user) {
            Some(index) => at.entries.remove(index),
            None => {
                let seen = Seen { user: Arc::from(user), until, protocols: Protocols::default() };
                Entry { seen, living: 0, id }
            }
        };
        crowded |= drop_oldest(&mut at.entries);
        entry.living += 1;
        entry.seen.until = until;
        entry.seen.protocols = entry.seen.protocols.with(protocol);
        let id = entry.id;
        // The last is who came last.
        at.entries.push(entry);
        self.living.insert(address);
        self.settle(address);
        (id, crowded)
    }

    /// A session ends; its window goes on for its whole length.
    pub(super) fn left(&mut self, now: u64, address: IpAddr, id: u64) {
        self.now_is(now);
        let until = now + self.window;
        let Some(at) = self.addresses.get_mut(&address) else { return };
        if let Some(entry) = at.entries.iter_mut().find(|entry| entry.id == id) {
            entry.living = entry.living.saturating_sub(1);
            entry.seen.until = until;
        }
        self.settle(address);
    }

    /// What a store remembered from before; never longer than a window from now.
    pub(super) fn restore(&mut self, now: u64, address: IpAddr, users: Vec<Seen>) {
        self.now_is(now);
        self.make_room(address);
        let (written, until) = (users.len(), now + self.window);
        let mut is_same = true;
        let mut entries = Vec::new();
        for seen in users.into_iter().filter(|seen| now < seen.until).take(USERS_MAX) {
            is_same &= seen.until <= until;
            entries.push(Entry { seen: Seen { until: seen.until.min(until), ..seen }, living: 0, id: self.next });
            self.next += 1;
        }
        is_same &= entries.len() == written;
        self.remove(address);
        if !entries.is_empty() {
            self.addresses.insert(address, Address { until: 0, entries });
        }
        self.settle(address);
        if is_same {
            self.changed.remove(&address);
        }
    }

    /// Who counts there now, who came last last.
    pub(super) fn users(&mut self, now: u64, address: IpAddr) -> Vec<Seen> {
        self.now_is(now);
        let Some(at) = self.addresses.get(&address) else { return Vec::new() };
        at.entries.iter().filter(|entry| entry.counts(now)).map(|entry| entry.seen.clone()).collect()
    }

    /// Moves the windows of living sessions on, for some addresses behind `after`; the last of them, if there are more.
    pub(super) fn refresh(&mut self, now: u64, after: Option<IpAddr>, some: usize) -> Option<IpAddr> {
        self.now_is(now);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let chunk: Vec<IpAddr> = self.living.range((from, Bound::Unbounded)).take(some).copied().collect();
        for address in &chunk {
            self.refresh_one(now, *address);
        }
        chunk.last().filter(|_| chunk.len() == some).copied()
    }

    fn refresh_one(&mut self, now: u64, address: IpAddr) {
        let until = now + self.window;
        let Some(at) = self.addresses.get_mut(&address) else { return };
        at.entries.iter_mut().filter(|entry| entry.living > 0).for_each(|entry| entry.seen.until = until);
        self.settle(address);
    }

    /// Forgets some of what is over; whether there may be more.
    pub(super) fn sweep(&mut self, now: u64, some: usize) -> bool {
        self.now_is(now);
        for _ in 0..some {
            match self.by_expiry.first().copied() {
                // Its refresh is late: the machine slept, or its clock was put forward.
                Some((until, address)) if until <= now && self.living.contains(&address) => {
                    self.refresh_one(now, address);
                }
                Some((until, address)) if until <= now => {
                    self.remove(address);
                    self.changed.insert(address);
                }
                _ => return false,
            }
        }
        true
    }

    /// Some of what the store has not heard about; an address without users is to be forgotten.
    pub(super) fn take_changed(&mut self, now: u64, some: usize) -> Vec<(IpAddr, Vec<Seen>)> {
        let chunk: Vec<IpAddr> = self.changed.iter().take(some).copied().collect();
        for address in &chunk {
            self.changed.remove(address);
        }
        if self.changed.is_empty() {
            self.changed.shrink_to(some);
        }
        chunk.into_iter().map(|address| (address, self.users(now, address))).collect()
    }

    /// The store has lost some of it: some addresses behind `after` are to be told again; the last of them, if there
    /// are more.
    pub(super) fn tell_again(&mut self, after: Option<(u64, IpAddr)>, some: usize) -> Option<(u64, IpAddr)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let chunk: Vec<_> = self.by_expiry.range((from, Bound::Unbounded)).take(some).copied().collect();
        self.changed.extend(chunk.iter().map(|(_, address)| *address));
        chunk.last().filter(|_| chunk.len() == some).copied()
    }

    /// Nothing is to be told to anybody: there is no store.
    pub(super) fn told(&mut self) {
        self.changed.clear();
    }

    /// The store did not take it.
    pub(super) fn tell(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.changed.extend(addresses);
    }

    /// Puts an address in its place after its entries have changed.
    fn settle(&mut self, address: IpAddr) {
        self.changed.insert(address);
        let Some(at) = self.addresses.get_mut(&address) else { return };
        self.by_expiry.remove(&(at.until, address));
        at.until = at.entries.iter().map(|entry| entry.seen.until).max().unwrap_or(0);
        self.by_expiry.insert((at.until, address));
        if at.entries.iter().all(|entry| entry.living == 0) {
            self.living.remove(&address);
        }
    }

    fn remove(&mut self, address: IpAddr) {
        if let Some(at) = self.addresses.remove(&address) {
            self.by_expiry.remove(&(at.until, address));
            self.living.remove(&address);
        }
    }

    /// For a new address; whether an old one had to go.
    fn make_room(&mut self, address: IpAddr) -> bool {
        if self.addresses.len() < self.most || self.addresses.contains_key(&address) {
            return false;
        }
        let Some((_, oldest)) = self.by_expiry.first().copied() else { return false };
        self.remove(oldest);
        self.changed.insert(oldest);
        true
    }
}

/// For one more user; whether an old one had to go.
fn drop_oldest(entries: &mut Vec<Entry>) -> bool {
    if entries.len() < USERS_MAX {
        return false;
    }
    let oldest = entries.iter().enumerate().min_by_key(|(_, entry)| (entry.living > 0, entry.seen.until));
    if let Some((index, _)) = oldest {
        entries.remove(index);
    }
    true
}

/// Users at one address; the sixteenth says as well as the hundredth that it is shared.
pub(super) const USERS_MAX: usize = 16;

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
