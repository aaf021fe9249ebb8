//! One client connection, from its first byte to its last: the story that everything else serves.
//!
//! ```text
//! [PROXY header → gate] → [implicit TLS] → conversation ⇄ login (directory → lease → back half) → relay
//!                                └────────────── every way out is one Ending ──────────────┘
//! ```
//!
//! The login ends by spawning the relay: what logging in needed is then gone, and an idle session is small.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::backend::{Backends, LoggedIn};
use crate::config::{AddressRange, ListenerTls, Service};
use crate::directory::Directory;
use crate::drain::Drain;
use crate::gate::{Door, Permit};
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::proto::{Denial, Login, LoginFailure, Protocol, Stage};
use crate::registry::Registry;
use crate::roster::Roster;
use crate::wire::announced::HeaderProblem;
use crate::wire::relay::RelayConfig;
use crate::wire::{Lost, Relay, Wire, tls};

mod conversation;
mod ending;
mod greeting;
mod login;
mod metrics;
pub mod permission;
mod reception;
mod record;
mod slots;
mod timing;
mod transaction;
mod vouching;

pub use ending::Ending;
pub use greeting::greeting;
pub use metrics::Counts;
pub use slots::ConcurrentLogins;
pub use timing::RefusalTime;

use conversation::{Conversation, Request};
use reception::Reception;
use record::Record;

/// What all sessions of the gateway share.
pub struct Parts {
    /// Who lives where.
    pub directory: Directory,
    /// The servers there.
    pub backends: Backends,
    /// Who logged in from where.
    pub registry: Registry,
    /// Who is logged in now.
    pub roster: Roster,
    /// The same at all gateways.
    pub nodes: Nodes,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Said in greetings.
    pub hostname: Arc<str>,
    /// Whether each login is a line of the log, besides each session's end.
    pub logs_logins: bool,
    /// Logins being looked after.
    pub logins_under_way: ConcurrentLogins,
    /// Recipients being asked for: a loop may go around by their mail as well, but they are not to keep users out.
    pub recipient_lookups: ConcurrentLogins,
}

/// What all sessions of one listener share.
pub struct ListenerContext {
    /// For the log: `imap [::]:143`.
    pub name: Arc<str>,
    /// Where it is bound.
    pub address: SocketAddr,
    /// What is offered.
    pub service: Arc<Service>,
    /// Which TLS.
    pub tls: ListenerTls,
    /// Present unless `tls` is none.
    pub acceptor: Option<tls::Acceptor>,
    /// Who may come in.
    pub door: Door,
    /// What its sessions are counted by.
    pub counts: Counts,
    /// How its sessions' bytes are moved and counted after the login.
    pub relay_config: Arc<RelayConfig>,
    /// From [`greeting`](fn@greeting).
    pub greeting: Box<[u8]>,
    /// How long a wrong password takes; all listeners of a service measure it together.
    pub refusals: Arc<RefusalTime>,
    /// Who must announce clients; nobody else may.
    pub proxy_protocol: Option<Vec<AddressRange>>,
}

impl ListenerContext {
    /// Which protocol is spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.service.protocol
    }
}

/// One client connection.
pub struct Session {
    parts: Arc<Parts>,
    context: Arc<ListenerContext>,
    drain: Drain,
}

/// A login that was granted, and the client told.
struct Admitted {
    client: Wire,
    server: LoggedIn,
}

/// What comes of a client's wish: `None` = nothing that ends the conversation.
type Fulfilled<'f> = Pin<Box<dyn Future<Output = Result<Option<Box<Admitted>>, Ending>> + Send + 'f>>;

impl Session {
    /// Lives the whole session; `permit` is what the gate gave, none yet where a PROXY header must come first.
    ///
    /// Ready when the session is over or is being relayed by a task of its own; until then, and while that task lives,
    /// `drain` counts it. No `async fn`: that would keep what it was given a second time.
    pub fn run(
        parts: Arc<Parts>,
        context: Arc<ListenerContext>,
        drain: Drain,
        stream: TcpStream,
        peer: SocketAddr,
        permit: Option<Permit>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (peer, token) = (canonical(peer), drain.token());
        let mut record = Record::open(&parts.metrics, &parts.roster, &context, peer, permit, token);
        let mut session = Self { parts, context, drain };
        let mut wire = Some(Wire::new(stream, Instant::now() + session.context.service.login_timeout));
        // What waits for the client's first word is all that a silent client costs: whatever comes before or after it
        // is boxed while it lasts.
        async move {
            let heard = match Box::pin(session.welcome(&mut wire, &mut record)).await {
                Ok(()) => session.hear(&mut wire, Stage::BeforeLogin).await,
                Err(ending) => Err(*ending),
            };
            match Box::pin(session.converse(heard, &mut wire, &mut record)).await {
                Ok(admitted) => session.relay(*admitted, record),
                Err(ending) => record.end(ending),
            }
        }
    }

