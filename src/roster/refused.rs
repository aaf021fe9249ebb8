//! The last logins that were refused, by user, with the reason: for an operator who is asked "why can I not log in?".
//!
//! Bounded twice: a ring of [`LAST`] a user, and so many users, of whom the one refused longest ago goes first. Names
//! that have never logged in here stand in a smaller table, so that guessing cannot push out those that have.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use lru::LruCache;

use super::{Guest, Roster, lock, now};
use crate::proto::Protocol;

/// A login that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLogin {
    /// When, in seconds since 1970.
    pub at: u64,
    /// By which protocol.
    pub protocol: Protocol,
    /// From where.
    pub client: IpAddr,
    /// What the client was told, as logs and metrics have it: `bad_credentials`.
    pub denial: &'static str,
    /// The log's reason; at most 160 characters.
    pub detail: Box<str>,
}

pub(super) struct RefusedLogins {
    /// Of users who have logged in before.
    users: Mutex<Table>,
    /// Of all others, known to the directory or not.
    others: Mutex<Table>,
}

type Table = LruCache<Arc<str>, VecDeque<RefusedLogin>>;

impl RefusedLogins {
    pub(super) fn new(users: usize) -> Self {
        let table = |users: usize| {
            // Unbounded at first: a bounded table takes its whole memory at once.
            let mut table = LruCache::unbounded();
            table.resize(NonZeroUsize::new(users).unwrap_or(NonZeroUsize::MIN));
            Mutex::new(table)
        };
        Self { users: table(users), others: table(users / OTHERS_SHARE) }
    }

    fn note(&self, user: &Arc<str>, has_logged_in: bool, refused: RefusedLogin) {
        let mut table = lock(if has_logged_in { &self.users } else { &self.others });
        let ring = table.get_or_insert_mut(user.clone(), VecDeque::new);
        if ring.len() >= LAST {
            ring.pop_front();
        }
        ring.push_back(refused);
    }

    /// The latest first.
    fn of(&self, user: &str) -> Vec<RefusedLogin> {
        let ring = |table: &Mutex<Table>| lock(table).peek(user).cloned().unwrap_or_default();
        // What came before the first login is older than what came after it.
        ring(&self.users).into_iter().rev().chain(ring(&self.others).into_iter().rev()).take(LAST).collect()
    }
}

impl Roster {
    /// The last logins that this gateway refused a user, the latest first; at most 8.
    #[must_use]
    pub fn refused_logins(&self, user: &str) -> Vec<RefusedLogin> {
        self.0.refused.of(user)
    }
}

impl Guest {
    /// A login of the user that the session asked for was refused.
    pub fn note_refused_login(&self, denial: &'static str, detail: &str) {
        let Some(user) = &self.entry.user else { return };
        let (protocol, client) = (self.entry.protocol, self.entry.client.ip());
        let detail = detail.chars().take(DETAIL_MAX).collect::<String>().into();
        let has_logged_in = self.roster.known(user).is_some_and(|known| !known.last.is_empty());
        let refused = RefusedLogin { at: now(), protocol, client, denial, detail };
        self.roster.0.refused.note(user, has_logged_in, refused);
    }
}

/// Of one user.
const LAST: usize = 8;
const DETAIL_MAX: usize = 160;
/// The table of names that never logged in has room for one in so many.
const OTHERS_SHARE: usize = 4;
/// About 15 MB when all of them are full.
pub(super) const USERS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(roster: &Roster, user: &str, detail: &str) {
        let mut guest = roster.guest(Protocol::Imap, &"a listener".into(), "192.0.2.1:1".parse().unwrap());
        guest.facts().unwrap().user = Some(user.into());
        guest.note_refused_login("policy", detail);
    }

    fn details(roster: &Roster, user: &str) -> Vec<String> {
        roster.refused_logins(user).into_iter().map(|refused| refused.detail.into()).collect()
    }

    #[test]
    fn the_last_eight_refusals_are_told_the_latest_first() {
        let roster = Roster::new(64);
        assert_eq!(roster.refused_logins("alice"), []);
        (0..=8).for_each(|n| refuse(&roster, "alice", &format!("reason {n}")));
        let told = details(&roster, "alice");
        assert_eq!((told.len(), &*told[0], &*told[7]), (LAST, "reason 8", "reason 1"));
        let last = &roster.refused_logins("alice")[0];
        assert_eq!(
            (last.protocol, last.client.to_string(), last.denial),
            (Protocol::Imap, "192.0.2.1".into(), "policy")
        );
        refuse(&roster, "bob", &"\u{e4}".repeat(1000));
        assert_eq!(details(&roster, "bob")[0].chars().count(), DETAIL_MAX);
    }

    #[test]
    fn a_first_login_forgets_no_refusal() {
        let roster = Roster::new(64);
        (0..5).for_each(|n| refuse(&roster, "alice", &format!("before {n}")));
        let mut guest = roster.guest(Protocol::Imap, &"a listener".into(), "192.0.2.1:1".parse().unwrap());
        guest.facts().unwrap().user = Some("alice".into());
        guest.logged_in();
        (0..5).for_each(|n| refuse(&roster, "alice", &format!("after {n}")));
        let told = details(&roster, "alice");
        assert_eq!((told.len(), &*told[0], &*told[5], &*told[7]), (LAST, "after 4", "before 4", "before 2"));
    }

    #[test]
    fn the_tables_are_bounded_and_guesses_push_nobody_out() {
        let refused = RefusedLogins::new(100);
        let one = || RefusedLogin {
            at: 1,
            protocol: Protocol::Imap,
            client: [192, 0, 2, 1].into(),
            denial: "policy",
            detail: "".into(),
        };
        refused.note(&"alice".into(), true, one());
        (0..5000).for_each(|n| refused.note(&format!("guess{n}").into(), false, one()));
        assert_eq!((refused.of("alice").len(), lock(&refused.others).len()), (1, 25));
        (0..5000).for_each(|n| refused.note(&format!("user{n}").into(), true, one()));
        assert_eq!((refused.of("alice").len(), lock(&refused.users).len()), (0, 100));
    }
}
