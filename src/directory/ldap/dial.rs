//! A byte stream to an LDAP server: TCP, and TLS where it is wanted.
//!
//! It stands apart from the client library because the library sets no socket option, and because nothing that came in
//! the clear may be left when TLS begins.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::ber::{Violation, frame};
use super::message::starttls_granted;
use crate::config::LdapUrl;
use crate::wire::{socket, tls_client};

/// Plain or TLS: the guard does not care.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Which TLS, and how the server is verified.
#[derive(Debug, Clone)]
pub(super) enum Security {
    None,
    StartTls(Arc<ClientConfig>),
    Implicit(Arc<ClientConfig>),
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialProblem {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no address")]
    NoAddress,
    #[error("no connection in time")]
    TimedOut,
    #[error("StartTLS refused")]
    StartTlsRefused,
    #[error("StartTLS: {0}")]
    StartTls(#[from] Violation),
    #[error("TLS: {}", tls_client::reason(.0))]
    Tls(io::Error),
    #[error("TLS: not a name that a certificate can bear")]
    TlsName,
}

/// Connects. A connection whose peer has vanished is noticed after `patience` with bytes under way, or after a minute
/// without.
pub(super) async fn dial(
    url: &LdapUrl,
    security: &Security,
    patience: Duration,
    deadline: Instant,
) -> Result<Box<dyn Stream>, DialProblem> {
    let mut tcp = connect(url, deadline).await?;
    tune(&tcp, patience)?;
    let config = match security {
        Security::None => return Ok(Box::new(tcp)),
        Security::Implicit(config) => config,
        Security::StartTls(config) => {
            starttls(&mut tcp).await?;
            config
        }
    };
    let name = ServerName::try_from(url.host.clone()).map_err(|_| DialProblem::TlsName)?;
    let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.map_err(DialProblem::Tls)?;
    Ok(Box::new(tls))
}

/// All addresses of the host in turn, each with its share of the time.
async fn connect(url: &LdapUrl, deadline: Instant) -> Result<TcpStream, DialProblem> {
    let addresses: Vec<SocketAddr> = lookup_host((url.host.as_str(), url.port)).await?.take(ADDRESSES_MAX).collect();
    let connected = socket::connect_to_any(&addresses, |_| None, deadline).await;
    connected.map(|(stream, _)| stream).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DialProblem::NoAddress,
        io::ErrorKind::TimedOut => DialProblem::TimedOut,
        _ => error.into(),
    })
}

fn tune(tcp: &TcpStream, patience: Duration) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keepalive.with_retries(3))?;
    socket.set_tcp_user_timeout(Some(patience.max(Duration::from_secs(1))))
}

/// RFC 4511 §4.14: one request, exactly one answer, and nothing more before the handshake. What an attacker sends behind
/// the answer ends the attempt here, or is no TLS handshake.
async fn starttls(tcp: &mut TcpStream) -> Result<(), DialProblem> {
    tcp.write_all(STARTTLS).await?;
    let mut heard = Vec::new();
    let length = loop {
        if let Some(length) = frame(&heard)? {
            break length;
        }
        if heard.len() > STARTTLS_ANSWER_MAX {
            return Err(Violation::TooLong.into());
        }
        if tcp.read_buf(&mut heard).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    };
    if heard.len() > length {
        return Err(Violation::Injected.into());
    }
    if starttls_granted(&heard)? { Ok(()) } else { Err(DialProblem::StartTlsRefused) }
}

/// ExtendedRequest with message id 1.
const STARTTLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
const STARTTLS_ANSWER_MAX: usize = 4096;
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, Error};

    use super::*;

    #[test]
    fn a_certificate_that_is_refused_is_told_of_in_plain_words() {
        let expired = io::Error::other(Error::InvalidCertificate(CertificateError::Expired));
        assert_eq!(DialProblem::Tls(expired).to_string(), "TLS: its certificate has expired");
        let closed = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(DialProblem::Tls(closed).to_string(), "TLS: connection reset");
    }
}
