//! A place at a server, given back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::login::Failure;
use super::server::Server;
use crate::proto::Denial;

/// One chosen server, and one of its places while this is held.
#[derive(Debug)]
pub struct Lease {
    server: Arc<Server>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Server {
    /// Takes a place, waiting for one as long as the pool's `wait` says. Cancel safe.
    ///
    /// # Errors
    /// [`Denial::Unavailable`] when the server stayed full.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease, Failure> {
        let place = match &self.places {
            None => None,
            Some(places) => match places.clone().try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => Some(self.wait_for(places.clone()).await?),
            },
        };
        self.settings.metrics.backend_open.inc();
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Lease { server: self.clone(), _place: place })
    }

    async fn wait_for(&self, places: Arc<tokio::sync::Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
        match timeout(self.settings.config.wait, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Failure::new(Denial::Unavailable, "waiting for a place", "the server is full")),
        }
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
