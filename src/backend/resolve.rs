//! The addresses of a server's name, asked for now and then, not at every login.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::Instant;

/// What DNS said last. The resolver's own TTL is not known to getaddrinfo(3), so a short one of our own.
#[derive(Debug, Default)]
pub(super) struct Resolved(Mutex<Option<(Instant, Arc<[IpAddr]>)>>);

impl Resolved {
    /// At most [`ADDRESSES`] addresses; an old answer rather than none when DNS is away.
    pub async fn addresses(&self, name: &str) -> io::Result<Arc<[IpAddr]>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok([address].into());
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some((asked, addresses)) if asked.elapsed() < FRESH => return Ok(addresses),
            _ => {}
        }
        let answer: io::Result<Vec<IpAddr>> =
            lookup_host((name, 0)).await.map(|found| found.map(|address| address.ip()).take(ADDRESSES).collect());
        match (answer, known) {
            (Ok(found), _) if !found.is_empty() => {
                let found: Arc<[IpAddr]> = found.into();
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), found.clone()));
                Ok(found)
            }
            (_, Some((_, old))) => Ok(old),
            (Ok(_), None) => Err(io::Error::other("the name has no address")),
            (Err(error), None) => Err(error),
        }
    }
}

const FRESH: Duration = Duration::from_secs(30);
const ADDRESSES: usize = 16;
