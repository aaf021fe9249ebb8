//! One bound address speaking one protocol. Its accept loop never fails: what one connection does wrong is counted,
//! and what the machine is short of is waited for.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use nix::sys::resource::{Resource, getrlimit};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::config::ListenerTls;
use crate::drain::Drain;
use crate::gate::{Permit, Refusal};
use crate::session::{ListenerContext, Parts, Session};
use crate::wire::socket;

/// See the module; shared by all workers, each of which accepts for itself.
pub struct Listener {
    context: Arc<ListenerContext>,
    socket: std::net::TcpListener,
    /// A descriptor of this number or above is the beginning of a shortage: the kernel gives the lowest that is free.
    short: RawFd,
    log_at_most: DefaultDirectRateLimiter,
    unlogged: AtomicU64,
}

impl Listener {
    /// Binds and listens; connections wait in the kernel until [`serve`](Self::serve) takes them.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and listen(2).
    pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
        socket::listen(address)
    }

    /// `socket` is from [`bind`](Self::bind).
    #[must_use]
    pub fn new(context: Arc<ListenerContext>, socket: std::net::TcpListener) -> Self {
        let log_at_most = RateLimiter::direct(Quota::per_second(LOG_RATE));
        Self { context, socket, short: shortage(), log_at_most, unlogged: AtomicU64::new(0) }
    }

    /// What sessions see of it.
    #[must_use]
    pub fn context(&self) -> &ListenerContext {
        &self.context
    }

    /// Where it is bound: the real port where the configuration said 0.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Refuses connections from now on, for all workers at once; to be called when their drain has stopped.
    pub fn close(&self) {
        if let Err(error) = SockRef::from(&self.socket).shutdown(Shutdown::Both) {
            tracing::debug!(listener = &*self.context.name, %error, "not closed at once");
        }
    }

    /// The socket once more, for another worker.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn share(&self) -> io::Result<std::net::TcpListener> {
        self.socket.try_clone()
    }

    /// One worker's accept loop, with a socket from [`share`](Self::share): until `drain` stops.
    ///
    /// # Errors
    /// The worker's runtime cannot watch the socket.
    pub async fn serve(
        self: Arc<Self>,
        socket: std::net::TcpListener,
        parts: Arc<Parts>,
        drain: Drain,
    ) -> io::Result<()> {
        let socket = TcpListener::from_std(socket)?;
        // Once for all that comes: each time anew, it would be entered in a list and taken out again, under a lock.
        let mut stopping = pin!(drain.stopping());
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(&parts, &drain, stream, peer),
                    Err(error) => self.endure(&parts, &error).await,
                }
            }
        }
    }

    fn admit(&self, parts: &Arc<Parts>, drain: &Drain, stream: TcpStream, peer: SocketAddr) {
        let protocol = self.context.protocol();
        self.context.counts.connections.inc();
        match self.ask_gate(parts, &stream, peer) {
            Ok(permit) => {
                if self.speaks_first() {
                    socket::is_silent_yet(&stream);
                }
                // Not inside another future: that would hold it twice, as it came and as it is awaited.
                let (parts, context) = (parts.clone(), self.context.clone());
                tokio::spawn(Session::run(parts, context, drain.clone(), stream, peer, permit));
            }
            Err(refused) => {
                if self.context.tls != ListenerTls::Implicit {
                    let _ = stream.try_write(protocol.goodbye(refused.goodbye()).as_bytes());
                }
                self.log(&refused, peer);
            }
        }
    }

    /// Whether a client waits for our greeting before it says anything.
    fn speaks_first(&self) -> bool {
        self.context.tls != ListenerTls::Implicit && self.context.proxy_protocol.is_none()
    }

    /// Where clients are announced, only the peers that do so may come, and their permit is that of the client.
    fn ask_gate(&self, parts: &Parts, stream: &TcpStream, peer: SocketAddr) -> Result<Option<Permit>, Refusal> {
        if stream.as_raw_fd() >= self.short {
            return Err(self.counted(parts, Refusal::NoDescriptors));
        }
        let ip = peer.ip().to_canonical();
        let Some(trusted) = &self.context.proxy_protocol else { return self.context.door.admit(ip).map(Some) };
        self.context.door.admit_peer(ip)?;
        if trusted.iter().any(|range| range.contains(ip)) {
            return Ok(None);
        }
        Err(self.counted(parts, Refusal::Stranger))
    }

    fn counted(&self, parts: &Parts, refusal: Refusal) -> Refusal {
        parts.metrics.refusals.with_label_values(&[self.context.protocol().name(), refusal.label()]).inc();
        refusal
    }

    /// Bounded, so that a flood of refused connections does not become a flood of lines.
    fn log(&self, refusal: &Refusal, peer: SocketAddr) {
        if self.log_at_most.check().is_err() {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unlogged = self.unlogged.swap(0, Ordering::Relaxed);
        let protocol = self.context.protocol().name();
        // As in the line of a session: the name in quotes, an IPv4 address as such.
        let (listener, client) = (&*self.context.name, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
        tracing::info!(protocol, listener, %client, reason = refusal.label(), unlogged, "connection refused");
    }

    /// EMFILE and its like would come back at once, for ever: sleep. The others concern one connection only.
    async fn endure(&self, parts: &Parts, error: &io::Error) {
        parts.metrics.accept_errors.inc();
        if self.log_at_most.check().is_ok() {
            tracing::warn!(listener = &*self.context.name, %error, "accept failed");
        }
        let of_one_connection =
            matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
        if !of_one_connection {
            tokio::time::sleep(ACCEPT_BACKOFF).await;
        }
    }
}

/// Leaves a few for the back-ends of who has come in already: an answer is better than a connection that hangs.
fn shortage() -> RawFd {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(now, _)| now);
    RawFd::try_from(limit - (limit / 32).clamp(2, 64).min(limit)).unwrap_or(RawFd::MAX)
}

const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
const LOG_RATE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
