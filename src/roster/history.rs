//! What is remembered of users beyond their sessions: last logins, addresses, failures.
//!
//! Bounded: who was heard of longest ago goes first. Users who only ever failed stand in a smaller table of their own,
//! so that guessing passwords cannot push out who really logs in.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lru::LruCache;

use super::lock;
use super::news::News;
use crate::proto::Protocol;

/// What is known of one user; times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The last login by each protocol that was ever used.
    pub last: Vec<(Protocol, u64)>,
    /// Addresses that logged in, the last one last; at most 16.
    pub addresses: Vec<Visit>,
    /// Logins that were refused for the password, or by a rule.
    pub failures: u64,
    /// The last of them.
    pub last_failure: Option<(u64, IpAddr)>,
}

/// A login from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// From where.
    pub address: IpAddr,
    /// The last one from there.
    pub at: u64,
    /// How.
    pub protocol: Protocol,
}

/// In parts, so that nobody waits for a whole look-through.
pub(super) struct History {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
    /// Which part's news are taken first the next time.
    turn: AtomicUsize,
}

struct Part {
    users: LruCache<Arc<str>, Box<Known>>,
    /// They have never logged in.
    strangers: LruCache<Arc<str>, Box<Known>>,
    news: News,
}

impl History {
    /// For about so many users.
    pub(super) fn new(users: usize) -> Self {
        let part = || {
            let size = |users: usize| NonZeroUsize::new(users / PARTS).unwrap_or(NonZeroUsize::MIN);
            // Unbounded at first sight: a bounded one would take its whole memory at once.
            let mut table = [LruCache::unbounded(), LruCache::unbounded()];
            table.iter_mut().zip([users, users / STRANGERS_SHARE]).for_each(|(table, most)| table.resize(size(most)));
            let [users, strangers] = table;
            Mutex::new(Part { users, strangers, news: News::default() })
        };
        Self { parts: (0..PARTS).map(|_| part()).collect(), hasher: RandomState::new(), turn: AtomicUsize::new(0) }
    }

    /// Returns the name as it is kept here, so that sessions of one user share it.
    pub(super) fn logged_in(&self, user: &Arc<str>, protocol: Protocol, address: IpAddr, now: u64) -> Arc<str> {
        self.with(user, user.clone(), |part| {
            if let Some(stranger) = part.strangers.pop(user) {
                part.users.put(user.clone(), stranger);
            }
            part.users.get_or_insert_mut(user.clone(), Box::default).welcome(protocol, address, now);
            if let Some(news) = part.news.about(user) {
                news.welcome(protocol, address, now);
            }
            part.users.peek_mru().map_or_else(|| user.clone(), |(name, _)| name.clone())
        })
    }

    pub(super) fn failed(&self, user: &Arc<str>, address: IpAddr, now: u64) {
        self.with(user, (), |part| {
            let known = match part.users.get_mut(user) {
                Some(known) => known,
                None => part.strangers.get_or_insert_mut(user.clone(), Box::default),
            };
            known.fail(address, now);
            if let Some(news) = part.news.about(user) {
                news.fail(address, now);
            }
        });
    }

    /// From now on, what is heard is noted for whoever tells it.
    pub(super) fn want_news(&self) {
        self.parts.iter().for_each(|part| lock(part).news.want());
    }

    /// What was heard of at most `limit` users since they were taken the last time. Each part is the first in turn, so
    /// that none waits for ever while more is heard than is told.
    pub(super) fn news(&self, limit: usize) -> Vec<(Arc<str>, Known)> {
        let (mut taken, first) = (Vec::new(), self.turn.fetch_add(1, Ordering::Relaxed) % PARTS);
        for part in self.parts.iter().cycle().skip(first).take(PARTS) {
            let rest = limit - taken.len();
            taken.extend(lock(part).news.take(rest));
        }
        taken
    }

