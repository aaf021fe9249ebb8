//! Where users live: the sources of the directory, and its cache.
//!
//! It stands apart from the rest of the configuration as the part that the directory reads.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{ClientTls, KnownHosts, ReloadableSecret};
use crate::proto::Protocol;

/// Where users live.
#[derive(Debug)]
pub struct Directory {
    /// Added to a bare user name; lower case.
    pub default_domain: Option<String>,
    /// Whose recipients are taken: each once, lower case; may be none.
    pub domains: Vec<String>,
    /// What parts a recipient's local part from its tag: ASCII, neither letter, digit, `@` nor `"`.
    pub recipient_delimiter: Option<char>,
    /// Asked in order; the first that knows the user decides. At least one.
    pub sources: Vec<Source>,
    /// The hosts that a users file may name.
    pub hosts: Arc<KnownHosts>,
    /// By which listeners reach users: each once.
    pub protocols: Vec<Protocol>,
    /// What is remembered of the answers.
    pub cache: Cache,
}

/// One place that may know a user.
#[derive(Debug)]
pub enum Source {
    /// An LDAP server.
    Ldap(Box<Ldap>),
    /// A YAML file of users, read at start and on SIGHUP.
    File(PathBuf),
    /// Everyone, hashed over the pool of this name (which exists).
    Pool(String),
}

/// An LDAP server and what its entries mean.
#[derive(Debug)]
pub struct Ldap {
    /// Tried in order; at least one.
    pub urls: Vec<LdapUrl>,
    /// Whether `ldap://` is upgraded with StartTLS (RFC 4511 §4.14).
    pub starttls: bool,
    /// How the server is verified.
    pub tls: ClientTls,
    /// DN and password; `None` = anonymous.
    pub bind: Option<(String, ReloadableSecret)>,
    /// The base DN.
    pub base: String,
    /// A filter with `{user}`, `{local}`, `{account}`, `{domain}`; it parsed as RFC 4515 with a sample user put in.
    pub filter: String,
    /// The same, for recipients; `{user}` may be `@domain`, with nothing in `{local}`.
    pub recipient_filter: String,
    /// Which attribute holds the host: a server's name, a pool's name, or host:port.
    pub host_attribute: String,
    /// Which attribute says who the entry is, by one value that no other entry of the source has; `None` = its DN does.
    pub identity_attribute: Option<String>,
    /// Which attribute holds the user name at the back-end; `None` = as given.
    pub user_attribute: Option<String>,
    /// Which attribute holds the status.
    pub status_attribute: Option<String>,
    /// Which attribute holds the services that the user may use.
    pub services_attribute: Option<String>,
    /// Which attribute holds the address that mail goes to instead; `None` = it goes to the address as given.
    pub routing_attribute: Option<String>,
    /// What the status attribute's values mean, lower case; other values = active.
    pub status: HashMap<String, Standing>,
    /// The same for a status that is a number: what it means that all bits of a mask are set in it.
    pub status_flags: Vec<(i64, Standing)>,
    /// For one question, connecting included.
    pub timeout: Duration,
    /// Connections for searches, 1..=64.
    pub connections: usize,
}

/// What a status value means for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// May log in.
    Active,
    /// May not.
    Deny,
    /// Not now.
    Unavailable,
}

impl Standing {
    /// As it is written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deny => "deny",
            Self::Unavailable => "unavailable",
        }
    }

    /// Of two that are said of one user, the one that allows less.
    #[must_use]
    pub const fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Deny, _) | (_, Self::Deny) => Self::Deny,
            (Self::Unavailable, _) | (_, Self::Unavailable) => Self::Unavailable,
            (Self::Active, Self::Active) => Self::Active,
        }
    }
}

/// `ldap://host:389` or `ldaps://host:636`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapUrl {
    /// Implicit TLS.
    pub ldaps: bool,
    /// A name or an address.
    pub host: String,
    /// 389 or 636 by default.
    pub port: u16,
}

impl fmt::Display for LdapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.ldaps { "ldaps" } else { "ldap" };
        if self.host.contains(':') {
            return write!(f, "{scheme}://[{}]:{}", self.host, self.port);
        }
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// What is remembered of the directory's answers.
#[derive(Debug, Clone, Copy)]
pub struct Cache {
    /// How many users, and as many recipients besides; 0 = nothing is remembered.
    pub entries: usize,
    /// How long an answer is fresh.
    pub ttl: Duration,
    /// How long "nobody knows this user" is fresh.
    pub negative_ttl: Duration,
    /// How long after its time an answer still serves while every source is down.
    pub stale: Duration,
}
