//! What is remembered of a session until its one log line is written; what others may see of it stands in the roster.
//!
//! The line is written when the record is dropped, so no way out can forget it: a panic and the end of the gateway
//! included.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Level;

use super::hosting::Denied;
use super::{Ending, Entrance};
use crate::backend::Lease;
use crate::config::UserLimits;
use crate::gate::Permit;
use crate::metrics::Metrics;
use crate::proto::RefusedHere;
use crate::registry::{Presence, Registry};
use crate::roster::{Entry, Full, Guest, Roster};
use crate::wire::{Relay, Watched, tls};

/// See the module.
pub(super) struct Record {
    metrics: Arc<Metrics>,
    entrance: Arc<Entrance>,
    guest: Guest,
    pub permit: Option<Permit>,
    lease: Option<Lease>,
    presence: Option<Presence>,
    /// Boxed: it is there for a moment, and its place for the whole session.
    ending: Option<Box<Ending>>,
}

impl Record {
    pub(super) fn open(
        metrics: &Arc<Metrics>,
        roster: &Roster,
        entrance: &Arc<Entrance>,
        client: SocketAddr,
        permit: Option<Permit>,
    ) -> Self {
        metrics.open.with_label_values(&[entrance.protocol().name()]).inc();
        Self {
            metrics: metrics.clone(),
            guest: roster.guest(entrance.protocol(), &entrance.name, client),
            entrance: entrance.clone(),
            permit,
            lease: None,
            presence: None,
            ending: None,
        }
    }

    /// Unique in this process; other systems see it (IMAP ID, XCLIENT), so letters and digits only.
    pub(super) fn id(&self) -> String {
        self.guest.id()
    }

    /// Who has it may watch the session, and kick it.
    pub(super) fn watched(&self) -> Arc<dyn Watched> {
        self.guest.watched()
    }

    pub(super) fn comes_from(&mut self, client: SocketAddr) {
        self.learns(|entry| entry.client = client);
    }

    pub(super) fn speaks(&mut self, tls: Option<tls::Facts>) {
        self.learns(|entry| entry.tls = tls);
    }

    pub(super) fn asks_for(&mut self, user: Arc<str>) {
        self.learns(|entry| entry.user = Some(user));
    }

    pub(super) fn goes_to(&mut self, backend: Option<Arc<str>>) {
        self.learns(|entry| entry.backend = backend);
    }

    fn learns(&mut self, fact: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.guest.facts() {
            fact(entry);
        }
    }

    pub(super) fn answered(&self, answer: &'static str, asked: Instant) {
        let protocol = self.entrance.protocol().name();
        self.metrics.logins.with_label_values(&[protocol, answer]).inc();
        self.metrics.login_seconds.with_label_values(&[protocol]).observe(asked.elapsed().as_secs_f64());
    }

    /// A place among the user's sessions, until the session ends or the login is denied.
    pub(super) fn sits_down(&mut self, limits: UserLimits) -> Result<(), Full> {
        self.guest.sit_down(limits)
    }

    /// Logged at once and not at the session's end: who watches for attacks must not wait for that.
    pub(super) fn denied(&mut self, denied: &Denied, asked: Instant) {
        self.answered(denied.denial.label(), asked);
        tracing::info!(
            session = %self.id(),
            protocol = self.entrance.protocol().name(),
            client = %self.guest.client,
            user = said(self.guest.user.as_deref()),
            backend = said(self.guest.backend.as_deref()),
            denial = denied.denial.label(),
            stage = denied.stage,
            detail = denied.detail,
            "login denied"
        );
        self.goes_to(None);
        self.guest.stand_up();
    }

    /// A login that the front refused by itself.
    pub(super) fn refused_here(&self, refused: RefusedHere) {
        let protocol = self.entrance.protocol().name();
        self.metrics.logins.with_label_values(&[protocol, refused.label()]).inc();
        tracing::info!(
            session = %self.id(),
            protocol,
            client = %self.guest.client,
            denial = refused.label(),
            stage = "before login",
            detail = refused.detail(),
            "login denied"
        );
    }

    /// The back-end said yes, and the client was told: from now on the session is on the roster, and the address is this
    /// user's.
    pub(super) fn logged_in(&mut self, registry: &Registry, announced: bool) {
        self.guest.logged_in();
        let user = self.guest.user.as_deref().unwrap_or_default();
        self.presence = Some(registry.record(user, self.entrance.protocol(), self.guest.client.ip(), announced));
    }

    pub(super) fn relaying(&mut self, lease: Lease) {
        self.metrics.relaying.with_label_values(&[self.entrance.protocol().name()]).inc();
        self.lease = Some(lease);
    }

    pub(super) fn end(mut self, ending: Ending) {
        self.ending = Some(Box::new(ending));
    }

    fn write(&self, ending: &Ending) {
        let (up, down) = ending.bytes();
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    session = %self.id(),
                    protocol = self.entrance.protocol().name(),
                    listener = &*self.entrance.name,
                    client = %self.guest.client,
                    tls = said(self.guest.tls.as_ref().map(tls::Facts::version)),
                    cipher = said(self.guest.tls.as_ref().map(tls::Facts::cipher)),
                    user = said(self.guest.user.as_deref()),
                    backend = said(self.guest.backend.as_deref()),
                    up,
                    down,
                    seconds = self.guest.pulse().since().elapsed().as_millis() as f64 / 1000.0,
                    ending = ending.label(),
                    blame = ending.blame(),
                    detail = said(ending.detail().as_deref()),
                    "session ended"
                )
            };
        }
        match ending.level() {
            Level::ERROR => line!(Level::ERROR),
            _ => line!(Level::INFO),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let ending = match self.ending.take() {
            Some(ending) => *ending,
            None if std::thread::panicking() => Ending::Panicked,
            None => Ending::Cut(0, 0),
        };
        let protocol = self.entrance.protocol().name();
        self.metrics.open.with_label_values(&[protocol]).dec();
        if self.lease.is_some() {
            self.metrics.relaying.with_label_values(&[protocol]).dec();
        }
        if matches!(ending, Ending::Panicked) {
            self.metrics.panics.inc();
        }
        self.metrics.endings.with_label_values(&[protocol, ending.label()]).inc();
        self.write(&ending);
    }
}

/// A relay with the record of its session: the whole of what a session is once it has logged in.
pub(super) fn relayed(relay: Relay, record: Box<Record>, token: TaskTrackerToken) -> impl Future<Output = ()> + Send {
    Relayed { relay, record, _token: token }
}

struct Relayed {
    relay: Relay,
    record: Box<Record>,
    _token: TaskTrackerToken,
}

impl Future for Relayed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let tally = ready!(Pin::new(&mut self.relay).poll(cx));
        self.record.ending = Some(Box::new(Ending::Relayed(tally)));
        Poll::Ready(())
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        if self.record.ending.is_none() && !std::thread::panicking() {
            let (up, down) = self.relay.bytes();
            self.record.ending = Some(Box::new(Ending::Cut(up, down)));
        }
    }
}

/// As a string value, which both forms of the log quote and escape: what a peer, a file or a directory said cannot begin
/// a new line or a new field.
fn said(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_session_is_small() {
        // Two sockets and two directions, the idle alarm and the record's pointer. It is paid once a session.
        assert!(size_of::<Relayed>() <= 208, "{}", size_of::<Relayed>());
    }
}
