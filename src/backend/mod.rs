//! Where users live: pools of servers, a place at one of them, and the login there.
//!
//! The directory names a host; only hosts that the configuration knows, or lets it name, are ever connected to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::config::{self, Storage};
use crate::metrics::Metrics;
use crate::proto::Protocol;
use crate::wire::tls_client::TlsSetupProblem;

mod attempt;
mod dial;
mod failover;
mod health;
mod lease;
mod login;
mod offers;
mod rank;
mod recheck;
mod resolve;
mod series;
mod server;

pub use failover::{LoggedIn, LoginRequest};
pub use health::{LastAttempt, Reached, State};
pub use lease::Lease;
pub use server::Server;

use server::Settings;

/// All pools.
#[derive(Debug)]
pub struct Backends {
    pools: Vec<Pool>,
    by_name: HashMap<String, Arc<Server>>,
    /// Servers that only the directory named, where a pool's `match` allows it.
    found: Mutex<HashMap<String, Arc<Server>>>,
    /// What listeners for mail that is sent may show.
    extensions: HashMap<Protocol, ArcSwap<Arc<[Box<str>]>>>,
}

#[derive(Debug)]
struct Pool {
    settings: Arc<Settings>,
    servers: Vec<Arc<Server>>,
}

/// The servers that may serve a user.
#[derive(Debug)]
pub struct Candidates {
    /// The user's own, which comes first while it is there.
    home: Arc<Server>,
    /// The others of a pool with shared storage, best first.
    others: Vec<Arc<Server>>,
    /// How many may be tried, at least 1.
    tries: usize,
}

impl Candidates {
    fn single(home: Arc<Server>) -> Self {
        Self { home, others: Vec::new(), tries: 1 }
    }

    /// `None` = the pool has no servers.
    fn of_pool(pool: &Pool, user: &str) -> Option<Self> {
        let mut ranked = rank::rank(&pool.servers, user).into_iter();
        let home = ranked.next()?;
        Some(match pool.settings.config.storage {
            Storage::Separate => Self::single(home),
            Storage::Shared => Self { home, others: ranked.collect(), tries: 1 + pool.settings.config.retry as usize },
        })
    }

    /// The user's own server, whether it is there or not.
    #[must_use]
    pub fn home(&self) -> &Arc<Server> {
        &self.home
    }

    /// Whether no other server may stand in.
    fn is_single(&self) -> bool {
        self.others.is_empty()
    }

    /// Those to try, best first: servers that are known to be away now come behind all others.
    fn in_order(&self, protocol: Protocol) -> Vec<&Arc<Server>> {
        let mut servers: Vec<_> = std::iter::once(&self.home).chain(&self.others).collect();
        servers.sort_by_key(|server| server.health.reach(protocol));
        servers.truncate(self.tries);
        servers
    }
}

/// The directory named a host that no pool knows or allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the directory names the host {0:?}, which no pool has or matches")]
pub struct Unroutable(pub String);

impl Backends {
    /// `own` is where the gateway itself listens: a route that leads there is a loop.
    ///
    /// # Errors
    /// The authorities' file of a pool cannot be used.
    pub fn new(pools: &[config::Pool], own: &[SocketAddr], metrics: &Arc<Metrics>) -> Result<Self, TlsSetupProblem> {
        let pools = pools
            .iter()
            .map(|pool| {
                let settings = Arc::new(Settings::new(pool, own, metrics)?);
                let servers = pool.servers.iter().map(|server| Arc::new(Server::listed(server, &settings))).collect();
                Ok(Pool { settings, servers })
            })
            .collect::<Result<Vec<_>, TlsSetupProblem>>()?;
        let servers = pools.iter().flat_map(|pool| &pool.servers);
        let by_name = servers.map(|server| (server.name().to_owned(), server.clone())).collect();
        let extensions = offers::SENDING.map(|protocol| (protocol, ArcSwap::default())).into();
        Ok(Self { pools, by_name, found: Mutex::default(), extensions })
    }

    /// The servers that may serve this user. It is one, the user's own, but for a user of a whole pool with shared
    /// storage: there others may stand in for it.
    ///
    /// `host` is a server's name, a pool's name, or one of these with `:port`.
    ///
    /// # Errors
    /// [`Unroutable`].
    pub fn candidates(&self, host: &str, user: &str) -> Result<Candidates, Unroutable> {
        let host = host.to_ascii_lowercase();
        if let Some(server) = self.by_name.get(&host) {
            return Ok(Candidates::single(server.clone()));
        }
        if let Some(pool) = self.pools.iter().find(|pool| pool.settings.name() == host)
            && let Some(candidates) = Candidates::of_pool(pool, user)
        {
            return Ok(candidates);
        }
        self.found(&host).map(Candidates::single).ok_or(Unroutable(host))
    }

    /// Every server that is known now, with its pool's name; those that only the directory named come last.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named: Vec<_> = found.values().cloned().collect();
        drop(found);
        named.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        self.pools.iter().flat_map(|pool| pool.servers.iter().cloned()).chain(named).collect()
    }

    /// Forgets the hosts that only the directory named and that nobody has tried for an hour: it may name others now.
    pub fn sweep(&self) {
        let Some(then) = Instant::now().checked_sub(UNTRIED) else { return };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|_, server| server.connections() > 0 || server.health.was_tried_since(then));
    }

    /// A host that only the directory named, or a known one with a port of its own. Remembered, so that its
    /// connections are counted together.
    fn found(&self, host: &str) -> Option<Arc<Server>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = found.get(host) {
            return Some(server.clone());
        }
        let (name, port) = split_port(host)?;
        let server = match self.by_name.get(name) {
            Some(known) => known.with_port(port?),
            None => {
                let allowed = |pool: &Pool| Some((pool.settings.clone(), pool.settings.allows(name)?.clone()));
                let (settings, series) = self.pools.iter().find_map(allowed)?;
                Server::found(name, port, &settings, &series)
            }
        };
        if found.len() >= FOUND_MAX {
            found.clear();
        }
        let server = Arc::new(server);
        found.insert(host.to_owned(), server.clone());
        Some(server)
    }
}

/// `host`, `host:port`, `[address]:port`; nothing but what a host name or an address is made of.
fn split_port(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            (name, port.strip_prefix(':'))
        }
        None if host.matches(':').count() == 1 => host.split_once(':').map(|(name, port)| (name, Some(port)))?,
        None => (host, None),
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok().filter(|&p| p > 0)?),
        Some(_) => return None,
        None => None,
    };
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    (plain && !name.is_empty() && name.len() <= 253).then_some((name, port))
}

/// Hosts that only the directory named; beyond that the table starts anew.
const FOUND_MAX: usize = 10_000;
/// How long they are remembered otherwise.
const UNTRIED: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
