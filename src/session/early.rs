//! The greeting that goes with the handshake: made before anyone has come, so that nothing of a client can be in it.

use std::sync::Arc;

use crate::config::Service;
use crate::proto::{Terms, Tls};

/// What a listener with implicit TLS says first, to everyone.
#[must_use]
pub fn greeting(hostname: &Arc<str>, service: &Service) -> Box<[u8]> {
    let terms = Terms {
        hostname: hostname.clone(),
        greeting: service.greeting.clone(),
        mechanisms: service.mechanisms.clone(),
        tls: Tls::Active,
        cleartext: false,
        bad_commands: service.bad_commands,
        failed_logins: service.failed_logins,
        extensions: Arc::default(),
        vouching: false,
        bare_newline: service.bare_newline,
    };
    let mut words = Vec::new();
    service.protocol.front(terms).greet(&mut words);
    words.into()
}
