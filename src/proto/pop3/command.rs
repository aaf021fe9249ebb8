//! The commands of a client that has not logged in: what a line says, not whether it may be said now.

/// One command; what it borrows is the line's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// RFC 2449.
    Capa,
    /// The name, without a space in it.
    User(&'a [u8]),
    /// The password: everything behind one space, to the end of the line (RFC 1939 §7). May be empty.
    Pass(&'a [u8]),
    /// Bare `AUTH`, which no RFC has, but which Outlook asks.
    Mechanisms,
    /// RFC 5034.
    Auth {
        mechanism: &'a [u8],
        initial: Option<&'a [u8]>,
    },
    /// RFC 2595.
    Stls,
    Noop,
    Quit,
}

impl<'a> Command<'a> {
    /// What the line says, or the words for the client when it says nothing that is known.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, &'static str> {
        let (name, arguments) = match memchr::memchr(b' ', line) {
            Some(space) => (line.get(..space).unwrap_or_default(), line.get(space + 1..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        let is = |keyword: &str| name.eq_ignore_ascii_case(keyword.as_bytes());
        if is("PASS") {
            return Ok(Self::Pass(arguments));
        }
        if is("USER") {
            return user(arguments);
        }
        if is("AUTH") {
            return auth(arguments, name.len() == line.len());
        }
        let command = [("CAPA", Self::Capa), ("STLS", Self::Stls), ("NOOP", Self::Noop), ("QUIT", Self::Quit)]
            .into_iter()
            .find_map(|(keyword, command)| is(keyword).then_some(command))
            .ok_or("Unknown command.")?;
        // Trailing spaces are borne: there are clients that send them.
        if arguments.iter().all(|byte| *byte == b' ') { Ok(command) } else { Err("No arguments are expected.") }
    }
}

/// A name with spaces has to come by AUTH: here they would separate arguments (RFC 1939 §3), and whether those at
/// its ends belong to the name nobody could say.
fn user(arguments: &[u8]) -> Result<Command<'_>, &'static str> {
    if arguments.is_empty() || arguments.contains(&b' ') {
        return Err("USER takes one argument, the name.");
    }
    Ok(Command::User(arguments))
}

fn auth(arguments: &[u8], bare: bool) -> Result<Command<'_>, &'static str> {
    if bare {
        return Ok(Command::Mechanisms);
    }
    let mut words = arguments.split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None)
            if !mechanism.is_empty() && initial.is_none_or(|initial| !initial.is_empty()) =>
        {
            Ok(Command::Auth { mechanism, initial })
        }
        _ => Err("AUTH takes a mechanism and at most one response."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_in_any_case() {
        for (line, command) in [
            ("CAPA", Command::Capa),
            ("capa ", Command::Capa),
            ("StLs", Command::Stls),
            ("noop", Command::Noop),
            ("QUIT", Command::Quit),
            ("user alice@example.com", Command::User(b"alice@example.com")),
            ("AUTH", Command::Mechanisms),
            ("auth PLAIN", Command::Auth { mechanism: b"PLAIN", initial: None }),
            ("AUTH plain =", Command::Auth { mechanism: b"plain", initial: Some(b"=") }),
            ("AUTH PLAIN\tx", Command::Auth { mechanism: b"PLAIN\tx", initial: None }),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn the_spaces_of_a_password_are_its_own() {
        for (line, password) in [
            ("PASS secret", "secret"),
            ("pass  two  spaces ", " two  spaces "),
            ("PASS", ""),
            ("PASS ", ""),
            ("PASS  ", " "),
            ("PASS \t", "\t"),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(Command::Pass(password.as_bytes())), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_here_is_refused() {
        for line in [
            "",
            " ",
            " CAPA",
            "\tCAPA",
            "CAPA x",
            "STLS now",
            "NOOP x",
            "QUIT x",
            "USER",
            "USER ",
            "USER  alice",
            "USER alice ",
            "USER a b",
            "AUTH ",
            "AUTH  PLAIN",
            "AUTH PLAIN ",
            "AUTH PLAIN  x",
            "AUTH PLAIN x y",
            "CAPAS",
            "APOP alice c4c9334bac560ecc979e58001b3e22fb",
            "STAT",
            "UTF8",
            "LANG",
            "XCLIENT ADDR=192.0.2.1",
            "XOIP 192.0.2.1",
            "PASSx",
            "PASS\tx",
        ] {
            assert!(Command::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
