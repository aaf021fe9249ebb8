//! Bytes on the move: what a connection is before it is relayed.
//!
//! A [`Wire`] hides whether there is TLS inside: STARTTLS is "same wire, new inside".

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

pub mod activity;
pub mod announced;
pub mod proxy_header;
pub mod relay;
pub mod scratch;
pub mod slots;
pub mod socket;
mod splice;
pub mod stream;
mod tally;
pub mod tls;
pub mod tls_client;
pub mod tls_stream;

pub use activity::{Activity, HasActivity};
pub use relay::{Relay, Side, Tally};
pub use stream::Stream;

/// A byte stream, what it has said so far, and how long we wait for it.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    /// What was read and not consumed yet; whoever reads bytes owns them.
    pub heard: BytesMut,
    /// Every wait ends here.
    pub deadline: Instant,
}

/// How a wire fails.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The peer has closed its side.
    #[error("closed")]
    Closed,
    /// The deadline has passed.
    #[error("timed out")]
    TimedOut,
    /// More was said than anyone may say before it is consumed.
    #[error("more than {HEARD_LIMIT} bytes unread")]
    Flooded,
    /// The kernel, or TLS, says no.
    #[error("{0}")]
    Broken(#[from] io::Error),
}

impl Lost {
    /// An end without `close_notify` is an end: nothing that follows could be taken for a command any more.
    fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Broken(error),
        }
    }
}

impl Wire {
    /// A plain connection.
    #[must_use]
    pub fn new(stream: TcpStream, deadline: Instant) -> Self {
        Self { stream: Stream::Plain(stream), heard: BytesMut::new(), deadline }
    }

    /// Waits for bytes and adds them to `heard`. Cancel safe.
    ///
    /// # Errors
    /// Each of [`Lost`]; a TLS stream that ends without `close_notify` is [`Lost::Closed`] too.
    pub async fn hear(&mut self) -> Result<(), Lost> {
        if self.heard.len() >= HEARD_LIMIT {
            return Err(Lost::Flooded);
        }
        let (stream, heard) = (&mut self.stream, &mut self.heard);
        match timeout_at(self.deadline, poll_fn(move |cx| scratch::poll_read_into(stream, heard, cx))).await {
            Err(_) => Err(Lost::TimedOut),
            Ok(Ok(0)) => Err(Lost::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Lost::of(error)),
        }
    }

    /// Adds to `heard` what has come by now, without a wait. A peer that is gone is noticed by the next
    /// [`hear`](Self::hear).
    pub async fn hear_at_once(&mut self) {
        tokio::select! {
            biased;
            _ = self.hear() => {}
            () = std::future::ready(()) => {}
        }
    }

    /// Whether the kernel has bytes of the peer that nobody has read.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::new(0)];
        SockRef::from(self.stream.tcp()).peek(&mut byte).is_ok_and(|bytes| bytes > 0)
    }

    /// Writes all of it, to the socket's own buffer.
    ///
    /// # Errors
    /// [`Lost::TimedOut`] when the peer does not read, [`Lost::Broken`].
    pub async fn say(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(self.deadline, write).await {
            Err(_) => Err(Lost::TimedOut),
            Ok(done) => Ok(done?),
        }
    }

    /// The same wire with TLS inside, as the server. `greeting` is said as early as TLS allows, before the client has
    /// proved anything: it must be the same for everyone. May be empty.
    ///
    /// # Errors
    /// As [`hear`](Self::hear); a failed handshake is [`Lost::Broken`] with rustls' words, and the connection is gone:
    /// there is no way back to clear text.
    pub async fn accept_tls(self, tls: &tls::Acceptor, greeting: &[u8]) -> Result<Self, Lost> {
        let deadline = self.deadline;
        let shaken = timeout_at(deadline, tls.accept(self.stream, greeting)).await.map_err(|_| Lost::TimedOut)?;
        let stream = shaken.map_err(Lost::of)?;
        Ok(Self { stream, heard: BytesMut::new(), deadline })
    }

    /// The same wire with TLS inside, as the client of a server of this name.
    ///
    /// # Errors
    /// As [`accept_tls`](Self::accept_tls).
    pub async fn connect_tls(self, tls: &tls::Connector) -> Result<Self, Lost> {
        let deadline = self.deadline;
        let shaken = timeout_at(deadline, tls.connect(self.stream)).await.map_err(|_| Lost::TimedOut)?;
        let stream = shaken.map_err(Lost::of)?;
        Ok(Self { stream, heard: BytesMut::new(), deadline })
    }

    /// Ready when the peer has closed its side and has nothing more to say, or when the connection broke; a mere FIN
    /// behind something that waits to be read is no farewell. Takes no bytes. Cancel safe.
    pub async fn gone(&self) {
        let tcp = self.stream.tcp();
        let silent = self.heard.is_empty() && !tcp.peek(&mut [0]).await.is_ok_and(|bytes| bytes > 0);
        if !silent && tcp.ready(Interest::ERROR).await.is_err() {
            std::future::pending().await
        }
    }

    /// Forgets what was heard: it may hold a password that was never asked about.
    pub fn wipe(&mut self) {
        zeroize::Zeroize::zeroize(self.heard.as_mut());
        self.heard.clear();
    }

    /// What TLS was agreed on; `None` on a plain wire.
    #[must_use]
    pub fn tls_facts(&self) -> Option<tls::Facts> {
        self.stream.tls_facts()
    }

    /// Our end of the TCP connection.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn reached(&self) -> io::Result<SocketAddr> {
        self.stream.tcp().local_addr()
    }

    /// The stream, and what was heard early.
    #[must_use]
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.heard)
    }

    /// Closes politely, within a second: `close_notify`, FIN.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.stream.shutdown()).await;
    }
}

/// The longest unfinished command, and as much as is read at once; what a client pipelines beyond that waits in the
/// kernel.
const HEARD_LIMIT: usize = crate::proto::HEARD_MAX + scratch::SIZE;
