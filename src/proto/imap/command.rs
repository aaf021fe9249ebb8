//! What a client's command says: a tag, a verb, its arguments; all the commands there are before the login.
//!
//! It stands apart because parsing takes values and gives values: whether the command may be run now is for the front.

use super::border::TAG_MAX;
use super::token::{Amiss, Text, Tokens};
use crate::proto::Mechanism;

/// A command that makes sense.
#[derive(Debug)]
pub(super) struct Command<'a> {
    /// At most 64 of `A-Za-z0-9.-_`, so that it can be echoed.
    pub(super) tag: String,
    pub(super) verb: Verb<'a>,
}

#[derive(Debug)]
pub(super) enum Verb<'a> {
    Capability,
    Noop,
    Logout,
    StartTls,
    Enable,
    /// RFC 2971; all we remember of it is `x-proxy-ttl`.
    Id {
        ttl: Option<u8>,
    },
    Login {
        user: Text,
        password: Text,
    },
    /// RFC 4959 for the initial response.
    Authenticate {
        mechanism: Option<Mechanism>,
        initial: Option<&'a [u8]>,
    },
}

/// A command that cannot be run as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// There is no tag that could be echoed.
    NoTag,
    /// It makes no sense, or is not for now.
    Command { tag: String, why: &'static str },
    /// It makes sense so far; the client waits to send a literal that belongs there.
    Unfinished { tag: String, login: bool },
}

/// Understands a command; `unfinished` says that it stops where the client waits to send a literal.
pub(super) fn parse(command: &[u8], unfinished: bool) -> Result<Command<'_>, Wrong> {
    let mut tokens = Tokens::new(command, unfinished);
    let tag = tag(tokens.word()).ok_or(Wrong::NoTag)?;
    let wrong = |tag, why| Err(Wrong::Command { tag, why });
    if tokens.space().is_err() {
        return wrong(tag, "Command missing");
    }
    let word = tokens.word();
    let Some((_, read)) = VERBS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) else {
        return wrong(tag, "Unknown command, or not before the login");
    };
    match read(&mut tokens).and_then(|verb| tokens.end().map(|()| verb)) {
        Ok(verb) => Ok(Command { tag, verb }),
        Err(Amiss::Unfinished) => {
            let login = word.eq_ignore_ascii_case(b"LOGIN");
            Err(Wrong::Unfinished { tag, login })
        }
        Err(Amiss::Syntax) => wrong(tag, "Error in arguments"),
    }
}

fn tag(word: &[u8]) -> Option<String> {
    let good = (1..=TAG_MAX).contains(&word.len())
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    good.then(|| word.iter().copied().map(char::from).collect())
}

type Reader = for<'a> fn(&mut Tokens<'a>) -> Result<Verb<'a>, Amiss>;

/// One row a verb. What is not here is a command after the login, or none at all.
const VERBS: [(&[u8], Reader); 8] = [
    (b"CAPABILITY", |_| Ok(Verb::Capability)),
    (b"NOOP", |_| Ok(Verb::Noop)),
    (b"LOGOUT", |_| Ok(Verb::Logout)),
    (b"STARTTLS", |_| Ok(Verb::StartTls)),
    (b"ENABLE", enable),
    (b"ID", id),
    (b"LOGIN", login),
    (b"AUTHENTICATE", authenticate),
];

fn login<'a>(tokens: &mut Tokens<'a>) -> Result<Verb<'a>, Amiss> {
    tokens.space()?;
    let user = tokens.astring()?;
    tokens.space()?;
    Ok(Verb::Login { user, password: tokens.astring()? })
}

/// The initial response is not looked at: SASL knows what is wrong with it.
fn authenticate<'a>(tokens: &mut Tokens<'a>) -> Result<Verb<'a>, Amiss> {
    tokens.space()?;
    let mechanism = Mechanism::from_wire(tokens.atom()?);
    let initial = tokens.skip(b' ').then(|| tokens.word());
    // RFC 4959 §3: an empty one is written `=`.
    if initial.is_some_and(<[u8]>::is_empty) {
        Err(Amiss::Syntax)
    } else {
        Ok(Verb::Authenticate { mechanism, initial })
    }
}

fn enable<'a>(tokens: &mut Tokens<'a>) -> Result<Verb<'a>, Amiss> {
    tokens.space()?;
    tokens.atom()?;
    while tokens.skip(b' ') {
        tokens.atom()?;
    }
    Ok(Verb::Enable)
}

/// NIL, or a flat list of at most 30 pairs; keys of at most 30 bytes, values of at most 1024 (RFC 2971 §3.3).
fn id<'a>(tokens: &mut Tokens<'a>) -> Result<Verb<'a>, Amiss> {
    tokens.space()?;
    if !tokens.skip(b'(') {
        return tokens.nstring()?.is_none().then_some(Verb::Id { ttl: None }).ok_or(Amiss::Syntax);
    }
    let mut ttl = None;
    for pair in 0.. {
        if tokens.skip(b')') {
            break;
        }
        if pair > 0 {
            tokens.space()?;
        }
        let key = tokens.string()?;
        tokens.space()?;
        let value = tokens.nstring()?;
        if pair >= 30 || key.len() > 30 || value.as_ref().is_some_and(|value| value.len() > 1024) {
            return Err(Amiss::Syntax);
        }
        if key.eq_ignore_ascii_case(b"x-proxy-ttl") {
            // Said twice, the smaller number counts: a loop must end.
            ttl = ttl.into_iter().chain(value.and_then(|value| number(&value))).min();
        }
    }
    Ok(Verb::Id { ttl })
}

