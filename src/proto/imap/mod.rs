//! IMAP until the login: our own subset of RFC 3501 (about ten commands, and literals), for both sides.
//!
//! ```text
//! front:  border (where does it end?) ─▶ token, command (what does it say?) ─▶ front (what is done?) ─▶ words, refusal
//! back:   reply (what did it say?)    ─▶ back (what comes next?)            ─▶ login (how to prove it?), verdict
//! ```
//!
//! It is one folder so that a protocol can be read, and left out, as one thing.

use super::Goodbye;

pub mod back;
mod border;
mod command;
pub mod front;
mod login;
mod refusal;
mod reply;
mod token;
mod verdict;
mod words;

#[cfg(test)]
mod tests;

/// The last words before, or instead of, a conversation; after the login too, at a line border (RFC 3501 §7.1.5).
pub(super) const fn goodbye(why: Goodbye) -> &'static str {
    match why {
        Goodbye::Forbidden => "* BYE Access denied.\r\n",
        Goodbye::TooMany => "* BYE [LIMIT] Too many connections, try again later.\r\n",
        Goodbye::TimedOut => "* BYE Disconnected for inactivity.\r\n",
        Goodbye::ShuttingDown => "* BYE [UNAVAILABLE] Server shutting down.\r\n",
        Goodbye::Kicked => "* BYE Disconnected by an administrator.\r\n",
    }
}
