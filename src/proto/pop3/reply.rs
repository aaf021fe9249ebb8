//! The replies of a back-end before the login: one line each, `+OK` or `-ERR`, or a challenge.

use crate::proto::Denial;

/// One reply; what it borrows is the text behind the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    Yes(&'a [u8]),
    No(&'a [u8]),
    /// A challenge of an AUTH exchange (RFC 5034 §4); what it says matters to no mechanism here.
    Challenge,
}

impl<'a> Reply<'a> {
    /// `None` = not a reply in POP3.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        if let Some(text) = behind(line, b"+OK") {
            return Some(Self::Yes(text));
        }
        if let Some(text) = behind(line, b"-ERR") {
            return Some(Self::No(text));
        }
        behind(line, b"+").map(|_| Self::Challenge)
    }
}

/// What stands behind a word and its space.
fn behind<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(word)? {
        [b' ', text @ ..] => Some(text),
        [] => Some(&[]),
        _ => None,
    }
}

/// Splits the response code (RFC 2449 §8), without its brackets, from the text behind it.
pub(super) fn code(text: &[u8]) -> (&[u8], &[u8]) {
    let parts = text.strip_prefix(b"[").and_then(|rest| rest.split_at_checked(memchr::memchr(b']', rest)?));
    match parts {
        Some((code, rest)) => (code, rest.strip_prefix(b"]").unwrap_or_default().trim_ascii_start()),
        None => (b"", text),
    }
}

/// Whether a greeting offers XCLIENT: `[XCLIENT]`, as Dovecot says it to those whom it trusts.
pub(super) fn offers_xclient(greeting: &[u8]) -> bool {
    let (code, _) = code(greeting);
    code.split(|byte| *byte == b' ').any(|word| word.eq_ignore_ascii_case(b"XCLIENT"))
}

/// What a `-ERR` means for the user, by its code and never by its words (RFC 2449 §8.1, RFC 3206 §4). Without a code
/// it answers the question that was asked: no.
pub(super) fn denial(text: &[u8]) -> Denial {
    let (code, _) = code(text);
    // Codes are hierarchical: SYS/TEMP/DISK is a SYS/TEMP.
    let is = |known: &str| {
        let known = known.as_bytes();
        let same = code.get(..known.len()).is_some_and(|code| code.eq_ignore_ascii_case(known));
        same && matches!(code.get(known.len()), None | Some(b'/'))
    };
    if is("SYS/PERM") {
        Denial::Misconfigured
    } else if is("SYS") || is("LOGIN-DELAY") {
        Denial::Unavailable
    } else if is("IN-USE") {
        Denial::Limit
    } else {
        Denial::BadCredentials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_its_first_word() {
        for (line, reply) in [
            ("+OK", Some(Reply::Yes(b""))),
            ("+OK ", Some(Reply::Yes(b""))),
            ("+OK ready", Some(Reply::Yes(b"ready"))),
            ("-ERR", Some(Reply::No(b""))),
            ("-ERR [AUTH] no", Some(Reply::No(b"[AUTH] no"))),
            ("+", Some(Reply::Challenge)),
            ("+ VXNlcm5hbWU6", Some(Reply::Challenge)),
            ("", None),
            ("+OKAY", None),
            ("+ok", None),
            ("-ERROR", None),
            (" +OK", None),
            ("* OK IMAP4rev1", None),
            ("220 mail ESMTP", None),
        ] {
            assert_eq!(Reply::parse(line.as_bytes()), reply, "{line}");
        }
    }

    #[test]
    fn a_refusal_is_mapped_by_its_code_alone() {
        for (text, expected) in [
            ("[SYS/TEMP] later", Denial::Unavailable),
            ("[sys/temp]", Denial::Unavailable),
            ("[SYS/TEMP/DISK] later", Denial::Unavailable),
            ("[SYS]", Denial::Unavailable),
            ("[LOGIN-DELAY] slow down", Denial::Unavailable),
            ("[IN-USE] locked", Denial::Limit),
            ("[SYS/PERM] broken", Denial::Misconfigured),
            ("[AUTH] wrong", Denial::BadCredentials),
            ("[SYSTEM] wrong", Denial::BadCredentials),
            ("[IN-USE locked", Denial::BadCredentials),
            ("temporary failure [SYS/TEMP]", Denial::BadCredentials),
            ("", Denial::BadCredentials),
        ] {
            assert_eq!(denial(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn xclient_is_offered_by_the_greeting_s_code() {
        for (greeting, offers) in [
            ("[XCLIENT] Dovecot ready.", true),
            ("[xclient]", true),
            ("[POP3 XCLIENT] ready", true),
            ("XCLIENT ready", false),
            ("[XCLIENTS] ready", false),
            ("[XCLIENT ready", false),
            ("ready [XCLIENT]", false),
        ] {
            assert_eq!(offers_xclient(greeting.as_bytes()), offers, "{greeting}");
        }
    }
}
