//! The password of our own bind, read again: a new one is tried at a server before it is used.
//!
//! Open connections hide a wrong password until the server drops them, perhaps days later. So a password that a server
//! refuses with 49 (invalidCredentials) is not taken over. Nothing else proves it wrong: where no server can be asked, or it
//! answers otherwise, the new password is used, as it would be after a restart, and the log says that it was not tried.

use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::Ldap;
use super::servers::Trial;
use crate::config::Reread;
use crate::directory::reload::{ReloadProblem, Reloaded};

impl Ldap {
    /// Reads the password again. A new one is used for new connections at once; those that are open are renewed when it
    /// has proved right.
    pub(in crate::directory) async fn reload_bind(self: Arc<Self>) -> Reloaded {
        let mut told = Reloaded::default();
        let (name, Some((dn, password))) = (self.watched.name(), self.servers.own_bind()) else { return told };
        let new = match password.look() {
            Ok(Reread::Changed(new)) => new,
            Ok(Reread::Unchanged) => {
                told.read.push(format!("bind_password of {name} (unchanged)"));
                return told;
            }
            Ok(Reread::NotAFile) => return told,
            Err(problem) => {
                told.problems.push(ReloadProblem::Secret { of: name.to_owned(), problem });
                return told;
            }
        };
        match self.servers.try_password(dn, &new, Instant::now() + self.timeout).await {
            Trial::Wrong(answer) => {
                let file = password.file().map(Path::to_owned).unwrap_or_default();
                told.problems.push(ReloadProblem::WrongSecret { of: name.to_owned(), file, answer });
                return told;
            }
            Trial::Right => {
                password.replace(new);
                self.searches.renew().await;
                told.read.push(format!("bind_password of {name} (changed)"));
                tracing::info!(source = name, "the new bind_password is right; connections are renewed with it");
            }
            Trial::NotTried(why) => {
                password.replace(new);
                told.read.push(format!("bind_password of {name} (changed, but not tried)"));
                tracing::warn!(source = name, why, "the new bind_password is used from now on, but could not be tried");
            }
        }
        self.watched.doubt();
        told
    }
}
