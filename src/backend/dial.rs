//! A connection to a server: its addresses in turn, within the pool's connect time-out.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::attempt::Attempt;
use super::lease::Lease;
use crate::config::BackendTls;
use crate::proto::{Denial, LoginFailure, Protocol, Stage};
use crate::wire::{Lost, Wire, socket};

impl Lease {
    /// Connects; `deadline` of the wire is that of the server's first word. Implicit TLS is spoken before it returns.
    pub(super) async fn dial(&self, attempt: &mut Attempt<'_>) -> Result<Wire, LoginFailure> {
        let protocol = attempt.protocol;
        let settings = &self.server().settings;
        let connected = self.connect(protocol, attempt.started + settings.config.connect_timeout).await;
        let (stream, peer) = connected.map_err(|error| attempt.not_connected(&error))?;
        if settings.is_own(peer, || stream.local_addr().ok()) {
            return Err(attempt.is_a_loop(format!("a loop: {peer} is the gateway itself")));
        }
        attempt.connected();
        let first_word = Instant::now() + settings.config.greeting_timeout;
        let wire = Wire::new(stream, first_word.min(attempt.started + settings.config.login_timeout));
        match settings.config.tls.of(protocol) {
            BackendTls::None | BackendTls::StartTls => Ok(wire),
            BackendTls::Implicit => self.secure(attempt, wire).await,
        }
    }

    /// TLS with the server, verified as the pool says.
    pub(super) async fn secure(&self, attempt: &mut Attempt<'_>, wire: Wire) -> Result<Wire, LoginFailure> {
        let Some(connector) = self.server().connector() else {
            let detail = "no certificate can be for this name";
            return Err(LoginFailure::new(Denial::Misconfigured, Stage::TlsHandshake, detail));
        };
        wire.connect_tls(&connector).await.map_err(|lost| match &lost {
            Lost::Broken(error) if is_certificate_problem(error) => attempt.not_trusted(&lost),
            Lost::Broken(_) | Lost::Closed | Lost::Flooded | Lost::TimedOut => attempt.not_secured(&lost),
        })
    }

    async fn connect(&self, protocol: Protocol, until: Instant) -> io::Result<(TcpStream, SocketAddr)> {
        let server = self.server();
        let port = server.port(protocol);
        let resolved = timeout_at(until, server.resolved.addresses(&server.address)).await;
        let addresses = resolved.map_err(|_| io::ErrorKind::TimedOut)??;
        let addresses: Vec<SocketAddr> = addresses.iter().map(|&address| (address, port).into()).collect();
        socket::connect_for_session(&addresses, |to| server.settings.source_for(to), until).await
    }
}

/// What trying again will not mend.
fn is_certificate_problem(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
