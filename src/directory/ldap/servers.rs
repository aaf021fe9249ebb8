//! The servers of one LDAP source, and which of them to try first.
//!
//! A server that failed goes to the end of the line for a few seconds; when all have failed, all are tried all the same.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::dial::{Security, dial};
use crate::config::{LdapUrl, ReloadableSecret, Reread, RereadProblem};
use crate::directory::Unavailable;
use crate::directory::result_code::ResultCode;
use crate::wire::socket::share;

pub(super) struct Servers {
    list: Vec<Arc<Server>>,
    /// Our own name; `None` = anonymous.
    bind: Option<(String, ReloadableSecret)>,
    patience: Duration,
}

pub(super) struct Server {
    url: LdapUrl,
    security: Security,
    avoid_until: Mutex<Option<Instant>>,
}

/// As whom a connection is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// As ourselves, to search.
    Us,
    /// As nobody yet: a user's password will be tried.
    Nobody,
}

impl Servers {
    pub(super) fn new(
        servers: Vec<(LdapUrl, Security)>,
        bind: Option<(String, ReloadableSecret)>,
        patience: Duration,
    ) -> Self {
        let server = |(url, security)| Arc::new(Server { url, security, avoid_until: Mutex::default() });
        Self { list: servers.into_iter().map(server).collect(), bind, patience }
    }

    /// Reads the password of our own bind again, where it is a file.
    pub(super) fn read_password_again(&self) -> Result<Reread, RereadProblem> {
        self.bind.as_ref().map_or(Ok(Reread::NotAFile), |(_, password)| password.read_again())
    }

    /// A new connection to the first server that takes one; each server has its share of the time.
    pub(super) async fn connect(&self, who: As, deadline: Instant) -> Result<Connection, Unavailable> {
        let order = self.order();
        let mut problems = Vec::new();
        for (tried, server) in order.iter().enumerate() {
            let until = share(deadline, order.len() - tried);
            let avoid = AvoidUnlessDone(Some(server));
            match timeout_at(until, self.open(server, who, until)).await {
                Ok(Ok(connection)) => {
                    avoid.done();
                    return Ok(connection);
                }
                Ok(Err(problem)) => problems.push(format!("{server}: {problem}")),
                Err(_) => problems.push(format!("{server}: no connection in time")),
            }
        }
        Err(Unavailable::Down(problems.join("; ")))
    }

    async fn open(&self, server: &Arc<Server>, who: As, deadline: Instant) -> Result<Connection, String> {
        let stream = dial(&server.url, &server.security, self.patience, deadline).await.map_err(|e| e.to_string())?;
        let connection = Connection::new(stream, Arc::clone(server)).await?;
        if let (As::Us, Some((dn, password))) = (who, &self.bind) {
            let password = password.current();
            let outcome = connection.bind(dn, password.expose()).await.map_err(|lost| lost.0.to_string())?;
            if outcome.code != 0 {
                return Err(format!("our own bind is refused with {}", ResultCode(outcome.code, &outcome.text)));
            }
        }
        Ok(connection)
    }

    /// In order, but those to be avoided at the end.
    fn order(&self) -> Vec<Arc<Server>> {
        let now = Instant::now();
        let (avoided, mut order): (Vec<_>, Vec<_>) = self.list.iter().cloned().partition(|s| s.is_avoided(now));
        order.extend(avoided);
        order
    }
}

impl Server {
    /// Lets the others go first for a while.
    pub(super) fn avoid(&self) {
        *self.avoid_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + AVOID);
    }

    fn is_avoided(&self, now: Instant) -> bool {
        self.avoid_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// Avoids a server when an attempt fails, or is dropped because the time is over.
struct AvoidUnlessDone<'a>(Option<&'a Server>);

impl AvoidUnlessDone<'_> {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for AvoidUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(server) = self.0 {
            server.avoid();
        }
    }
}

const AVOID: Duration = Duration::from_secs(5);
