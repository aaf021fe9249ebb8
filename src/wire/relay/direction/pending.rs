//! What one side has said and the other has not taken yet: in our memory, or in a pipe.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::wire::splice::Pipe;
use crate::wire::stream::Stream;

/// Never empty; a pipe only where both sides are plain.
pub(super) enum Pending {
    Bytes(Bytes),
    Pipe(Pipe),
}

/// A copy of the bytes; boxed, since it is rare and an idle session pays for the place.
pub(super) fn kept(bytes: &[u8]) -> Option<Box<Pending>> {
    (!bytes.is_empty()).then(|| Box::new(Pending::Bytes(Bytes::copy_from_slice(bytes))))
}

impl Pending {
    /// Ready when all of it is written.
    pub(super) fn poll_deliver(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        match (self, to) {
            (Self::Bytes(bytes), to) => {
                while !bytes.is_empty() {
                    let written = ready!(Pin::new(&mut *to).poll_write(cx, bytes))?;
                    bytes.advance(written);
                }
                Poll::Ready(Ok(()))
            }
            (Self::Pipe(pipe), Stream::Plain(to)) => pipe.poll_drain(cx, to),
            (Self::Pipe(_), Stream::Tls(_)) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }
}
