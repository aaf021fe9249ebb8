//! Why a connection may not come in, and in whose words that is said.

use std::fmt;

use crate::proto::Goodbye;

/// On which of the three levels an access list or a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// One bound address.
    Listener,
    /// One protocol, on all its listeners.
    Service,
    /// Everything.
    Global,
}

impl Level {
    /// In the order in which access lists are read.
    pub(super) const ALL: [Self; 3] = [Self::Listener, Self::Service, Self::Global];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listener => "listener",
            Self::Service => "service",
            Self::Global => "global",
        })
    }
}

/// Why not; each with the level that said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A rule of an access list says no.
    #[error("denied by the {0} access list")]
    Denied(Level),
    /// All places are taken.
    #[error("too many connections ({0} limit)")]
    TooManyConnections(Level),
    /// All places of this address are taken.
    #[error("too many connections from this address ({0} limit)")]
    TooManyConnectionsPerIp(Level),
    /// Too many came in the interval.
    #[error("connections come too fast ({0} limit)")]
    TooFast(Level),
    /// Too many came from this address in the interval.
    #[error("connections from this address come too fast ({0} limit)")]
    TooFastPerIp(Level),
    /// The listener takes connections only from the peers that its `proxy_protocol` names.
    #[error("not one of the peers that may send a PROXY header")]
    Stranger,
    /// The process has few file descriptors left, and those are for the back-ends of who is inside.
    #[error("file descriptors run short")]
    NoDescriptors,
}

impl Refusal {
    /// The `reason` in metrics and logs; the level is in the [`fmt::Display`] text.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::TooManyConnections(_) => "too_many_connections",
            Self::TooManyConnectionsPerIp(_) => "too_many_connections_per_ip",
            Self::TooFast(_) => "too_fast",
            Self::TooFastPerIp(_) => "too_fast_per_ip",
            Self::Stranger => "stranger",
            Self::NoDescriptors => "descriptors",
        }
    }

    /// The last words for the client.
    #[must_use]
    pub const fn goodbye(self) -> Goodbye {
        match self {
            Self::Denied(_) | Self::Stranger => Goodbye::Forbidden,
            Self::TooManyConnections(_)
            | Self::TooManyConnectionsPerIp(_)
            | Self::TooFast(_)
            | Self::TooFastPerIp(_)
            | Self::NoDescriptors => Goodbye::TooMany,
        }
    }
}
