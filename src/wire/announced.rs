//! Reads a PROXY header off a fresh connection, and not a byte more: what follows may be a TLS handshake.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::proxy_header::{self, Parsed};
use super::{Lost, Stream, Wire};

/// Who a peer in front of us says is there: source and destination.
pub type Announced = (SocketAddr, SocketAddr);

/// What went wrong with a PROXY header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderProblem {
    /// It is none, or a wrong one; the word is for the log.
    #[error("{0}")]
    Bad(&'static str),
    /// It did not come.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl Wire {
    /// The client that the peer announces; `None` when the peer speaks for itself (LOCAL, UNKNOWN).
    ///
    /// # Errors
    /// [`HeaderProblem`]; the time is limited by `until` and the wire's own deadline.
    pub async fn read_proxy_header(&mut self, until: Instant) -> Result<Option<Announced>, HeaderProblem> {
        let Stream::Plain(tcp) = &mut self.stream else { return Err(HeaderProblem::Bad("inside TLS")) };
        match timeout_at(until.min(self.deadline), read(tcp)).await {
            Ok(answer) => answer,
            Err(_) => Err(Lost::TimedOut.into()),
        }
    }
}

/// Looks before it takes: bytes that are surely of the header are taken, the rest is left to the kernel.
async fn read(tcp: &mut TcpStream) -> Result<Option<Announced>, HeaderProblem> {
    let mut header = Vec::new();
    loop {
        let taken = header.len();
        header.resize(taken + PEEK, 0);
        let fresh = header.get_mut(taken..).unwrap_or_default();
        let seen = tcp.peek(fresh).await.map_err(Lost::Broken)?;
        if seen == 0 {
            return Err(Lost::Closed.into());
        }
        header.truncate(taken + seen);
        let (take, client) = match proxy_header::parse(&header) {
            Parsed::More => (seen, None),
            Parsed::Header { client, used } => (used.saturating_sub(taken), Some(client)),
            Parsed::Bad(why) => return Err(HeaderProblem::Bad(why)),
        };
        let fresh = header.get_mut(taken..taken + take).unwrap_or_default();
        tcp.read_exact(fresh).await.map_err(Lost::Broken)?;
        if let Some(client) = client {
            return Ok(client);
        }
    }
}

const PEEK: usize = 536;
