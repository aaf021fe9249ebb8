//! One direction of a relay: reads through the thread's scratch buffer, and keeps what the other side does not take.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite;

mod bulk;
mod farewell;
mod pending;

use pending::{Pending, kept};

use crate::wire::scratch;
use crate::wire::splice::CopyMode;
use crate::wire::stream::Stream;

/// One direction.
pub(super) struct Direction {
    state: State,
    manner: CopyMode,
    /// Read, but not taken by the other side yet; boxed, since it is rare.
    rest: Option<Box<Pending>>,
    /// Something was written that may still be inside TLS.
    unflushed: bool,
    /// Whether what was passed on ends a line; not known, so `false`, where the kernel has passed it on.
    pub(super) at_border: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Ending,
    Done,
    GivenUp,
}

/// One direction's turn: how it is to go, and what came of it.
pub(super) struct PollBudget {
    /// Bytes that are read at once.
    buffer: usize,
    /// If the direction ends now, with fewer fresh bytes than this, both sockets are closed with it.
    last_below: u32,
    /// Bytes that were read.
    pub(super) fresh: u32,
    pub(super) trouble: Option<Trouble>,
}

impl PollBudget {
    pub(super) const fn new(buffer: usize, last_below: u32) -> Self {
        Self { buffer, last_below, fresh: 0, trouble: None }
    }

    /// Whether nothing comes after this direction's end.
    pub(super) const fn is_last(&self) -> bool {
        self.fresh < self.last_below
    }
}

/// Which end of a direction broke.
pub(super) enum Trouble {
    Source(io::Error),
    Sink(io::Error),
}

impl Direction {
    pub(super) fn starting_with(heard: &BytesMut, manner: CopyMode) -> Self {
        let at_border = heard.last().is_none_or(|&byte| byte == b'\n');
        Self { state: State::Open, manner, rest: kept(heard), unflushed: false, at_border }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state != State::Open
    }

    pub(super) fn is_idle(&self) -> bool {
        self.rest.is_none() && !self.unflushed
    }

    /// All that was read is delivered, and more may come.
    pub(super) fn is_waiting(&self) -> bool {
        self.state == State::Open && self.is_idle()
    }

    /// Nobody is there to hear it.
    pub(super) fn give_up(&mut self) {
        self.rest = None;
        self.unflushed = false;
        self.state = State::GivenUp;
    }

    /// All of it was delivered, and its end passed on.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::GivenUp)
    }

    /// Ready when this direction is done; after a [`TURN`] it lets other sessions have the thread.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        turn: &mut PollBudget,
    ) -> Poll<()> {
        for _ in 0..STEPS {
            let room = TURN.saturating_sub(turn.fresh) as usize;
            if self.is_over() || room == 0 {
                break;
            }
            match ready!(self.poll_step(cx, from, to, turn, room)) {
                Ok(()) => {}
                Err(Trouble::Sink(error)) => {
                    self.give_up();
                    turn.trouble = Some(Trouble::Sink(error));
                }
                Err(Trouble::Source(error)) => {
                    self.state = State::Ending;
                    turn.trouble = Some(Trouble::Source(error));
                }
            }
        }
        if self.is_over() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read, write or farewell; `room` is what the turn has left.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        turn: &mut PollBudget,
        room: usize,
    ) -> Poll<Result<(), Trouble>> {
        ready!(self.poll_deliver(cx, to)).map_err(Trouble::Sink)?;
        match self.state {
            State::Open => match self.poll_bulk(cx, from, to, room, &mut turn.fresh) {
                Some(spliced) => spliced,
                None => self.poll_move(cx, from, to, turn.buffer.min(room), &mut turn.fresh),
            },
            State::Ending => self.poll_farewell(cx, to, turn.is_last()).map_err(Trouble::Sink),
            State::Done | State::GivenUp => Poll::Ready(Ok(())),
        }
    }

    /// Gets rid of what is left from before.
    fn poll_deliver(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        if let Some(rest) = &mut self.rest {
            self.unflushed = true;
            ready!(rest.poll_deliver(cx, to))?;
            self.rest = None;
        }
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes what the other side takes of it.
    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        room: usize,
        fresh: &mut u32,
    ) -> Poll<Result<(), Trouble>> {
        scratch::with(room, |buffer| {
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
            *fresh = fresh.saturating_add(count(read.len()));
            self.at_border = last == b'\n';
            self.manner = self.manner.copied(read.len() == room);
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

/// What is read in one turn is bounded by it.
fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What one direction moves, and in how many steps, before the others on the thread have their turn.
pub(super) const TURN: u32 = 512 * 1024;
const STEPS: usize = 16;
