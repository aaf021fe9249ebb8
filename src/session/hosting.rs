//! Finding the user's server and logging in there: directory → password check → place → back half.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::Session;
use super::permission::{Forbidden, may_use};
use super::record::Record;
use crate::backend::{Failure, Lease, Server};
use crate::config::{BackendLogin, PasswordCheck};
use crate::directory::{NotPermitted, PasswordAnswer, Route, User};
use crate::proto::{Credential, Denial, Errand, Granted, Identity, Login, Protocol};
use crate::secret::Secret;
use crate::wire::Wire;

/// A user logged in at a server.
pub(super) struct Hosted {
    pub wire: Wire,
    pub granted: Granted,
    pub lease: Lease,
}

/// Why not: what the client is told, and what the log is.
#[derive(Debug)]
pub(super) struct Denied {
    pub denial: Denial,
    /// In logs and metrics.
    pub label: &'static str,
    pub stage: &'static str,
    pub detail: String,
}

impl Denied {
    pub(super) fn new(denial: Denial, stage: &'static str, detail: impl ToString) -> Self {
        Self { denial, label: denial.label(), stage, detail: detail.to_string() }
    }

    /// The client's deadline has passed, whatever it was that took so long.
    pub(super) fn too_late() -> Self {
        Self::new(Denial::Unavailable, "logging in", "the login deadline has passed")
    }
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        Self::new(failure.denial, failure.stage, failure.detail)
    }
}

impl From<Forbidden> for Denied {
    fn from(why: Forbidden) -> Self {
        let (denial, stage) = match &why {
            Forbidden::SwitchedOff => (Denial::Policy, "registry"),
            Forbidden::NotPermitted(NotPermitted::Denied(_) | NotPermitted::Service(_)) => {
                (Denial::Policy, "directory")
            }
            Forbidden::NotPermitted(NotPermitted::Unavailable(_)) => (Denial::Unavailable, "directory"),
        };
        Self::new(denial, stage, why)
    }
}

impl Session {
    pub(super) async fn host(&self, login: &Login, record: &mut Record) -> Result<Hosted, Denied> {
        record.asks_for(&login.user);
        let found = match login.credential {
            Credential::Trusted => self.vouched(record).await?,
            Credential::Password(_) | Credential::Token(..) | Credential::Master { .. } | Credential::Nobody => {
                match self.find(login, record).await {
                    Err(denied) if denied.denial == Denial::BadCredentials => {
                        self.entrance.refusals.imitate().await;
                        return Err(denied);
                    }
                    found => found?,
                }
            }
        };
        let (user, route) = found;
        record.set_user(user.shared_name());
        // Of one address: a stranger elsewhere who guesses must not keep the user out.
        let Some(_turn) = self.parts.turns.take(user.name(), record.counted_as()) else {
            let why = "too many logins of this user from this address at once, or a loop";
            return Err(Denied::new(Denial::Limit, "logging in", why));
        };
        let (asked, route) = (Instant::now(), self.relayed(login, &user, route));
        let hosted = self.lodge(login, &user, &route, record).await;
        if hosted.as_ref().is_err_and(|denied| denied.denial == Denial::BadCredentials) {
            self.entrance.refusals.took(asked.elapsed()).await;
        }
        if hosted.as_ref().is_err_and(|denied| denied.denial.counts_as_failed_login()) {
            self.parts.roster.failed(&user.shared_name(), record.client().ip());
        }
        let hosted = hosted?;
        // Only now: whoever has not shown a password takes none of the user's places.
        record.sits_down(&self.parts.registry, self.entrance.service.user_limits).await?;
        Ok(hosted)
    }

    /// Who this is, as the directory says, and where they live.
    async fn find(&self, login: &Login, record: &mut Record) -> Result<(User, Arc<Route>), Denied> {
        let directory = &self.parts.directory;
        let asked = directory.user(&login.user).map_err(|e| Denied::new(Denial::BadCredentials, "user name", e))?;
        record.set_user(asked.shared_name());
        let found = directory.find(&asked).await.map_err(|e| Denied::new(Denial::Unavailable, "directory", e))?;
        let route = found.ok_or_else(|| Denied::new(Denial::BadCredentials, "directory", "unknown user"))?;
        if route.host.is_none() && self.entrance.service.check == PasswordCheck::Backend {
            // Nobody can check the password, and a stranger is not to learn who has an entry.
            return Err(Denied::new(Denial::BadCredentials, "directory", NO_HOST));
        }
        Ok((route.identify(&asked), route))
    }

    fn may_log_in(&self, user: &User, route: &Route) -> Result<(), Denied> {
        let protocol = self.entrance.protocol().login();
        may_use(&self.parts.registry, user.name(), route, protocol).map_err(Denied::from)
    }

    /// Checks the password at the directory, at a server, or both; and whether the user may log in as soon as the
    /// password was right, for until then nobody is to learn more than of a wrong one.
    async fn lodge(&self, login: &Login, user: &User, route: &Route, record: &mut Record) -> Result<Hosted, Denied> {
        let is_proven = match (self.entrance.service.check, &login.credential) {
            (_, Credential::Trusted) => true,
            (PasswordCheck::Backend, _) => false,
            (PasswordCheck::Directory | PasswordCheck::Both, _) => {
                // Boxed: a bind is larger than all the rest of a login, which seldom needs it.
                Box::pin(self.check_password(login, route, record.client().ip())).await?;
                true
            }
        };
        if is_proven {
            self.may_log_in(user, route)?;
        } else if let Err(why @ NotPermitted::Unavailable(_)) = route.permits(self.entrance.protocol().login()) {
            // The mailbox may be moving: its server is left alone, although a stranger learns that there is one.
            return Err(Forbidden::from(why).into());
        }
        let hosted = self.try_servers(login, user, route, record).await?;
        if !is_proven {
            self.may_log_in(user, route)?;
        }
        Ok(hosted)
    }

