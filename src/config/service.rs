//! What is offered: services, listeners, and who may come in there.
//!
//! It stands apart from the rest of the configuration as the part that the gate and the listeners read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::AddressRange;
use crate::proto::smtp::pipelining::UnauthorizedPipelining;
use crate::proto::smtp::text::BareNewline;
use crate::proto::{Mechanism, Protocol};

/// One line of an access list.
#[derive(Debug, Clone)]
pub struct AccessRule {
    /// Whether these addresses may come in.
    pub allow: bool,
    /// Which; never empty. `any` is the two ranges that hold every address.
    pub from: Vec<AddressRange>,
    /// For these addresses, in place of the same limits of the level that the rule stands on; allow rules only.
    pub limits: Option<Limits>,
}

/// Flow control of one level; `None` = no limit here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous, in all.
    pub connections: Option<u32>,
    /// Simultaneous, one address.
    pub connections_per_ip: Option<u32>,
    /// New in an interval, in all.
    pub rate: Option<Rate>,
    /// New in an interval, one address.
    pub rate_per_ip: Option<Rate>,
}

/// `120/1m`: a count of at least 1 in an interval of at least 1 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub interval: Duration,
}

/// One protocol as it is offered.
#[derive(Debug)]
pub struct Service {
    /// Which.
    pub protocol: Protocol,
    /// The service's access list.
    pub access: Vec<AccessRule>,
    /// The service's limits.
    pub limits: Limits,
    /// SASL mechanisms offered, best first; empty only for SMTP, where nobody needs to log in.
    pub mechanisms: Arc<[Mechanism]>,
    /// May a password come without TLS?
    pub cleartext: Cleartext,
    /// Who checks the password.
    pub check: PasswordCheck,
    /// Wrong commands in one session, then it is dropped; at least 1.
    pub bad_commands: u32,
    /// Failed logins in one session, then it is dropped; at least 1.
    pub failed_logins: u32,
    /// From the connection to the login, in all.
    pub login_timeout: Duration,
    /// Without a byte either way while relaying.
    pub idle_timeout: Duration,
    /// What becomes of bare CRs and LFs in a message that is taken here (SMTP).
    pub bare_newline: BareNewline,
    /// What becomes of a client that sends commands before their turn (SMTP); others may.
    pub unauthorized_pipelining: UnauthorizedPipelining,
    /// How many sessions one user may have.
    pub user_limits: UserLimits,
    /// The greeting's text.
    pub greeting: Arc<str>,
}

/// Simultaneous sessions of one user, at all gateways with one store on a server; `None` = no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// In all.
    pub connections: Option<u32>,
    /// From one address.
    pub connections_per_ip: Option<u32>,
}

impl UserLimits {
    /// Whether anything has to be counted.
    #[must_use]
    pub fn is_set(self) -> bool {
        self.connections.is_some() || self.connections_per_ip.is_some()
    }
}

/// May a password come without TLS?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cleartext {
    /// No.
    #[default]
    Never,
    /// From a loopback peer that no PROXY header announced.
    Loopback,
    /// Yes.
    Always,
}

/// Who checks the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordCheck {
    /// The back-end, by being logged in to.
    #[default]
    Backend,
    /// The directory, by an LDAP bind with the user's DN.
    Directory,
    /// First the directory, then the back-end.
    Both,
}

/// One bound address.
#[derive(Debug)]
pub struct Listener {
    /// What it offers.
    pub service: Arc<Service>,
    /// Where; port 0 = any free one.
    pub address: SocketAddr,
    /// Which TLS.
    pub tls: ListenerTls,
    /// Peers that must send a PROXY header; `None` = nobody may.
    pub proxy_protocol: Option<Vec<AddressRange>>,
    /// The listener's access list.
    pub access: Vec<AccessRule>,
    /// The listener's limits.
    pub limits: Limits,
}

/// Which TLS a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTls {
    /// None.
    None,
    /// On request: STARTTLS, STLS.
    StartTls,
    /// From the first byte.
    Implicit,
}

impl ListenerTls {
    /// As it is written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}
