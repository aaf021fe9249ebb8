//! Sockets as we want them: listening ones, and those that go out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

/// A bound, listening, non-blocking socket. What it accepts inherits TCP_NODELAY and keep-alive from it.
///
/// # Errors
/// Those of socket(2), bind(2) and listen(2).
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    vital_signs(SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A connection that goes out, from `source` where one is given.
///
/// # Errors
/// Those of bind(2) and connect(2). Without a time limit: the caller has one.
pub async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        // Otherwise bind() would take a port away from all destinations, and search for it (ip(7)).
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    vital_signs(SockRef::from(&socket))?;
    socket.connect(to).await
}

/// Each address in turn, from the source that it is given, and which one it was: one that does not answer leaves its
/// share of the time to the others.
///
/// # Errors
/// That of the last address; [`io::ErrorKind::TimedOut`] when its share had passed, [`io::ErrorKind::NotFound`] when
/// there was none.
pub async fn connect_to_any(
    addresses: &[SocketAddr],
    source: impl Fn(IpAddr) -> Option<IpAddr>,
    until: Instant,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut last = None;
    for (tried, &address) in addresses.iter().enumerate() {
        let connecting = connect(address, source(address.ip()));
        match timeout_at(share(until, addresses.len() - tried), connecting).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

/// The end of the first of `parts` equal parts of the time until `deadline`.
#[must_use]
pub fn share(deadline: Instant, parts: usize) -> Instant {
    let now = Instant::now();
    let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / parts
}

/// No waiting for full segments, and a peer that vanished is noticed within minutes, not hours. How many probes go
/// unanswered is not said: with TCP_USER_TIMEOUT, time alone decides (tcp(7)). Nor is how long after one the next
/// comes: the kernel's 75 seconds will do, and each option is a system call in every login.
fn vital_signs(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

const BACKLOG: i32 = 4096;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(120);
const UNACKNOWLEDGED: Duration = Duration::from_secs(180);
