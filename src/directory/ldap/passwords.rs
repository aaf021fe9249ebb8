//! Passwords, checked by a bind with the user's own DN.
//!
//! A bind changes who a connection is, so each has a connection to itself; a few are kept for the next. Who binds next is
//! decided by the [`CheckQueue`]. Once sent, a bind is never sent again: the server may have counted it against the user.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::check_queue::{Asker, CheckQueue, Verdict};
use super::connection::{Connection, Outcome};
use super::servers::{As, Servers};
use crate::directory::problem::printable;
use crate::directory::{PasswordAnswer, Unavailable};
use crate::secret::Secret;
use crate::wire::socket::share;

pub(super) struct Passwords {
    queue: Arc<CheckQueue>,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Passwords {
    pub(super) fn new(connections: usize) -> Self {
        Self { queue: CheckQueue::new(connections), idle: Mutex::default() }
    }

    /// Dropped at the caller's deadline, it closes the connection that has not answered.
    pub(super) async fn check(
        &self,
        servers: &Servers,
        asker: Asker,
        password: &Secret,
        deadline: Instant,
    ) -> Result<PasswordAnswer, Unavailable> {
        let dn = Arc::clone(&asker.user);
        // Half of the time may go into waiting, as for searches.
        let permit = self.queue.permit(asker, share(deadline, 2)).await?;
        let answer = self.bind(servers, &dn, password, permit.is_unsuspected(), deadline).await;
        permit.ends_with(match &answer {
            Ok(PasswordAnswer::Right) => Verdict::Right,
            Ok(PasswordAnswer::Wrong) => Verdict::Wrong,
            Ok(PasswordAnswer::CannotCheck) | Err(_) => Verdict::NotAnswered,
        });
        answer
    }

    async fn bind(
        &self,
        servers: &Servers,
        dn: &str,
        password: &Secret,
        is_unsuspected: bool,
        deadline: Instant,
    ) -> Result<PasswordAnswer, Unavailable> {
        let connection = match self.kept(if is_unsuspected { 0 } else { RESERVED }) {
            Some(connection) => connection,
            None => servers.connect(As::Nobody, deadline).await?,
        };
        let outcome = connection.bind(dn, password.expose()).await.map_err(|lost| lost.0)?;
        self.keep(connection);
        meaning(dn, outcome)
    }

    /// One that is kept, unless that would leave less than `reserved`.
    fn kept(&self, reserved: usize) -> Option<Connection> {
        let mut idle = self.idle();
        let now = Instant::now();
        idle.retain(|(connection, since)| connection.is_open() && now.duration_since(*since) < KEEP);
        if idle.len() <= reserved {
            return None;
        }
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < KEPT && connection.is_open() {
            idle.push((connection, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 4511 appendix A. Directories tell of locked accounts and other policies with 19, of entries without a password
/// with 48: the user cannot come in, and trying later does not help. 53 is not held against the user: a server that
/// refuses all simple binds says so too.
fn meaning(dn: &str, outcome: Outcome) -> Result<PasswordAnswer, Unavailable> {
    let Outcome { code, text } = outcome;
    match code {
        0 => Ok(PasswordAnswer::Right),
        49 => Ok(PasswordAnswer::Wrong),
        19 | 48 => {
            tracing::warn!(dn = printable(dn), code, text, "the directory's policy refuses a bind");
            Ok(PasswordAnswer::Wrong)
        }
        _ => Err(Unavailable::Refused { code, text }),
    }
}

/// Connections kept between binds, and how long.
const KEPT: usize = 16;
/// Of them, those kept for checks that nobody has reason to suspect: they need not wait for a connection to be opened.
const RESERVED: usize = 8;
const KEEP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_code_has_a_meaning() {
        let meaning = |code| meaning("uid=alice", Outcome { code, text: String::new() });
        assert_eq!(meaning(0), Ok(PasswordAnswer::Right));
        for code in [19, 48, 49] {
            assert_eq!(meaning(code), Ok(PasswordAnswer::Wrong), "{code}");
        }
        for code in [1, 2, 3, 8, 10, 11, 13, 14, 32, 51, 52, 53, 80, u32::MAX] {
            assert!(matches!(meaning(code), Err(Unavailable::Refused { code: said, .. }) if said == code), "{code}");
        }
    }
}
