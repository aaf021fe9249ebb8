//! The handshake, and what we say as soon as it may be said.
//!
//! In TLS 1.3 a server may speak right behind its own Finished, half a round trip before the client's (RFC 8446
//! §4.4.4), to somebody who has proved nothing yet. That is only for a greeting that everyone gets; where the
//! configuration has `send_half_rtt_data` off, and in TLS 1.2, it waits for the end of the handshake.
//!
//! A server's TLS 1.3 session ticket can be made only after the client's Finished, so after an early greeting. It is not
//! sent alone: a client that finds its socket readable expects a line, reads, and may block in that read. The ticket
//! waits for the next words of the server, the answer to the client's first command, and goes in front of them.

use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};
use rustls::ProtocolVersion;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use tokio::net::TcpStream;

use super::{Session, TlsStream};

impl TlsStream {
    /// The handshake; `greeting`, which may be empty, is said in it or with its last words. Without a time limit: the
    /// caller has one.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with the [`rustls::Error`] inside, after the alert was sent; or TCP's own.
    pub async fn handshake(tcp: TcpStream, session: Session, mut greeting: &[u8]) -> io::Result<Self> {
        let (partial, clear, unsent) = (Vec::new(), Bytes::new(), BytesMut::new());
        let mut stream = Self {
            tcp,
            session,
            partial,
            clear,
            unsent,
            holds_ticket: false,
            peer_has_closed: false,
            we_have_closed: false,
            fault: None,
        };
        stream.settle()?;
        poll_fn(|cx| {
            loop {
                if !greeting.is_empty() && stream.greets(greeting)? {
                    greeting = &[];
                } else {
                    stream.holds_ticket = stream.has_only_a_ticket();
                }
                ready!(stream.poll_send(cx))?;
                if !stream.common().is_handshaking() {
                    return Poll::Ready(Ok(()));
                }
                let mut clear = BytesMut::new();
                let heard = ready!(stream.poll_records(cx, &mut |text| clear.extend_from_slice(text)));
                stream.clear = clear.freeze();
                if let Err(error) = heard {
                    // The alert, if there is one, is all that can still be said.
                    let _ = stream.poll_send(cx);
                    return Poll::Ready(Err(error));
                }
                if stream.peer_has_closed {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        })
        .await?;
        Ok(stream)
    }

    /// Whether nothing but a ticket waits to be sent: the last that a TLS 1.3 server says of a handshake, after the
    /// client's last word, which it heard when all else had been sent.
    fn has_only_a_ticket(&self) -> bool {
        let Session::Server(session) = &self.session else { return false };
        !self.unsent.is_empty()
            && !session.is_handshaking()
            && session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Behind what is to be sent already, so that one write takes both; `false` = it is too early.
    fn greets(&mut self, greeting: &[u8]) -> io::Result<bool> {
        let start = self.unsent.len();
        self.unsent.resize(start + greeting.len() + RECORD, 0);
        let record = self.unsent.get_mut(start..).unwrap_or_default();
        let said = match &mut self.session {
            Session::Server(session) => say(session.process_tls_records(&mut self.partial), greeting, record),
            Session::Client(session) => say(session.process_tls_records(&mut self.partial), greeting, record),
        }?;
        self.unsent.truncate(start + said);
        Ok(said > 0)
    }
}

fn say<Data>(status: UnbufferedStatus<'_, '_, Data>, text: &[u8], record: &mut [u8]) -> io::Result<usize> {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.encrypt(text, record).map_err(io::Error::other),
        // A fault is told by who reads next.
        Ok(_) | Err(_) => Ok(0),
    }
}

/// More than TLS adds to a record, whatever the version and the cipher.
const RECORD: usize = 128;
