//! What a request names: a user, a protocol, an address; parsed here, for the API and for the page.

use std::net::IpAddr;

use super::Admin;
use super::refusal::Refusal;
use crate::config::login_protocol;
use crate::directory::User;
use crate::proto::Protocol;

impl Admin {
    /// Whom a name means, as [`Self::look_up`] says.
    pub(super) async fn user(&self, name: &str) -> Result<User, Refusal> {
        Ok(self.look_up(name).await?.0)
    }
}

pub(super) fn protocol(name: &str) -> Result<Protocol, Refusal> {
    Protocol::named(name).ok_or_else(|| {
        let names = Protocol::ALL.map(Protocol::name).join(", ");
        Refusal::bad(format!("the protocol is not one of {names}"))
    })
}

/// One that users log in by, and so may be switched off for one of them.
pub(super) fn switch(name: &str) -> Result<Protocol, Refusal> {
    match Protocol::named(name) {
        // A login on port 25 is one to submit mail, and is switched with those.
        Some(protocol) if protocol.login() != protocol => Err(Refusal::bad(NOT_SWITCHED)),
        Some(_) | None => {
            let shown: String = name.chars().take(SHOWN).collect();
            login_protocol(name).map_err(|problem| Refusal::bad(format!("the protocol `{shown}` {problem}")))
        }
    }
}

pub(super) fn address(text: &str) -> Result<IpAddr, Refusal> {
    let address = text.parse::<IpAddr>();
    address.map(|address| address.to_canonical()).map_err(|_| Refusal::bad("the address is not an IP address"))
}

/// Of a name that is wrong.
const SHOWN: usize = 40;
const NOT_SWITCHED: &str = "smtp is port 25, which takes mail from strangers and has no user who logs in: it cannot be \
    switched for one. To keep the user from sending mail, switch submission (a login on port 25 counts as one there); \
    whether mail for the user is taken is up to the directory";
