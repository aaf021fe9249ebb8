//! The task that keeps the record: moves the windows of living sessions on, forgets what is over, tells the store.
//!
//! All in small pieces, between which logins get the lock.

use std::sync::Weak;
use std::time::Duration;

use super::seats::HOLD;
use super::{Away, Backing, Batch, Inner};

/// Until the registry is dropped.
pub(super) async fn keep(registry: Weak<Inner>) {
    let (mut refreshed, mut held) = (None, None);
    loop {
        let Some(inner) = registry.upgrade() else { return };
        let now = inner.clock.now();
        let every = inner.rules.as_ref().map_or(u64::MAX, |rules| (rules.window.as_secs() / 3).max(1));
        // A clock that was put back starts the count anew.
        if refreshed.is_none_or(|last: u64| now < last || now - last >= every) {
            inner.refresh().await;
            refreshed = Some(now);
        }
        inner.sweep().await;
        if let Backing::Valkey(server) = &inner.store
            && !server.is_connected()
            && server.connect().await.is_ok()
        {
            inner.tell_again().await;
            held = None;
        }
        inner.write_out().await;
        // An outage is told by who asks for more than this.
        let _ = inner.give_back().await;
        if held.is_none_or(|last: u64| now < last || now - last >= HOLD) && inner.hold_places().await.is_ok() {
            held = Some(now);
        }
        let _ = inner.follow_switches().await;
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            // While the server is away, every login would be a try to connect.
            () = inner.news.notified(), if inner.metrics.registry_up.get() != 0 => {}
        }
    }
}

impl Inner {
    async fn refresh(&self) {
        let mut after = None;
        loop {
            after = self.table().refresh(self.clock.now(), after, SOME);
            if after.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn sweep(&self) {
        while self.table().sweep(self.clock.now(), SOME) {
            tokio::task::yield_now().await;
        }
        self.metrics.windows.set(i64::try_from(self.table().len()).unwrap_or(i64::MAX));
    }

    /// The server may have been started empty.
    async fn tell_again(&self) {
        let mut after = None;
        loop {
            after = self.table().tell_again(after, SOME);
            if after.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// All that has changed, in batches; what the store did not take is kept for later.
    pub(super) async fn write_out(&self) {
        if matches!(self.store, Backing::Memory) {
            return self.table().told();
        }
        let _one_after_the_other = self.writing.lock().await;
        loop {
            let batch = self.table().take_changed(self.clock.now(), self.batch());
            if batch.is_empty() {
                return;
            }
            let (count, addresses) =
                (batch.len() as u64, batch.iter().map(|(address, _)| *address).collect::<Vec<_>>());
            if let Err(away) = self.write(batch).await {
                self.metrics.registry_writes.with_label_values(&["failed"]).inc_by(count);
                self.table().tell(addresses);
                return self.complain(&away);
            }
            self.metrics.registry_writes.with_label_values(&["written"]).inc_by(count);
            self.recover();
        }
    }

    async fn write(&self, batch: Batch) -> Result<(), Away> {
        match &self.store {
            Backing::Memory => Ok(()),
            Backing::Disk(disk) => disk.write(batch).await,
            Backing::Valkey(server) => server.write(&batch, self.clock.now()).await,
        }
    }

    fn batch(&self) -> usize {
        if matches!(self.store, Backing::Disk(_)) { SOME } else { ROUND_TRIP }
    }

    /// A server speaks for itself; a disk is full or broken, which is one line until it is not.
    fn complain(&self, away: &Away) {
        if matches!(self.store, Backing::Disk(_)) && self.metrics.registry_up.get() != 0 {
            self.metrics.registry_up.set(0);
            tracing::error!(%away, "the registry's file cannot be written; a restart will forget logins");
        }
    }

    fn recover(&self) {
        if matches!(self.store, Backing::Disk(_)) && self.metrics.registry_up.get() == 0 {
            self.metrics.registry_up.set(1);
            tracing::info!("the registry's file can be written again");
        }
    }
}

/// How soon a login is in the store, and an outage is noticed by who does not ask.
const BEAT: Duration = Duration::from_millis(250);
/// Addresses for which the lock is held at a time.
const SOME: usize = 1_000;
/// Addresses in one round trip to a server.
const ROUND_TRIP: usize = 100;
