//! Protocols that an administrator has switched off for a user.
//!
//! All of them are held here, so that a login is never kept waiting; the store has them too, and another gateway's
//! changes come from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::seen::Protocols;
use super::{Away, Backing, Inner, Registry};
use crate::proto::Protocol;

/// By user; nobody is in it without one.
pub(super) type Off = HashMap<Arc<str>, Protocols>;

#[derive(Default)]
pub(super) struct Switches {
    off: Mutex<Off>,
    /// One change after the other.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// What the server's list was called when it was read last.
    version: Mutex<Option<u64>>,
}

/// A protocol was not switched; everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SwitchProblem {
    /// It would not be kept.
    #[error(transparent)]
    Away(#[from] Away),
    /// There is no room for one more user.
    #[error("protocols are switched off for {USERS_MAX} users, and for no more")]
    TooMany,
}

impl Switches {
    fn lock(&self) -> MutexGuard<'_, Off> {
        self.off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn version(&self) -> MutexGuard<'_, Option<u64>> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, user: &str) -> Protocols {
        self.lock().get(user).copied().unwrap_or_default()
    }

    fn set(&self, user: &str, protocols: Protocols) {
        if protocols.is_empty() {
            self.lock().remove(user);
        } else {
            self.lock().insert(user.into(), protocols);
        }
    }

    pub(super) fn replace(&self, off: Off) {
        *self.lock() = off;
    }
}

impl Registry {
    /// What is switched off for a user, by the canonical name.
    #[must_use]
    pub fn switched_off(&self, user: &str) -> Protocols {
        self.0.switches.of(user)
    }

    /// Everybody for whom something is switched off, by name.
    #[must_use]
    pub fn all_switched_off(&self) -> Vec<(Arc<str>, Protocols)> {
        let mut all: Vec<_> =
            self.0.switches.lock().iter().map(|(user, protocols)| (Arc::clone(user), *protocols)).collect();
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// Whether what is switched stays so over a restart.
    #[must_use]
    pub fn keeps(&self) -> bool {
        !matches!(self.0.store, Backing::Memory)
    }

    /// Switches a protocol of a user off, or on again: from the next login on. In the store when it returns.
    ///
    /// # Errors
    /// [`SwitchProblem`]; nothing has changed then.
    pub async fn switch(&self, user: &str, protocol: Protocol, on: bool) -> Result<(), SwitchProblem> {
        let inner = &self.0;
        let _one_after_the_other = inner.switches.changing.lock().await;
        let before = inner.switches.of(user);
        if !on && before.is_empty() && inner.switches.lock().len() >= USERS_MAX {
            return Err(SwitchProblem::TooMany);
        }
        let after = if on { before.without(protocol) } else { before.with(protocol) };
        match &inner.store {
            Backing::Memory => {}
            Backing::Disk(disk) => disk.switch(user.to_owned(), after).await?,
            Backing::Valkey(server) => server.switch(user, protocol, on).await?,
        }
        inner.switches.set(user, after);
        Ok(())
    }
}

impl Inner {
    /// What other gateways have switched; a server that has forgotten all is told.
    pub(super) async fn follow_switches(&self) -> Result<(), Away> {
        let Backing::Valkey(server) = &self.store else { return Ok(()) };
        let _not_while_one_changes = self.switches.changing.lock().await;
        let there = server.switches_version().await?;
        let here = *self.switches.version();
        if there.is_none() && here.is_some() {
            let off = self.switches.lock().clone();
            server.tell_switches(&off).await?;
        } else if there == here {
            return Ok(());
        }
        let (version, off) = (server.switches_version().await?, server.switches().await?);
        self.switches.replace(off);
        *self.switches.version() = version;
        Ok(())
    }
}

/// A name and a set for each: about 10 MB.
pub(super) const USERS_MAX: usize = 100_000;
