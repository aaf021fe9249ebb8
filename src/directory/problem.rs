//! Why the directory cannot answer, and why it cannot be set up.
//!
//! A variant each for what is told apart: the reason goes to the log, and [`Unavailable::is_outage`] decides whether an
//! old answer may stand in.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Problem;
use crate::wire::tls_client::TlsSetupProblem;

pub use super::filter::TemplateProblem;
use super::result_code::ResultCode;

/// No answer: nothing is said about the user, and nobody is to blame but the directory or us.
///
/// Texts are one line, printable, and bounded; they are for the log and never for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// No server could be reached, or the connection was lost.
    #[error("directory down: {0}")]
    Down(String),
    /// No answer in the source's time, connecting and a second try included.
    #[error("directory silent for {0:?}")]
    TimedOut(Duration),
    /// A server said something that is not LDAP, or more than it may.
    #[error("directory talks nonsense: {0}")]
    BadAnswer(String),
    /// A server answered with an error.
    #[error("directory refuses with {}", ResultCode(*code, text))]
    Refused {
        /// RFC 4511 appendix A.
        code: u32,
        /// The server's words, made printable.
        text: String,
    },
    /// Too many questions are waiting already.
    #[error("too many questions to the directory")]
    Overloaded,
    /// The question ended without an answer: a panic, or the runtime is being stopped.
    #[error("question to the directory lost")]
    Lost,
    /// More than one entry matches: nobody can say which is the user's.
    #[error("more than one directory entry matches")]
    Ambiguous,
    /// The entry cannot be used; where, and why.
    #[error("unusable directory entry: {0}")]
    BadEntry(String),
}

impl Unavailable {
    /// Whether the directory as a whole is at fault, rather than what it knows of this user.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Down(_) | Self::TimedOut(_) | Self::BadAnswer(_) | Self::Lost => true,
            // busy, unavailable, other (RFC 4511 §A.2): the server speaks of itself.
            Self::Refused { code, .. } => matches!(code, 51 | 52 | 80),
            Self::Overloaded | Self::Ambiguous | Self::BadEntry(_) => false,
        }
    }
}

/// Why a directory cannot be set up, or read again.
#[derive(Debug, thiserror::Error)]
pub enum SetupProblem {
    /// A users file cannot be read, or says something wrong; one line a problem, and at most a few dozen.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Users(Vec<Problem>),
    /// An LDAP filter.
    #[error("filter: {0}")]
    Filter(#[from] TemplateProblem),
    /// A bind DN without a password would be an anonymous bind (RFC 4513 §5.1.2).
    #[error("bind_dn and bind_password must not be empty")]
    EmptyBind,
    /// TLS towards an LDAP server.
    #[error("tls: {0}")]
    Tls(#[from] TlsSetupProblem),
}

impl From<Vec<Problem>> for SetupProblem {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Users(problems)
    }
}

/// An attribute and a value of it, fit for a log line: accountStatus=`locked`, of which at most 64 characters are shown.
pub(super) fn quoted(attribute: &str, value: &str) -> Arc<String> {
    let is_quotable = |c: char| !c.is_control() && c != '`';
    let shown: String = value.chars().take(QUOTED_MAX).map(|c| if is_quotable(c) { c } else { '?' }).collect();
    let more = if value.chars().nth(QUOTED_MAX).is_some() { "…" } else { "" };
    format!("{attribute}=`{shown}`{more}").into()
}

const QUOTED_MAX: usize = 64;

/// Another's words, fit for a log line: printable, at most 160 characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(160).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_is_short_and_cannot_end_its_quotes() {
        assert_eq!(quoted("accountStatus", "locked").as_str(), "accountStatus=`locked`");
        assert_eq!(quoted("s", "a`) denial=\u{1b}[2J\r\n").as_str(), "s=`a?) denial=?[2J??`");
        assert_eq!(quoted("s", &"\u{e4}".repeat(64)).as_str(), format!("s=`{}`", "\u{e4}".repeat(64)));
        assert_eq!(quoted("s", &"x".repeat(65)).as_str(), format!("s=`{}`\u{2026}", "x".repeat(64)));
    }
}
