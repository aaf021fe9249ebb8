//! What is remembered of a session until its one log line is written; what others may see of it stands in the roster.
//!
//! The line is written when the record is dropped, so no way out can forget it: a panic and the end of the gateway
//! included.

use std::fmt::Display;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Level;
use tracing::field::{DisplayValue, display};

use super::metrics::GRANTED;
use super::transaction::Transaction;
use super::{Ending, ListenerContext};
use crate::backend::Lease;
use crate::config::UserLimits;
use crate::gate::Permit;
use crate::metrics::Metrics;
use crate::proto::{Answer, Denial, LoginFailure, RefusedHere, Stage};
use crate::registry::{Presence, Protocols, Registry, Seat};
use crate::roster::{Entry, Guest, Roster};
use crate::wire::{HasActivity, Relay, tls};

/// See the module.
pub(super) struct Record {
    metrics: Arc<Metrics>,
    context: Arc<ListenerContext>,
    guest: Guest,
    /// The logins from the client's address that stand for one of its own.
    vouched_by: Option<Protocols>,
    pub permit: Option<Permit>,
    /// Where the client reached us, if not at the listener's one address.
    reached: Option<Box<ClientPath>>,
    lease: Option<Lease>,
    presence: Option<Presence>,
    /// The user's place among the sessions of all gateways.
    seat: Option<Box<Seat>>,
    /// Boxed: it is there for a moment, and its place for the whole session.
    ending: Option<Box<Ending>>,
    /// Last, so that the session counts as work until its line is written.
    _token: TaskTrackerToken,
}

/// What a balancer, or the kernel, says of the way that the client took.
struct ClientPath {
    at: SocketAddr,
    /// The balancer that announced the client.
    via: Option<SocketAddr>,
}

impl Record {
    pub(super) fn open(
        metrics: &Arc<Metrics>,
        roster: &Roster,
        context: &Arc<ListenerContext>,
        client: SocketAddr,
        permit: Option<Permit>,
        token: TaskTrackerToken,
    ) -> Self {
        context.counts.open.inc();
        Self {
            metrics: metrics.clone(),
            guest: roster.guest(context.protocol(), &context.name, client),
            context: context.clone(),
            vouched_by: None,
            permit,
            reached: None,
            lease: None,
            presence: None,
            seat: None,
            ending: None,
            _token: token,
        }
    }

    /// Unique in this process; other systems see it (IMAP ID, XCLIENT), so letters and digits only.
    pub(super) fn id(&self) -> String {
        self.guest.id()
    }

    /// Who is there: whoever was announced, once that was read.
    pub(super) fn client(&self) -> SocketAddr {
        self.guest.client
    }

    /// The client's address, as limits count it.
    pub(super) fn counted_as(&self) -> IpAddr {
        self.guest.counted_as()
    }

    /// Who has it may watch the session, and kick it.
    pub(super) fn watched(&self) -> Arc<dyn HasActivity> {
        self.guest.watched()
    }

    /// A balancer announced the client, and where the client reached it.
    pub(super) fn announced(&mut self, client: SocketAddr, at: SocketAddr) {
        self.reached = Some(Box::new(ClientPath { at, via: Some(self.guest.client) }));
        self.learns(|entry| entry.client = client);
    }

    /// Where the client reached us, unless a balancer has said it.
    pub(super) fn set_reached(&mut self, at: impl FnOnce() -> Option<SocketAddr>) {
        if self.reached.is_none() {
            self.reached = at().map(|at| Box::new(ClientPath { at, via: None }));
        }
    }

    /// Where the client reached us.
    pub(super) fn reached(&self) -> SocketAddr {
        self.reached.as_ref().map_or_else(|| super::canonical(self.context.address), |reached| reached.at)
    }

    /// For the log: the balancer that announced the client; nothing where there is none.
    fn via(&self) -> Option<DisplayValue<SocketAddr>> {
        self.reached.as_ref()?.via.map(display)
    }

    pub(super) fn speaks(&mut self, tls: Option<tls::Facts>) {
        self.learns(|entry| entry.tls = tls);
    }

