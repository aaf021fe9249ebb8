//! The login at a user's server, or at one that may stand in for it: the only place that decides to try another server.
//!
//! With separate storage there is one server, and a login fails at once while that is known to be away. In a pool with
//! shared storage the user's servers are tried in the order of their rank, and those that are known to be away come last:
//! no login waits for one of them while another serves. A background task looks whether they are back (`recheck.rs`).

use std::sync::Arc;

use super::health::Reach;
use super::lease::Lease;
use super::series::Outcome;
use super::server::Server;
use super::{Backends, Candidates};
use crate::config::BackendLogin;
use crate::proto::{Credential, Denial, Granted, Identity, LoginFailure, LoginPlan, Protocol, Retry, Stage};
use crate::secret::Secret;
use crate::wire::Wire;

/// What a session wants at a server, whichever that is.
pub struct LoginRequest<'r> {
    /// How the server is spoken to.
    pub protocol: Protocol,
    /// The gateway's own name.
    pub hostname: &'r Arc<str>,
    /// The user's name as the client gave it; empty for [`Credential::Nobody`].
    pub given_name: &'r str,
    /// The user's name at the servers, where the directory says it.
    pub backend_name: Option<&'r str>,
    /// What the client has shown.
    pub credential: &'r Credential,
    /// Who the client is, for servers that are told.
    pub identity: &'r Identity,
}

/// A user logged in at a server, or mail welcome there.
#[derive(Debug)]
pub struct LoggedIn {
    /// The connection; what the server said after its OK is in `heard`.
    pub wire: Wire,
    /// What the server said.
    pub granted: Granted,
    /// The place there.
    pub lease: Lease,
}

impl Backends {
    /// Logs in at one of these servers, and tells `tries` each server before it is tried.
    ///
    /// # Errors
    /// [`LoginFailure`] of the last server that was tried. Each takes at most the pool's `wait` and `login_timeout`.
    pub async fn log_in(
        &self,
        candidates: &Candidates,
        request: &LoginRequest<'_>,
        mut tries: impl FnMut(&Arc<Server>),
    ) -> Result<LoggedIn, LoginFailure> {
        let mut servers = candidates.in_order(request.protocol).into_iter().peekable();
        while let Some(server) = servers.next() {
            tries(server);
            let failure = match server.log_in(request, candidates.is_single()).await {
                Ok(logged_in) => return Ok(logged_in),
                Err(failure) => failure,
            };
            match (failure.retry, servers.peek()) {
                (Retry::Never, _) | (Retry::Elsewhere, None) => return Err(failure),
                (Retry::Elsewhere, Some(next)) => {
                    let (session, backend, next) = (&*request.identity.session, server.name(), next.name());
                    let LoginFailure { stage, detail, .. } = failure;
                    tracing::info!(session, backend, stage = stage.name(), detail, next, "another server is tried");
                }
            }
        }
        Err(LoginFailure::of_this_server(Stage::Routing, "no server"))
    }
}

impl Server {
    /// Where it is `alone`, nobody waits for it while it is known to be away.
    async fn log_in(self: &Arc<Self>, request: &LoginRequest<'_>, alone: bool) -> Result<LoggedIn, LoginFailure> {
        let protocol = request.protocol;
        if alone && self.health.reach(protocol) == Reach::Unreachable {
            self.health.series().count(Outcome::KnownDown);
            let why = self.health.problem(protocol);
            let detail = format!("known to be down: {}", why.as_deref().unwrap_or("it did not answer"));
            return Err(LoginFailure::of_this_server(Stage::Connecting, detail));
        }
        let plan = request.plan(self)?;
        let lease = self.lease(protocol).await?;
        let (wire, granted) = lease.log_in(protocol, plan).await?;
        self.set_extensions(protocol, &granted.extensions);
        Ok(LoggedIn { wire, granted, lease })
    }
}

impl LoginRequest<'_> {
    /// What the back half has to do at this server.
    fn plan(&self, server: &Server) -> Result<LoginPlan, LoginFailure> {
        let way = server.login();
        if matches!(way, BackendLogin::Xclient) && !self.protocol.supports_xclient_login() {
            return Err(misconfigured("the pool has login: xclient, which is for submission only"));
        }
        let (user, credential) = match self.credential {
            Credential::Nobody => (String::new(), Credential::Nobody),
            Credential::Password(_) | Credential::Token(..) | Credential::Master { .. } | Credential::Trusted => {
                let user = self.backend_user(way).ok_or_else(|| misconfigured(NO_NAME))?;
                (user.to_owned(), credential_for(way, self.credential))
            }
        };
        Ok(LoginPlan {
            hostname: self.hostname.clone(),
            user,
            credential,
            starttls: server.wants_starttls(self.protocol),
            identity: server.wants_identity().then(|| self.identity.clone()),
        })
    }

    /// As the directory says, else as given. Where the back-end checks no password, it may be told only whom the
    /// directory has checked, and only the entry's own name is sure to be the one: a filter may have found it by a part
    /// of what was given.
    fn backend_user(&self, way: &BackendLogin) -> Option<&str> {
        match (way, self.backend_name) {
            (_, Some(name)) => Some(name),
            (BackendLogin::Replay, None) => Some(self.given_name),
            (BackendLogin::Master { .. } | BackendLogin::Xclient, None) => None,
        }
    }
}

/// What the back-end is shown.
fn credential_for(way: &BackendLogin, shown: &Credential) -> Credential {
    match way {
        BackendLogin::Replay => shown.clone(),
        BackendLogin::Master { user, password } => {
            Credential::Master { name: user.clone(), password: Secret::clone(&password.current()) }
        }
        BackendLogin::Xclient => Credential::Trusted,
    }
}

fn misconfigured(detail: &str) -> LoginFailure {
    LoginFailure::new(Denial::Misconfigured, Stage::Routing, detail)
}

const NO_NAME: &str = "the directory's entry has no user name for a login without the user's password";
