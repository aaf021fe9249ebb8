//! Which password check may bind next.
//!
//! A directory that is slow at wrong passwords (a delay, an expensive hash) would let whoever guesses hold all
//! connections, and keep everyone else out. So checks have one of three standings, and each may fill the connections up to
//! a limit of its own, the largest for those whom nobody has reason to suspect:
//!
//! | standing | who | in flight up to |
//! |---|---|---|
//! | known | a user whose password was right from this address before | all connections |
//! | new | an address with no check under way, and no wrong passwords lately | three quarters; three quarters of that for one user |
//! | other | everything else | an eighth; half of that for one address, or one user |
//!
//! Those that wait take turns: known before new before others, and of the others one address after the other, and one
//! user after the other of an address. The queue is bounded, and whoever has most checks in it is refused first.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::check_lines::Lines;
use crate::directory::Unavailable;

/// Whose check it is: the client's address, as it is counted, and the entry's DN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) address: IpAddr,
    pub(super) user: Arc<str>,
}

pub(super) struct CheckQueue {
    limits: CheckLimits,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckStanding {
    Known,
    New,
    Other,
}

/// What a bind came to, for the standing of the next check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// The time was over. Servers that delay wrong passwords may do so for longer than that, so it speaks against the
    /// address; but not against a user who is known there.
    TimedOut,
    /// The directory is at fault.
    NotAnswered,
}

/// A check that may bind; dropped, it lets the next one go. It is dropped without a verdict when its time is over.
pub(super) struct Permit {
    queue: Arc<CheckQueue>,
    asker: Asker,
    standing: CheckStanding,
    verdict: Verdict,
}

/// Checks in flight, all told, up to which one of a standing may begin; and how many may wait.
#[derive(Debug, Clone, Copy)]
struct CheckLimits {
    known: usize,
    new: usize,
    others: usize,
    waiting: usize,
}

struct State {
    in_flight: usize,
    addresses: HashMap<IpAddr, usize>,
    users: HashMap<Arc<str>, usize>,
    pairs: HashMap<Asker, usize>,
    known: VecDeque<Waiter>,
    new: VecDeque<Waiter>,
    others: Lines,
    next_id: u64,
    /// Users whose password was right from an address, and how many wrong ones came since.
    right: LruCache<Asker, u32>,
    /// Wrong passwords from an address, and when the last one was.
    wrong: LruCache<IpAddr, (u32, Instant)>,
}

pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) asker: Asker,
    grant: oneshot::Sender<Permit>,
}

