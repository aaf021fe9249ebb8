//! The relay: bytes both ways between a client and its back-end, until one of them has had enough.
//!
//! A hand-written future, because its size is the price of an idle session: it holds no buffer while nothing moves.
//! Reads go through the thread's scratch buffer, or stay in the kernel (`splice.rs`) while there are many; only
//! what the other side did not take at once is kept.
//!
//! ```text
//! each direction: Open ──▶ source has ended, or broke ──▶ Ending ──▶ rest written, FIN passed on ──▶ Done
//!                  └────── sink broke: nobody hears it any more ──────────────────────────────────▶ Done
//! both Done, or nothing moved for the idle time-out ──▶ the relay is over
//! ```
//!
//! A side that breaks ends only what it can no longer do: what the other one has said is still delivered.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use prometheus::IntCounter;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep, sleep};

use super::scratch;
use super::splice::Manner;
use super::stream::Stream;
pub use super::tally::{End, Side, Tally};
use crate::config::Relaying;
use crate::proto::{Goodbye, Protocol};
use rest::{Rest, kept};

/// What is counted while bytes move.
#[derive(Debug, Clone)]
pub struct Meter {
    /// Bytes from clients.
    pub up: IntCounter,
    /// Bytes from back-ends.
    pub down: IntCounter,
}

/// See the module.
pub struct Relay {
    client: Stream,
    backend: Stream,
    up: Flow,
    down: Flow,
    /// What happened first, and so says how it ended.
    first: Option<End>,
    /// In milliseconds.
    idle: u32,
    /// Bytes that are read at once.
    buffer: u32,
    moved: Instant,
    alarm: Pin<Box<Sleep>>,
    protocol: Protocol,
    meter: Arc<Meter>,
    over: bool,
}

impl Relay {
    /// What either side said early is delivered first. `idle` counts traffic in both directions together; once one
    /// side has closed, the other has [`LINGER`] or [`AFTERWORD`] at the most.
    #[must_use]
    pub fn new(
        (client, from_client): (Stream, BytesMut),
        (backend, from_backend): (Stream, BytesMut),
        idle: Duration,
        protocol: Protocol,
        meter: Arc<Meter>,
        relaying: Relaying,
    ) -> Self {
        let manner = Manner::new(relaying.splice);
        Self {
            client,
            backend,
            up: Flow::starting_with(&from_client, manner),
            down: Flow::starting_with(&from_backend, manner),
            first: None,
            idle: millis(idle),
            buffer: relaying.buffer,
            moved: Instant::now(),
            alarm: Box::pin(sleep(idle)),
            protocol,
            meter,
            over: false,
        }
    }

    /// Bytes so far: from the client, from the back-end.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.up.bytes, self.down.bytes)
    }

    /// Ready when both directions are done.
    fn poll_flows(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let before = (self.up.bytes, self.down.bytes);
        let (mut above, mut below) = (None, None);
        let buffer = self.buffer as usize;
        self.up.is_alone = self.down.state == State::Done;
        let up = self.up.poll(cx, &mut self.client, &mut self.backend, buffer, &mut above);
        self.down.is_alone = self.up.state == State::Done;
        let down = self.down.poll(cx, &mut self.backend, &mut self.client, buffer, &mut below);
        let (up_now, down_now) = (self.up.bytes - before.0, self.down.bytes - before.1);
        if up_now + down_now > 0 {
            self.moved = Instant::now();
            self.meter.up.inc_by(up_now);
            self.meter.down.inc_by(down_now);
        }
        self.note_trouble(above, Side::Client, Side::Backend);
        self.note_trouble(below, Side::Backend, Side::Client);
        self.note_closing();
        if up.is_ready() && down.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Who cannot be read from will not read either.
    fn note_trouble(&mut self, trouble: Option<Trouble>, source: Side, sink: Side) {
        match trouble {
            None => {}
            Some(Trouble::Source(error)) => {
                match source {
                    Side::Client => self.down.give_up(),
                    Side::Backend => self.up.give_up(),
                }
                self.is_over_because(source, Some(error));
            }
            Some(Trouble::Sink(error)) => self.is_over_because(sink, Some(error)),
        }
    }

    fn note_closing(&mut self) {
        match (self.down.has_ended(), self.up.has_ended()) {
            (true, _) => self.is_over_because(Side::Backend, None),
            (_, true) => self.is_over_because(Side::Client, None),
            _ => {}
        }
    }

    /// From the first such event on, the other side has less time.
    fn is_over_because(&mut self, side: Side, error: Option<io::Error>) {
        if self.first.is_some() {
            return;
        }
        self.first = Some(error.map_or(End::Closed(side), |error| End::Lost(side, error)));
        self.idle = self.idle.min(millis(match side {
            Side::Client => LINGER,
            Side::Backend => AFTERWORD,
        }));
        self.moved = Instant::now();
        let due = self.due();
        self.alarm.as_mut().reset(due);
    }

    fn due(&self) -> Instant {
        self.moved + Duration::from_millis(self.idle.into())
    }

    /// The alarm is not moved at every byte: when it rings, it is set anew for what is left.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let due = self.due();
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(due);
        }
    }

    /// Best effort, without waiting: a line border, and nothing of the back-end's still on its way.
    fn say_goodbye(&mut self, why: Goodbye) {
        let goodbye = self.protocol.goodbye_while_relaying(why);
        let at_border = self.down.is_idle() && self.down.at_border;
        if let (Some(words), true, None) = (goodbye, at_border, &self.first) {
            let cx = &mut Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.client).poll_write(cx, words.as_bytes());
            let _ = Pin::new(&mut self.client).poll_flush(cx);
            let _ = Pin::new(&mut self.client).poll_shutdown(cx);
        }
    }
}

