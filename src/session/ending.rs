//! How a session ends: exactly one [`Ending`]; its metric label, log level, blame and last words are methods of it.

use tracing::Level;

use crate::gate::Refusal;
use crate::proto::{Closing, Goodbye, Stage};
use crate::wire::relay::End;
use crate::wire::{Lost, Side, Tally};

/// How a session ended.
#[derive(Debug)]
pub enum Ending {
    /// Logged in, relayed, over.
    Relayed(Tally),
    /// The client said goodbye before logging in.
    LoggedOut,
    /// The client closed the connection before logging in.
    Left(Stage),
    /// The login deadline passed.
    TimedOut(Stage),
    /// The connection broke.
    Broken(Stage, String),
    /// The gate refused the announced client.
    Refused(Refusal),
    /// More commands came before a login than any client needs.
    TooManyCommands,
    /// `errors.commands` was reached.
    TooManyBadCommands,
    /// `errors.logins` was reached.
    TooManyFailedLogins,
    /// Something that no client sends by mistake.
    Violation(&'static str),
    /// The handshake failed.
    TlsFailed(String),
    /// The gateway is stopping, and there was no login.
    ShuttingDown,
    /// The gateway has stopped while this was relayed: bytes up, bytes down.
    Cut(u64, u64),
    /// Our own fault.
    Panicked,
}

impl Ending {
    pub(super) fn lost(stage: Stage, lost: Lost) -> Self {
        match lost {
            Lost::Closed => Self::Left(stage),
            Lost::TimedOut => Self::TimedOut(stage),
            Lost::Flooded => Self::Violation("flooded"),
            Lost::Broken(error) => Self::Broken(stage, error.to_string()),
        }
    }

    /// The metric label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Relayed(Tally { end: End::Closed(Side::Client), .. }) => "client_closed",
            Self::Relayed(Tally { end: End::Closed(Side::Backend), .. }) => "backend_closed",
            Self::Relayed(Tally { end: End::Lost(Side::Client, _), .. }) => "client_lost",
            Self::Relayed(Tally { end: End::Lost(Side::Backend, _), .. }) => "backend_lost",
            Self::Relayed(Tally { end: End::Idle, .. }) => "idle",
            Self::Relayed(Tally { end: End::Kicked, .. }) => "kicked",
            Self::LoggedOut => "logged_out",
            Self::Left(Stage::Mail | Stage::Message) => "client_closed",
            Self::Left(_) => "left_before_login",
            Self::TimedOut(_) => "timed_out",
            Self::Broken(..) => "broken",
            Self::Refused(refusal) => refusal.label(),
            Self::TooManyCommands => "too_many_commands",
            Self::TooManyBadCommands => "too_many_bad_commands",
            Self::TooManyFailedLogins => "too_many_failed_logins",
            Self::Violation(_) => "violation",
            Self::TlsFailed(_) => "tls_failed",
            Self::ShuttingDown => "shutting_down",
            Self::Cut(..) => "cut",
            Self::Panicked => "panicked",
        }
    }

    /// Whose fault it was; nobody's, when a side only closed: after a LOGOUT it is a race which of them does so first.
    #[must_use]
    pub const fn blame(&self) -> &'static str {
        match self {
            Self::Relayed(Tally { end: End::Closed(_) | End::Idle, .. }) | Self::LoggedOut => "nobody",
            Self::Relayed(Tally { end: End::Lost(Side::Backend, _), .. }) => "backend",
            Self::Relayed(Tally { end: End::Kicked, .. }) => "operator",
            Self::ShuttingDown | Self::Cut(..) | Self::Panicked => "gateway",
            Self::Relayed(Tally { end: End::Lost(Side::Client, _), .. })
            | Self::Left(_)
            | Self::TimedOut(_)
            | Self::Broken(..)
            | Self::Refused(_)
            | Self::TooManyCommands
            | Self::TooManyBadCommands
            | Self::TooManyFailedLogins
            | Self::Violation(_)
            | Self::TlsFailed(_) => "client",
        }
    }

    /// How loudly it is logged.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Panicked => Level::ERROR,
            _ => Level::INFO,
        }
    }

    /// What the label leaves out.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Left(stage) | Self::TimedOut(stage) => Some(stage.to_string()),
            Self::Broken(stage, error) => Some(format!("{stage}: {error}")),
            Self::Violation(what) => Some((*what).to_owned()),
            Self::TlsFailed(error) => Some(error.clone()),
            Self::Relayed(Tally { end: End::Lost(_, error), .. }) => Some(error.to_string()),
            _ => None,
        }
    }

    /// Bytes up and down.
    #[must_use]
    pub const fn bytes(&self) -> (u64, u64) {
        match self {
            Self::Relayed(Tally { up, down, .. }) | Self::Cut(up, down) => (*up, *down),
            _ => (0, 0),
        }
    }

    /// What the client is still told, where the conversation has not said it already.
    #[must_use]
    pub const fn goodbye(&self) -> Option<Goodbye> {
        match self {
            Self::TimedOut(Stage::BeforeLogin | Stage::Mail | Stage::Message) => Some(Goodbye::TimedOut),
            Self::ShuttingDown => Some(Goodbye::ShuttingDown),
            _ => None,
        }
    }
}

impl From<Closing> for Ending {
    fn from(closing: Closing) -> Self {
        match closing {
            Closing::LoggedOut => Self::LoggedOut,
            Closing::TooManyCommands => Self::TooManyCommands,
            Closing::TooManyBadCommands => Self::TooManyBadCommands,
            Closing::TooManyFailedLogins => Self::TooManyFailedLogins,
            Closing::Violation(what) => Self::Violation(what),
        }
    }
}
