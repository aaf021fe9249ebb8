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
/// Those of all addresses as one, of the kind that says most: refused (the machine is there, the service is not), else
/// [`io::ErrorKind::TimedOut`], else that of the first address; [`io::ErrorKind::NotFound`] when there was none.
pub async fn connect_to_any(
    addresses: &[SocketAddr],
    source: impl Fn(IpAddr) -> Option<IpAddr>,
    until: Instant,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut failures = Vec::new();
    for (tried, &address) in addresses.iter().enumerate() {
        let connecting = connect(address, source(address.ip()));
        match timeout_at(share(until, addresses.len() - tried), connecting).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err(error)) => failures.push((address, error)),
            Err(_) => failures.push((address, io::ErrorKind::TimedOut.into())),
        }
    }
    Err(as_one(failures))
}

fn as_one(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    if failures.len() < 2 {
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return failures.pop().map_or_else(none, |(_, error)| error);
    }
    let kinds = || failures.iter().map(|(_, error)| error.kind());
    let telling = [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut];
    let kind = telling.into_iter().find(|kind| kinds().any(|other| other == *kind)).or_else(|| kinds().next());
    let all: Vec<String> = failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    io::Error::new(kind.unwrap_or(io::ErrorKind::Other), all.join("; "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_addresses_said_is_one_error_whatever_their_order() {
        use io::ErrorKind::{ConnectionRefused, NetworkUnreachable, NotFound, TimedOut};
        let of = |kinds: &[io::ErrorKind]| {
            let address = SocketAddr::from(([192, 0, 2, 1], 143));
            as_one(kinds.iter().map(|kind| (address, io::Error::from(*kind))).collect())
        };
        for (kinds, kind) in [
            (vec![ConnectionRefused, TimedOut], ConnectionRefused),
            (vec![TimedOut, ConnectionRefused], ConnectionRefused),
            (vec![NetworkUnreachable, TimedOut], TimedOut),
            (vec![TimedOut, NetworkUnreachable], TimedOut),
            (vec![NetworkUnreachable, NetworkUnreachable], NetworkUnreachable),
            (vec![TimedOut], TimedOut),
            (vec![], NotFound),
        ] {
            assert_eq!(of(&kinds).kind(), kind, "{kinds:?}");
        }
        let both = of(&[TimedOut, ConnectionRefused]).to_string();
        assert_eq!(both, "192.0.2.1:143: timed out; 192.0.2.1:143: connection refused");
        assert_eq!(of(&[TimedOut]).to_string(), "timed out");
    }
}
