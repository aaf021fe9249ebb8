//! The back-ends: pools of servers that are set up alike.
//!
//! It stands apart from the rest of the configuration as the part that the back-ends read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::{ClientTls, ReloadableSecret};
use crate::proto::Protocol;

/// Back-ends that are set up alike.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Named servers; may be empty only when `matches` is not.
    pub servers: Vec<Server>,
    /// Hosts that the directory may also name, lower case: `*.stores.example.com` (one or more labels for the star)
    /// or a whole name.
    pub matches: Vec<String>,
    /// The port of each protocol.
    pub ports: HashMap<Protocol, u16>,
    /// TLS towards them.
    pub tls: BackendTls,
    /// How they are verified.
    pub verify: ClientTls,
    /// For the TCP connection, over all addresses of the server.
    pub connect_timeout: Duration,
    /// From the connection to the server's first word: the kernel takes connections for a server that is frozen, too.
    pub greeting_timeout: Duration,
    /// From the connection to the login's answer.
    pub login_timeout: Duration,
    /// How long a server that was away is left alone before the gateway looks whether it is back; 1 s to 1 h.
    pub recheck_interval: Duration,
    /// At one server; `None` = no limit.
    pub max_connections: Option<u32>,
    /// How long a login waits for a place at a full server.
    pub wait: Duration,
    /// Used in turn; empty = the kernel chooses.
    pub source_addresses: Vec<IpAddr>,
    /// How users are logged in.
    pub login: BackendLogin,
    /// Whether back-ends are told who is behind us.
    pub identity: bool,
    /// Whether a user can be served by more than one of them.
    pub storage: Storage,
    /// With [`Storage::Shared`], other servers of the pool to try when one is down.
    pub retry: u32,
    /// It is there for `smtp_after_pop.relay`, and mail from other servers is not known to go there.
    pub only_relays: bool,
    /// The protocols by which clients of the listeners are led to its servers.
    pub served: Vec<Protocol>,
}

/// Where the mail of a pool's users is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Each user's mail is on one server; nobody is ever sent to another.
    #[default]
    Separate,
    /// Every server can serve every user, so another one may stand in for one that is down.
    Shared,
}

/// One server of a pool.
#[derive(Debug, Clone)]
pub struct Server {
    /// The name that the directory uses, that TLS verifies, and that logs say; lower case.
    pub name: String,
    /// Where to connect; the name when it was not given.
    pub address: String,
    /// Share of the pool's users, at least 1.
    pub weight: u32,
}

/// TLS towards a back-end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendTls {
    /// None.
    #[default]
    None,
    /// STARTTLS or STLS; the login fails where it is not offered.
    StartTls,
    /// From the first byte; STARTTLS for a protocol that has no port for that.
    Implicit,
}

impl BackendTls {
    /// What is spoken in this protocol.
    #[must_use]
    pub const fn of(self, protocol: Protocol) -> Self {
        match self {
            Self::Implicit if protocol.tls_port().is_none() => Self::StartTls,
            other => other,
        }
    }
}

/// How users are logged in at a back-end.
#[derive(Debug, Clone)]
pub enum BackendLogin {
    /// With the user's own credential.
    Replay,
    /// By a master user; only where the directory checks the password.
    Master {
        /// The master's name.
        user: String,
        /// The master's password.
        password: ReloadableSecret,
    },
    /// By our word alone, for submission (XCLIENT LOGIN=); only where the directory checks the password.
    Xclient,
}
