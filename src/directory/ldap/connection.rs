//! One connection to an LDAP server: the client library behind its guard.
//!
//! Whoever gives up on a question (a deadline, a panic) closes the connection: the library would keep the question for
//! ever, and a server that is silent once is better left.

use std::sync::Arc;

use ldap3::asn1::StructureTag;
use ldap3::{Ldap as Library, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchOptions, StdStream};
use tokio::net::UnixStream;

use super::ber::Violation;
use super::dial::Stream;
use super::guard::{Ended, Guard};
use super::servers::Server;
use crate::directory::Unavailable;
use crate::directory::problem::printable;

pub(super) struct Connection {
    library: Library,
    guard: Guard,
    server: Arc<Server>,
}

/// A search below a base.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: String,
    pub(super) attributes: &'a [String],
    /// For the server, in seconds.
    pub(super) time_limit: i32,
}

/// What a search ended with.
#[derive(Debug)]
pub(super) struct Found {
    /// The first two; a third would not change the answer.
    pub(super) entries: Vec<StructureTag>,
    pub(super) result: Outcome,
}

/// RFC 4511 §4.1.9, as far as it is looked at.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: u32,
    /// Printable, bounded.
    pub(super) text: String,
}

/// The connection ended before the answer came.
#[derive(Debug)]
pub(super) struct Lost(pub(super) Unavailable);

impl Connection {
    /// Puts guard and library on a stream.
    pub(super) async fn new(stream: Box<dyn Stream>, server: Arc<Server>) -> Result<Self, String> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|problem| problem.to_string())?;
        ours.set_nonblocking(true).map_err(|problem| problem.to_string())?;
        let ours = UnixStream::from_std(ours).map_err(|problem| problem.to_string())?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
        // The address is not used: the stream is there already.
        let (driver, library) =
            LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|problem| problem.to_string())?;
        let guard = Guard::new(stream, ours);
        // Ends with the guard; should it panic, its end of the pair closes, and the guard ends.
        tokio::spawn(driver.drive());
        Ok(Self { library, guard, server })
    }

    pub(super) fn is_open(&self) -> bool {
        self.guard.ended().is_none()
    }

    /// Neither is empty: the caller sees to it (RFC 4513 §5.1.2).
    pub(super) async fn bind(&self, dn: &str, password: &str) -> Result<Outcome, Lost> {
        let asking = Asking::new(self);
        let mut library = self.library.clone();
        let answer = library.simple_bind(dn, password).await;
        asking.answered();
        answer.map(Outcome::from).map_err(|problem| self.lost(&problem))
    }

    /// Referrals and references are counted by the guard and otherwise left alone.
    pub(super) async fn search(&self, search: &Search<'_>) -> Result<Found, Lost> {
        let asking = Asking::new(self);
        let answer = self.entries(search).await;
        asking.answered();
        answer.map_err(|problem| self.lost(&problem))
    }

    async fn entries(&self, search: &Search<'_>) -> Result<Found, ldap3::LdapError> {
        let options = SearchOptions::new().sizelimit(SIZE_LIMIT).timelimit(search.time_limit);
        let mut library = self.library.clone();
        library.with_search_options(options);
        // Not `Ldap::search`: with adapters the library never forgets the ids of its searches.
        let mut stream = library.streaming_search(search.base, search.scope, &search.filter, search.attributes).await?;
        let mut entries = Vec::new();
        while let Some(item) = stream.next().await? {
            if !item.is_ref() && entries.len() < ENTRIES_MAX {
                entries.push(item.0);
            }
        }
        Ok(Found { entries, result: stream.finish().await.into() })
    }

    /// Ends it, and lets other servers go first for a while.
    pub(super) fn give_up(&self) {
        self.server.avoid();
        self.guard.close(Ended::GivenUp);
    }

    fn lost(&self, problem: &ldap3::LdapError) -> Lost {
        let ended = self.guard.ended().cloned();
        // The library has no answer, whatever the guard thinks of the connection.
        self.guard.close(Ended::Closed);
        let server = &self.server;
        Lost(match ended {
            Some(Ended::Violation(Violation::Disconnection)) => {
                Unavailable::Down(format!("{server}: {}", Violation::Disconnection))
            }
            Some(Ended::Violation(violation)) => {
                server.avoid();
                Unavailable::BadAnswer(format!("{server}: {violation}"))
            }
            Some(ended) => Unavailable::Down(format!("{server}: {ended}")),
            None => Unavailable::Down(format!("{server}: {}", printable(&problem.to_string()))),
        })
    }
}

impl From<LdapResult> for Outcome {
    fn from(result: LdapResult) -> Self {
        Self { code: result.rc, text: printable(&result.text) }
    }
}

/// A question under way; dropped without an answer, it takes the connection along.
struct Asking<'a>(Option<&'a Connection>);

impl<'a> Asking<'a> {
    const fn new(connection: &'a Connection) -> Self {
        Self(Some(connection))
    }

    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.give_up();
        }
    }
}

/// Two are enough to see that one is not alone.
const SIZE_LIMIT: i32 = 2;
const ENTRIES_MAX: usize = 2;
