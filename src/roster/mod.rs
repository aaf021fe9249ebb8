//! Who is on: every session that has logged in, what is remembered of users, and a hand to end sessions.
//!
//! It stands apart from the registry because it is of this process and of this moment: nothing here is stored, nothing
//! waits, and a session has it at hand before there is a record of logins.
//!
//! ```text
//! session ── Guest ──▶ Entry ◀── shards ◀── page, kick ── admin
//!     relay ── beat ──▶ Activity ── kick ──▶ relay
//! ```
//!
//! A shard's lock is taken when a session logs in and when it ends, never while it moves bytes.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::config::{UserLimits, address};
use crate::proto::Protocol;
use crate::wire::{Activity, HasActivity};

mod entry;
mod history;
mod news;
mod pieces;
mod refused;
mod seats;

pub use entry::{Entry, id, read_id};
pub use history::{Known, Visit};
pub use pieces::{PIECES, Piece};
pub use refused::RefusedLogin;
pub use seats::Full;

use history::History;
use refused::RefusedLogins;
use seats::Seats;

/// All sessions of this process; a clone is the same roster.
#[derive(Clone)]
pub struct Roster(Arc<Inner>);

struct Inner {
    shards: Box<[Mutex<Shard>]>,
    /// How often somebody came or went, by shard; written with the shard locked.
    changes: Box<[AtomicU64]>,
    next: AtomicU64,
    seats: Seats,
    history: History,
    refused: RefusedLogins,
    ipv6_prefix: u8,
}

type Shard = Vec<Arc<Entry>>;

/// Which sessions; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this user, by the canonical name.
    pub user: Option<Arc<str>>,
    /// Of this protocol.
    pub protocol: Option<Protocol>,
    /// From this address.
    pub client: Option<IpAddr>,
    /// At this server.
    pub backend: Option<Box<str>>,
}

impl Filter {
    /// Whether this session is meant.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        self.fits(entry.protocol, entry.client.ip(), entry.user.as_deref(), entry.backend.as_deref())
    }

    /// Whether a session of which this much is known is one of them.
    #[must_use]
    pub fn fits(&self, protocol: Protocol, client: IpAddr, user: Option<&str>, backend: Option<&str>) -> bool {
        self.protocol.is_none_or(|wanted| wanted == protocol)
            && self.client.is_none_or(|wanted| wanted == client)
            && self.user.as_deref().is_none_or(|wanted| user == Some(wanted))
            && self.backend.as_deref().is_none_or(|wanted| backend == Some(wanted))
    }
}

/// Some sessions, the oldest first.
#[derive(Debug)]
pub struct Page {
    /// No more than were asked for.
    pub entries: Vec<Arc<Entry>>,
    /// How many match in all, those of other pages included.
    pub total: usize,
    /// Where the next page begins: behind this number; `None` = this was the last.
    pub next: Option<u64>,
}

