//! What is remembered of logins (SMTP-after-POP), where it is kept, and which other MTAs may ask.
//!
//! It stands apart from the rest of the configuration as the part that the registry and its look-ups read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{AddressRange, ClientTls};
use crate::proto::Protocol;
use crate::secret::Secret;

/// Which logins open a window for their address, and for how long.
#[derive(Debug, Clone)]
pub struct AfterPop {
    /// For so long after the last session of a user, 5 to 1440 minutes.
    pub window: Duration,
    /// The logins that count.
    pub record: Vec<Protocol>,
    /// An address that more users share vouches for nobody; 1..=15.
    pub max_users: usize,
    /// Addresses that never count.
    pub exempt: Vec<AddressRange>,
    /// The pool, with servers of its own, through which who is vouched for sends; `None` = the user's own back-end.
    pub relay: Option<String>,
}

/// Where the record is kept.
#[derive(Debug, Clone)]
pub enum Store {
    /// Gone with the process.
    Memory,
    /// In a file, for this gateway alone.
    Disk(PathBuf),
    /// On a Valkey or Redis server, for all gateways that use it.
    Valkey {
        /// It parsed as a URL of such a server, without TLS; it may hold a password.
        url: Secret,
        /// Speak TLS to it, and how it is verified.
        tls: Option<ClientTls>,
        /// In front of every key.
        prefix: String,
    },
}

/// One address at which other MTAs may ask.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// How they ask.
    pub protocol: LookupProtocol,
    /// Where they ask.
    pub address: SocketAddr,
    /// Who may; everyone else is hung up on.
    pub from: Vec<AddressRange>,
}

/// How other MTAs ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookupProtocol {
    /// Postfix's SMTPD_POLICY_README.
    Policy,
    /// Sendmail's and Postfix's socketmap_table(5).
    Socketmap,
    /// whoson 2.03.
    Whoson,
}

impl LookupProtocol {
    /// All of them, in the order in which an operator reads them.
    pub const ALL: [Self; 3] = [Self::Policy, Self::Socketmap, Self::Whoson];

    /// The name in YAML, logs and metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Socketmap => "socketmap",
            Self::Whoson => "whoson",
        }
    }
}