    /// A login begins; without a name, where the client's address is to say whose.
    pub(super) fn asks_for(&mut self, user: &str) {
        self.learns(|entry| entry.user = (!user.is_empty()).then(|| user.into()));
        self.vouched_by = None;
    }

    /// The login that began is this user's, and the name may be another than the one given.
    pub(super) fn set_user(&mut self, user: Arc<str>) {
        self.learns(|entry| entry.user = Some(user));
    }

    /// The client's address says whose login it is.
    pub(super) fn set_vouched(&mut self, user: Arc<str>, by: Protocols) {
        self.set_user(user);
        self.vouched_by = Some(by);
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
        match answer {
            GRANTED => self.context.counts.granted.inc(),
            denied => self.metrics.logins.with_label_values(&[self.context.protocol().name(), denied]).inc(),
        }
        self.context.counts.login_seconds.observe(asked.elapsed().as_secs_f64());
    }

    /// A place among the user's sessions, here and at all gateways, until the session ends or the login is denied.
    pub(super) async fn sits_down(&mut self, registry: &Registry, limits: UserLimits) -> Result<(), LoginFailure> {
        let full = |full: &dyn Display| LoginFailure::new(Denial::Limit, Stage::LoggingIn, full);
        self.guest.sit_down(limits).map_err(|problem| full(&problem))?;
        if self.seat.is_some() || !limits.is_set() {
            return Ok(());
        }
        let Some(user) = self.guest.user.clone() else { return Ok(()) };
        let (protocol, address) = (self.context.protocol(), self.guest.counted_as());
        let seat = registry.take_place(&user, protocol, address, self.guest.number, limits).await;
        self.seat = seat.map_err(|problem| full(&problem))?.map(Box::new);
        Ok(())
    }

    /// Logged at once and not at the session's end: who watches for attacks must not wait for that.
    /// `name`: as the client gave it.
    pub(super) fn denied(&mut self, failure: &LoginFailure, name: &str, asked: Instant) {
        let label = failure.denial.label();
        self.answered(label, asked);
        tracing::info!(
            session = %self.id(),
            protocol = self.context.protocol().name(),
            client = %self.guest.client,
            via = self.via(),
            user = said(self.guest.user.as_deref()),
            login_name = self.alias(name),
            backend = said(self.guest.backend.as_deref()),
            denial = label,
            stage = failure.stage.name(),
            detail = failure.detail,
            "login denied"
        );
        self.guest.note_refused_login(label, &failure.detail);
        self.goes_to(None);
        self.vouched_by = None;
        self.seat = None;
        self.guest.stand_up();
    }

    /// A login that the front refused by itself.
    pub(super) fn refused_here(&self, refused: RefusedHere) {
        let protocol = self.context.protocol().name();
        self.metrics.logins.with_label_values(&[protocol, refused.label()]).inc();
        tracing::info!(
            session = %self.id(),
            protocol,
            client = %self.guest.client,
            via = self.via(),
            denial = refused.label(),
            stage = Stage::BeforeLogin.name(),
            detail = refused.detail(),
            "login denied"
        );
    }

    /// Logged at once, as a refused login is.
    pub(super) fn refuses_recipient(
        &self,
        sender: &str,
        recipient: &str,
        verdict: &'static str,
        answer: &Answer,
        detail: Option<&str>,
    ) {
        let (client, backend, answer) = (self.guest.client, said(self.guest.backend.as_deref()), &*answer.to_string());
        tracing::info!(
            session = %self.id(), protocol = self.context.protocol().name(), %client, sender, recipient, backend,
            verdict, answer, detail = said(detail), "recipient refused"
        );
    }

    /// No transaction could be opened at the server that was tried last.
    pub(super) fn cannot_deliver(&self, failure: &LoginFailure) {
        let LoginFailure { denial, stage, detail, .. } = failure;
        let (client, backend, denial) = (self.guest.client, said(self.guest.backend.as_deref()), denial.label());
        tracing::info!(session = %self.id(), %client, backend, denial, stage = stage.name(), detail, "no transaction at the back-end");
    }