fn number(digits: &[u8]) -> Option<u8> {
    std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(command: &[u8]) -> &'static str {
        match parse(command, false) {
            Err(Wrong::Command { tag, why }) if tag == "a" => why,
            other => panic!("{other:?}"),
        }
    }

    fn ttl(command: &[u8]) -> Option<u8> {
        match parse(command, false).expect("a command").verb {
            Verb::Id { ttl } => ttl,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_tag_is_short_and_plain() {
        for tag in ["a", "A.1-b_2", &"x".repeat(64)] {
            assert_eq!(parse(format!("{tag} NOOP").as_bytes(), false).expect("a command").tag, tag);
        }
        let long = [b'x'; 65];
        for tag in [
            &b""[..],
            b"*",
            b"+",
            b"a]",
            b"a\x01",
            b"\x7f",
            b"\x80",
            b"(",
            b")",
            b"{",
            b"%",
            b"\"",
            b"\\",
            b"a\t",
            b"a\0",
            b"a/b",
            &long,
        ] {
            assert_eq!(parse(&[tag, b" NOOP"].concat(), false).err(), Some(Wrong::NoTag), "{tag:?}");
        }
    }

    #[test]
    fn a_verb_is_known_in_any_case_and_takes_its_arguments_and_no_more() {
        for command in ["a noop", "a CapaBility", "a LOGOUT", "a starttls", "a ENABLE IMAP4rev2 X"] {
            assert!(parse(command.as_bytes(), false).is_ok(), "{command}");
        }
        for command in [
            "a NOOP x",
            "a STARTTLS now",
            "a CAPABILITY ",
            "a ENABLE",
            "a ENABLE  x",
            "a LOGOUT\r",
            "a AUTHENTICATE PLAIN ",
        ] {
            assert!(!why(command.as_bytes()).is_empty(), "{command}");
        }
        for command in ["a", "a ", "a  NOOP", "a SELECT INBOX", "a NOOP\t"] {
            assert!(!why(command.as_bytes()).is_empty(), "{command}");
        }
    }

    #[test]
    fn an_id_is_nil_or_a_flat_bounded_list() {
        for command in ["a ID NIL", "a ID nil", "a ID ()", r#"a ID ("name" NIL)"#, "a ID ({4+}\r\nname \"x\")"] {
            assert_eq!(ttl(command.as_bytes()), None, "{command}");
        }
        let pairs = |count: usize| format!("a ID ({})", vec![r#""k" "v""#; count].join(" "));
        assert!(parse(pairs(30).as_bytes(), false).is_ok());
        let value = |length: usize| format!(r#"a ID ("k" "{}")"#, "v".repeat(length));
        assert!(parse(value(1024).as_bytes(), false).is_ok());
        for command in [
            pairs(31),
            value(1025),
            format!(r#"a ID ("{}" NIL)"#, "k".repeat(31)),
            "a ID".to_owned(),
            "a ID x".to_owned(),
            "a ID (".to_owned(),
            "a ID (())".to_owned(),
            "a ID (()".to_owned(),
            "a ID )))".to_owned(),
            r#"a ID ("k")"#.to_owned(),
            r#"a ID ("k" "v" )"#.to_owned(),
            r#"a ID (NIL "v")"#.to_owned(),
            r#"a ID ("k" "v") x"#.to_owned(),
        ] {
            assert_eq!(why(command.as_bytes()), "Error in arguments", "{command}");
        }
    }

    #[test]
    fn an_id_may_say_how_many_hops_are_left() {
        assert_eq!(ttl(br#"a ID ("name" "x" "X-Proxy-TTL" "4")"#), Some(4));
        assert_eq!(ttl(br#"a ID ("x-proxy-ttl" "7" "x-proxy-ttl" "3")"#), Some(3));
        for value in [r#""256""#, r#""-1""#, r#""+1""#, r#""""#, "NIL", r#""x""#] {
            assert_eq!(ttl(format!(r#"a ID ("x-proxy-ttl" {value})"#).as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_literal_is_invited_only_where_one_belongs() {
        let unfinished = |command: &[u8]| parse(command, true).err();
        for command in [&b"a LOGIN {5}\r\n"[..], b"a LOGIN x {0}\r\n", b"a LOGIN {1+}\r\nx {5}\r\n"] {
            assert_eq!(unfinished(command), Some(Wrong::Unfinished { tag: "a".to_owned(), login: true }));
        }
        assert_eq!(unfinished(b"a ID ({3}\r\n"), Some(Wrong::Unfinished { tag: "a".to_owned(), login: false }));
        for command in [
            &b"a LOGIN x y {5}\r\n"[..],
            b"a NOOP {5}\r\n",
            b"a SELECT {5}\r\n",
            b"a LOGIN ~{5}\r\n",
            b"a LOGIN \"x {5}\r\n",
            b"a AUTHENTICATE {5}\r\n",
            b"a ENABLE {5}\r\n",
            b"a {5}\r\n",
        ] {
            assert!(matches!(unfinished(command), Some(Wrong::Command { .. })), "{command:?}");
        }
        assert_eq!(unfinished(b"{5}\r\n"), Some(Wrong::NoTag));
    }
}
