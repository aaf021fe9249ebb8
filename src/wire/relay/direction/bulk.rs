//! A direction in which so much moves that the kernel may do it alone.

use std::task::{Context, Poll};

use tokio::net::TcpStream;

use super::{Direction, Pending, State, Trouble, count};
use crate::wire::splice::{CopyMode, Filled, Pipe};
use crate::wire::stream::Stream;

impl Direction {
    /// One step by splice(2); `None` where it is not for this direction, or not just now.
    pub(super) fn poll_bulk(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        most: usize,
        fresh: &mut u32,
    ) -> Option<Poll<Result<(), Trouble>>> {
        match (from, to) {
            (Stream::Plain(from), Stream::Plain(to)) if self.manner.is_splicing() => {
                self.poll_splice(cx, Pipe::take()?, (from, to), most, fresh)
            }
            _ => None,
        }
    }

    /// From socket to pipe, and as much of it as the other socket takes.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        mut pipe: Pipe,
        (from, to): (&TcpStream, &TcpStream),
        most: usize,
        fresh: &mut u32,
    ) -> Option<Poll<Result<(), Trouble>>> {
        match pipe.poll_fill(cx, from, most) {
            Poll::Pending => return Some(Poll::Pending),
            Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(Trouble::Source(error)))),
            Poll::Ready(Ok(Filled::NotNow)) => return None,
            Poll::Ready(Ok(Filled::Never)) => {
                self.manner = CopyMode::OnlyCopying;
                return None;
            }
            Poll::Ready(Ok(Filled::With(0))) => self.state = State::Ending,
            Poll::Ready(Ok(Filled::With(bytes))) => {
                *fresh = fresh.saturating_add(count(bytes));
                self.at_border = false;
                self.manner = self.manner.spliced(bytes);
                match pipe.poll_drain(cx, to) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(Trouble::Sink(error)))),
                    Poll::Pending => self.rest = Some(Box::new(Pending::Pipe(pipe))),
                }
            }
        }
        Some(Poll::Ready(Ok(())))
    }
}
