//! Places of users' sessions where several gateways count them together (`user_limits` with a shared store).
//!
//! The server has them while it is there; what is held is known here too, so that a server which was away or was started
//! empty is told again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Away, Backing, Inner, Registry};
use crate::config::UserLimits;
use crate::node_id::node_id;
use crate::proto::Protocol;

/// Nothing is in it unless the store is shared and there are limits.
#[derive(Default)]
pub(super) struct Seats {
    held: Mutex<HashMap<u64, Place>>,
    /// To be given back.
    gone: Mutex<Vec<Place>>,
}

/// Whose place.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The session's.
    pub(super) number: u64,
    pub(super) user: Arc<str>,
    pub(super) protocol: Protocol,
    /// As it is counted.
    pub(super) address: IpAddr,
}

/// What the server says.
pub(super) enum Answer {
    Taken,
    FullInAll(u32),
    FullHere(u32),
}

/// The user is at a limit, all gateways taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// `user_limits.connections`.
    #[error("user_limits.connections: {0} sessions of this user are open at all gateways")]
    InAll(u32),
    /// `user_limits.connections_per_ip`.
    #[error("user_limits.connections_per_ip: {0} sessions of this user are open from this address at all gateways")]
    PerAddress(u32),
}

/// A place; dropping it gives it back.
#[must_use = "the place is given back when it is dropped"]
pub struct Seat(Arc<Inner>, u64);

impl Drop for Seat {
    fn drop(&mut self) {
        let seats = &self.0.seats;
        let Some(place) = lock(&seats.held).remove(&self.1) else { return };
        let mut gone = lock(&seats.gone);
        if gone.len() < GONE_MAX {
            gone.push(place);
        }
        drop(gone);
        self.0.news.notify_one();
    }
}

impl Registry {
    /// Takes a place among a user's sessions at all gateways. `None`: they are not counted together, or the store is
    /// away and nobody knows; this gateway's own count decides then. Takes less than half a second.
    ///
    /// # Errors
    /// [`Crowded`].
    pub async fn take_place(
        &self,
        user: &Arc<str>,
        protocol: Protocol,
        address: IpAddr,
        number: u64,
        limits: UserLimits,
    ) -> Result<Option<Seat>, Crowded> {
        let Backing::Valkey(server) = &self.0.store else { return Ok(None) };
        if !limits.is_set() {
            return Ok(None);
        }
        // What has just ended does not count any more, even for who is quick.
        let _ = self.0.give_some_back().await;
        let place = Place { number, user: user.clone(), protocol, address };
        lock(&self.0.seats.held).insert(number, place.clone());
        // From here on it is given back whatever happens, a client that leaves while the server is asked included.
        let seat = Seat(self.0.clone(), number);
        let crowded = match server.take(node_id(), &place, limits).await {
            Ok(Answer::Taken) | Err(Away(_)) => return Ok(Some(seat)),
            Ok(Answer::FullInAll(count)) => Crowded::InAll(count),
            Ok(Answer::FullHere(count)) => Crowded::PerAddress(count),
        };
        lock(&self.0.seats.held).remove(&number);
        Err(crowded)
    }
}

impl Inner {
    /// Tells the server who has gone.
    pub(super) async fn give_back(&self) -> Result<(), Away> {
        while self.give_some_back().await? {}
        Ok(())
    }

    /// The latest; whether there were any. At most one round trip.
    async fn give_some_back(&self) -> Result<bool, Away> {
        let Backing::Valkey(server) = &self.store else { return Ok(false) };
        let some = {
            let mut gone = lock(&self.seats.gone);
            let rest = gone.len().saturating_sub(SOME);
            gone.split_off(rest)
        };
        if some.is_empty() {
            return Ok(false);
        }
        if let Err(away) = server.free(node_id(), &some).await {
            lock(&self.seats.gone).extend(some);
            return Err(away);
        }
        Ok(true)
    }

    /// Tells the server of all that are held.
    pub(super) async fn hold_places(&self) -> Result<(), Away> {
        let Backing::Valkey(server) = &self.store else { return Ok(()) };
        let held: Vec<u64> = lock(&self.seats.held).keys().copied().collect();
        for some in held.chunks(SOME) {
            // Those that have gone since then are not told.
            let places: Vec<Place> = {
                let held = lock(&self.seats.held);
                some.iter().filter_map(|number| held.get(number).cloned()).collect()
            };
            if !places.is_empty() {
                server.hold(node_id(), &places).await?;
            }
        }
        Ok(())
    }
}

// Complete at every moment: a thread that panicked has left nothing half done.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In one round trip.
const SOME: usize = 200;
/// While the server is away, places are given back to nobody: about 10 MB.
const GONE_MAX: usize = 100_000;
/// How often what is held is told again, in seconds.
pub(super) const HOLD: u64 = 60;
