//! Where a client's command ends: its lines and literals, under limits, before anything in it is understood.
//!
//! It stands apart because this is what bounds the memory of a client that has not logged in, in every state of the
//! parser, and because a literal belongs to its command whatever the command is: the bytes of a refused command's
//! literal must never be run as commands.

use crate::proto::line::{Border, find};

/// The text of a command's lines, without literals.
pub(super) const LINE_MAX: usize = 8 * 1024;
/// The same for AUTHENTICATE, whose initial response may be a token of 16 KiB in base64 (RFC 4959).
pub(super) const AUTHENTICATE_MAX: usize = 22 * 1024;
/// One literal.
pub(super) const LITERAL_MAX: usize = 8 * 1024;
/// A command up to the end of its last literal. With the rest of its last line it stays under `HEARD_MAX`.
pub(super) const COMMAND_MAX: usize = 20 * 1024;
/// An ID, with its literals. RFC 2971 §3.3 allows 30 pairs of 30 and 1,024 octets; in quotes, each octet escaped, they
/// take 63,450 bytes.
pub(super) const ID_MAX: usize = 64 * 1024;
/// RFC 3501 §2.2.1 gives tags no length; nobody needs more.
pub(super) const TAG_MAX: usize = 64;

/// What is known of the first command in `heard`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Its end has not come yet.
    More,
    /// It stops at a synchronising literal that nobody invited yet: the client waits for `+ ` or for a refusal.
    Waiting {
        /// Where what has come ends.
        end: usize,
        /// Whether the literal is too long to be invited.
        too_long: bool,
    },
    /// Here it ends.
    Whole(Border),
    /// It is over a limit, and what follows cannot be told from it any more. The word is a metric label.
    TooLong(&'static str),
}

/// Looks for the end of the first command in `heard`; `invited` of its synchronising literals were invited before.
///
/// A line that ends with `{n}` or `{n+}` announces a literal, whatever comes before: it is never ambiguous where a
/// command ends, even when it makes no sense. `{n}` in front of anything else is just wrong.
pub(super) fn scan(heard: &[u8], invited: usize) -> Scan {
    let (mut at, mut text, mut waited) = (0, 0, 0);
    let is_id = has_verb(heard, b"ID");
    let command_max = if is_id { ID_MAX } else { COMMAND_MAX };
    loop {
        let line_max = if is_id {
            ID_MAX.saturating_sub(at)
        } else if at == 0 && has_verb(heard, b"AUTHENTICATE") {
            // A long initial response has no literals in it.
            AUTHENTICATE_MAX
        } else {
            LINE_MAX.saturating_sub(text)
        };
        let Some(rest) = heard.get(at..) else { return Scan::More };
        let border = match find(rest, line_max) {
            Ok(Some(border)) => border,
            Ok(None) => return Scan::More,
            Err(_) => return Scan::TooLong("line_too_long"),
        };
        let Some(literal) = rest.get(..border.text).and_then(announced) else {
            return Scan::Whole(Border { text: at + border.text, end: at + border.end });
        };
        text += border.text;
        at += border.end;
        let too_long = literal.size > LITERAL_MAX || at.saturating_add(literal.size) > command_max;
        if literal.waits && waited == invited {
            return Scan::Waiting { end: at, too_long };
        }
        if too_long {
            return Scan::TooLong("literal_too_long");
        }
        waited += usize::from(literal.waits);
        at += literal.size;
    }
}

/// A literal as it is announced at the end of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Its bytes; a number that no `usize` holds is the largest one.
    pub(super) size: usize,
    /// Whether the client waits for `+ ` before it sends them (RFC 7888: a `+` says it does not).
    pub(super) waits: bool,
}

/// The literal that the end of a line announces: `{n}`, or `{n+}`.
pub(super) fn announced(line: &[u8]) -> Option<Literal> {
    let inside = line.strip_suffix(b"}")?;
    let inside = inside.get(memchr::memrchr(b'{', inside)? + 1..)?;
    let (digits, waits) = match inside.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (inside, true),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0usize, |size, digit| size.saturating_mul(10).saturating_add(usize::from(digit.saturating_sub(b'0'))));
    Some(Literal { size, waits })
}

