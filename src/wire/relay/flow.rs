//! One direction of a relay: reads through the thread's scratch buffer, and keeps what the other side does not take.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::wire::scratch;
use crate::wire::stream::Stream;

/// One direction.
pub(super) struct Flow {
    state: State,
    /// Read, but not taken by the other side yet; boxed, since it is rare.
    rest: Option<Box<Bytes>>,
    /// Something was written that may still be inside TLS.
    unflushed: bool,
    /// Bytes that were read and are not counted yet.
    pub(super) fresh: u32,
    /// The last byte that was passed on.
    pub(super) last: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ending,
    Done,
}

/// Which end of a direction broke.
pub(super) enum Trouble {
    Source(io::Error),
    Sink(io::Error),
}

impl Flow {
    pub(super) fn starting_with(heard: &BytesMut) -> Self {
        let last = heard.last().copied();
        Self { state: State::Open, rest: kept(heard), unflushed: false, fresh: count(heard), last }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state != State::Open
    }

    pub(super) fn is_idle(&self) -> bool {
        self.rest.is_none() && !self.unflushed
    }

    /// Nobody is there to hear it.
    pub(super) fn give_up(&mut self) {
        self.rest = None;
        self.unflushed = false;
        self.state = State::Done;
    }

    /// Ready when this direction is done; after [`TURN`] reads it lets other sessions have the thread.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        trouble: &mut Option<Trouble>,
    ) -> Poll<()> {
        for _ in 0..TURN {
            if self.state == State::Done {
                return Poll::Ready(());
            }
            match ready!(self.poll_step(cx, from, to)) {
                Ok(()) => {}
                Err(Trouble::Sink(error)) => {
                    self.give_up();
                    *trouble = Some(Trouble::Sink(error));
                }
                Err(Trouble::Source(error)) => {
                    self.state = State::Ending;
                    *trouble = Some(Trouble::Source(error));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read, write or farewell.
    fn poll_step(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<Result<(), Trouble>> {
        ready!(self.poll_deliver(cx, to)).map_err(Trouble::Sink)?;
        match self.state {
            State::Open => self.poll_move(cx, from, to),
            State::Ending => {
                let shut = ready!(Pin::new(to).poll_shutdown(cx));
                self.state = State::Done;
                Poll::Ready(shut.or_else(ignore_not_connected).map_err(Trouble::Sink))
            }
            State::Done => Poll::Ready(Ok(())),
        }
    }

    /// Gets rid of what is left from before.
    fn poll_deliver(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        while let Some(rest) = &mut self.rest {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
            rest.advance(written);
            self.unflushed = true;
            self.rest.take_if(|rest| rest.is_empty());
        }
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes what the other side takes of it.
    fn poll_move(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<Result<(), Trouble>> {
        scratch::with(|buffer| {
            let read = match ready!(scratch::poll_read(from, cx, buffer)) {
                Ok(read) => read,
                // A TLS peer that left without close_notify: nobody parses here, so it is an end like any other.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => &[],
                Err(error) => return Poll::Ready(Err(Trouble::Source(error))),
            };
            let Some(&last) = read.last() else {
                self.state = State::Ending;
                return Poll::Ready(Ok(()));
            };
            self.fresh = self.fresh.saturating_add(count(read));
            self.last = Some(last);
            self.unflushed = true;
            let written = match Pin::new(to).poll_write(cx, read) {
                Poll::Ready(written) => written.map_err(Trouble::Sink)?,
                Poll::Pending => 0,
            };
            self.rest = kept(read.get(written..).unwrap_or_default());
            Poll::Ready(Ok(()))
        })
    }
}

/// What is read in one turn is a few megabytes at the most.
fn count(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn kept(bytes: &[u8]) -> Option<Box<Bytes>> {
    (!bytes.is_empty()).then(|| Box::new(Bytes::copy_from_slice(bytes)))
}

/// The other side has gone already: what we wanted to tell it, it knows.
fn ignore_not_connected(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(()),
        _ => Err(error),
    }
}

/// Reads of one direction before the others on the thread have their turn: 512 KiB.
const TURN: usize = 16;
