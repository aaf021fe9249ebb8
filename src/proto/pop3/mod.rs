//! POP3 (RFC 1939) up to the login: CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034), response codes (RFC 3206).
//!
//! This file holds the words that both halves or the whole gateway need; `command` and `reply` are the grammars of
//! the two sides, [`front`] and [`back`] the conversations.

use super::{Denial, Goodbye};

mod answer;
pub mod back;
mod command;
pub mod front;
mod reply;

/// Before, or instead of, a conversation.
pub(super) const fn goodbye(why: Goodbye) -> &'static str {
    match why {
        Goodbye::Forbidden => "-ERR [SYS/PERM] Access denied.\r\n",
        Goodbye::TooMany => "-ERR [SYS/TEMP] Too many connections, please try again later.\r\n",
        Goodbye::TimedOut => "-ERR [SYS/TEMP] Timed out.\r\n",
        Goodbye::ShuttingDown => "-ERR [SYS/TEMP] The server is shutting down, please try again later.\r\n",
        Goodbye::Kicked => "-ERR [SYS/TEMP] Disconnected by an administrator.\r\n",
    }
}

/// The answer to a login that is refused; the same for every user and every cause behind it.
///
/// A client asks its user for a new password on `[AUTH]`, and only then (RFC 3206 §4).
const fn refusal(denial: Denial) -> &'static str {
    match denial {
        Denial::BadCredentials | Denial::Unvouched => "[AUTH] Authentication failed.",
        Denial::Unavailable => "[SYS/TEMP] The mailbox is not available now, please try again later.",
        Denial::Limit => "[IN-USE] Too many connections, please close some or try again later.",
        Denial::Policy => "[AUTH] You may not log in here.",
        Denial::Misconfigured => "[SYS/PERM] The mailbox cannot be reached, please ask your administrator.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Protocol;

    #[test]
    fn last_words_are_one_line_that_says_err() {
        for why in [Goodbye::Forbidden, Goodbye::TooMany, Goodbye::TimedOut, Goodbye::ShuttingDown, Goodbye::Kicked] {
            let words = Protocol::Pop3.goodbye(why);
            assert!(words.starts_with("-ERR ") && words.ends_with("\r\n") && words.len() < 512, "{words}");
            assert_eq!(words.matches('\n').count(), 1, "{words}");
            assert_eq!(Protocol::Pop3.goodbye_while_relaying(why), None);
        }
    }

    #[test]
    fn only_what_the_user_can_mend_is_called_auth() {
        for (denial, code) in [
            (Denial::BadCredentials, "[AUTH] Authentication failed."),
            (Denial::Policy, "[AUTH] "),
            (Denial::Unavailable, "[SYS/TEMP] "),
            (Denial::Limit, "[IN-USE] "),
            (Denial::Misconfigured, "[SYS/PERM] "),
        ] {
            assert!(refusal(denial).starts_with(code), "{denial:?}");
        }
    }
}
