//! The relay: bytes both ways between a client and its back-end, until one of them has had enough.
//!
//! A hand-written future, because its size is the price of an idle session: it holds no buffer while nothing moves.
//! Reads go through the thread's scratch buffer, or stay in the kernel (`splice.rs`) while there are many; only
//! what the other side did not take at once is kept.
//!
//! ```text
//! each direction: Open ──▶ source has ended, or broke ──▶ Ending ──▶ rest written, FIN passed on ──▶ Done
//!                  └────── sink broke: nobody hears it any more ──────────────────────────────────▶ Done
//! both Done, or nothing moved for the idle time-out, or kicked ──▶ the relay is over
//! the server's Done, nothing unread, and all so short that it left in one flight ──▶ the same
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

use super::activity::HasActivity;
use super::socket;
use super::splice::CopyMode;
use super::stream::Stream;
pub use super::tally::{End, Side, Tally};
use crate::config::Relaying;
use crate::proto::{Goodbye, Protocol};

mod direction;
use direction::{Direction, PollBudget, Trouble};

/// What is counted while bytes move.
#[derive(Debug, Clone)]
pub struct ByteCounters {
    /// Bytes from clients.
    pub up: IntCounter,
    /// Bytes from back-ends.
    pub down: IntCounter,
}

/// What all relays of one listener share.
#[derive(Debug)]
pub struct RelayConfig {
    /// Which protocol is spoken.
    pub protocol: Protocol,
    /// How bytes are moved.
    pub relaying: Relaying,
    /// What they are counted by.
    pub meter: ByteCounters,
}

/// See the module.
pub struct Relay {
    client: Stream,
    backend: Stream,
    up: Direction,
    down: Direction,
    /// What happened first, and so says how it ended; boxed, since the relay is soon over then.
    first: Option<Box<End>>,
    /// In milliseconds.
    idle: u32,
    /// Counts the bytes, tells when they moved, and takes a kick.
    watch: Arc<dyn HasActivity>,
    alarm: Pin<Box<Sleep>>,
    setting: Arc<RelayConfig>,
    /// A kick wakes this task.
    wakes: bool,
    /// The alarm wakes it too.
    is_armed: bool,
    /// The session has lasted long enough that its back-end is to be noticed when it vanishes.
    has_lasted: bool,
    over: bool,
}

impl Relay {
    /// What either side said early is delivered first. `idle` counts traffic in both directions together; once one
    /// side has closed, the other has [`CLIENT_CLOSED_TIMEOUT`] or [`BACKEND_CLOSED_TIMEOUT`] at the most.
    #[must_use]
    pub fn new(
        (client, from_client): (Stream, BytesMut),
        (backend, from_backend): (Stream, BytesMut),
        idle: Duration,
        setting: Arc<RelayConfig>,
        watch: Arc<dyn HasActivity>,
    ) -> Self {
        let manner = CopyMode::new(setting.relaying.splice);
        let relay = Self {
            client,
            backend,
            up: Direction::starting_with(&from_client, manner),
            down: Direction::starting_with(&from_backend, manner),
            first: None,
            idle: millis(idle),
            watch,
            alarm: Box::pin(sleep(idle.min(SHORT))),
            setting,
            wakes: false,
            is_armed: false,
            has_lasted: false,
            over: false,
        };
        relay.count(from_client.len() as u64, from_backend.len() as u64);
        relay
    }

