//! What a request names: a user, a protocol, an address; parsed here, for the API and for the page.

use std::net::IpAddr;

use super::Admin;
use super::refusal::Refusal;
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
    let protocol = protocol(name)?;
    if protocol.login() != protocol {
        let login = protocol.login().name();
        return Err(Refusal::bad(format!(
            "{name} is not logged in to by itself: switch {login}, as whom its logins count"
        )));
    }
    Ok(protocol)
}

pub(super) fn address(text: &str) -> Result<IpAddr, Refusal> {
    let address = text.parse::<IpAddr>();
    address.map(|address| address.to_canonical()).map_err(|_| Refusal::bad("the address is not an IP address"))
}
