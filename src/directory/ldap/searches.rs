//! The connections for searches: few, shared, opened on demand.
//!
//! At most 64 searches are in flight on a connection (slapd closes one with more than 100 anonymous ones). A search
//! whose connection ends is asked once more on a new one: reading twice does no harm.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, Found, Search};
use super::servers::{As, Servers};
use crate::directory::Unavailable;
use crate::wire::socket::share;

pub(super) struct Searches {
    /// Never empty.
    slots: Vec<Slot>,
    /// As many places as all slots have together: whoever holds one finds a free slot.
    places: Semaphore,
}

struct Slot {
    places: Semaphore,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Counts attempts to connect that failed, so that all who waited for one fail with it.
    failures: AtomicU64,
    failure: StdMutex<Option<Unavailable>>,
}

/// Given back slot first.
struct Place<'a> {
    slot: &'a Slot,
    _in_slot: SemaphorePermit<'a>,
    _in_all: SemaphorePermit<'a>,
}

impl Searches {
    pub(super) fn new(connections: usize) -> Self {
        let connections = connections.max(1);
        let slot = || Slot {
            places: Semaphore::new(IN_FLIGHT),
            connection: Mutex::default(),
            failures: AtomicU64::new(0),
            failure: StdMutex::default(),
        };
        let slots = std::iter::repeat_with(slot).take(connections).collect();
        Self { slots, places: Semaphore::new(connections * IN_FLIGHT) }
    }

    /// Dropped at the caller's deadline, it closes the connection that has not answered.
    pub(super) async fn ask(
        &self,
        servers: &Servers,
        search: &Search<'_>,
        deadline: Instant,
    ) -> Result<Found, Unavailable> {
        let place = self.place(deadline).await?;
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let connection = place.slot.connection(servers, deadline).await?;
            let lost = match connection.search(search).await {
                Ok(found) if is_away(found.result.code) && tries > 0 => {
                    connection.give_up();
                    continue;
                }
                Ok(found) => return Ok(found),
                Err(lost) => lost.0,
            };
            if tries == 0 {
                return Err(lost);
            }
        }
    }

    /// Has every search from now on use a new connection. Those under way end on the one that they have, which closes
    /// with the last of them.
    pub(super) async fn renew(&self) {
        for slot in &self.slots {
            *slot.connection.lock().await = None;
        }
    }

    /// Half of the time may go into waiting: what is asked must have time to be answered, or a queue that has once
    /// grown too long would leave no time to anybody.
    async fn place(&self, deadline: Instant) -> Result<Place<'_>, Unavailable> {
        let waited = timeout_at(share(deadline, 2), self.places.acquire()).await;
        let in_all = waited.map_err(|_| Unavailable::Overloaded)?.map_err(|_| Unavailable::Lost)?;
        loop {
            // Another may take the same place between the two steps; then there is one elsewhere.
            let freest = self.slots.iter().max_by_key(|slot| slot.places.available_permits());
            let slot = freest.ok_or(Unavailable::Lost)?;
            if let Ok(in_slot) = slot.places.try_acquire() {
                return Ok(Place { slot, _in_slot: in_slot, _in_all: in_all });
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Slot {
    /// The open connection, or a new one; who comes while it is being opened waits for it.
    async fn connection(&self, servers: &Servers, deadline: Instant) -> Result<Arc<Connection>, Unavailable> {
        let failures = self.failures.load(Ordering::Acquire);
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|connection| connection.is_open()) {
            return Ok(Arc::clone(open));
        }
        if self.failures.load(Ordering::Acquire) != failures {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return Err(failure.unwrap_or(Unavailable::Lost));
        }
        match servers.connect(As::Us, deadline).await {
            Ok(new) => Ok(Arc::clone(connection.insert(Arc::new(new)))),
            Err(problem) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem.clone());
                self.failures.fetch_add(1, Ordering::AcqRel);
                Err(problem)
            }
        }
    }
}

/// busy and unavailable: another server may be neither.
const fn is_away(code: u32) -> bool {
    matches!(code, 51 | 52)
}

const IN_FLIGHT: usize = 64;
const TRIES: u32 = 2;
