//! Finding the user's server and logging in there: directory → password check → place → back half.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::Session;
use super::permission::{Forbidden, may_use};
use super::record::Record;
use crate::backend::{LoggedIn, LoginRequest};
use crate::config::PasswordCheck;
use crate::directory::{NotPermitted, PasswordAnswer, Route, User};
use crate::proto::{Credential, Denial, Identity, Login, LoginFailure, Stage};

impl From<Forbidden> for LoginFailure {
    fn from(why: Forbidden) -> Self {
        let (denial, stage) = match &why {
            Forbidden::SwitchedOff => (Denial::Policy, Stage::Switches),
            Forbidden::NotPermitted(NotPermitted::Denied(_) | NotPermitted::Service(_)) => {
                (Denial::Policy, Stage::Directory)
            }
            Forbidden::NotPermitted(NotPermitted::Unavailable(_)) => (Denial::Unavailable, Stage::Directory),
        };
        Self::new(denial, stage, why)
    }
}

impl Session {
    pub(super) async fn log_in(&self, login: &Login, record: &mut Record) -> Result<LoggedIn, LoginFailure> {
        record.asks_for(&login.user);
        let found = match login.credential {
            Credential::Trusted => self.vouched(record).await?,
            Credential::Password(_) | Credential::Token(..) | Credential::Master { .. } | Credential::Nobody => {
                match self.find(login, record).await {
                    Err(denied) if denied.denial == Denial::BadCredentials => {
                        self.context.refusals.imitate().await;
                        return Err(denied);
                    }
                    found => found?,
                }
            }
        };
        let (user, route) = found;
        record.set_user(user.shared_name());
        // Of one address: a stranger elsewhere who guesses must not keep the user out.
        let Some(_turn) = self.parts.logins_under_way.take(user.name(), record.counted_as()) else {
            let why = "too many logins of this user from this address at once, or a loop";
            return Err(LoginFailure::new(Denial::Limit, Stage::LoggingIn, why));
        };
        let (asked, route) = (Instant::now(), self.relayed(login, &user, route));
        let logged_in = self.check_and_log_in(login, &user, &route, record).await;
        if logged_in.as_ref().is_err_and(|denied| denied.denial == Denial::BadCredentials) {
            self.context.refusals.took(asked.elapsed()).await;
        }
        if logged_in.as_ref().is_err_and(|denied| denied.denial.counts_as_failed_login()) {
            self.parts.roster.failed(&user.shared_name(), record.client().ip());
        }
        let logged_in = logged_in?;
        // Only now: whoever has not shown a password takes none of the user's places.
        record.sits_down(&self.parts.registry, self.context.service.user_limits).await?;
        Ok(logged_in)
    }

    /// Who this is, as the directory says, and where they live.
    async fn find(&self, login: &Login, record: &mut Record) -> Result<(User, Arc<Route>), LoginFailure> {
        let directory = &self.parts.directory;
        let asked =
            directory.user(&login.user).map_err(|e| LoginFailure::new(Denial::BadCredentials, Stage::UserName, e))?;
        record.set_user(asked.shared_name());
        let found =
            directory.find(&asked).await.map_err(|e| LoginFailure::new(Denial::Unavailable, Stage::Directory, e))?;
        let route = found.ok_or_else(|| LoginFailure::new(Denial::BadCredentials, Stage::Directory, "unknown user"))?;
        if route.host.is_none() && self.context.service.check == PasswordCheck::Backend {
            // Nobody can check the password, and a stranger is not to learn who has an entry.
            return Err(LoginFailure::new(Denial::BadCredentials, Stage::Directory, NO_HOST));
        }
        Ok((route.identify(&asked), route))
    }

    fn may_log_in(&self, user: &User, route: &Route) -> Result<(), LoginFailure> {
        let protocol = self.context.protocol().login();
        Ok(may_use(&self.parts.registry, user.name(), route, protocol)?)
    }

    /// Checks the password at the directory, at a server, or both; and whether the user may log in as soon as the
    /// password was right, for until then nobody is to learn more than of a wrong one.
    async fn check_and_log_in(
        &self,
        login: &Login,
        user: &User,
        route: &Route,
        record: &mut Record,
    ) -> Result<LoggedIn, LoginFailure> {
        let is_proven = match (self.context.service.check, &login.credential) {
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
        } else if let Err(why @ NotPermitted::Unavailable(_)) = route.permits(self.context.protocol().login()) {
            // The mailbox may be moving: its server is left alone, although a stranger learns that there is one.
            return Err(Forbidden::from(why).into());
        }
        let logged_in = self.log_in_at_a_server(login, user, route, record).await?;
        if !is_proven {
            self.may_log_in(user, route)?;
        }
        Ok(logged_in)
    }

    /// At the user's server, or at one that may stand in for it.
    async fn log_in_at_a_server(
        &self,
        login: &Login,
        user: &User,
        route: &Route,
        record: &mut Record,
    ) -> Result<LoggedIn, LoginFailure> {
        let misconfigured = |why: &dyn Display| LoginFailure::new(Denial::Misconfigured, Stage::Directory, why);
        let host = route.host.as_deref().ok_or_else(|| misconfigured(&NO_HOST))?;
        let backends = &self.parts.backends;
        let candidates = backends.candidates(host, user.name()).map_err(|error| misconfigured(&error))?;
        // Whoever is in front may lower it, never raise it.
        let Some(ttl) = login.ttl.unwrap_or(HOPS).min(HOPS).checked_sub(1) else {
            let why = "no hops left: proxies appear to be looping";
            return Err(LoginFailure::new(Denial::Misconfigured, Stage::Routing, why));
        };
        let request = LoginRequest {
            protocol: self.context.protocol().login(),
            hostname: &self.parts.hostname,
            given_name: user.given(),
            backend_name: route.user.as_deref(),
            credential: &login.credential,
            identity: &self.identity(login.helo.as_deref(), ttl, record),
        };
        backends.log_in(&candidates, &request, |server| record.goes_to(Some(server.shared_name()))).await
    }

    /// The client, as a back-end is told of it.
    pub(super) fn identity(&self, helo: Option<&str>, ttl: u8, record: &Record) -> Identity {
        Identity {
            client: record.client(),
            gateway: record.reached(),
            session: record.id(),
            ttl,
            helo: helo.map(str::to_owned),
        }
    }

    async fn check_password(&self, login: &Login, route: &Route, client: IpAddr) -> Result<(), LoginFailure> {
        let password = match &login.credential {
            Credential::Password(password) => password,
            Credential::Trusted | Credential::Token(..) | Credential::Master { .. } | Credential::Nobody => {
                return Err(LoginFailure::new(
                    Denial::Misconfigured,
                    Stage::PasswordCheck,
                    "the directory cannot check a token",
                ));
            }
        };
        match self.parts.directory.check_password(route, password, client).await {
            Ok(PasswordAnswer::Right) => Ok(()),
            Ok(PasswordAnswer::Wrong) => {
                Err(LoginFailure::new(Denial::BadCredentials, Stage::PasswordCheck, "wrong password"))
            }
            Ok(PasswordAnswer::CannotCheck) => Err(LoginFailure::new(
                Denial::Misconfigured,
                Stage::PasswordCheck,
                "the user's source knows no passwords",
            )),
            Err(error) => Err(LoginFailure::new(Denial::Unavailable, Stage::PasswordCheck, error)),
        }
    }
}

const NO_HOST: &str = "the directory's entry has no host";
/// Proxies in a row, ours included, as Dovecot 2.3 counts them.
pub(super) const HOPS: u8 = 5;