/// Whether the command is this one, with arguments; told from its first bytes, so the answer never changes once it
/// matters.
fn has_verb(heard: &[u8], name: &[u8]) -> bool {
    let mut words = heard.get(..TAG_MAX + name.len() + 2).unwrap_or(heard).splitn(3, |byte| *byte == b' ');
    words.next().is_some() && words.next().is_some_and(|verb| verb.eq_ignore_ascii_case(name)) && words.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: usize, end: usize) -> Scan {
        Scan::Whole(Border { text, end })
    }

    #[test]
    fn a_command_ends_where_its_last_line_ends() {
        assert_eq!(scan(b"a NOOP\r\nb NOOP\r\n", 0), whole(6, 8));
        assert_eq!(scan(b"a NOOP\n", 0), whole(6, 7));
        assert_eq!(scan(b"a NOOP\r", 0), Scan::More);
        assert_eq!(scan(b"", 0), Scan::More);
    }

    #[test]
    fn a_literal_belongs_to_its_command_whatever_is_in_it() {
        assert_eq!(scan(b"a X {10+}\r\nb LOGOUT\r\n\r\nc", 0), whole(21, 23));
        assert_eq!(scan(b"a X {3+}\r\n\r\n\n {0+}\r\n y\r\n", 0), whole(22, 24));
        assert_eq!(scan(b"a X {10+}\r\nb LOGOUT\r\n", 0), Scan::More);
    }

    #[test]
    fn a_synchronising_literal_waits_until_it_is_invited() {
        let heard = b"a LOGIN {5}\r\nalice {2}\r\npw\r\n";
        assert_eq!(scan(heard, 0), Scan::Waiting { end: 13, too_long: false });
        assert_eq!(scan(heard, 1), Scan::Waiting { end: 24, too_long: false });
        assert_eq!(scan(heard, 2), whole(26, 28));
    }

    #[test]
    fn only_digits_in_braces_at_the_very_end_announce_a_literal() {
        for line in
            ["{-1}", "{+5}", "{}", "{+}", "{5", "{5 }", "{ 5}", "{0x5}", "{5}}", "{5}x", "{5} ", "{5++}", "{5-}"]
        {
            assert_eq!(announced(line.as_bytes()), None, "{line}");
        }
        assert_eq!(announced(b"a LOGIN {5}"), Some(Literal { size: 5, waits: true }));
        assert_eq!(announced(b"{{007+}"), Some(Literal { size: 7, waits: false }));
        for huge in ["18446744073709551616", "18446744073709551621", "99999999999999999999999"] {
            let literal = announced(format!("{{{huge}}}").as_bytes()).expect("a literal");
            assert_eq!(literal.size, usize::MAX);
        }
    }

    #[test]
    fn each_limit_holds_at_its_edge() {
        let line = |length: usize| [&vec![b'x'; length][..], b"\r\n"].concat();
        assert_eq!(scan(&line(LINE_MAX), 0), whole(LINE_MAX, LINE_MAX + 2));
        assert_eq!(scan(&line(LINE_MAX + 1), 0), Scan::TooLong("line_too_long"));
        assert_eq!(scan(&vec![b'x'; LINE_MAX + 2], 0), Scan::TooLong("line_too_long"));
        let authenticate = |length: usize| [b"a authenticate ", &line(length - 15)[..]].concat();
        assert_eq!(scan(&authenticate(AUTHENTICATE_MAX), 0), whole(AUTHENTICATE_MAX, AUTHENTICATE_MAX + 2));
        assert_eq!(scan(&authenticate(AUTHENTICATE_MAX + 1), 0), Scan::TooLong("line_too_long"));
        let id = |length: usize| [b"a id ", &line(length - 5)[..]].concat();
        assert_eq!(scan(&id(ID_MAX), 0), whole(ID_MAX, ID_MAX + 2));
        assert_eq!(scan(&id(ID_MAX + 1), 0), Scan::TooLong("line_too_long"));
        assert_eq!(scan(b"a LOGIN {8192+}\r\n", 0), Scan::More);
        assert_eq!(scan(b"a LOGIN {8193+}\r\n", 0), Scan::TooLong("literal_too_long"));
        assert_eq!(scan(b"a LOGIN {8193}\r\n", 0), Scan::Waiting { end: 16, too_long: true });
    }

    #[test]
    fn an_id_is_under_one_limit_with_its_literals() {
        let one = [&b"{1000+}\r\n"[..], &[b'x'; 1000]].concat();
        let literals = |count: usize| [b"a ID ", &one.repeat(count)[..]].concat();
        let rest = ID_MAX - literals(64).len();
        assert_eq!(scan(&[&literals(64)[..], &vec![b'x'; rest], b"\n"].concat(), 0), whole(ID_MAX, ID_MAX + 1));
        let over = [&literals(64)[..], &vec![b'x'; rest + 1], b"\n"].concat();
        assert_eq!(scan(&over, 0), Scan::TooLong("line_too_long"));
        assert_eq!(scan(&literals(65), 0), Scan::TooLong("literal_too_long"));
        // Only ID: the word has to be the whole verb.
        assert_eq!(scan(&[&b"a IDLE "[..], &[b'x'; 9000]].concat(), 0), Scan::TooLong("line_too_long"));
    }

    #[test]
    fn many_literals_share_one_limit() {
        let one = [&b"{8000+}\r\n"[..], &[b'x'; 8000]].concat();
        assert_eq!(scan(&[&one[..], &one].concat(), 0), Scan::More);
        assert_eq!(scan(&[&one[..], &one, &one].concat(), 0), Scan::TooLong("literal_too_long"));
        assert_eq!(scan(&b"{1+}\r\nx".repeat(10_000), 0), Scan::TooLong("line_too_long"));
    }
}
