//! The servers of one LDAP source, and which of them to try first.
//!
//! A server that failed goes to the end of the line for a few seconds; when all have failed, all are tried all the same.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, Outcome};
use super::dial::{Security, dial};
use crate::config::{LdapUrl, ReloadableSecret};
use crate::directory::Unavailable;
use crate::directory::result_code::ResultCode;
use crate::secret::Secret;
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

/// What a new password of our own is worth.
#[derive(Debug)]
pub(super) enum Trial {
    /// A server has taken it.
    Right,
    /// A server has refused it with this answer, 49, and no other has taken it.
    Wrong(String),
    /// No server has said either; why.
    NotTried(String),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum OpenProblem {
    #[error("{0}")]
    Unreachable(String),
    /// A result code and the server's words.
    #[error("our own bind is refused with {}", ResultCode(*.0, .1))]
    Refused(u32, String),
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

    /// Our own name and password; `None` = anonymous.
    pub(super) fn own_bind(&self) -> Option<(&str, &ReloadableSecret)> {
        self.bind.as_ref().map(|(dn, password)| (dn.as_str(), password))
    }

    /// Binds with this password, once at each server, until one takes it. A server that does not is asked for searches as
    /// before.
    pub(super) async fn try_password(&self, dn: &str, password: &Secret, deadline: Instant) -> Trial {
        let (order, mut refusal, mut others) = (self.order(), None, Vec::new());
        for (tried, server) in order.iter().enumerate() {
            let until = share(deadline, order.len() - tried);
            let opened = timeout_at(until, self.open(server, Some((dn, password)), until)).await;
            match opened.unwrap_or(Err(OpenProblem::Unreachable("no answer in time".to_owned()))) {
                Ok(_) => return Trial::Right,
                Err(OpenProblem::Refused(INVALID_CREDENTIALS, text)) => {
                    refusal = Some(ResultCode(INVALID_CREDENTIALS, &text).to_string());
                }
                Err(problem) => others.push(format!("{server}: {problem}")),
            }
        }
        refusal.map_or_else(|| Trial::NotTried(others.join("; ")), Trial::Wrong)
    }

    /// A new connection to the first server that takes one; each server has its share of the time.
    pub(super) async fn connect(&self, who: As, deadline: Instant) -> Result<Connection, Unavailable> {
        let order = self.order();
        let mut problems = Vec::new();
        for (tried, server) in order.iter().enumerate() {
            let until = share(deadline, order.len() - tried);
            let avoid = AvoidUnlessDone(Some(server));
            let password = self.bind.as_ref().map(|(dn, password)| (dn, password.current()));
            let bind = match (who, &password) {
                (As::Us, Some((dn, password))) => Some((dn.as_str(), &**password)),
                (As::Us, None) | (As::Nobody, _) => None,
            };
            match timeout_at(until, self.open(server, bind, until)).await {
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

    /// Connects, and binds by this name and password; `None` = not at all.
    async fn open(
        &self,
        server: &Arc<Server>,
        bind: Option<(&str, &Secret)>,
        deadline: Instant,
    ) -> Result<Connection, OpenProblem> {
        let stream = dial(&server.url, &server.security, self.patience, deadline).await;
        let stream = stream.map_err(|problem| OpenProblem::Unreachable(problem.to_string()))?;
        let connection = Connection::new(stream, Arc::clone(server)).await.map_err(OpenProblem::Unreachable)?;
        let Some((dn, password)) = bind else { return Ok(connection) };
        let outcome = connection.bind(dn, password.expose()).await;
        match outcome.map_err(|lost| OpenProblem::Unreachable(lost.0.to_string()))? {
            Outcome { code: 0, .. } => Ok(connection),
            Outcome { code, text } => Err(OpenProblem::Refused(code, text)),
        }
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

/// RFC 4511 appendix A.
const INVALID_CREDENTIALS: u32 = 49;
const AVOID: Duration = Duration::from_secs(5);
