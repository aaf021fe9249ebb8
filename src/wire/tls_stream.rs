//! TLS on a TCP connection, without a buffer while nothing moves.
//!
//! rustls' unbuffered interface leaves the buffers to us: records are read into, and written from, one scratch buffer a
//! thread. What stays with a session is only what must: the bytes of a record that has not come whole, plain text that
//! was not asked for yet, and records that the kernel did not take. The seam to rustls is this file.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::scratch;

/// See the module. As an [`AsyncRead`], it ends at `close_notify`; a TCP connection that ends without one is
/// [`io::ErrorKind::UnexpectedEof`].
#[derive(Debug)]
pub struct TlsStream {
    tcp: TcpStream,
    session: Session,
    /// The beginning of a record, or of a handshake message in several. rustls remembers places in it, so it is given
    /// back at every call.
    partial: Vec<u8>,
    /// Decrypted, not read yet.
    clear: Bytes,
    /// Encrypted, not sent yet.
    unsent: BytesMut,
    /// `unsent` is a session ticket (RFC 8446 §4.6.1), which goes with our next words and not before: see [`handshake`].
    holds_ticket: bool,
    peer_has_closed: bool,
    we_have_closed: bool,
    /// What ended the session. rustls is not asked again after it: it remembers places in a buffer that is gone.
    fault: Option<rustls::Error>,
}

/// Which side we are.
pub enum Session {
    /// Of a client.
    Server(Box<UnbufferedServerConnection>),
    /// Of a server.
    Client(Box<UnbufferedClientConnection>),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        })
    }
}

impl TlsStream {
    /// The connection below.
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What was agreed on.
    pub(super) fn common(&self) -> &CommonState {
        match &self.session {
            Session::Server(session) => session,
            Session::Client(session) => session,
        }
    }

    /// Lets rustls say what it has to say, with nothing new heard.
    fn settle(&mut self) -> io::Result<()> {
        self.intact()?;
        let mut partial = std::mem::take(&mut self.partial);
        let used = self.advance(&mut partial, &mut |_| {})?;
        self.partial = partial.split_off(used.min(partial.len()));
        Ok(())
    }

    /// The fault, once there is one.
    fn intact(&self) -> io::Result<()> {
        self.fault.clone().map_or(Ok(()), |fault| Err(io::Error::new(io::ErrorKind::InvalidData, fault)))
    }

    /// Feeds rustls until it has consumed what it can; whatever it says goes to `unsent`, plain text to `hear`.
    /// Returns how much of `records` is done with.
    fn advance(&mut self, records: &mut [u8], hear: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let fresh = records.get_mut(used..).unwrap_or_default();
            let (discard, next) = match &mut self.session {
                Session::Server(session) => step(session.process_tls_records(fresh), hear, &mut self.unsent),
                Session::Client(session) => step(session.process_tls_records(fresh), hear, &mut self.unsent),
            };
            used += discard;
            match next {
                Ok(Step::Again) => {}
                Ok(Step::Done) => return Ok(used),
                Ok(Step::PeerHasClosed) => self.peer_has_closed = true,
                Err(error) => {
                    let rest = records.get_mut(used..).unwrap_or_default();
                    self.collect_alert(rest);
                    self.holds_ticket = false;
                    self.fault = Some(error);
                    return Err(self.intact().err().unwrap_or_else(|| io::ErrorKind::InvalidData.into()));
                }
            }
        }
    }

    /// After an error, rustls may have an alert for the peer, behind what else it had to say: when a handshake fails
    /// after ServerHello, that is one of several records. Asked for more than it has, rustls would read `records` again.
    fn collect_alert(&mut self, records: &mut [u8]) {
        while self.common().wants_write() {
            let _ = match &mut self.session {
                Session::Server(session) => step(session.process_tls_records(records), &mut |_| {}, &mut self.unsent),
                Session::Client(session) => step(session.process_tls_records(records), &mut |_| {}, &mut self.unsent),
            };
        }
    }

    /// Reads once from TCP and decrypts what has come whole.
    fn poll_records(&mut self, cx: &mut Context<'_>, hear: &mut dyn FnMut(&[u8])) -> Poll<io::Result<()>> {
        self.intact()?;
        scratch::with_records(|buffer| {
            let kept = self.partial.len();
            // Not more than fits, decrypted, where the caller reads to.
            let room = scratch::SIZE.saturating_sub(kept).max(scratch::SIZE / 2);
            let Some(fresh) = buffer.get_mut(kept..kept + room) else {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a handshake message too long")));
            };
            let read = ready!(scratch::poll_read(&mut self.tcp, cx, fresh))?.len();
            if read == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let records = buffer.get_mut(..kept + read).unwrap_or_default();
            if let Some(old) = records.get_mut(..kept) {
                old.copy_from_slice(&self.partial);
            }
            let used = self.advance(records, hear)?;
            self.partial = records.get(used..).unwrap_or_default().to_vec();
            Poll::Ready(Ok(()))
        })
    }

    /// Sends what waits to be sent, but for a ticket that is held back.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.holds_ticket {
            return Poll::Ready(Ok(()));
        }
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, &self.unsent))?;
            self.unsent.advance(sent);
        }
        self.unsent = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Encrypts into the scratch buffer, sends from there, keeps what the kernel does not take.
    fn poll_encrypt(&mut self, cx: &mut Context<'_>, text: &[u8]) -> Poll<io::Result<()>> {
        scratch::with_records(|buffer| {
            let length = match &mut self.session {
                Session::Server(session) => encrypt(session.process_tls_records(&mut self.partial), text, buffer),
                Session::Client(session) => encrypt(session.process_tls_records(&mut self.partial), text, buffer),
            }?;
            let records = buffer.get(..length).unwrap_or_default();
            if std::mem::take(&mut self.holds_ticket) {
                // One write takes both; what the kernel does not take is kept.
                self.unsent.extend_from_slice(records);
                return match self.poll_send(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
                };
            }
            let sent = match Pin::new(&mut self.tcp).poll_write(cx, records) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => 0,
            };
            self.unsent.extend_from_slice(records.get(sent..).unwrap_or_default());
            Poll::Ready(Ok(()))
        })
    }

    /// `close_notify`, once, where there is a session to close.
    fn close(&mut self) {
        self.we_have_closed = true;
        let mut alert = [0; 64];
        let length = match &mut self.session {
            Session::Server(session) => close_notify(session.process_tls_records(&mut self.partial), &mut alert),
            Session::Client(session) => close_notify(session.process_tls_records(&mut self.partial), &mut alert),
        };
        self.unsent.extend_from_slice(alert.get(..length).unwrap_or_default());
    }
}

