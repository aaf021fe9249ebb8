//! A place at a server, given back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::server::Server;
use crate::proto::{LoginFailure, Protocol, Stage};

/// The places at a server. Mail from other servers has at most half of them: a stranger who has named one recipient
/// holds a place, and may say nothing more for long, while users want to log in.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    mail: Arc<Semaphore>,
}

/// One of them.
#[derive(Debug)]
struct Place {
    _place: OwnedSemaphorePermit,
    _mail: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(max: u32) -> Self {
        let semaphore = |places: u32| Arc::new(Semaphore::new(places as usize));
        Self { all: semaphore(max), mail: semaphore(max.div_ceil(2)) }
    }

    /// Who has to keep within the share of mail.
    fn share(&self, protocol: Protocol) -> Option<&Arc<Semaphore>> {
        match protocol {
            Protocol::Imap | Protocol::Pop3 | Protocol::Submission => None,
            Protocol::Smtp => Some(&self.mail),
        }
    }

    fn try_take(&self, protocol: Protocol) -> Option<Place> {
        let mail = match self.share(protocol) {
            Some(share) => Some(share.clone().try_acquire_owned().ok()?),
            None => None,
        };
        Some(Place { _place: self.all.clone().try_acquire_owned().ok()?, _mail: mail })
    }

    /// Cancel safe; never ready while the server is full.
    async fn take(&self, protocol: Protocol) -> Option<Place> {
        let mail = match self.share(protocol) {
            Some(share) => Some(share.clone().acquire_owned().await.ok()?),
            None => None,
        };
        Some(Place { _place: self.all.clone().acquire_owned().await.ok()?, _mail: mail })
    }

    /// Why there is no place.
    fn what_is_full(&self, protocol: Protocol) -> &'static str {
        match self.share(protocol) {
            Some(share) if share.available_permits() == 0 => "mail has its half of the server's places",
            Some(_) | None => "the server is full",
        }
    }
}

/// One chosen server, and one of its places while this is held.
#[derive(Debug)]
pub struct Lease {
    server: Arc<Server>,
    _place: Option<Place>,
}

impl Server {
    /// Takes a place, waiting for one as long as the pool's `wait` says. Cancel safe.
    ///
    /// # Errors
    /// `Unavailable` when the server stayed full, or mail had its share of it.
    pub async fn lease(self: &Arc<Self>, protocol: Protocol) -> Result<Lease, LoginFailure> {
        let place = match &self.places {
            None => None,
            Some(places) => match places.try_take(protocol) {
                Some(place) => Some(place),
                None => Some(self.wait_for(places, protocol).await?),
            },
        };
        self.settings.metrics.backend_open.inc();
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Lease { server: self.clone(), _place: place })
    }

    async fn wait_for(&self, places: &Places, protocol: Protocol) -> Result<Place, LoginFailure> {
        let taken = timeout(self.settings.config.wait, places.take(protocol)).await.ok().flatten();
        taken.ok_or_else(|| LoginFailure::of_this_server(Stage::WaitingForPlace, places.what_is_full(protocol)))
    }
}

impl Lease {
    /// Where.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.settings.metrics.backend_open.dec();
        self.server.open.fetch_sub(1, Ordering::Relaxed);
    }
}
