//! How a client comes: to which address, in which language, with which TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::words::Language;
use crate::certs::Certs;
use crate::talk::Talk;

/// From the connection's first byte on, or not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Tls {
    None,
    Full,
    Resumed,
}

pub struct Way {
    pub address: SocketAddr,
    pub language: Language,
    tls: Option<TlsConnector>,
    full: AtomicU64,
    resumed: AtomicU64,
}

impl Way {
    pub fn to(address: SocketAddr, language: Language, tls: Tls, certs: &Certs) -> Result<Self> {
        let tls = match tls {
            Tls::None => None,
            Tls::Full | Tls::Resumed => Some(TlsConnector::from(certs.client(tls == Tls::Resumed)?)),
        };
        Ok(Self { address, language, tls, full: AtomicU64::new(0), resumed: AtomicU64::new(0) })
    }

    /// A connection that is ready for the greeting.
    pub async fn connect(&self) -> Result<Talk> {
        let stream = TcpStream::connect(self.address).await?;
        self.dress(stream).await
    }

    /// The same on a connection that is there already.
    pub async fn dress(&self, stream: TcpStream) -> Result<Talk> {
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Talk::over(stream)) };
        let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
        match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => self.resumed.fetch_add(1, Ordering::Relaxed),
            _ => self.full.fetch_add(1, Ordering::Relaxed),
        };
        Ok(Talk::over(stream))
    }

    /// Which share of the handshakes so far continued an earlier session.
    pub fn share_resumed(&self) -> f64 {
        let (full, resumed) = (self.full.load(Ordering::Relaxed), self.resumed.load(Ordering::Relaxed));
        resumed as f64 / (full + resumed).max(1) as f64
    }

    /// The next user's name; a thousand of them take turns.
    pub fn user() -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("user{}@example.com", NEXT.fetch_add(1, Ordering::Relaxed) % USERS)
    }
}

/// How many users there are.
pub const USERS: u64 = 1000;

/// For those who share a way between tasks.
pub type SharedWay = Arc<Way>;