    /// Bytes so far: from the client, from the back-end.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        self.watch.activity().bytes()
    }

    /// Ready when both directions are done.
    fn poll_flows(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let buffer = self.setting.relaying.buffer as usize;
        let mut above = PollBudget::new(buffer, if self.down.is_done() { u32::MAX } else { 0 });
        let up = self.up.poll(cx, &mut self.client, &mut self.backend, &mut above);
        let was_over = self.down.is_over();
        let mut below =
            PollBudget::new(buffer, if self.up.is_done() { u32::MAX } else { self.left_of_one_flight(&above) });
        let down = self.down.poll(cx, &mut self.backend, &mut self.client, &mut below);
        let is_last = !was_over && self.down.is_done() && below.is_last();
        if above.fresh > 0 || below.fresh > 0 {
            self.count(above.fresh.into(), below.fresh.into());
        }
        self.note_trouble(above.trouble, Side::Client, Side::Backend);
        self.note_trouble(below.trouble, Side::Backend, Side::Client);
        self.note_closing();
        if is_last || up.is_ready() && down.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// How much more may be said in a session that was so short that all its client was told here left in one flight,
    /// and none of it waits in the kernel; 0 where the client is in the middle of something. When the server of such a
    /// session closes, closing at once, as it did, loses nothing; to be told that the client closes too would cost a
    /// wake-up and two system calls, a good part of a login. With TLS on a side, each is told and heard to the end.
    fn left_of_one_flight(&self, above: &PollBudget) -> u32 {
        let is_silent = above.fresh == 0 && self.up.is_waiting() && self.up.at_border;
        match (&self.client, &self.backend) {
            (Stream::Plain(_), Stream::Plain(_)) if is_silent => {
                let (up, down) = self.bytes();
                ONE_FLIGHT.saturating_sub(u32::try_from(up.saturating_add(down)).unwrap_or(u32::MAX))
            }
            _ => 0,
        }
    }

    /// So many bytes more, from the client and from the back-end, and now.
    fn count(&self, up: u64, down: u64) {
        self.watch.activity().record_bytes(up, down);
        // All workers share these: not written to for nothing.
        if up > 0 {
            self.setting.meter.up.inc_by(up);
        }
        if down > 0 {
            self.setting.meter.down.inc_by(down);
        }
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
                self.finish_with(source, Some(error));
            }
            Some(Trouble::Sink(error)) => self.finish_with(sink, Some(error)),
        }
    }

    fn note_closing(&mut self) {
        match (self.down.has_ended(), self.up.has_ended()) {
            (true, _) => self.finish_with(Side::Backend, None),
            (_, true) => self.finish_with(Side::Client, None),
            _ => {}
        }
    }

    /// From the first such event on, the other side has less time.
    fn finish_with(&mut self, side: Side, error: Option<io::Error>) {
        if self.first.is_some() {
            return;
        }
        self.first = Some(Box::new(error.map_or(End::Closed(side), |error| End::Lost(side, error))));
        self.idle = self.idle.min(millis(match side {
            Side::Client => CLIENT_CLOSED_TIMEOUT,
            Side::Backend => BACKEND_CLOSED_TIMEOUT,
        }));
        self.watch.activity().record_bytes(0, 0);
        let due = self.due();
        self.alarm.as_mut().reset(due);
        self.is_armed = false;
    }

    fn due(&self) -> Instant {
        self.watch.activity().last_active() + Duration::from_millis(self.idle.into())
    }

    /// The alarm is not moved at every byte: when it rings, it is set anew for what is left. While it has not rung, it
    /// knows this task already, which stays the same.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_armed && !self.alarm.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            self.is_armed = true;
            ready!(self.alarm.as_mut().poll(cx));
            self.has_lasted();
            let due = self.due();
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(due);
        }
    }

    /// What an accepted connection inherits from its listener, the one to the back-end gets now.
    fn has_lasted(&mut self) {
        if !self.has_lasted {
            self.has_lasted = true;
            if let Err(error) = socket::keep_alive(self.backend.tcp()) {
                tracing::debug!(%error, "a back-end that vanishes will be noticed late");
            }
        }
    }

    /// Registered once: the task stays the same, and nothing but a load is paid at each turn.
    fn is_kicked(&mut self, cx: &Context<'_>) -> bool {
        if !self.wakes {
            self.watch.activity().wakes(cx);
            self.wakes = true;
        }
        self.watch.activity().is_kicked()
    }

    /// Best effort, without waiting: a line border, and nothing of the back-end's still on its way.
    fn say_goodbye(&mut self, why: Goodbye) {
        let goodbye = self.setting.protocol.goodbye_while_relaying(why);
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
        let kicked = self.is_kicked(cx);
        if !kicked && self.poll_flows(cx).is_pending() {
            ready!(self.poll_idle(cx));
        }
        let end = match self.first.take() {
            Some(end) => *end,
            None if kicked => {
                self.say_goodbye(Goodbye::Kicked);
                End::Kicked
            }
            None => {
                self.say_goodbye(Goodbye::TimedOut);
                End::Idle
            }
        };
        self.over = true;
        let (up, down) = self.bytes();
        Poll::Ready(Tally { up, down, end })
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

/// At most 49 days: an idle session pays for every byte of the relay.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// A session that is over before needs no keep-alive.
const SHORT: Duration = Duration::from_secs(60);

/// How long a back-end may be silent once the client has closed its side: it may still have an answer to find.
pub const CLIENT_CLOSED_TIMEOUT: Duration = Duration::from_secs(30);

/// With the few lines of a login before it, less than any TCP sends without waiting for an answer: its first window is
/// of ten segments (RFC 6928, section 2), each of 536 bytes at the least.
const ONE_FLIGHT: u32 = 2048;

/// How long a client may take to close once the back-end has: nobody hears what it says now.
pub const BACKEND_CLOSED_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
