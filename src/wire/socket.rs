//! Sockets as we want them: listening ones, and those that go out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
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
    socket.set_tcp_nodelay(true)?;
    set_keepalive_options(SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Not to be read from before something comes. tokio takes an accepted connection for readable; for one that hears our
/// greeting first, that would be a system call for nothing. What a client has said too early is not missed: the runtime
/// is told of it as of anything else.
pub fn is_silent_yet(stream: &TcpStream) {
    let _ = stream.try_io::<()>(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
}

/// A connection that goes out, from `source` where one is given. Without keep-alive, see [`keep_alive`].
async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if let Some(source) = source {
        // Otherwise bind() would take a port away from all destinations, and search for it (ip(7)).
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
        Err(error) => return Err(error),
    }
    let stream = TcpStream::from_std(socket.into())?;
    // tokio's own connect asks each socket for its error; one that failed says that it cannot be written to.
    if stream.ready(Interest::WRITABLE).await?.is_write_closed() {
        let unsaid = || io::Error::from(io::ErrorKind::ConnectionAborted);
        return Err(stream.take_error()?.unwrap_or_else(unsaid));
    }
    Ok(stream)
}

/// Each address in turn, and which one it was, for a connection that may stay for long: see [`connect_for_session`].
///
/// # Errors
/// As there.
pub async fn connect_to_any(
    addresses: &[SocketAddr],
    source: impl Fn(IpAddr) -> Option<IpAddr>,
    until: Instant,
) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = connect_for_session(addresses, source, until).await?;
    keep_alive(&stream)?;
    Ok((stream, address))
}

/// Each address in turn, from the source that it is given, and which one it was: one that does not answer leaves its
/// share of the time to the others. Whoever lets the connection live for more than a minute calls [`keep_alive`] then.
///
/// # Errors
/// Those of all addresses as one, of the kind that says most: refused (the machine is there, the service is not), else
/// [`io::ErrorKind::TimedOut`], else that of the first address; [`io::ErrorKind::NotFound`] when there was none.
pub async fn connect_for_session(
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

/// From now on a peer that vanished is noticed within minutes, not hours. Not from the connection's beginning where it
/// may be short: each option is a system call in every login.
///
/// How many probes go unanswered is not said: with TCP_USER_TIMEOUT, time alone decides (tcp(7)). Nor is how long after
/// one the next comes: the kernel's 75 seconds will do.
///
/// # Errors
/// Those of setsockopt(2).
pub fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    set_keepalive_options(SockRef::from(stream))
}

fn set_keepalive_options(socket: SockRef<'_>) -> io::Result<()> {
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

    async fn listening() -> (tokio::net::TcpListener, SocketAddr) {
        let listener = listen(([127, 0, 0, 1], 0).into()).expect("listen");
        let address = listener.local_addr().expect("address");
        (tokio::net::TcpListener::from_std(listener).expect("a listener"), address)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn what_is_accepted_has_the_options_of_its_listener() {
        let (listener, address) = listening().await;
        let (_connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (accepted, _) = accepted.expect("accept");
        let socket = SockRef::from(&accepted);
        assert!(accepted.nodelay().expect("an option") && socket.keepalive().expect("an option"));
        assert_eq!(socket.tcp_user_timeout().expect("an option"), Some(UNACKNOWLEDGED));
    }

    #[tokio::test]
    async fn who_has_spoken_too_early_is_heard() {
        let (listener, address) = listening().await;
        let connected = TcpStream::connect(address).await.expect("connect");
        connected.writable().await.expect("writable");
        connected.try_write(b"early").expect("write");
        let (accepted, _) = listener.accept().await.expect("accept");
        is_silent_yet(&accepted);
        let mut heard = [0; 5];
        tokio::time::timeout(Duration::from_secs(30), accepted.readable()).await.expect("told so").expect("readable");
        assert_eq!((accepted.try_read(&mut heard).expect("read"), &heard), (5, b"early"));
    }

    #[tokio::test]
    async fn a_connection_that_may_last_is_kept_alive_and_that_of_a_session_is_not_yet() {
        let (_listener, address) = listening().await;
        let (lasting, _) = connect_to_any(&[address], |_| None, soon()).await.expect("connect");
        let (of_session, to) = connect_for_session(&[address], Some, soon()).await.expect("connect");
        assert!(SockRef::from(&lasting).keepalive().expect("an option"));
        assert!(!SockRef::from(&of_session).keepalive().expect("an option"));
        assert!(of_session.nodelay().expect("an option") && lasting.nodelay().expect("an option"));
        assert_eq!((to, of_session.peer_addr().expect("a peer")), (address, address));
    }

    #[tokio::test]
    async fn who_is_refused_is_told_so_and_the_next_address_is_tried() {
        let (listener, nobody) = listening().await;
        drop(listener);
        let refused = connect_to_any(&[nobody], |_| None, soon()).await.expect_err("nobody is there");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let (_listener, somebody) = listening().await;
        let (_, to) = connect_to_any(&[nobody, somebody], |_| None, soon()).await.expect("the second is there");
        assert_eq!(to, somebody);
    }
}
