//! SMTP-after-POP: a client that sends without a login of its own, because its address logged in lately.
//!
//! The registry is asked at each MAIL and not once at the connection: a login elsewhere, or a store that is back, counts
//! for a session that was open before, and a client with a login of its own costs no question.

use std::sync::Arc;

use super::Session;
use super::record::Record;
use crate::directory::{Route, User};
use crate::proto::{Credential, Denial, Login, LoginFailure, Stage};
use crate::registry::{Coverage, is_nobodys};

impl Session {
    /// The user for whom the client's address stands now, and where the user lives.
    pub(super) async fn vouched(&self, record: &mut Record) -> Result<(User, Arc<Route>), LoginFailure> {
        let address = record.client().ip();
        if self.context.proxy_protocol.is_some() && is_nobodys(address) {
            return Err(unvouched("no client of a balancer has this address"));
        }
        match self.parts.registry.covers(address).await {
            Ok(Coverage::User { name, protocols, .. }) => {
                record.set_vouched(name.clone(), protocols);
                let found = self.parts.directory.find_identity(&name).await;
                let found = found.map_err(|error| LoginFailure::new(Denial::Unavailable, Stage::Directory, error))?;
                found.ok_or_else(|| LoginFailure::new(Denial::BadCredentials, Stage::Directory, "unknown user"))
            }
            Ok(Coverage::Nobody) => Err(unvouched("nobody logged in from this address lately")),
            Ok(Coverage::TooManyUsers(users)) => Err(unvouched(&format!("{users} users share this address"))),
            Err(away) => Err(LoginFailure::new(Denial::Unavailable, Stage::AfterPop, away)),
        }
    }

    /// Where this login goes: who is vouched for may have to send through a pool of its own, which knows users by
    /// their canonical names.
    pub(super) fn relayed(&self, login: &Login, user: &User, route: Arc<Route>) -> Arc<Route> {
        match (&login.credential, self.parts.registry.relay()) {
            (Credential::Trusted, Some(pool)) => {
                let mut relayed = Route::clone(&route);
                relayed.host = Some(pool.to_owned());
                relayed.user = Some(user.name().to_owned());
                Arc::new(relayed)
            }
            _ => route,
        }
    }
}

fn unvouched(why: &str) -> LoginFailure {
    LoginFailure::new(Denial::Unvouched, Stage::AfterPop, why)
}
