//! Finding the user's server and logging in there: directory → password check → place → back half.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Session;
use super::record::Record;
use crate::backend::{Failure, Lease, Server};
use crate::config::{BackendLogin, PasswordCheck, Standing};
use crate::directory::{PasswordAnswer, Route, User};
use crate::proto::{Credential, Denial, Errand, Granted, Identity, Login};
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
    pub stage: &'static str,
    pub detail: String,
}

impl Denied {
    fn new(denial: Denial, stage: &'static str, detail: impl ToString) -> Self {
        Self { denial, stage, detail: detail.to_string() }
    }
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        Self { denial: failure.denial, stage: failure.stage, detail: failure.detail }
    }
}

impl Session {
    pub(super) async fn host(&self, login: &Login, record: &mut Record) -> Result<Hosted, Denied> {
        record.asks_for(&login.user);
        let asked = Instant::now();
        let found = self.find(login, record).await;
        let (user, route) = match found {
            Err(denied) if denied.denial == Denial::BadCredentials => {
                self.parts.refusals.imitate(asked).await;
                return Err(denied);
            }
            found => found?,
        };
        let hosted = self.lodge(login, &user, &route, record).await;
        if hosted.as_ref().is_err_and(|denied| denied.denial == Denial::BadCredentials) {
            self.parts.refusals.took(asked.elapsed());
        }
        hosted
    }

    /// Who this is and where they live, if they may log in at all.
    async fn find(&self, login: &Login, record: &mut Record) -> Result<(User, std::sync::Arc<Route>), Denied> {
        let directory = &self.parts.directory;
        let user = directory.user(&login.user).map_err(|e| Denied::new(Denial::BadCredentials, "user name", e))?;
        record.asks_for(user.name());
        let found = directory.find(&user).await.map_err(|e| Denied::new(Denial::Unavailable, "directory", e))?;
        let route = found.ok_or_else(|| Denied::new(Denial::BadCredentials, "directory", "unknown user"))?;
        match route.standing {
            Standing::Active if route.allows(self.entrance.protocol()) => {}
            Standing::Active => return Err(Denied::new(Denial::Policy, "directory", "service not allowed")),
            Standing::Deny => return Err(Denied::new(Denial::Policy, "directory", "status")),
            Standing::Unavailable => return Err(Denied::new(Denial::Unavailable, "directory", "status")),
        }
        Ok((user, route))
    }

    /// Checks what the directory is to check, then tries the servers in turn.
    async fn lodge(&self, login: &Login, user: &User, route: &Route, record: &mut Record) -> Result<Hosted, Denied> {
        match self.entrance.service.check {
            PasswordCheck::Backend => {}
            PasswordCheck::Directory | PasswordCheck::Both => self.check_password(login, route).await?,
        }
        let servers = self.parts.backends.candidates(&route.host, user.name());
        let servers = servers.map_err(|error| Denied::new(Denial::Misconfigured, "directory", error))?;
        let mut last = Denied::new(Denial::Unavailable, "back-end", "no server");
        for server in servers {
            record.goes_to(server.name());
            match self.log_in(&server, login, user, route, record).await {
                Ok(hosted) => return Ok(hosted),
                Err(failure) if failure.down => last = failure.into(),
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(last)
    }

    async fn check_password(&self, login: &Login, route: &Route) -> Result<(), Denied> {
        let password = match &login.credential {
            Credential::Password(password) => password,
            // There is none: the address is known from a login whose password was checked.
            Credential::Trusted => return Ok(()),
            Credential::Token(..) | Credential::Master { .. } => {
                return Err(Denied::new(Denial::Misconfigured, "password check", "the directory cannot check a token"));
            }
        };
        match self.parts.directory.check_password(route, password).await {
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
        server: &std::sync::Arc<Server>,
        login: &Login,
        user: &User,
        route: &Route,
        record: &Record,
    ) -> Result<Hosted, Failure> {
        let ttl = login.ttl.unwrap_or(HOPS);
        let Some(ttl) = ttl.checked_sub(1) else {
            return Err(Failure {
                denial: Denial::Misconfigured,
                stage: "back-end",
                detail: "no hops left: proxies appear to be looping".to_owned(),
                down: false,
            });
        };
        let lease = server.lease().await?;
        let errand = Errand {
            hostname: self.parts.hostname.clone(),
            user: route.user.clone().unwrap_or_else(|| user.given().to_owned()),
            credential: match server.login() {
                BackendLogin::Replay => login.credential.clone(),
                BackendLogin::Master { user, password } => {
                    Credential::Master { name: user.clone(), password: password.clone() }
                }
            },
            starttls: server.wants_starttls(),
            identity: server.wants_identity().then(|| Identity {
                client: self.client.address,
                gateway: self.client.gateway,
                session: record.id(),
                ttl,
                helo: login.helo.clone(),
            }),
        };
        let (wire, granted) = lease.log_in(self.entrance.protocol(), errand).await?;
        Ok(Hosted { wire, granted, lease })
    }
}

/// How long a refusal takes where a password was really checked: an unknown user is answered no sooner, so that the
/// time does not say who exists.
#[derive(Debug, Default)]
pub struct RefusalTime(AtomicU32);

impl RefusalTime {
    /// A quarter of what is new: a single slow answer does not stay.
    fn took(&self, time: Duration) {
        let new = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(LONGEST_MS);
        let mean = |old: u32| if old == 0 { new } else { old - old / 4 + new / 4 };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(mean(old)));
    }

    async fn imitate(&self, asked: Instant) {
        sleep_until(asked + Duration::from_millis(self.0.load(Ordering::Relaxed).into())).await;
    }
}

/// Proxies in a row, ours included, as Dovecot 2.3 counts them.
const HOPS: u8 = 5;

const LONGEST_MS: u32 = 15_000;