    /// A message, and the server's word on it.
    pub(super) fn message(&self, sender: &str, transaction: &Transaction, answer: &Answer) {
        let (recipients, bytes, outcome) = (transaction.recipients(), transaction.bytes(), transaction.outcome());
        let (client, backend, answer) = (self.guest.client, said(self.guest.backend.as_deref()), &*answer.to_string());
        self.context.relay_config.meter.up.inc_by(bytes);
        tracing::info!(
            session = %self.id(), protocol = self.context.protocol().name(), %client, sender, recipients, backend,
            bytes, answer, outcome, "message settled"
        );
    }

    /// The back-end said yes, and the client was told: from now on the session is on the roster, and the address is this
    /// user's. `name`: as the client gave it.
    pub(super) fn logged_in(&mut self, registry: &Registry, name: &str, is_logged: bool) {
        self.guest.logged_in();
        let user = self.guest.user.as_deref().unwrap_or_default();
        let announced = self.context.proxy_protocol.is_some();
        self.presence = Some(registry.record(user, self.context.protocol(), self.guest.client.ip(), announced));
        if is_logged {
            tracing::info!(
                session = %self.id(),
                protocol = self.context.protocol().name(),
                listener = &*self.context.name,
                client = %self.guest.client,
                via = self.via(),
                tls = said(self.guest.tls.as_ref().map(tls::Facts::version)),
                user,
                login_name = self.alias(name),
                vouched_by = said(self.vouched_by(user).as_deref()),
                backend = said(self.guest.backend.as_deref()),
                "logged in"
            );
        }
    }

    /// The name as the client gave it, where the user has another one.
    fn alias<'n>(&self, name: &'n str) -> Option<&'n str> {
        (!name.is_empty() && self.guest.user.as_deref() != Some(name)).then_some(name)
    }

    /// For the log: whose login from this address stands for one of the session's own.
    fn vouched_by(&self, user: &str) -> Option<String> {
        self.vouched_by.map(|protocols| format!("{protocols} login of {user}"))
    }

    pub(super) fn relaying(&mut self, lease: Lease) {
        self.context.counts.relaying.inc();
        self.lease = Some(lease);
    }

    pub(super) fn end(mut self, ending: Ending) {
        self.ending = Some(Box::new(ending));
    }

    fn write(&self, ending: &Ending) {
        let (up, down) = ending.bytes();
        let user = said(self.guest.user.as_deref());
        let vouched_by = self.vouched_by(user);
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    session = %self.id(),
                    protocol = self.context.protocol().name(),
                    listener = &*self.context.name,
                    client = %self.guest.client,
                    via = self.via(),
                    tls = said(self.guest.tls.as_ref().map(tls::Facts::version)),
                    cipher = said(self.guest.tls.as_ref().map(tls::Facts::cipher)),
                    user,
                    vouched_by = said(vouched_by.as_deref()),
                    backend = said(self.guest.backend.as_deref()),
                    up,
                    down,
                    seconds = self.guest.activity().since().elapsed().as_millis() as f64 / 1000.0,
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
        let protocol = self.context.protocol().name();
        self.context.counts.open.dec();
        if self.lease.is_some() {
            self.context.counts.relaying.dec();
        }
        if matches!(ending, Ending::Panicked) {
            self.metrics.panics.inc();
        }
        self.metrics.endings.with_label_values(&[protocol, ending.label()]).inc();
        self.write(&ending);
    }
}

/// A relay with the record of its session: the whole of what a session is once it has logged in.
pub(super) fn relayed(relay: Relay, record: Box<Record>) -> impl Future<Output = ()> + Send {
    Relayed { relay, record }
}

struct Relayed {
    relay: Relay,
    record: Box<Record>,
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
        // Two sockets of 32 and two directions of 16, activity, alarm, ending, relay_config and record. It is paid once a
        // session, and a task adds 104 and rounds up to 128: so 152 are the most that cost 256.
        assert!(size_of::<Relayed>() <= 152, "{}", size_of::<Relayed>());
    }
}
