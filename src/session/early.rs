//! What a front is told before it greets. The greeting that goes with the handshake is made before anyone has come, so
//! that nothing of a client can be in it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Session;
use super::record::Record;
use crate::config::{Cleartext, ListenerTls, Service};
use crate::proto::{Front, Protocol, Terms, Tls};

/// What a listener with implicit TLS says first, to everyone.
#[must_use]
pub fn greeting(hostname: &Arc<str>, service: &Service) -> Box<[u8]> {
    let mut words = Vec::new();
    service.protocol.front(terms(hostname, service, Tls::Active, false)).greet(&mut words);
    words.into()
}

/// What is known without a client.
fn terms(hostname: &Arc<str>, service: &Service, tls: Tls, cleartext: bool) -> Terms {
    Terms {
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
    }
}

impl Session {
    /// One that has heard nothing yet.
    pub(super) fn front(&self, record: &Record) -> Box<dyn Front> {
        self.entrance.protocol().front(self.terms(record.client()))
    }

    fn terms(&self, client: SocketAddr) -> Terms {
        let service = &self.entrance.service;
        // A balancer's own loopback address says nothing of who is behind it, even when it speaks for itself.
        let at_home = self.entrance.proxy_protocol.is_none() && client.ip().is_loopback();
        let tls = match self.entrance.tls {
            ListenerTls::None => Tls::Unavailable,
            ListenerTls::StartTls => Tls::Offered,
            ListenerTls::Implicit => Tls::Active,
        };
        let cleartext = match service.cleartext {
            Cleartext::Never => false,
            Cleartext::Loopback => at_home,
            Cleartext::Always => true,
        };
        Terms {
            extensions: self.parts.backends.extensions(self.entrance.protocol()),
            vouching: self.entrance.protocol().login() == Protocol::Submission && self.parts.registry.is_kept(),
            ..terms(&self.parts.hostname, service, tls, cleartext)
        }
    }
}