    async fn try_servers(
        &self,
        login: &Login,
        user: &User,
        route: &Route,
        record: &mut Record,
    ) -> Result<Hosted, Denied> {
        let no_host = || Denied::new(Denial::Misconfigured, "directory", NO_HOST);
        let servers = self.parts.backends.candidates(route.host.as_deref().ok_or_else(no_host)?, user.name());
        let servers = servers.map_err(|error| Denied::new(Denial::Misconfigured, "directory", error))?;
        let mut last = Denied::new(Denial::Unavailable, "back-end", "no server");
        for server in servers {
            record.goes_to(Some(server.shared_name()));
            match self.log_in(&server, login, user, route, record).await {
                Ok(hosted) => return Ok(hosted),
                Err(failure) if failure.down => last = failure.into(),
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(last)
    }

    async fn check_password(&self, login: &Login, route: &Route, client: IpAddr) -> Result<(), Denied> {
        let password = match &login.credential {
            Credential::Password(password) => password,
            Credential::Trusted | Credential::Token(..) | Credential::Master { .. } | Credential::Nobody => {
                return Err(Denied::new(Denial::Misconfigured, "password check", "the directory cannot check a token"));
            }
        };
        match self.parts.directory.check_password(route, password, client).await {
            Ok(PasswordAnswer::Right) => Ok(()),
            Ok(PasswordAnswer::Wrong) => Err(Denied::new(Denial::BadCredentials, "password check", "wrong password")),
            Ok(PasswordAnswer::CannotCheck) => {
                Err(Denied::new(Denial::Misconfigured, "password check", "the user's source knows no passwords"))
            }
            Err(error) => Err(Denied::new(Denial::Unavailable, "password check", error)),
        }
    }

    async fn log_in(
        &self,
        server: &Arc<Server>,
        login: &Login,
        user: &User,
        route: &Route,
        record: &Record,
    ) -> Result<Hosted, Failure> {
        // Who is in front may lower it, never raise it.
        let Some(ttl) = login.ttl.unwrap_or(HOPS).min(HOPS).checked_sub(1) else {
            return Err(misconfigured("no hops left: proxies appear to be looping"));
        };
        let Some(name) = name_there(server.login(), user, route) else {
            return Err(misconfigured(
                "the directory's entry has no user name for a login without the user's password",
            ));
        };
        let protocol = self.entrance.protocol().login();
        if matches!(server.login(), BackendLogin::Xclient) && !protocol.has_login_by_word() {
            return Err(misconfigured("the pool has login: xclient, which is for submission only"));
        }
        let credential = proof(server.login(), login);
        let mut errand = self.errand(server, protocol, name, credential, login.helo.as_deref(), record);
        if let Some(identity) = &mut errand.identity {
            identity.ttl = ttl;
        }
        let lease = server.lease(protocol).await?;
        let (wire, granted) = lease.log_in(protocol, errand).await?;
        server.offers(protocol, &granted.extensions);
        Ok(Hosted { wire, granted, lease })
    }

    /// What a back half has to do for this client.
    pub(super) fn errand(
        &self,
        server: &Server,
        protocol: Protocol,
        user: String,
        credential: Credential,
        helo: Option<&str>,
        record: &Record,
    ) -> Errand {
        Errand {
            hostname: self.parts.hostname.clone(),
            user,
            credential,
            starttls: server.wants_starttls(protocol),
            identity: server.wants_identity().then(|| Identity {
                client: record.client(),
                gateway: record.reached(),
                session: record.id(),
                ttl: HOPS - 1,
                helo: helo.map(str::to_owned),
            }),
        }
    }
}

/// As the directory says, else as given. Where the back-end checks no password, it may be told only whom the directory
/// has checked, and only the entry's own name is sure to be the one: a filter may have found it by a part of what was
/// given.
fn name_there(login: &BackendLogin, user: &User, route: &Route) -> Option<String> {
    match (login, &route.user) {
        (_, Some(name)) => Some(name.clone()),
        (BackendLogin::Replay, None) => Some(user.given().to_owned()),
        (BackendLogin::Master { .. } | BackendLogin::Xclient, None) => None,
    }
}

/// What the back-end is shown.
fn proof(way: &BackendLogin, login: &Login) -> Credential {
    match way {
        BackendLogin::Replay => login.credential.clone(),
        BackendLogin::Master { user, password } => {
            Credential::Master { name: user.clone(), password: Secret::clone(&password.current()) }
        }
        BackendLogin::Xclient => Credential::Trusted,
    }
}

fn misconfigured(detail: &str) -> Failure {
    Failure { denial: Denial::Misconfigured, stage: "back-end", detail: detail.to_owned(), down: false }
}

const NO_HOST: &str = "the directory's entry has no host";
/// Proxies in a row, ours included, as Dovecot 2.3 counts them.
const HOPS: u8 = 5;