impl Roster {
    /// Nobody is on. IPv6 addresses are counted by prefixes of this length.
    #[must_use]
    pub fn new(ipv6_prefix: u8) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self(Arc::new(Inner {
            shards,
            changes: (0..SHARDS).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicU64::new(1),
            seats: Seats::default(),
            history: History::new(USERS_MAX),
            refused: RefusedLogins::new(refused::USERS_MAX),
            ipv6_prefix,
        }))
    }

    /// A session begins; it is not on the roster until it has [logged in](Guest::logged_in).
    #[must_use]
    pub fn guest(&self, protocol: Protocol, listener: &Arc<str>, client: SocketAddr) -> Guest {
        let entry = Entry {
            number: self.0.next.fetch_add(1, Ordering::Relaxed),
            protocol,
            listener: listener.clone(),
            client,
            tls: None,
            user: None,
            backend: None,
            activity: Activity::new(),
            is_seated: false,
            index: AtomicU32::new(NOWHERE),
        };
        Guest { roster: self.clone(), entry: Arc::new(entry) }
    }

    /// The oldest `limit` sessions behind the number `after`. Sessions that begin meanwhile come on a later page.
    #[must_use]
    pub fn page(&self, filter: &Filter, after: u64, limit: usize) -> Page {
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        let mut total = 0;
        for shard in &self.0.shards {
            let shard = lock(shard);
            let matching = shard.iter().filter(|entry| filter.matches(entry));
            entries.extend(matching.inspect(|_| total += 1).filter(|entry| entry.number > after).cloned());
            drop(shard);
            // No more than a page and a shard is ever held.
            if entries.len() > limit {
                entries.select_nth_unstable_by_key(limit, |entry| entry.number);
                entries.truncate(limit + 1);
            }
        }
        entries.sort_unstable_by_key(|entry| entry.number);
        let is_last = entries.len() <= limit;
        entries.truncate(limit);
        let next = entries.last().map(|entry| entry.number).filter(|_| !is_last);
        Page { entries, total, next }
    }

    /// Sessions in another order than that of their age: of all that are `meant`, those behind the first `skip`, at
    /// most `limit`; and how many are meant in all. A key is taken once, because what it is made of moves meanwhile.
    #[must_use]
    pub fn sorted<K: Ord>(
        &self,
        is_meant: impl Fn(&Entry) -> bool,
        key: impl Fn(&Arc<Entry>) -> K,
        (skip, limit): (usize, usize),
    ) -> (Vec<Arc<Entry>>, usize) {
        let most = skip.saturating_add(limit);
        let mut kept: Vec<(K, u64, Arc<Entry>)> = Vec::new();
        let mut total = 0;
        for shard in &self.0.shards {
            let meant: Vec<Arc<Entry>> = lock(shard).iter().filter(|entry| is_meant(entry)).cloned().collect();
            total += meant.len();
            kept.extend(meant.into_iter().map(|entry| (key(&entry), entry.number, entry)));
            if kept.len() > most {
                kept.select_nth_unstable_by(most, |one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
                kept.truncate(most);
            }
        }
        kept.sort_unstable_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        (kept.into_iter().skip(skip).map(|(_, _, entry)| entry).collect(), total)
    }

    /// How many are on, of each protocol.
    #[must_use]
    pub fn counts(&self) -> Vec<(Protocol, usize)> {
        let mut counts: Vec<_> = Protocol::ALL.into_iter().map(|protocol| (protocol, 0)).collect();
        for shard in &self.0.shards {
            for entry in lock(shard).iter() {
                counts
                    .iter_mut()
                    .filter(|(protocol, _)| *protocol == entry.protocol)
                    .for_each(|(_, count)| *count += 1);
            }
        }
        counts
    }

    /// Asks every session that matches to end; how many that are. They end a moment later.
    pub fn kick(&self, filter: &Filter) -> usize {
        self.kick_where(|entry| filter.matches(entry))
    }

    /// Asks one session to end; whether it is on.
    pub fn kick_one(&self, number: u64) -> bool {
        self.kick_where(|entry| entry.number == number) > 0
    }

    /// Nobody is woken with a shard locked: who is, ends and wants it.
    fn kick_where(&self, is_meant: impl Fn(&Entry) -> bool) -> usize {
        let mut kicked = 0;
        for shard in &self.0.shards {
            let meant: Vec<Arc<Entry>> = lock(shard).iter().filter(|entry| is_meant(entry)).cloned().collect();
            meant.iter().for_each(|entry| entry.activity().kick());
            kicked += meant.len();
        }
        kicked
    }

    /// A login was refused for its password or by a rule, of a user whom the directory knows.
    pub fn failed(&self, user: &Arc<str>, address: IpAddr) {
        self.0.history.failed(user, address, now());
    }

    /// What is remembered of a user; of so many users that this is `None` for who was not heard of for long.
    #[must_use]
    pub fn known(&self, user: &str) -> Option<Known> {
        self.0.history.of(user)
    }

    /// Who logged in from an address, the latest first; at most `limit`.
    #[must_use]
    pub fn visitors(&self, address: IpAddr, limit: usize) -> Vec<(Arc<str>, Visit)> {
        self.0.history.at(address, limit)
    }

    /// From now on, what is heard of users is noted until it is [taken](Self::news).
    pub fn want_news(&self) {
        self.0.history.want_news();
    }

    /// What was heard of some users since it was taken the last time: at most `limit` of them. Their failures are those
    /// since then.
    #[must_use]
    pub fn news(&self, limit: usize) -> Vec<(Arc<str>, Known)> {
        self.0.history.news(limit)
    }

    /// News that could not be told, and will be with the next.
    pub fn not_told(&self, news: Vec<(Arc<str>, Known)>) {
        self.0.history.not_told(news);
    }

    /// How many of a user's failures were not taken yet.
    #[must_use]
    pub fn untold_failures(&self, user: &str) -> u64 {
        self.0.history.untold_failures(user)
    }

    /// For a change, which is counted.
    fn shard(&self, number: u64) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(number).ok()? % SHARDS;
        let shard = self.0.shards.get(index).map(lock)?;
        self.0.changes.get(index)?.fetch_add(1, Ordering::Release);
        Some(shard)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

// Complete at every moment: a thread that panicked has left nothing half done.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session's own hold of its entry; dropping it takes the session off the roster.
pub struct Guest {
    roster: Roster,
    entry: Arc<Entry>,
}

impl Guest {
    /// What is still being learnt of the session; `None` once it has logged in, for then others may be reading.
    pub fn facts(&mut self) -> Option<&mut Entry> {
        Arc::get_mut(&mut self.entry)
    }

    /// Takes a place among the user's sessions; it is given back at the end, or by [`stand_up`](Self::stand_up).
    ///
    /// # Errors
    /// [`Full`].
    pub fn sit_down(&mut self, limits: UserLimits) -> Result<(), Full> {
        let Some(user) = self.entry.user.clone().filter(|_| limits.is_set() && !self.entry.is_seated) else {
            return Ok(());
        };
        self.roster.0.seats.take(user, self.entry.protocol, self.counted_as(), limits)?;
        if let Some(entry) = self.facts() {
            entry.is_seated = true;
        }
        Ok(())
    }

    /// Gives the place back: the login was refused after all.
    pub fn stand_up(&mut self) {
        if self.entry.is_seated {
            self.give_back();
        }
        if let Some(entry) = self.facts() {
            entry.is_seated = false;
        }
    }

    fn give_back(&self) {
        if let Some(user) = &self.entry.user {
            self.roster.0.seats.give_back(user, self.entry.protocol, self.counted_as());
        }
    }

    /// The address, as limits count it.
    #[must_use]
    pub fn counted_as(&self) -> IpAddr {
        address::counted_as(self.entry.client.ip(), self.roster.0.ipv6_prefix)
    }

    /// It is on from now on.
    pub fn logged_in(&mut self) {
        if let Some(user) = self.entry.user.clone() {
            let (protocol, client) = (self.entry.protocol, self.entry.client.ip());
            let name = self.roster.0.history.logged_in(&user, protocol, client, now());
            if let Some(entry) = self.facts() {
                entry.user = Some(name);
            }
        }
        let Some(mut shard) = self.roster.shard(self.entry.number) else { return };
        if self.entry.index.load(Ordering::Relaxed) == NOWHERE {
            self.entry.index.store(u32::try_from(shard.len()).unwrap_or(NOWHERE), Ordering::Relaxed);
            shard.push(self.entry.clone());
        }
    }

    /// For the relay.
    #[must_use]
    pub fn watched(&self) -> Arc<dyn HasActivity> {
        self.entry.clone()
    }
}

impl Deref for Guest {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.entry.is_seated {
            self.give_back();
        }
        if self.entry.index.load(Ordering::Relaxed) == NOWHERE {
            return;
        }
        let Some(mut shard) = self.roster.shard(self.entry.number) else { return };
        let index = self.entry.index.load(Ordering::Relaxed) as usize;
        if index < shard.len() {
            shard.swap_remove(index);
        }
        if let Some(moved) = shard.get(index) {
            moved.index.store(self.entry.index.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        if shard.len() < shard.capacity() / 4 {
            let twice = shard.len() * 2;
            shard.shrink_to(twice);
        }
    }
}

/// So many that a worker seldom waits for another, or for a page that is being read.
const SHARDS: usize = 64;
/// About 60 MB when it is full.
const USERS_MAX: usize = 100_000;
/// Not on the roster.
const NOWHERE: u32 = u32::MAX;

#[cfg(test)]
mod tests;
