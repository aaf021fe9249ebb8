//! How many sessions a user may have of one protocol, in all and from one address (`user_limits`).
//!
//! Only what is limited is counted: a gateway without such limits keeps nothing here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::config::UserLimits;
use crate::proto::Protocol;

/// No longer than limited sessions are many.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<(Arc<str>, Protocol), Taken>>);

#[derive(Default)]
struct Taken {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// The user is at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// `user_limits.connections`.
    #[error("user_limits.connections: {0} sessions of this user are open")]
    InAll(u32),
    /// `user_limits.connections_per_ip`.
    #[error("user_limits.connections_per_ip: {0} sessions of this user are open from this address")]
    PerAddress(u32),
}

impl Seats {
    /// Takes one, or none. `address`: as it is counted.
    pub(super) fn take(
        &self,
        user: Arc<str>,
        protocol: Protocol,
        address: IpAddr,
        limits: UserLimits,
    ) -> Result<(), Full> {
        let mut seats = lock(&self.0);
        let key = (user, protocol);
        let (total, here) = seats
            .get(&key)
            .map_or((0, 0), |taken| (taken.total, taken.by_address.get(&address).copied().unwrap_or_default()));
        if limits.connections.is_some_and(|most| total >= most) {
            return Err(Full::InAll(total));
        }
        if limits.connections_per_ip.is_some_and(|most| here >= most) {
            return Err(Full::PerAddress(here));
        }
        let taken = seats.entry(key).or_default();
        taken.total += 1;
        *taken.by_address.entry(address).or_default() += 1;
        Ok(())
    }

    pub(super) fn give_back(&self, user: &Arc<str>, protocol: Protocol, address: IpAddr) {
        let mut seats = lock(&self.0);
        let key = (user.clone(), protocol);
        let Some(taken) = seats.get_mut(&key) else { return };
        taken.total = taken.total.saturating_sub(1);
        if let Some(here) = taken.by_address.get_mut(&address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_address.remove(&address);
            }
        }
        if taken.total == 0 {
            seats.remove(&key);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}
