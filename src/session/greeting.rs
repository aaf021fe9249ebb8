//! What a front is told before it greets. The greeting that goes with the handshake is made before anyone has come, so
//! that nothing of a client can be in it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::record::Record;
use super::{Ending, Session};
use crate::config::{Cleartext, ListenerTls, Service};
use crate::proto::smtp::pipelining::{PIPELINED, SYNCHRONIZATION, UnauthorizedPipelining};
use crate::proto::{Front, FrontConfig, Protocol, Tls};
use crate::wire::{Lost, Wire};

/// What a listener with implicit TLS says first, to everyone.
#[must_use]
pub fn greeting(hostname: &Arc<str>, service: &Service) -> Box<[u8]> {
    let mut words = Vec::new();
    service.protocol.front(config(hostname, service, Tls::Active, false)).greet(&mut words);
    words.into()
}

/// What is known without a client.
fn config(hostname: &Arc<str>, service: &Service, tls: Tls, cleartext: bool) -> FrontConfig {
    FrontConfig {
        hostname: hostname.clone(),
        greeting: service.greeting.clone(),
        mechanisms: service.mechanisms.clone(),
        tls,
        cleartext,
        bad_commands: service.bad_commands,
        failed_logins: service.failed_logins,
        extensions: Arc::default(),
        vouching: false,
        bare_newline: service.bare_newline,
        unauthorized_pipelining: service.unauthorized_pipelining,
    }
}

impl Session {
    /// Ends a session whose client spoke before it was greeted (RFC 5321 §3.1), where that is not allowed.
    ///
    /// Only what has come by now counts: we greet at once, so a client in a hurry is seldom faster. With implicit TLS the
    /// greeting goes ahead of all that a client can say inside it, so there is nothing to look at.
    pub(super) async fn expects_silence(&self, wire: &mut Wire) -> Result<(), Ending> {
        let policy = self.context.service.unauthorized_pipelining;
        if policy == UnauthorizedPipelining::Allow || policy.bears(wire.has_unread()) {
            return Ok(());
        }
        // What was never read would reset the connection, and the client would not hear why.
        let _: Result<(), Lost> = wire.hear().await;
        let _: Result<(), Lost> = wire.say(format!("{SYNCHRONIZATION}\r\n").as_bytes()).await;
        Err(Ending::Violation(PIPELINED))
    }

    /// One that has heard nothing yet.
    pub(super) fn front(&self, record: &Record) -> Box<dyn Front> {
        self.context.protocol().front(self.config(record.client()))
    }

    fn config(&self, client: SocketAddr) -> FrontConfig {
        let service = &self.context.service;
        // A balancer's own loopback address says nothing of who is behind it, even when it speaks for itself.
        let at_home = self.context.proxy_protocol.is_none() && client.ip().is_loopback();
        let tls = match self.context.tls {
            ListenerTls::None => Tls::Unavailable,
            ListenerTls::StartTls => Tls::Offered,
            ListenerTls::Implicit => Tls::Active,
        };
        let cleartext = match service.cleartext {
            Cleartext::Never => false,
            Cleartext::Loopback => at_home,
            Cleartext::Always => true,
        };
        FrontConfig {
            extensions: self.parts.backends.extensions(self.context.protocol()),
            vouching: self.context.protocol().login() == Protocol::Submission && self.parts.registry.is_kept(),
            ..config(&self.parts.hostname, service, tls, cleartext)
        }
    }
}
