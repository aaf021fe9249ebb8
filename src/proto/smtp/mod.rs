//! SMTP for users who send (RFC 6409) up to the login: RFC 5321, AUTH (RFC 4954), STARTTLS (RFC 3207).
//!
//! This file holds the words that both halves or the whole gateway need; `command` and `reply` are the grammars of
//! the two sides, [`front`] and [`back`] the conversations, [`text`] is what lies between DATA and its end, [`pipelining`]
//! is what may stand behind what in one flight, [`delivery`] what a back-end is told of a message; `opening` is what every talk with a back-end begins with,
//! and [`probe`] is the talk that learns what a back-end offers, and nothing else.

use super::{Denial, Goodbye};

mod answer;
pub mod back;
mod command;
pub mod delivery;
mod envelope;
pub mod extension;
pub mod front;
mod opening;
mod path;
pub mod pipelining;
pub mod probe;
mod reply;
pub mod text;
mod xclient;
mod xtext;

/// Before, or instead of, a conversation.
pub(super) const fn goodbye(why: Goodbye) -> &'static str {
    match why {
        Goodbye::Forbidden => "554 5.7.1 Access denied.\r\n",
        Goodbye::TooMany => "421 4.7.0 Too many connections, please try again later.\r\n",
        Goodbye::TimedOut => "421 4.7.0 Timed out.\r\n",
        Goodbye::ShuttingDown => "421 4.7.0 The server is shutting down, please try again later.\r\n",
        Goodbye::Kicked => "421 4.7.0 Disconnected by an administrator.\r\n",
    }
}

/// The answer to an AUTH that is refused; the same for every user and every cause behind it.
///
/// A client asks its user for a new password on 535, and tries again by itself on 454 (RFC 4954 §6).
const fn refusal(denial: Denial) -> &'static str {
    match denial {
        Denial::BadCredentials | Denial::Unvouched => "535 5.7.8 Authentication failed.",
        Denial::Unavailable => "454 4.7.0 The mail server is not available now, please try again later.",
        Denial::Limit => "454 4.7.0 Too many connections, please close some or try again later.",
        Denial::Policy => "535 5.7.1 You may not log in here.",
        Denial::Misconfigured => "454 4.7.0 The mail server cannot be reached, please ask your administrator.",
    }
}

/// The answer to MAIL, or to all that follows it, where no back-end can be had.
pub(crate) const fn refusal_of_mail(denial: Denial) -> &'static str {
    match denial {
        Denial::BadCredentials | Denial::Unvouched => AUTHENTICATE_FIRST,
        Denial::Unavailable => "451 4.3.0 The mail server is not available now, please try again later.",
        Denial::Limit => "451 4.7.0 Too many connections, please close some or try again later.",
        Denial::Policy => "550 5.7.1 You may not send here.",
        Denial::Misconfigured => "451 4.3.5 The mail server cannot be reached, please ask your administrator.",
    }
}

/// RFC 4954 §6.
const AUTHENTICATE_FIRST: &str = "530 5.7.0 Authentication required.";

const HELLO_FIRST: &str = "503 5.5.1 EHLO comes first.";

/// The longest command line, with its line end, that every server has to take (RFC 5321 §4.5.3.1.4).
const COMMAND_LINE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Protocol;

    #[test]
    fn last_words_are_one_line_with_a_code() {
        for why in [Goodbye::Forbidden, Goodbye::TooMany, Goodbye::TimedOut, Goodbye::ShuttingDown, Goodbye::Kicked] {
            let words = Protocol::Submission.goodbye(why);
            let code = if why == Goodbye::Forbidden { "554 5.7.1 " } else { "421 4.7.0 " };
            assert!(words.starts_with(code) && words.ends_with("\r\n") && words.len() < 512, "{words}");
            assert_eq!(words.matches('\n').count(), 1, "{words}");
            assert_eq!(Protocol::Submission.goodbye_while_relaying(why), None);
        }
    }

    #[test]
    fn only_what_the_user_can_mend_is_a_permanent_no() {
        for (denial, code, of_mail) in [
            (Denial::BadCredentials, "535 5.7.8 ", "530 5.7.0 "),
            (Denial::Policy, "535 5.7.1 ", "550 5.7.1 "),
            (Denial::Unavailable, "454 4.7.0 ", "451 4.3.0 "),
            (Denial::Limit, "454 4.7.0 ", "451 4.7.0 "),
            (Denial::Misconfigured, "454 4.7.0 ", "451 4.3.5 "),
        ] {
            assert!(refusal(denial).starts_with(code), "{denial:?}");
            assert!(refusal_of_mail(denial).starts_with(of_mail), "{denial:?}");
        }
    }
}