    /// It could not be told; it is with the next.
    pub(super) fn not_told(&self, news: Vec<(Arc<str>, Known)>) {
        for (user, known) in news {
            self.with(&user, (), |part| {
                if let Some(news) = part.news.about(&user) {
                    news.merge(known);
                }
            });
        }
    }

    pub(super) fn untold_failures(&self, user: &str) -> u64 {
        self.with(user, 0, |part| part.news.failures_of(user))
    }

    pub(super) fn of(&self, user: &str) -> Option<Known> {
        self.with(user, None, |part| part.users.peek(user).or_else(|| part.strangers.peek(user)).map(|k| (**k).clone()))
    }

    /// Who logged in from an address, the latest first; at most `limit`.
    pub(super) fn at(&self, address: IpAddr, limit: usize) -> Vec<(Arc<str>, Visit)> {
        let mut found = Vec::new();
        for part in &self.parts {
            for (user, known) in &lock(part).users {
                let here = known.addresses.iter().find(|visit| visit.address == address);
                found.extend(here.map(|visit| (user.clone(), *visit)));
            }
        }
        found.sort_unstable_by_key(|(_, visit): &(Arc<str>, Visit)| std::cmp::Reverse(visit.at));
        found.truncate(limit);
        found
    }

    fn with<T>(&self, user: &str, nothing: T, look: impl FnOnce(&mut Part) -> T) -> T {
        let number = usize::try_from(self.hasher.hash_one(user) % PARTS as u64).unwrap_or_default();
        self.parts.get(number).map_or(nothing, |part| look(&mut lock(part)))
    }
}

impl Known {
    fn welcome(&mut self, protocol: Protocol, address: IpAddr, now: u64) {
        self.last.retain(|(known, _)| *known != protocol);
        self.last.push((protocol, now));
        self.addresses.retain(|visit| visit.address != address);
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.remove(0);
        }
        self.addresses.push(Visit { address, at: now, protocol });
    }

    fn fail(&mut self, address: IpAddr, now: u64) {
        self.failures += 1;
        self.last_failure = Some((now, address));
    }

    /// With what somebody else knows of the user, of other logins.
    pub fn merge(&mut self, other: Self) {
        for (protocol, at) in other.last {
            match self.last.iter_mut().find(|(known, _)| *known == protocol) {
                Some((_, known)) => *known = at.max(*known),
                None => self.last.push((protocol, at)),
            }
        }
        for visit in other.addresses {
            match self.addresses.iter_mut().find(|known| known.address == visit.address) {
                Some(known) if known.at >= visit.at => {}
                Some(known) => *known = visit,
                None => self.addresses.push(visit),
            }
        }
        self.addresses.sort_by_key(|visit| visit.at);
        let over = self.addresses.len().saturating_sub(ADDRESSES_MAX);
        self.addresses.drain(..over);
        self.failures = self.failures.saturating_add(other.failures);
        self.last_failure = self.last_failure.into_iter().chain(other.last_failure).max_by_key(|(at, _)| *at);
    }
}

