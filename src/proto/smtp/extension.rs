//! The extensions of SMTP that may be shown to a client before it is known which back-end it will talk to.
//!
//! It stands apart because it is one list with one rule: what every back-end offers, and nothing that would need the
//! gateway to understand what it relays, or that lets a client in by another way (ETRN, XCLIENT, a second STARTTLS).

/// What may be shown of an extension that a back-end offers: its name as registered, and SIZE's number; `None` when
/// it may not be shown at all.
#[must_use]
pub fn shown(offered: &str) -> Option<String> {
    let (name, parameter) = offered.split_once(' ').map_or((offered, None), |(name, rest)| (name, Some(rest)));
    let name = SHOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    match parameter {
        None => Some(name.to_owned()),
        Some(size) if name == "SIZE" && is_number(size) => Some(format!("SIZE {size}")),
        Some(_) => None,
    }
}

/// The same for a client that is no user, whose messages are taken and read here: only what that can be done with.
/// Chunks are taken as they are, or not at all (`strict`: bare newlines are refused, not mended).
pub(super) fn shown_to_servers(offered: &str, strict: bool) -> Option<String> {
    shown(offered).filter(|line| match line.split(' ').next() {
        Some("PIPELINING" | "SIZE" | "8BITMIME" | "DSN" | "ENHANCEDSTATUSCODES") => true,
        Some("CHUNKING") => strict,
        _ => false,
    })
}

/// RFC 1870 §4: up to 20 digits.
fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 2920, 1870, 6152, 3461, 6531, 3030 (two), 2034.
const SHOWN: [&str; 8] =
    ["PIPELINING", "SIZE", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_shown_less_than_users() {
        for offered in SHOWN {
            let kept = !matches!(offered, "SMTPUTF8" | "BINARYMIME");
            assert_eq!(shown_to_servers(offered, true).is_some(), kept, "{offered}");
            assert_eq!(shown_to_servers(offered, false).is_some(), kept && offered != "CHUNKING", "{offered}");
        }
        assert_eq!(shown_to_servers("size 1000", false).as_deref(), Some("SIZE 1000"));
        assert_eq!(shown_to_servers("STARTTLS", true), None);
    }

    #[test]
    fn only_what_is_safe_to_promise_is_shown() {
        for (offered, expected) in [
            ("PIPELINING", Some("PIPELINING")),
            ("pipelining", Some("PIPELINING")),
            ("SIZE", Some("SIZE")),
            ("size 10240000", Some("SIZE 10240000")),
            ("SIZE 99999999999999999999", Some("SIZE 99999999999999999999")),
            ("SIZE 999999999999999999999", None),
            ("SIZE -1", None),
            ("SIZE 1 2", None),
            ("SIZE ", None),
            ("8BITMIME x", None),
            ("AUTH PLAIN", None),
            ("AUTH=PLAIN", None),
            ("STARTTLS", None),
            ("XCLIENT LOGIN", None),
            ("ETRN", None),
            ("VRFY", None),
            ("DSN\r\nSTARTTLS", None),
            ("", None),
        ] {
            assert_eq!(shown(offered).as_deref(), expected, "{offered:?}");
        }
    }
}
