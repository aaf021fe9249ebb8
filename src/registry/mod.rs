//! What is remembered of logins: which address belongs to whom, for a while, so that mail may be sent from there.
//!
//! It stands apart because everybody asks it and it asks nobody: sessions write, the SMTP session and other MTAs read.
//!
//! ```text
//! session ── record ──▶ table in memory ◀── covers ── lookup
//!            Presence      │  ▲ start         │
//!                        keeper, a task     Valkey: asked each time, away = not authorised
//!                          ▼
//!                   memory · disk · Valkey
//! ```
//!
//! The table takes a login at once; the `keeper` tells the store a moment later. So no login waits for a store, and
//! what waits to be written is bounded by the table.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::config::{AfterPop, Store};
use crate::metrics::Metrics;
use crate::proto::Protocol;
use crate::wire::tls_client::TlsSetupProblem;

mod clock;
mod dial;
mod disk;
mod keeper;
mod known;
mod nodes;
mod seats;
mod seen;
mod switches;
mod table;
#[cfg(test)]
mod tests;
mod valkey;

pub use disk::DiskProblem;
pub use known::{FAILED, Fact, LAST, News, Recalled, VISIT};
pub use nodes::{Heard, LEASE, Posted};
pub use seats::{Crowded, Seat};
pub use seen::Protocols;
pub use switches::SwitchProblem;

#[cfg(test)]
pub(crate) use valkey::tests::Server;

use clock::Clock;
use dial::Way;
use disk::Disk;
use seats::Seats;
use seen::Seen;
use switches::Switches;
use table::Table;
use valkey::Valkey;

/// The record of who logged in from where; a clone is the same record.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    /// `None`: nothing is recorded and nobody covered.
    rules: Option<AfterPop>,
    switches: Switches,
    seats: Seats,
    table: Mutex<Table>,
    clock: Clock,
    store: Backing,
    metrics: Arc<Metrics>,
    /// A login has come that other gateways wait for.
    news: Notify,
    /// Batches are written one after the other.
    writing: tokio::sync::Mutex<()>,
}

enum Backing {
    Memory,
    Disk(Disk),
    Valkey(Box<Valkey>),
}

/// Addresses that have changed, with all their users.
type Batch = Vec<(IpAddr, Vec<Seen>)>;

/// What an address may be taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Nobody logged in from there lately.
    Nobody,
    /// This user did; where several are allowed, the one who came last.
    User {
        /// The user's canonical name.
        name: Arc<str>,
        /// How they logged in.
        protocols: Protocols,
        /// Until when, in seconds since 1970, if nothing more happens.
        until: u64,
    },
    /// So many users share it, more than are allowed.
    TooManyUsers(usize),
}

/// The store does not answer, so nobody knows: not authorised, try later. The reason is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the registry's store is away: {0}")]
pub struct Away(String);

