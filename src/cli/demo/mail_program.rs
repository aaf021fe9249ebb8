//! The demo's own mail program. It stays connected as Alice, so that the page has a session to show from the start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep};

use crate::config::ClientTls;
use crate::wire::tls::Connector;
use crate::wire::{Wire, tls_client};

pub(super) struct MailProgram {
    tls: Connector,
}

impl MailProgram {
    /// It trusts this certificate.
    pub(super) fn new(certificate: &Path) -> anyhow::Result<Self> {
        let trusted = ClientTls { ca: Some(certificate.to_owned()), skip_verification: false };
        let name = ServerName::try_from("demo.example.com")?;
        Ok(Self { tls: Connector::new(tls_client::client_config(&trusted, &[])?, name) })
    }

    /// `port` is the gateway's for IMAP inside TLS. Connects again when the session is over, as mail programs do.
    pub(super) async fn run(self, port: u16) {
        loop {
            if let Err(error) = self.stay_connected(port).await {
                tracing::debug!(%error, "the demo's own session is over");
            }
            sleep(RECONNECT_AFTER).await;
        }
    }

    async fn stay_connected(&self, port: u16) -> anyhow::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((ADDRESS, 0)))?;
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let mut wire = Wire::new(stream, Instant::now() + SESSION_MAX).connect_tls(&self.tls).await?;
        wire.hear().await?;
        wire.say(b"a1 LOGIN alice@example.com wonderland\r\n").await?;
        loop {
            wire.wipe();
            wire.hear().await?;
        }
    }
}

/// Not 127.0.0.1: this login must not authorise the commands that are pasted to send mail.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const RECONNECT_AFTER: Duration = Duration::from_secs(5);
const SESSION_MAX: Duration = Duration::from_secs(24 * 3600);
