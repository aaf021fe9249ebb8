//! The words of a login: what a client wishes, how a back half is to prove it, what the back-end said, and why not.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Mechanism, Stage};
use crate::secret::Secret;

/// A login that nobody needs to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedHere {
    /// A password without TLS, where none may come so.
    NotPrivate,
    /// No user, no password, or bytes that neither can have.
    Malformed,
    /// To be somebody else than who proves to be.
    Authorization,
}

impl RefusedHere {
    /// The label in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotPrivate => "privacy_required",
            Self::Malformed => "malformed",
            Self::Authorization => "policy",
        }
    }

    /// For the log.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::NotPrivate => "a password without TLS; see login.cleartext of the service",
            Self::Malformed => "no usable user name or password",
            Self::Authorization => "asks to be somebody else (authzid)",
        }
    }
}

/// A client's wish to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user name as given: UTF-8, no control characters, not empty, at most 255 bytes; empty for
    /// [`Credential::Trusted`], where the client's address is to say who it is.
    pub user: String,
    /// What proves it.
    pub credential: Credential,
    /// How it came; [`Mechanism::Plain`] for the protocol's own command (LOGIN, USER and PASS).
    pub mechanism: Mechanism,
    /// Hops that a gateway in front of this one left us (`x-proxy-ttl` in IMAP's ID); `None` when nobody said.
    pub ttl: Option<u8>,
    /// What the client calls itself (SMTP's EHLO): printable ASCII, at most 255 bytes; not to be trusted.
    pub helo: Option<String>,
}

/// What proves who the user is, and how a back half is to present it.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password, never empty; presented by whatever plain mechanism the back-end offers.
    Password(Secret),
    /// An OAuth bearer token (RFC 7628, or XOAUTH2), presented by the same mechanism.
    Token(Mechanism, Secret),
    /// A master user logs in for the user: SASL PLAIN with authzid = user, authcid = master.
    Master {
        /// The master's name.
        name: String,
        /// The master's password.
        password: Secret,
    },
    /// None: the gateway vouches for the user, to a back-end that takes its word (XCLIENT LOGIN=).
    Trusted,
    /// None, and nobody logs in: mail is delivered to whoever takes it.
    Nobody,
}

impl Credential {
    /// What must not be seen of it, if anything.
    #[must_use]
    pub const fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Password(secret) | Self::Token(_, secret) | Self::Master { password: secret, .. } => Some(secret),
            Self::Trusted | Self::Nobody => None,
        }
    }
}

/// What a back half has to do.
#[derive(Debug, Clone)]
pub struct LoginPlan {
    /// The gateway's own name, for protocols in which a client says it (EHLO).
    pub hostname: Arc<str>,
    /// The user's name at the back-end; empty for [`Credential::Nobody`].
    pub user: String,
    /// How to prove it.
    pub credential: Credential,
    /// STARTTLS must succeed before anything else is told.
    pub starttls: bool,
    /// Who is behind us; `None` = tell the back-end nothing.
    pub identity: Option<Identity>,
}

/// Who is behind us, told to a back-end that honours it (IMAP ID, POP3 and SMTP XCLIENT).
#[derive(Debug, Clone)]
pub struct Identity {
    /// The client's own address and port.
    pub client: SocketAddr,
    /// Where the client reached the gateway.
    pub gateway: SocketAddr,
    /// The session's id in our log: letters, digits and `-` only.
    pub session: String,
    /// Hops left; the back-end's own proxy must refuse at 0.
    pub ttl: u8,
    /// What the client calls itself, as in [`Login::helo`].
    pub helo: Option<String>,
}

/// What the back-end said when it said yes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// Its words behind OK, printable ASCII, without response codes; at most 512 bytes. May be empty.
    pub text: String,
    /// Its capabilities after login (IMAP), printable ASCII, at most 4 KiB; `None` when it did not say.
    pub capabilities: Option<String>,
    /// Its extensions before login (SMTP), as in its last answer to EHLO (`SIZE 1000`): printable ASCII, at most 128.
    pub extensions: Vec<String>,
}

/// Why the back-end did not let the user in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What the client is told.
    pub denial: Denial,
    /// What the log is told: our words, or the back-end's made printable; at most 256 bytes. Never shown to a client.
    pub detail: String,
}

/// Why a user could not be logged in: from the back half to the log line, the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFailure {
    /// What the client is told.
    pub denial: Denial,
    /// What was being done.
    pub stage: Stage,
    /// For the log; never shown to a client.
    pub detail: String,
    /// Whether another server may be tried.
    pub retry: Retry,
}

/// Whether another server of a pool with shared storage may stand in for one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The server is away or full.
    Elsewhere,
    /// The server, or the gateway, has decided: above all a refused password is never tried elsewhere.
    Never,
}

impl LoginFailure {
    /// One that no other server mends.
    #[must_use]
    pub fn new(denial: Denial, stage: Stage, detail: impl ToString) -> Self {
        Self { denial, stage, detail: detail.to_string(), retry: Retry::Never }
    }

    /// A server is away, or has no room: another may serve.
    #[must_use]
    pub fn of_this_server(stage: Stage, detail: impl ToString) -> Self {
        Self { denial: Denial::Unavailable, stage, detail: detail.to_string(), retry: Retry::Elsewhere }
    }
}

/// Why a login is refused; every protocol has its own words for it (the table is in the README).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Wrong password, or no such user: the two look the same.
    BadCredentials,
    /// No password was shown, and the client's address stands for no user (SMTP-after-POP). Programs that look for wrong
    /// passwords in the log or the metrics must not find one here.
    Unvouched,
    /// The directory or the back-end is away, or full: try later, the password may be right.
    Unavailable,
    /// The user or the address is at a limit.
    Limit,
    /// A rule, the user's status, or a protocol that the user may not use.
    Policy,
    /// We, or the back-end, are set up wrongly: a bad certificate, no usable mechanism, a loop.
    Misconfigured,
}

impl Denial {
    /// The label in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadCredentials => "bad_credentials",
            Self::Unvouched => "unvouched",
            Self::Unavailable => "unavailable",
            Self::Limit => "limit",
            Self::Policy => "policy",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Whether it counts against the client; what is our fault or the back-end's never does.
    #[must_use]
    pub const fn counts_as_failed_login(self) -> bool {
        match self {
            Self::BadCredentials | Self::Unvouched | Self::Policy => true,
            Self::Unavailable | Self::Limit | Self::Misconfigured => false,
        }
    }
}