/// Why there can be no registry.
#[derive(Debug, thiserror::Error)]
pub enum SetupProblem {
    /// The file.
    #[error("the registry's file {0} cannot be used: {told}", told = told(.0, .1))]
    Disk(PathBuf, DiskProblem),
    /// The server's URL; it may hold a password and is not shown.
    #[error("the URL of the registry's server is none")]
    Url,
    /// The authorities by which it is verified.
    #[error("the registry's server: {0}")]
    Tls(#[from] TlsSetupProblem),
}

/// What is wrong and what to do about it, and at the end what only a developer understands.
fn told(path: &Path, problem: &DiskProblem) -> String {
    let cure = cure(path, problem);
    match problem {
        DiskProblem::Damaged(damage) => format!("it is damaged: {}{cure}{}", damage.what(), damage.internal()),
        DiskProblem::Open(_) | DiskProblem::NoFile | DiskProblem::Link(_) | DiskProblem::InUse => {
            format!("{problem}{cure}")
        }
    }
}

/// What an operator does about it.
fn cure(path: &Path, problem: &DiskProblem) -> String {
    let path = path.display();
    match problem {
        DiskProblem::Damaged(_) => format!(
            ". Nothing was started: without this file, protocols that are switched off for users would be on again, and the \
             logins of the last minutes are forgotten. Put a good copy back; or `mv {path} {path}.damaged` and start again, or \
             start once with `portcullis serve --recreate-store`, which renames it as well: then switch off again what must \
             be off"
        ),
        DiskProblem::Open(error) if error.kind() == ErrorKind::NotFound => "; its folder must exist".to_owned(),
        DiskProblem::Open(error) if error.kind() == ErrorKind::PermissionDenied => {
            "; the user that the gateway runs as must own it, and must be able to write to its folder".to_owned()
        }
        DiskProblem::Open(_) | DiskProblem::NoFile | DiskProblem::Link(_) | DiskProblem::InUse => String::new(),
    }
}

impl Registry {
    /// Renames the store's file if it is damaged, so that [`open`](Self::open) makes a new one; its name then. Blocks.
    ///
    /// # Errors
    /// [`SetupProblem::Disk`]: the file cannot be used, and is not damaged.
    pub fn recreate_if_damaged(store: &Store) -> Result<Option<PathBuf>, SetupProblem> {
        match store {
            Store::Disk(path) => {
                Disk::recreate_if_damaged(path).map_err(|problem| SetupProblem::Disk(path.clone(), problem))
            }
            Store::Memory | Store::Valkey { .. } => Ok(None),
        }
    }

    /// Opens the record and the store; without rules nothing is recorded and nobody covered. A server that is away is no problem: it
    /// is tried again. The keeper runs on `control`. Blocks while a file is read.
    ///
    /// # Errors
    /// [`SetupProblem`].
    pub fn open(
        rules: Option<&AfterPop>,
        store: &Store,
        metrics: Arc<Metrics>,
        control: &Handle,
    ) -> Result<Self, SetupProblem> {
        Self::open_at(Clock::Wall, rules, store, metrics, control)
    }