    /// What comes before the client's first word: PROXY header, handshake, greeting. Who fails at the first two is told
    /// nothing more. The ending is boxed, because its place is also in the wait that follows.
    async fn welcome(&mut self, wire: &mut Option<Wire>, record: &mut Record) -> Result<(), Box<Ending>> {
        let Some(mut clear) = wire.take() else { return Ok(()) };
        if self.context.proxy_protocol.is_some() {
            self.read_proxy_header(&mut clear, record).await?;
        }
        if self.context.tls == ListenerTls::Implicit {
            let secured = wire.insert(self.secure(clear, &self.context.greeting).await?);
            record.speaks(secured.tls_facts());
            return Ok(());
        }
        // The front that greets is not kept: it has heard nothing that the next one would have to know.
        let mut greeting = Vec::with_capacity(256);
        self.front(record).greet(&mut greeting);
        self.expects_silence(&mut clear).await?;
        Ok(wire.insert(clear).say(&greeting).await.map_err(|lost| Ending::lost(Stage::BeforeLogin, lost))?)
    }

    /// From the first word, if there was one, to the login or the end.
    async fn converse(
        &mut self,
        heard: Result<(), Ending>,
        wire: &mut Option<Wire>,
        record: &mut Record,
    ) -> Result<Box<Admitted>, Ending> {
        if let Err(ending) = heard {
            return Err(self.leave(wire, ending).await);
        }
        // The kernel is asked only where the listener has not one address but all.
        if let (true, Some(wire)) = (self.context.address.ip().is_unspecified(), &*wire) {
            record.set_reached(|| wire.reached().ok().map(canonical));
        }
        let mut conversation = Conversation::open(self, wire, self.front(record));
        let mut reception = Reception::new(self);
        loop {
            let wish = conversation.next_request(record).await;
            record.speaks(conversation.tls_facts());
            // Of one kind, so that the wish itself is kept no longer.
            let fulfilled: Fulfilled<'_> = match wish? {
                Request::Login(login) => Box::pin(self.admit(login, &mut conversation, &mut reception, record)),
                Request::MailRequest(post) => Box::pin(reception.serve(post, &mut conversation, record)),
            };
            if let Some(admitted) = fulfilled.await? {
                return Ok(admitted);
            }
        }
    }

    /// Waits for bytes of the client, until its deadline or the gateway's end.
    async fn hear(&self, wire: &mut Option<Wire>, stage: Stage) -> Result<(), Ending> {
        let Some(wire) = wire else { return Err(Ending::Left(stage)) };
        tokio::select! {
            heard = wire.hear() => heard.map_err(|lost| Ending::lost(stage, lost)),
            () = self.drain.all_stopping() => Err(Ending::ShuttingDown),
        }
    }

    /// The last words that this ending has for the client, and a polite close.
    async fn leave(&self, wire: &mut Option<Wire>, ending: Ending) -> Ending {
        if let Some(mut wire) = wire.take() {
            wire.wipe();
            if let Some(goodbye) = ending.goodbye() {
                wire.deadline = Instant::now() + LAST_WORDS_TIMEOUT;
                let words = self.context.protocol().goodbye(goodbye);
                let _: Result<(), Lost> = wire.say(words.as_bytes()).await;
            }
            wire.close().await;
        }
        ending
    }

    /// Looks after a login, and tells the client; `None` = it was refused, and may be tried again.
    async fn admit(
        &self,
        login: Box<Login>,
        conversation: &mut Conversation<'_>,
        reception: &mut Reception<'_>,
        record: &mut Record,
    ) -> Result<Option<Box<Admitted>>, Ending> {
        let asked = Instant::now();
        let logged_in = tokio::select! {
            logged_in = timeout_at(conversation.deadline(), self.log_in(&login, record)) => logged_in,
            () = gone(conversation.client()) => return Err(Ending::Left(Stage::LoggingIn)),
        };
        match logged_in.unwrap_or_else(|_| Err(too_late())) {
            Ok(logged_in) => {
                record.answered(metrics::GRANTED, asked);
                let client = conversation.grant(&logged_in.granted).await?;
                record.logged_in(&self.parts.registry, &login.user, self.parts.logs_logins);
                Ok(Some(Box::new(Admitted { client, server: logged_in })))
            }
            Err(failure) => {
                reception.hears_of(failure.denial);
                // On port 25 nearly everyone is a stranger, and no login was meant.
                if !reception.is_of_a_stranger(failure.denial) {
                    record.denied(&failure, &login.user, asked);
                }
                conversation.deny(failure.denial).await?;
                Ok(None)
            }
        }
    }

    async fn read_proxy_header(&mut self, wire: &mut Wire, record: &mut Record) -> Result<(), Ending> {
        let read = tokio::select! {
            read = wire.read_proxy_header(Instant::now() + PROXY_HEADER_TIMEOUT) => read,
            () = self.drain.all_stopping() => return Err(Ending::ShuttingDown),
        };
        let announced = read.map_err(|problem| match problem {
            HeaderProblem::Bad(_) => Ending::Violation("proxy_header"),
            HeaderProblem::Lost(lost) => Ending::lost(Stage::ProxyHeader, lost),
        })?;
        if let Some((source, destination)) = announced {
            record.announced(canonical(source), canonical(destination));
        }
        match self.context.door.admit(record.client().ip()) {
            Ok(permit) => {
                record.permit = Some(permit);
                Ok(())
            }
            Err(refusal) => {
                if self.context.tls != ListenerTls::Implicit {
                    let _ = wire.say(self.context.protocol().goodbye(refusal.goodbye()).as_bytes()).await;
                }
                Err(Ending::Refused(refusal))
            }
        }
    }

    /// The handshake with the client, as the server, with the greeting in it.
    async fn secure(&self, wire: Wire, greeting: &[u8]) -> Result<Wire, Ending> {
        let Some(acceptor) = &self.context.acceptor else { return Err(Ending::TlsFailed("no certificate".into())) };
        let shaken = tokio::select! {
            shaken = wire.accept_tls(acceptor, greeting) => shaken,
            () = self.drain.all_stopping() => return Err(Ending::ShuttingDown),
        };
        let outcome = match &shaken {
            Ok(_) => metrics::COMPLETED,
            Err(Lost::TimedOut) => "timed_out",
            Err(Lost::Closed) => "left",
            Err(Lost::Flooded | Lost::Broken(_)) => "failed",
        };
        match outcome {
            metrics::COMPLETED => self.context.counts.shaken.inc(),
            other => self.parts.metrics.tls_handshakes.with_label_values(&[other]).inc(),
        }
        shaken.map_err(|lost| match lost {
            Lost::Broken(error) => Ending::TlsFailed(error.to_string()),
            lost => Ending::lost(Stage::TlsHandshake, lost),
        })
    }

    /// Hands over to a task that is as small as an idle session should be.
    fn relay(self, Admitted { client, server }: Admitted, mut record: Record) {
        record.relaying(server.lease);
        let relay = Relay::new(
            client.into_parts(),
            server.wire.into_parts(),
            self.context.service.idle_timeout,
            self.context.relay_config.clone(),
            record.watched(),
        );
        tokio::spawn(record::relayed(relay, Box::new(record)));
    }
}

/// The client's deadline has passed, whatever it was that took so long.
fn too_late() -> LoginFailure {
    LoginFailure::new(Denial::Unavailable, Stage::LoggingIn, "the login deadline has passed")
}

/// Ready when the client has gone and left no word behind.
async fn gone(client: Option<&Wire>) {
    match client {
        Some(wire) => wire.gone().await,
        None => std::future::pending().await,
    }
}

/// IPv4 in IPv6's clothes is IPv4, in lists, limits and logs.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// For an answer that is owed when the deadline has passed meanwhile.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);
/// For a PROXY header to arrive: from a balancer it comes with the connection.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what the function returns.
    fn size<A, B, C, D, E, F, R>(_: fn(A, B, C, D, E, F) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_session_that_waits_for_its_first_command_is_small() {
        // 168 are the record, 80 the wire, 32 the session, 240 the wait with its timer and the gateway's end. A task adds
        // 104 and rounds up to 128: so 536 are the most that cost 640. The roster's entry has 192 more.
        let size = size(Session::run);
        assert!(size <= 536, "{size}");
    }
}