/// What came of one state of rustls' machine.
enum Step {
    Again,
    PeerHasClosed,
    /// It has said all, and wants more records, or something to encrypt.
    Done,
}

/// One state of rustls' machine, answered.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    hear: &mut dyn FnMut(&[u8]),
    unsent: &mut BytesMut,
) -> (usize, Result<Step, rustls::Error>) {
    let UnbufferedStatus { mut discard, state, .. } = status;
    let step = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut read = Ok(Step::Again);
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        hear(record.payload);
                    }
                    Err(error) => read = Err(error),
                }
            }
            read
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
                let start = unsent.len();
                unsent.resize(start + size.required_size, 0);
                let _ = data.encode(unsent.get_mut(start..).unwrap_or_default());
            }
            Ok(Step::Again)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Step::PeerHasClosed),
        Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
            Ok(Step::Done)
        }
        // Early data is never enabled; a state that a later rustls adds is none that we asked for.
        Ok(_) => Err(rustls::Error::General("unexpected state".into())),
        Err(error) => Err(error),
    };
    (discard, step)
}

fn encrypt<Data>(status: UnbufferedStatus<'_, '_, Data>, text: &[u8], records: &mut [u8]) -> io::Result<usize> {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.encrypt(text, records).map_err(io::Error::other),
        Ok(state) => Err(io::Error::other(format!("TLS cannot encrypt: {state:?}"))),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

fn close_notify<Data>(status: UnbufferedStatus<'_, '_, Data>, alert: &mut [u8]) -> usize {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.queue_close_notify(alert).unwrap_or_default(),
        Ok(_) | Err(_) => 0,
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let before = buffer.filled().len();
        // What waited for the socket may go now, though nobody writes.
        if !stream.unsent.is_empty() {
            let _ = stream.poll_send(cx);
        }
        if stream.clear.is_empty() {
            let mut rest = BytesMut::new();
            while buffer.filled().len() == before && !stream.peer_has_closed {
                let mut hear = |text: &[u8]| {
                    let (now, later) = text.split_at(text.len().min(buffer.remaining()));
                    buffer.put_slice(now);
                    rest.extend_from_slice(later);
                };
                let heard = ready!(stream.poll_records(cx, &mut hear));
                // Tickets, key updates, alerts: whatever rustls wants to say to what it has heard.
                let _ = stream.poll_send(cx);
                // What came whole before the fault is still good; the fault is told at the next read.
                if buffer.filled().len() == before {
                    heard?;
                }
            }
            stream.clear = rest.freeze();
        } else {
            let now = stream.clear.split_to(stream.clear.len().min(buffer.remaining()));
            buffer.put_slice(&now);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    /// Takes at most [`scratch::SIZE`] bytes, and none while earlier ones wait to be sent.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, text: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        if stream.we_have_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(stream.poll_send(cx))?;
        let (now, _) = text.split_at(text.len().min(scratch::SIZE));
        // A key update may stand before it.
        stream.settle()?;
        ready!(stream.poll_send(cx))?;
        ready!(stream.poll_encrypt(cx, now))?;
        Poll::Ready(Ok(now.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !stream.we_have_closed && stream.fault.is_none() {
            stream.settle()?;
            stream.close();
        }
        stream.holds_ticket = false;
        ready!(stream.poll_send(cx))?;
        Pin::new(&mut stream.tcp).poll_shutdown(cx)
    }
}

mod handshake;
#[cfg(test)]
mod tests;
