//! The guard between an LDAP server and the client library.
//!
//! The library speaks into one end of a socket pair; at the other end this task copies whole messages both ways, and
//! lets none from the server pass that could make the library panic, overflow its stack, hoard memory or mix up answers.
//! At the first such message the connection ends, which the library reports to all who wait on it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;

use super::ber::{Violation, frame};
use super::message::Questions;

/// A guarded connection; dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Guard {
    ended: Arc<OnceLock<Ended>>,
    task: AbortHandle,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    /// By the server.
    #[error("connection closed")]
    Closed,
    /// By the network.
    #[error("connection lost: {0}")]
    Broken(String),
    /// By us: the server said something that it may not.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// By us: a question was given up.
    #[error("a question was not answered in time")]
    GivenUp,
}

impl Guard {
    /// Starts to guard a connection to `server` for the library at the other end of `library`.
    pub(super) fn new(server: impl AsyncRead + AsyncWrite + Send + 'static, library: UnixStream) -> Self {
        let ended = Arc::new(OnceLock::new());
        let task = tokio::spawn({
            let ended = Arc::clone(&ended);
            async move {
                let (from_server, to_server) = tokio::io::split(server);
                let (from_library, to_library) = library.into_split();
                let questions = Mutex::new(Questions::default());
                let questions = || questions.lock().unwrap_or_else(PoisonError::into_inner);
                let how = tokio::select! {
                    how = carry(from_library, to_server, |message| questions().sent(message)) => how,
                    how = carry(from_server, to_library, |message| questions().received(message)) => how,
                };
                // Said before the sockets close, so that whoever sees them closed finds the reason.
                let _ = ended.set(how);
            }
        });
        Self { ended, task: task.abort_handle() }
    }

    /// How the connection ended; `None` while it lives.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }

    /// Ends the connection.
    pub(super) fn close(&self, why: Ended) {
        let _ = self.ended.set(why);
        self.task.abort();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Copies messages that pass the check, until one does not or a side ends.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    check: impl Fn(&[u8]) -> Result<(), Violation>,
) -> Ended {
    let mut heard = BytesMut::new();
    loop {
        heard.reserve(READ);
        match from.read_buf(&mut heard).await {
            Ok(0) => return Ended::Closed,
            Ok(_) => {}
            Err(problem) => return Ended::Broken(problem.to_string()),
        }
        let (length, violation) = checked(&heard, &check);
        // What came before a violation was right, and may be an answer that somebody waits for.
        if let Some(messages) = heard.get(..length)
            && let Err(problem) = send(&mut to, messages).await
        {
            return Ended::Broken(problem.to_string());
        }
        if let Some(violation) = violation {
            return Ended::Violation(violation);
        }
        heard.advance(length);
        if heard.is_empty() && heard.capacity() > KEEP {
            heard = BytesMut::new();
        }
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), messages: &[u8]) -> std::io::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    to.write_all(messages).await?;
    to.flush().await
}

/// How many bytes at the head of `heard` are whole messages that pass, and what is wrong with the one behind them.
fn checked(heard: &[u8], check: impl Fn(&[u8]) -> Result<(), Violation>) -> (usize, Option<Violation>) {
    let mut length = 0;
    while let Some(rest) = heard.get(length..).filter(|rest| !rest.is_empty()) {
        match frame(rest) {
            Ok(None) => break,
            Ok(Some(end)) => match rest.get(..end).map_or(Ok(()), &check) {
                Ok(()) => length += end,
                Err(violation) => return (length, Some(violation)),
            },
            Err(violation) => return (length, Some(violation)),
        }
    }
    (length, None)
}

const READ: usize = 8 * 1024;
const KEEP: usize = 64 * 1024;