impl Future for Relay {
    type Output = Tally;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Tally> {
        if self.poll_flows(cx).is_pending() {
            ready!(self.poll_idle(cx));
        }
        let end = match self.first.take() {
            Some(end) => end,
            None => {
                self.say_goodbye(Goodbye::TimedOut);
                End::Idle
            }
        };
        self.over = true;
        Poll::Ready(Tally { up: self.up.bytes, down: self.down.bytes, end })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Not while a panic unwinds: a second one would take the whole process down.
        if !self.over && !std::thread::panicking() {
            self.say_goodbye(Goodbye::ShuttingDown);
        }
    }
}

/// One direction.
struct Flow {
    state: State,
    manner: Manner,
    /// Read, but not taken by the other side yet; boxed, since it is rare.
    rest: Option<Box<Rest>>,
    /// Something was written that may still be inside TLS.
    unflushed: bool,
    bytes: u64,
    /// Whether what was passed on ends a line; not known, so `false`, where the kernel has passed it on.
    at_border: bool,
    /// The other direction has come to its end: with this one's, both sockets are closed.
    is_alone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ending,
    Done,
    GivenUp,
}

/// Which end of a direction broke.
enum Trouble {
    Source(io::Error),
    Sink(io::Error),
}

impl Flow {
    fn starting_with(heard: &BytesMut, manner: Manner) -> Self {
        let at_border = heard.last().is_none_or(|&byte| byte == b'\n');
        let (state, rest, bytes) = (State::Open, kept(heard), heard.len() as u64);
        Self { state, manner, rest, unflushed: false, bytes, at_border, is_alone: false }
    }

    fn has_ended(&self) -> bool {
        self.state != State::Open
    }

    fn is_idle(&self) -> bool {
        self.rest.is_none() && !self.unflushed
    }

    /// Nobody is there to hear it.
    fn give_up(&mut self) {
        self.rest = None;
        self.unflushed = false;
        self.state = State::GivenUp;
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::GivenUp)
    }

    /// Ready when this direction is done; after a [`TURN`] it lets other sessions have the thread.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        buffer: usize,
        trouble: &mut Option<Trouble>,
    ) -> Poll<()> {
        let end = self.bytes + TURN;
        for _ in 0..STEPS {
            let room = usize::try_from(end.saturating_sub(self.bytes)).unwrap_or_default();
            if self.is_over() || room == 0 {
                break;
            }
            match ready!(self.poll_step(cx, from, to, (buffer, room))) {
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
        if self.is_over() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read, write or farewell. `room`: of the buffer, and in this turn.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        room: (usize, usize),
    ) -> Poll<Result<(), Trouble>> {
        ready!(self.poll_deliver(cx, to)).map_err(Trouble::Sink)?;
        match self.state {
            State::Open => match self.poll_bulk(cx, from, to, room.1) {
                Some(spliced) => spliced,
                None => self.poll_move(cx, from, to, room.0.min(room.1)),
            },
            State::Ending => self.poll_farewell(cx, to).map_err(Trouble::Sink),
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
            self.bytes += read.len() as u64;
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

/// At most 49 days: an idle session pays for every byte of the relay.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// What one direction moves, and in how many steps, before the others on the thread have their turn.
const TURN: u64 = 512 * 1024;
const STEPS: usize = 16;

/// How long a back-end may be silent once the client has closed its side: it may still have an answer to find.
pub const LINGER: Duration = Duration::from_secs(30);

/// How long a client may take to close once the back-end has: nobody hears what it says now.
pub const AFTERWORD: Duration = Duration::from_secs(2);

mod bulk;
mod farewell;
mod rest;
#[cfg(test)]
mod tests;
