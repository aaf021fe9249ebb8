//! What is seen of a line before it is read: how long it may become, and whether it is one of SMTP at all.

use crate::proto::line;
use crate::proto::sasl::Mechanism;

pub(super) enum Stranger {
    No,
    /// One byte is too little to say.
    Unknown,
    Yes(&'static str),
}

/// No command begins with anything but a letter; an empty line is one wrong command.
pub(super) fn stranger(heard: &[u8]) -> Stranger {
    if let Some(what) = line::stranger(heard) {
        return Stranger::Yes(what);
    }
    match heard {
        [TLS_RECORD] => Stranger::Unknown,
        [] | [b'\r' | b'\n', ..] => Stranger::No,
        [first, ..] if first.is_ascii_alphabetic() => Stranger::No,
        [..] => Stranger::Yes("not_a_command"),
    }
}

/// A TLS record that holds a handshake begins so.
const TLS_RECORD: u8 = 0x16;

pub(super) fn line_max(heard: &[u8]) -> usize {
    let is_auth = heard.get(..AUTH.len()).is_some_and(|start| start.eq_ignore_ascii_case(AUTH));
    if is_auth { AUTH_MAX } else { COMMAND_MAX }
}

/// RFC 5321 §4.5.3.1.4 wants 512 bytes, and extensions add to MAIL and RCPT.
pub(super) const COMMAND_MAX: usize = 2 * 1024;
const AUTH: &[u8] = b"AUTH ";
/// An AUTH with the longest initial response.
pub(super) const AUTH_MAX: usize = AUTH.len() + "OAUTHBEARER ".len() + Mechanism::OAuthBearer.line_max();