impl CheckQueue {
    /// For a source with so many connections for searches.
    pub(super) fn new(connections: usize) -> Arc<Self> {
        let all = connections.max(1) * CHECKS;
        let limits = CheckLimits { known: all, new: all / 4 * 3, others: all / 8, waiting: WAITING_MAX };
        let state = State {
            in_flight: 0,
            addresses: HashMap::new(),
            users: HashMap::new(),
            pairs: HashMap::new(),
            known: VecDeque::new(),
            new: VecDeque::new(),
            others: Lines::default(),
            next_id: 0,
            right: LruCache::unbounded(),
            wrong: LruCache::unbounded(),
        };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// Waits for its turn, until `until` at most.
    pub(super) async fn permit(self: &Arc<Self>, asker: Asker, until: Instant) -> Result<Permit, Unavailable> {
        let (waiting, granted) = match self.enter(asker) {
            Entered::Granted(permit) => return Ok(permit),
            Entered::Refused => return Err(Unavailable::Overloaded),
            Entered::Waits(waiting, granted) => (waiting, granted),
        };
        let permit = timeout_at(until, granted).await;
        drop(waiting);
        // Refused in favour of another, or too late.
        permit.ok().and_then(Result::ok).ok_or(Unavailable::Overloaded)
    }

    fn enter(self: &Arc<Self>, asker: Asker) -> Entered {
        let mut state = self.state();
        let standing = state.standing(&asker, Instant::now());
        // Those that wait may not begin yet, or they would have begun when the last check ended.
        if state.may_begin(standing, &asker, self.limits) {
            state.begin(&asker);
            return Entered::Granted(self.granted(asker, standing));
        }
        let is_full = state.waiting() >= self.limits.waiting;
        if (is_full || standing == CheckStanding::Other) && !state.others.make_room(&asker, is_full, LINE_MAX) {
            return Entered::Refused;
        }
        let (grant, granted) = oneshot::channel();
        let id = state.next_id;
        state.next_id += 1;
        let waiter = Waiter { id, asker: asker.clone(), grant };
        match standing {
            CheckStanding::Known => state.known.push_back(waiter),
            CheckStanding::New => state.new.push_back(waiter),
            CheckStanding::Other => state.others.push(waiter),
        }
        Entered::Waits(Waiting { queue: Arc::clone(self), asker, id }, granted)
    }

    fn granted(self: &Arc<Self>, asker: Asker, standing: CheckStanding) -> Permit {
        Permit { queue: Arc::clone(self), asker, standing, verdict: Verdict::TimedOut }
    }

    /// Lets all begin that may. They are told when the state is no longer locked: one that has gone gives its permit back.
    fn dispatch(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut begun = Vec::new();
        while let Some((waiter, standing)) = state.next(self.limits) {
            state.begin(&waiter.asker);
            begun.push((waiter, standing));
        }
        drop(state);
        for (Waiter { asker, grant, .. }, standing) in begun {
            if let Err(permit) = grant.send(self.granted(asker, standing)) {
                permit.ends_with(Verdict::NotAnswered);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn standing(&self, asker: &Asker, now: Instant) -> CheckStanding {
        let (at_pair, at_address) = (count(&self.pairs, asker), count(&self.addresses, &asker.address));
        let is_known = self.right.peek(asker).is_some_and(|wrong| *wrong < FORGIVEN);
        if is_known && at_pair < KNOWN_AT_ONCE {
            return CheckStanding::Known;
        }
        let wrong = self.wrong.peek(&asker.address);
        let is_suspect = wrong.is_some_and(|(wrong, last)| *wrong >= FORGIVEN && now.duration_since(*last) < SUSPECT);
        let waits = self.new.iter().any(|waiter| waiter.asker.address == asker.address);
        if at_address == 0 && !is_suspect && !waits { CheckStanding::New } else { CheckStanding::Other }
    }

    fn may_begin(&self, standing: CheckStanding, asker: &Asker, limits: CheckLimits) -> bool {
        let (at_address, at_user) = (count(&self.addresses, &asker.address), count(&self.users, &asker.user));
        match standing {
            CheckStanding::Known => self.in_flight < limits.known,
            CheckStanding::New => self.in_flight < limits.new && at_user < limits.new / 4 * 3,
            CheckStanding::Other => {
                let share = (limits.others / 2).max(1);
                self.in_flight < limits.others && at_address < share && at_user < share
            }
        }
    }

    fn next(&mut self, limits: CheckLimits) -> Option<(Waiter, CheckStanding)> {
        if self.in_flight < limits.known
            && let Some(waiter) = self.known.pop_front()
        {
            return Some((waiter, CheckStanding::Known));
        }
        let new = self.new.iter().position(|waiter| self.may_begin(CheckStanding::New, &waiter.asker, limits));
        if let Some(waiter) = new.and_then(|at| self.new.remove(at)) {
            return Some((waiter, CheckStanding::New));
        }
        if self.in_flight >= limits.others {
            return None;
        }
        let share = (limits.others / 2).max(1);
        let (addresses, users) = (&self.addresses, &self.users);
        let waiter = self.others.next(
            |address| count(addresses, &address) < share,
            |user| users.get(user).copied().unwrap_or_default() < share,
        )?;
        Some((waiter, CheckStanding::Other))
    }

    fn begin(&mut self, asker: &Asker) {
        self.in_flight += 1;
        *self.addresses.entry(asker.address).or_default() += 1;
        *self.users.entry(Arc::clone(&asker.user)).or_default() += 1;
        *self.pairs.entry(asker.clone()).or_default() += 1;
    }

    fn end(&mut self, asker: &Asker, verdict: Verdict, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        one_less(&mut self.addresses, &asker.address);
        one_less(&mut self.users, &asker.user);
        one_less(&mut self.pairs, asker);
        match verdict {
            Verdict::Right => {
                self.right.put(asker.clone(), 0);
            }
            Verdict::Wrong | Verdict::TimedOut => {
                if let Some(wrong) = self.right.peek_mut(asker).filter(|_| verdict == Verdict::Wrong) {
                    *wrong = wrong.saturating_add(1);
                }
                let lately = self.wrong.pop(&asker.address).filter(|(_, last)| now.duration_since(*last) < SUSPECT);
                self.wrong.put(asker.address, (lately.map_or(1, |(wrong, _)| wrong.saturating_add(1)), now));
            }
            Verdict::NotAnswered => {}
        }
        while self.right.len() > REMEMBERED {
            self.right.pop_lru();
        }
        while self.wrong.len() > REMEMBERED {
            self.wrong.pop_lru();
        }
    }

    fn waiting(&self) -> usize {
        self.known.len() + self.new.len() + self.others.len()
    }
}

impl Permit {
    /// Whether the connections that are kept for those whom nobody suspects are for this check, too.
    pub(super) fn is_unsuspected(&self) -> bool {
        match self.standing {
            CheckStanding::Known | CheckStanding::New => true,
            CheckStanding::Other => false,
        }
    }

    pub(super) fn ends_with(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.end(&self.asker, self.verdict, Instant::now());
        self.queue.dispatch(state);
    }
}

enum Entered {
    Granted(Permit),
    Waits(Waiting, oneshot::Receiver<Permit>),
    Refused,
}

/// A place in the queue; dropped, it is left.
struct Waiting {
    queue: Arc<CheckQueue>,
    asker: Asker,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.known.retain(|waiter| waiter.id != self.id);
        state.new.retain(|waiter| waiter.id != self.id);
        state.others.remove(&self.asker, self.id);
    }
}

fn count<K: std::hash::Hash + Eq>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or_default()
}

fn one_less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Checks in flight, for each connection that searches have: one bind at a time goes over a connection.
const CHECKS: usize = 128;
/// Checks that wait, all told and from one address.
const WAITING_MAX: usize = 4096;
const LINE_MAX: usize = 256;
/// So many checks at once has a user from one address who is known there: mail programs log in several times at once.
const KNOWN_AT_ONCE: usize = 8;
/// So many wrong passwords are no reason for suspicion yet.
const FORGIVEN: u32 = 3;
/// For so long after the last one they are, if they were more.
const SUSPECT: Duration = Duration::from_secs(60);
/// Users and addresses whose last answers are remembered.
const REMEMBERED: usize = 16_384;

#[cfg(test)]
#[path = "check_queue_tests.rs"]
mod tests;
