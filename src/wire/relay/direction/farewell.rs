//! The end of a direction, passed on to the side that has listened.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::{Direction, State};
use crate::wire::stream::Stream;

impl Direction {
    /// `close_notify` and FIN. Where it is the last that is said, close(2) is next and says FIN too.
    pub(super) fn poll_farewell(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Stream,
        is_last: bool,
    ) -> Poll<io::Result<()>> {
        let shut = match to {
            Stream::Plain(_) if is_last => Ok(()),
            to => ready!(Pin::new(to).poll_shutdown(cx)),
        };
        self.state = State::Done;
        Poll::Ready(shut.or_else(ignore_not_connected))
    }
}

/// The other side has gone already: what we wanted to tell it, it knows.
fn ignore_not_connected(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(()),
        _ => Err(error),
    }
}
