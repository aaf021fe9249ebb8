//! Password checks that wait: addresses take turns, and so do the users of an address.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::check_queue::{Asker, Waiter};

#[derive(Default)]
pub(super) struct Lines {
    lines: HashMap<IpAddr, Line>,
    /// The addresses that have a line, the next one first.
    order: VecDeque<IpAddr>,
    len: usize,
}

/// The checks from one address: a queue for each user, the next one first; none is empty.
#[derive(Default)]
struct Line {
    users: VecDeque<(Arc<str>, VecDeque<Waiter>)>,
    len: usize,
}

impl Lines {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, waiter: Waiter) {
        let address = waiter.asker.address;
        let line = self.lines.entry(address).or_insert_with(|| {
            self.order.push_back(address);
            Line::default()
        });
        line.push(waiter);
        self.len += 1;
    }

    /// The next one whose address and user may have one more; both then wait for all others' turns.
    pub(super) fn next(
        &mut self,
        may_address: impl Fn(IpAddr) -> bool,
        may_user: impl Fn(&str) -> bool,
    ) -> Option<Waiter> {
        for _ in 0..self.order.len() {
            let address = self.order.pop_front()?;
            self.order.push_back(address);
            if !may_address(address) {
                continue;
            }
            if let Some(waiter) = self.lines.get_mut(&address).and_then(|line| line.next(&may_user)) {
                self.removed(address);
                return Some(waiter);
            }
        }
        None
    }

    pub(super) fn remove(&mut self, asker: &Asker, id: u64) {
        let Some(line) = self.lines.get_mut(&asker.address) else { return };
        if line.remove(asker, id) {
            self.removed(asker.address);
        }
    }

    /// Makes room for one more: where the whole queue is full, or the address has `line_max` in it, the newest check of
    /// the fullest address, or of its fullest user, is refused. `false` when that would be the one that asks.
    pub(super) fn make_room(&mut self, asker: &Asker, is_full: bool, line_max: usize) -> bool {
        let own = self.lines.get(&asker.address).map_or(0, |line| line.len);
        let fullest = if own >= line_max {
            asker.address
        } else if is_full {
            let fullest = self.lines.iter().max_by_key(|(_, line)| line.len);
            let Some((fullest, _)) = fullest.filter(|(_, line)| line.len > own) else { return false };
            *fullest
        } else {
            return true;
        };
        let Some(line) = self.lines.get_mut(&fullest) else { return false };
        let own = if fullest == asker.address { line.of_user(&asker.user) } else { 0 };
        if !line.refuse_newest_of_fullest(own) {
            return false;
        }
        self.removed(fullest);
        true
    }

    /// One of this address is no longer there.
    fn removed(&mut self, address: IpAddr) {
        self.len -= 1;
        let Some(line) = self.lines.get_mut(&address) else { return };
        line.len -= 1;
        if line.len == 0 {
            self.lines.remove(&address);
            self.order.retain(|other| *other != address);
        }
    }
}

impl Line {
    fn push(&mut self, waiter: Waiter) {
        self.len += 1;
        let user = &waiter.asker.user;
        match self.users.iter_mut().find(|(other, _)| other == user) {
            Some((_, waiters)) => waiters.push_back(waiter),
            None => self.users.push_back((Arc::clone(user), VecDeque::from([waiter]))),
        }
    }

    fn next(&mut self, may: impl Fn(&str) -> bool) -> Option<Waiter> {
        for _ in 0..self.users.len() {
            let (user, mut waiters) = self.users.pop_front()?;
            let waiter = if may(&user) { waiters.pop_front() } else { None };
            if !waiters.is_empty() {
                self.users.push_back((user, waiters));
            }
            if waiter.is_some() {
                return waiter;
            }
        }
        None
    }

    fn remove(&mut self, asker: &Asker, id: u64) -> bool {
        let Some(at) = self.users.iter().position(|(user, _)| *user == asker.user) else { return false };
        let Some((_, waiters)) = self.users.get_mut(at) else { return false };
        let Some(which) = waiters.iter().position(|waiter| waiter.id == id) else { return false };
        waiters.remove(which);
        if waiters.is_empty() {
            self.users.remove(at);
        }
        true
    }

    fn of_user(&self, user: &str) -> usize {
        self.users.iter().find(|(other, _)| **other == *user).map_or(0, |(_, waiters)| waiters.len())
    }

    /// Unless no user has more than `own`. A check that is refused sees its channel closed.
    fn refuse_newest_of_fullest(&mut self, own: usize) -> bool {
        let fullest = (0..self.users.len()).max_by_key(|at| self.users.get(*at).map(|(_, waiters)| waiters.len()));
        let Some(at) = fullest else { return false };
        let Some((_, waiters)) = self.users.get_mut(at).filter(|(_, waiters)| waiters.len() > own) else {
            return false;
        };
        waiters.pop_back();
        if waiters.is_empty() {
            self.users.remove(at);
        }
        true
    }
}
