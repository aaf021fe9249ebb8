//! Bytes from socket to socket that never come into our memory: splice(2), through a pipe lent for the purpose.
//!
//! It pays only while there are many at once, so each direction decides step by step ([`CopyMode`]). A pipe belongs to a
//! direction only as long as there are bytes in it: it is taken empty from the thread's few, since a splice that would
//! block does not say whether the source was empty or the pipe full, and goes back empty. With anything left in it,
//! after an error or at the end of a session, it is closed.
//!
//! ```text
//! Copying ── a read fills the buffer ──▶ Splicing ── a splice of less than 8 KiB ──▶ Copying
//! ```

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::config::Splice;

/// How one direction moves its bytes just now, and whether that may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyMode {
    Copying,
    Splicing,
    OnlyCopying,
    OnlySplicing,
}

impl CopyMode {
    pub(super) fn new(splice: Splice) -> Self {
        match splice {
            Splice::Auto => Self::Copying,
            Splice::Never => Self::OnlyCopying,
            Splice::Always => Self::OnlySplicing,
        }
    }

    pub(super) fn is_splicing(self) -> bool {
        matches!(self, Self::Splicing | Self::OnlySplicing)
    }

    /// After a read.
    pub(super) fn copied(self, filled: bool) -> Self {
        match (self, filled) {
            (Self::Copying | Self::Splicing, true) => Self::Splicing,
            (Self::Copying | Self::Splicing, false) => Self::Copying,
            (only, _) => only,
        }
    }

    /// After so many bytes.
    pub(super) fn spliced(self, bytes: usize) -> Self {
        match self {
            Self::Splicing if bytes < WORTH_IT => Self::Copying,
            unchanged => unchanged,
        }
    }
}

/// What came of an attempt to fill a pipe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// So many bytes; none = the source has ended.
    With(usize),
    /// There is something that only recv(2) can take: an urgent byte in front is in splice's way.
    NotNow,
    /// These sockets, or this system, are not for splice.
    Never,
}

/// A pipe and what is in it.
pub(super) struct Pipe {
    /// `None` once it must not be used again.
    ends: Option<Ends>,
    held: usize,
}

struct Ends {
    out: OwnedFd,
    into: OwnedFd,
    /// Counts as open.
    _place: Arc<()>,
}

impl Pipe {
    /// An empty one of this thread's; `None` = there is none to be had just now.
    pub(super) fn take() -> Option<Self> {
        let ends = POOL.try_with(|pool| pool.try_borrow_mut().ok()?.take()).ok()??;
        Some(Self { ends: Some(ends), held: 0 })
    }

    /// At most so many bytes, and at most what fits. To be called on an empty pipe.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: usize,
    ) -> Poll<io::Result<Filled>> {
        let Some(ends) = &self.ends else { return Poll::Ready(Ok(Filled::NotNow)) };
        loop {
            ready!(from.poll_read_ready(cx))?;
            let attempt = || match moved(from, &ends.into, most.min(PIPE)) {
                Ok(0) => peeked(from),
                Ok(bytes) => Ok(Filled::With(bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => peeked(from),
                Err(error) if is_refusal(&error) => Ok(Filled::Never),
                Err(error) => Err(error),
            };
            match from.try_io(Interest::READABLE, attempt) {
                Ok(filled) => {
                    self.held = if let Filled::With(bytes) = filled { bytes } else { 0 };
                    return Poll::Ready(Ok(filled));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.ends = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Ready when it is empty.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<()>> {
        while self.held > 0 {
            let Some(ends) = &self.ends else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
            ready!(to.poll_write_ready(cx))?;
            match to.try_io(Interest::WRITABLE, || moved(&ends.out, to, self.held)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => self.held = self.held.saturating_sub(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let (Some(ends), 0) = (self.ends.take(), self.held) {
            let _ = POOL.try_with(|pool| pool.try_borrow_mut().map(|mut pool| pool.give_back(ends)));
        }
    }
}

/// Never with `SPLICE_F_MORE`: the kernel would keep the last segment back for what may not come.
fn moved(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}

/// "Nothing", and "the end", are not to be believed: in front of an urgent byte splice says so too, and whoever waits
/// then waits for a readiness that is there already.
fn peeked(from: &TcpStream) -> io::Result<Filled> {
    match recv(from.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)? {
        0 => Ok(Filled::With(0)),
        _ => Ok(Filled::NotNow),
    }
}

/// Of the system call rather than of the connection.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, OutOfMemory, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | OutOfMemory | PermissionDenied | Unsupported)
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// The pipes of one thread.
#[derive(Default)]
struct Pool {
    empty: Vec<Ends>,
    /// One clone lives in each pipe that is open.
    places: Arc<()>,
    /// Since none could be made, so many are not asked for.
    pause: u32,
}

impl Pool {
    fn take(&mut self) -> Option<Ends> {
        self.empty.pop().or_else(|| self.open())
    }

    fn open(&mut self) -> Option<Ends> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        if Arc::strong_count(&self.places) > OPEN_MAX {
            return None;
        }
        let made = pipe().ok().flatten();
        if made.is_none() {
            self.pause = PAUSE;
        }
        let (out, into) = made?;
        Some(Ends { out, into, _place: self.places.clone() })
    }

    fn give_back(&mut self, ends: Ends) {
        if self.empty.len() < EMPTY_MAX {
            self.empty.push(ends);
        }
    }
}

/// `None` = the system gives only small ones now (pipe-user-pages-soft in pipe(7)), which are slower than copying.
fn pipe() -> nix::Result<Option<(OwnedFd, OwnedFd)>> {
    let (out, into) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let asked = i32::try_from(PIPE).unwrap_or(i32::MAX);
    let size = fcntl(&into, FcntlArg::F_SETPIPE_SZ(asked)).or_else(|_| fcntl(&into, FcntlArg::F_GETPIPE_SZ))?;
    Ok((size >= PIPE_LEAST).then_some((out, into)))
}

const PIPE: usize = 256 * 1024;
/// What a pipe has of itself.
const PIPE_LEAST: i32 = 64 * 1024;

/// Less than this is copied as fast.
const WORTH_IT: usize = 8 * 1024;

/// Of one thread, with bytes in them for sinks that do not read, and without: 16 MiB of the 64 that one user has.
const OPEN_MAX: usize = 64;
const EMPTY_MAX: usize = 4;
const PAUSE: u32 = 256;

#[cfg(test)]
mod tests;