/// Addresses of one user; the oldest goes first.
const ADDRESSES_MAX: usize = 16;
const PARTS: usize = 16;
/// Who only failed has room for one in so many.
const STRANGERS_SHARE: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn logins_addresses_and_failures_are_remembered() {
        let history = History::new(1000);
        let alice: Arc<str> = "alice".into();
        history.failed(&alice, ip(9), 1);
        history.logged_in(&alice, Protocol::Imap, ip(1), 2);
        history.logged_in(&alice, Protocol::Pop3, ip(2), 3);
        history.logged_in(&alice, Protocol::Imap, ip(1), 4);
        history.failed(&alice, ip(8), 5);
        let known = history.of("alice").expect("known");
        assert_eq!(known.last, [(Protocol::Pop3, 3), (Protocol::Imap, 4)]);
        assert_eq!(
            known.addresses.iter().map(|visit| (visit.address, visit.at)).collect::<Vec<_>>(),
            [(ip(2), 3), (ip(1), 4)]
        );
        assert_eq!((known.failures, known.last_failure), (2, Some((5, ip(8)))), "what came before the login too");
        assert_eq!(history.at(ip(2), 10).len(), 1);
        assert_eq!(history.at(ip(9), 10), [], "a failure is no login");
        assert_eq!(history.of("bob"), None);
    }

    #[test]
    fn what_is_heard_is_told_once_and_again_when_it_could_not_be() {
        let history = History::new(1000);
        let alice: Arc<str> = "alice".into();
        history.failed(&alice, ip(9), 1);
        assert!(history.news(10).is_empty(), "nobody wants to be told");
        history.want_news();
        history.failed(&alice, ip(9), 2);
        history.logged_in(&alice, Protocol::Imap, ip(1), 3);
        let news = history.news(10);
        assert!(news.len() == 1 && history.news(10).is_empty());
        history.logged_in(&alice, Protocol::Imap, ip(2), 5);
        history.failed(&alice, ip(9), 4);
        history.not_told(news);
        assert_eq!(history.untold_failures("alice"), 2);
        let (_, known) = history.news(10).pop().expect("both");
        assert_eq!((known.last, known.failures), (vec![(Protocol::Imap, 5)], 2));
        assert_eq!(known.addresses.iter().map(|visit| visit.at).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(known.last_failure, Some((4, ip(9))));
        (0..100_000).for_each(|n| history.failed(&format!("user{n}").into(), ip(9), 6));
        let waiting: usize = std::iter::from_fn(|| Some(history.news(1000).len()).filter(|count| *count > 0)).sum();
        assert!((10_000..=16_000).contains(&waiting), "{waiting}");
    }

    #[test]
    fn news_of_every_part_are_told_while_more_is_heard_than_that() {
        let history = History::new(1000);
        history.want_news();
        let mut told = std::collections::HashSet::new();
        for _ in 0..PARTS {
            (0..1000).for_each(|n| history.failed(&format!("user{n}").into(), ip(9), 6));
            let users = history.news(1).into_iter().map(|(user, _)| user);
            told.extend(users.map(|user| history.hasher.hash_one(&*user) % PARTS as u64));
        }
        assert_eq!(told.len(), PARTS);
    }

    #[test]
    fn sixteen_addresses_stay_and_the_oldest_goes() {
        let history = History::new(1000);
        let alice: Arc<str> = "alice".into();
        (0..=16).for_each(|n| drop(history.logged_in(&alice, Protocol::Imap, ip(n), u64::from(n))));
        let known = history.of("alice").expect("known");
        assert_eq!(known.addresses.len(), ADDRESSES_MAX);
        assert_eq!(known.addresses.first().map(|visit| visit.address), Some(ip(1)));
    }

    #[test]
    fn the_table_is_bounded_and_guesses_push_nobody_out() {
        let history = History::new(160);
        let user = |n: usize| Arc::<str>::from(format!("user{n}"));
        history.logged_in(&user(0), Protocol::Imap, ip(1), 1);
        (1..5000).for_each(|n| history.failed(&user(n), ip(2), 2));
        assert!(history.of("user0").is_some());
        (1..5000).for_each(|n| drop(history.logged_in(&user(n), Protocol::Imap, ip(3), 3)));
        let size = |part: &Part| part.users.len() + part.strangers.len();
        let kept: usize = history.parts.iter().map(|part| size(&lock(part))).sum();
        assert!(kept <= 160 + 16, "{kept}");
        assert!(history.of("user4999").is_some() && history.of("user0").is_none());
    }

    #[test]
    fn sessions_of_one_user_share_the_name() {
        let history = History::new(1000);
        let first = history.logged_in(&"alice".into(), Protocol::Imap, ip(1), 1);
        let second = history.logged_in(&"alice".into(), Protocol::Imap, ip(1), 1);
        assert!(Arc::ptr_eq(&first, &second));
    }
}
