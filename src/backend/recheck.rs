//! Looks whether servers that could not be reached are back, so that no login has to find out.
//!
//! A recheck connects, with TLS where that comes first, and waits for the greeting. It takes one of the server's places,
//! and no longer than a login.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Backends;
use super::attempt::Attempt;
use super::server::Server;
use crate::proto::{Protocol, greeting};

impl Backends {
    /// Rechecks for as long as it is polled.
    pub async fn recheck(&self) {
        let mut running = JoinSet::new();
        loop {
            tokio::time::sleep(PAUSE).await;
            while running.try_join_next().is_some() {}
            for server in self.servers() {
                for protocol in server.health.start_rechecks() {
                    if running.len() >= AT_ONCE {
                        running.join_next().await;
                    }
                    running.spawn(recheck(server.clone(), protocol));
                }
            }
        }
    }
}

/// What comes of it is noted by the attempt; where the server is full, nothing does until the next time.
async fn recheck(server: Arc<Server>, protocol: Protocol) {
    if let Ok(lease) = server.lease(protocol).await {
        let mut attempt = Attempt::of_the_gateway(lease.server(), protocol);
        let greeted = lease.attempt_as(&mut attempt, Box::new(greeting::Probe::new(protocol))).await;
        drop(attempt);
        if let Ok((wire, _)) = greeted {
            wire.close().await;
        }
    }
    server.health.rechecked(protocol);
}

/// How often it is asked which servers are due.
const PAUSE: Duration = Duration::from_secs(1);
/// Rechecks at once: a server that swallows packets takes the whole of its time-out.
const AT_ONCE: usize = 64;
