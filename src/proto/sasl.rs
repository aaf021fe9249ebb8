//! SASL: the mechanisms, the server's side of an exchange, and what a client says in one.
//!
//! It stands apart because IMAP's AUTHENTICATE (RFC 3501 §6.2.2, RFC 4959), POP3's AUTH (RFC 5034) and SMTP's
//! (RFC 4954) differ only in the words around it. A front drives an [`Exchange`] line by line; a back half takes its lines from [`responses`].

use std::fmt;
use std::str::FromStr;

mod exchange;
mod oauth;
mod present;

pub use exchange::{Exchange, Fault, Turn, password_login};
pub use present::{candidates, is_repeated_in, responses};

/// A SASL mechanism that Portcullis offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The obsolete LOGIN mechanism, still what some clients speak.
    Login,
    /// Google's and Microsoft's bearer token.
    XOAuth2,
    /// RFC 7628.
    OAuthBearer,
}

/// There is no mechanism of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown SASL mechanism; known are plain, login, xoauth2 and oauthbearer")]
pub struct UnknownMechanism;

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Login, Self::XOAuth2, Self::OAuthBearer];

    /// The name in YAML, logs and metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Login => "login",
            Self::XOAuth2 => "xoauth2",
            Self::OAuthBearer => "oauthbearer",
        }
    }

    /// The name on the wire (IANA's registry of SASL mechanisms).
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// The mechanism that a peer named; names are case-insensitive in the protocols that carry them.
    #[must_use]
    pub fn from_wire(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.wire_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether it carries a password; the others carry a token.
    #[must_use]
    pub const fn carries_password(self) -> bool {
        match self {
            Self::Plain | Self::Login => true,
            Self::XOAuth2 | Self::OAuthBearer => false,
        }
    }

    /// The longest base64 line of an exchange: RFC 4954 §4 gives 12,288 bytes; a token may be 16 KiB before base64.
    #[must_use]
    pub const fn line_max(self) -> usize {
        match self {
            Self::Plain | Self::Login => 12 * 1024,
            Self::XOAuth2 | Self::OAuthBearer => (16 * 1024usize).div_ceil(3) * 4,
        }
    }
}

/// The name in YAML.
impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name).ok_or(UnknownMechanism)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