    fn open_at(
        clock: Clock,
        rules: Option<&AfterPop>,
        store: &Store,
        metrics: Arc<Metrics>,
        control: &Handle,
    ) -> Result<Self, SetupProblem> {
        let (now, window) = (clock.now(), rules.map_or(UNUSED, |rules| rules.window.as_secs()));
        let switches = Switches::default();
        let mut table = Table::new(window, ADDRESSES_MAX, now);
        let store = match store {
            Store::Memory => Backing::Memory,
            Store::Disk(path) => {
                let disk = Disk::open(path, now, &mut table);
                let disk = disk.and_then(|disk| {
                    switches.replace(disk.switches()?);
                    Ok(disk)
                });
                Backing::Disk(disk.map_err(|problem| SetupProblem::Disk(path.clone(), problem))?)
            }
            Store::Valkey { url, tls, prefix } => {
                let way = Way::new(url, tls.as_ref())?;
                let server = Valkey::new(way, prefix.clone(), window, metrics.registry_up.clone());
                Backing::Valkey(Box::new(server))
            }
        };
        metrics.registry_up.set(i64::from(!matches!(store, Backing::Valkey(_))));
        let (table, news, writing) = (Mutex::new(table), Notify::new(), tokio::sync::Mutex::default());
        let rules = rules.cloned();
        let inner =
            Arc::new(Inner { rules, switches, seats: Seats::default(), table, clock, store, metrics, news, writing });
        control.spawn(keeper::keep(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    /// Whether anything is recorded at all.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.0.rules.is_some()
    }

    /// The pool through which who is vouched for sends; `None` = each user's own back-end.
    #[must_use]
    pub fn relay(&self) -> Option<&str> {
        self.0.rules.as_ref()?.relay.as_deref()
    }

    /// A user has logged in. Keep the [`Presence`] as long as the session lives. `announced`: the address is what a
    /// PROXY header says, and then one that no client of the world has means nothing. Never waits for a store.
    pub fn record(&self, user: &str, protocol: Protocol, address: IpAddr, announced: bool) -> Presence {
        let inner = &self.0;
        let Some(rules) = &inner.rules else { return Presence(None) };
        let address = address.to_canonical();
        let count = |outcome| inner.metrics.records.with_label_values(&[outcome]).inc();
        if let Some(refusal) = rules.refusal(user, protocol, address, announced) {
            count(refusal);
            return Presence(None);
        }
        let (id, crowded) = inner.table().entered(inner.clock.now(), address, user, protocol);
        count(if crowded { "recorded_for_an_older" } else { "recorded" });
        inner.changed();
        Presence(Some(Box::new((inner.clone(), address, id))))
    }

    /// What an address may be taken for now. Takes less than half a second.
    ///
    /// # Errors
    /// [`Away`]; the address is not authorised then.
    pub async fn covers(&self, address: IpAddr) -> Result<Coverage, Away> {
        let inner = &self.0;
        let Some(rules) = &inner.rules else { return Ok(Coverage::Nobody) };
        let address = address.to_canonical();
        if rules.is_exempt(address) {
            return Ok(Coverage::Nobody);
        }
        let now = inner.clock.now();
        let mut users = match &inner.store {
            Backing::Memory | Backing::Disk(_) => Vec::new(),
            Backing::Valkey(server) => server.users(address, now).await?,
        };
        // What is known here comes last: it may be newer than what the server has heard.
        let mut table = inner.table();
        // The time is asked for with the table locked: nobody else can have told it a later one.
        seen::merge(&mut users, table.users(inner.clock.now(), address));
        drop(table);
        Ok(verdict(users, rules.max_users))
    }

    /// Tells the store all that it has not heard yet; at the end of the gateway.
    pub async fn flush(&self) {
        self.0.write_out().await;
    }
}

fn verdict(users: Vec<Seen>, max_users: usize) -> Coverage {
    if users.len() > max_users {
        return Coverage::TooManyUsers(users.len());
    }
    match users.into_iter().max_by_key(|seen| seen.until) {
        None => Coverage::Nobody,
        Some(Seen { user, until, protocols }) => Coverage::User { name: user, protocols, until },
    }
}

impl Inner {
    // Complete at every moment: a thread that panicked has left nothing half done.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        match self.store {
            Backing::Memory => self.table().told(),
            // The keeper's next beat makes one batch of it.
            Backing::Disk(_) => {}
            Backing::Valkey(_) => self.news.notify_one(),
        }
    }
}

impl AfterPop {
    fn is_exempt(&self, address: IpAddr) -> bool {
        self.exempt.iter().any(|range| range.contains(address))
    }

    /// Why a login does not count, if it does not.
    fn refusal(&self, user: &str, protocol: Protocol, address: IpAddr, announced: bool) -> Option<&'static str> {
        if !self.record.contains(&protocol) {
            Some("other_protocol")
        } else if self.is_exempt(address) {
            Some("exempt")
        } else if (announced && is_nobodys(address)) || !seen::is_name(user) {
            Some("refused")
        } else {
            None
        }
    }
}

/// An address that no client has who came by way of a balancer: it neither gets a window there nor stands for somebody.
#[must_use]
pub fn is_nobodys(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_link_local
}

/// A session that keeps its address's window open; the window ends its whole length after the last one is dropped.
#[must_use = "the session ends when it is dropped"]
pub struct Presence(Option<Box<(Arc<Inner>, IpAddr, u64)>>);

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some((inner, address, id)) = self.0.take().map(|presence| *presence) {
            inner.table().left(inner.clock.now(), address, id);
            inner.changed();
        }
    }
}

/// A window of a record that is not kept.
const UNUSED: u64 = 900;
/// About 300 MB when it is full; then the one that would go first goes.
const ADDRESSES_MAX: usize = 1_000_000;
