//! How many logins of one user are looked after at the same time, and how many senders of mail for one recipient.
//!
//! Two gateways that point at each other would log the user in for ever, or ask for the recipient, and no protocol but
//! IMAP carries hops: but in a loop every one of these logins is still waiting for the next.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Users whose logins are being looked after; no longer than these logins are many.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Box<str>, u32>>);

/// One login being looked after; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    user: Box<str>,
}

impl Turns {
    /// `None` = [`AT_ONCE`] of this user are being looked after already.
    pub(super) fn take(&self, user: &str) -> Option<Turn<'_>> {
        let mut turns = self.lock();
        let taken = turns.entry(user.into()).or_default();
        if *taken >= AT_ONCE {
            return None;
        }
        *taken += 1;
        Some(Turn { turns: self, user: user.into() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        if let Some(taken) = turns.get_mut(&self.user) {
            *taken -= 1;
            if *taken == 0 {
                turns.remove(&self.user);
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
    fn one_users_logins_are_limited_and_nobody_elses() {
        let turns = Turns::default();
        let mut held: Vec<_> = (0..AT_ONCE).map(|_| turns.take("alice").expect("room")).collect();
        assert!(turns.take("alice").is_none());
        assert!(turns.take("bob").is_some());
        held.pop();
        assert!(turns.take("alice").is_some());
        drop(held);
        assert!(turns.lock().is_empty(), "nobody is remembered");
    }
}
