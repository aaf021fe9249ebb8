//! How many logins of one user from one address are looked after at the same time, and how many senders of mail for one
//! recipient.
//!
//! Two gateways that point at each other would log the user in for ever, or ask for the recipient, and no protocol but
//! IMAP carries hops: but in a loop every one of these logins is still waiting for the next, and all of them come from
//! the other gateway. Attempts from other addresses are not counted with them, because none of them has shown a password
//! yet: whoever guesses would keep the user out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Users whose logins are being looked after; no longer than these logins are many.
#[derive(Debug, Default)]
pub struct ConcurrentLogins(Mutex<HashMap<(Box<str>, IpAddr), u32>>);

/// One login being looked after; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct LoginSlot<'t> {
    turns: &'t ConcurrentLogins,
    key: (Box<str>, IpAddr),
}

impl ConcurrentLogins {
    /// `None` = [`AT_ONCE`] of this user from this address are being looked after already.
    pub(super) fn take(&self, user: &str, address: IpAddr) -> Option<LoginSlot<'_>> {
        let key: (Box<str>, IpAddr) = (user.into(), address);
        let mut turns = self.lock();
        let taken = turns.entry(key.clone()).or_default();
        if *taken >= AT_ONCE {
            return None;
        }
        *taken += 1;
        Some(LoginSlot { turns: self, key })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Box<str>, IpAddr), u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LoginSlot<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        if let Some(taken) = turns.get_mut(&self.key) {
            *taken -= 1;
            if *taken == 0 {
                turns.remove(&self.key);
            }
        }
    }
}

/// More than a program that opens a connection a folder does in the time that a login takes.
const AT_ONCE: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logins_of_one_user_from_one_address_are_limited_and_no_others() {
        let turns = ConcurrentLogins::default();
        let [here, elsewhere] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let mut held: Vec<_> = (0..AT_ONCE).map(|_| turns.take("alice", here).expect("room")).collect();
        assert!(turns.take("alice", here).is_none());
        assert!(turns.take("alice", elsewhere).is_some(), "nobody is kept out by another address");
        assert!(turns.take("bob", here).is_some());
        held.pop();
        assert!(turns.take("alice", here).is_some());
        drop(held);
        assert!(turns.lock().is_empty(), "nobody is remembered");
    }
}
