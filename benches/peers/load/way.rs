//! How a client comes: to which address, in which language, with which TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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
    pub tls: Tls,
    /// None, or those that take turns: a session that may be continued has to be remembered by whoever comes next.
    connectors: Vec<TlsConnector>,
    come: AtomicUsize,
    full: AtomicU64,
    resumed: AtomicU64,
}

impl Way {
    pub fn to(address: SocketAddr, language: Language, tls: Tls, certs: &Certs) -> Result<Self> {
        let memories = match tls {
            Tls::None => 0,
            Tls::Full => 1,
            Tls::Resumed => MEMORIES,
        };
        let connectors = (0..memories).map(|_| Ok(certs.client(tls == Tls::Resumed)?.into())).collect::<Result<_>>()?;
        let (come, full, resumed) = Default::default();
        Ok(Self { address, language, tls, connectors, come, full, resumed })
    }

    /// A connection that is ready for the greeting.
    pub async fn connect(&self) -> Result<Talk> {
        let stream = TcpStream::connect(self.address).await?;
        self.dress(stream).await
    }

    /// The same on a connection that is there already.
    pub async fn dress(&self, stream: TcpStream) -> Result<Talk> {
        stream.set_nodelay(true)?;
        if self.connectors.is_empty() {
            return Ok(Talk::over(stream));
        }
        let tls = &self.connectors[self.come.fetch_add(1, Ordering::Relaxed) % self.connectors.len()];
        let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
        match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => self.resumed.fetch_add(1, Ordering::Relaxed),
            _ => self.full.fetch_add(1, Ordering::Relaxed),
        };
        Ok(Talk::over(stream))
    }

    /// Which share of the handshakes since the last question continued an earlier session.
    pub fn share_resumed(&self) -> f64 {
        let (full, resumed) = (self.full.swap(0, Ordering::Relaxed), self.resumed.swap(0, Ordering::Relaxed));
        resumed as f64 / (full + resumed).max(1) as f64
    }

    /// The next user's name; a thousand of them take turns.
    pub fn user() -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("user{}@example.com", NEXT.fetch_add(1, Ordering::Relaxed) % USERS)
    }
}

/// Twice as many as clients at once, so that each has its ticket back before its next turn.
const MEMORIES: usize = 64;

/// How many users there are.
pub const USERS: u64 = 1000;

/// For those who share a way between tasks.
pub type SharedWay = Arc<Way>;
