//! The addresses of a server's name, asked for now and then, not at every login.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::Instant;

/// What DNS said last. The resolver's own TTL is not known to getaddrinfo(3), so a short one of our own; an answer that
/// is older is used all the same while one question asks for a new one, and as long as DNS is away.
#[derive(Debug, Default)]
pub(super) struct Resolved(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    addresses: Option<Arc<[IpAddr]>>,
    fresh_until: Option<Instant>,
}

impl Resolved {
    /// At most [`ADDRESSES`] addresses; only the very first question is waited for.
    pub(super) async fn addresses(self: &Arc<Self>, name: &str) -> io::Result<Arc<[IpAddr]>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok([address].into());
        }
        match self.known(name) {
            Some(addresses) => Ok(addresses),
            None => self.ask(name).await,
        }
    }

    /// What is known; when that is not fresh, it counts as fresh for a while, and one task asks again.
    fn known(self: &Arc<Self>, name: &str) -> Option<Arc<[IpAddr]>> {
        let mut known = self.lock();
        let addresses = known.addresses.clone()?;
        if known.fresh_until.is_none_or(|until| until <= Instant::now()) {
            known.fresh_until = Some(Instant::now() + FRESH);
            let (resolved, name) = (self.clone(), name.to_owned());
            tokio::spawn(async move {
                if let Err(error) = resolved.ask(&name).await {
                    tracing::warn!(name, %error, "the name cannot be resolved; its old addresses stay");
                }
            });
        }
        Some(addresses)
    }

    async fn ask(&self, name: &str) -> io::Result<Arc<[IpAddr]>> {
        let found: Vec<IpAddr> = lookup_host((name, 0)).await?.map(|found| found.ip()).take(ADDRESSES).collect();
        if found.is_empty() {
            return Err(io::Error::other("the name has no address"));
        }
        let found: Arc<[IpAddr]> = found.into();
        *self.lock() = Known { addresses: Some(found.clone()), fresh_until: Some(Instant::now() + FRESH) };
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FRESH: Duration = Duration::from_secs(30);
const ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_serves_at_once_and_while_dns_has_none() {
        let resolved = Arc::new(Resolved::default());
        assert!(resolved.addresses("no-such-host.invalid").await.is_err(), "nothing is known yet");
        let old: Arc<[IpAddr]> = [IpAddr::from([192, 0, 2, 1])].into();
        *resolved.lock() = Known { addresses: Some(old.clone()), fresh_until: None };
        assert_eq!(resolved.addresses("no-such-host.invalid").await.expect("old"), old);
        tokio::task::yield_now().await;
        assert_eq!(resolved.addresses("no-such-host.invalid").await.expect("old"), old);
    }

    #[tokio::test]
    async fn an_address_needs_no_dns() {
        let resolved = Arc::new(Resolved::default());
        let found = resolved.addresses("::1").await.expect("literal");
        assert_eq!(*found, [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    }
}
