//! One read buffer a thread: no connection that is idle holds one of its own.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

/// What is read at once before the login, and of TLS at any time. Fits the first-level cache.
pub const SIZE: usize = 32 * 1024;

/// TLS records below a reader with a buffer of its own: what a handshake message in several records may take, and as
/// much again as is read at once.
const RECORDS: usize = 64 * 1024 + SIZE;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static RECORD_SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends so many bytes of the thread's buffer for the time of one call.
pub(super) fn with<T>(size: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with(|buffer| lend(buffer, size, work))
}

/// The same for TLS records, while [`with`] lends its own to the reader above.
pub(super) fn with_records<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    RECORD_SCRATCH.with(|buffer| lend(buffer, RECORDS, work))
}

/// A nested call, which nothing here makes, gets a fresh one.
fn lend<T>(buffer: &RefCell<Vec<u8>>, size: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    let Ok(mut buffer) = buffer.try_borrow_mut() else { return work(&mut vec![0; size]) };
    if buffer.len() < size {
        buffer.resize(size, 0);
    }
    work(buffer.get_mut(..size).unwrap_or_default())
}

/// Reads once, through the scratch buffer; 0 = end of stream.
pub(super) fn poll_read_into<S: AsyncRead + Unpin>(
    stream: &mut S,
    heard: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    with(SIZE, |buffer| {
        let read = ready!(poll_read(stream, cx, buffer))?;
        heard.extend_from_slice(read);
        Poll::Ready(Ok(read.len()))
    })
}

/// `poll_read` rather than readiness and `try_read`: a short read then costs no second system call.
pub(super) fn poll_read<'b, S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    buffer: &'b mut [u8],
) -> Poll<io::Result<&'b [u8]>> {
    let mut read = ReadBuf::new(buffer);
    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
    let length = read.filled().len();
    Poll::Ready(Ok(buffer.get(..length).unwrap_or_default()))
}
