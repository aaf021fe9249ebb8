//! The commands of a client that has not logged in: what a line says, not whether it may be said now.

/// One command; what it borrows is the line's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// With the name that the client gives itself.
    Ehlo(&'a str),
    Helo(&'a str),
    /// RFC 3207.
    StartTls,
    /// RFC 4954.
    Auth {
        mechanism: &'a [u8],
        initial: Option<&'a [u8]>,
    },
    /// With its argument, which whoever takes the message is to read.
    Mail(&'a [u8]),
    /// RCPT, with its argument.
    Recipient(&'a [u8]),
    Data,
    /// RFC 3030.
    Bdat(Chunk),
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
}

/// So many bytes follow, whatever is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) size: u64,
    pub(super) last: bool,
}

impl<'a> Command<'a> {
    /// What the line says, or the answer to a line that says nothing that is known.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, &'static str> {
        let (verb, arguments) = match memchr::memchr(b' ', line) {
            Some(space) => (line.get(..space).unwrap_or_default(), line.get(space + 1..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        let is = |keyword: &str| verb.eq_ignore_ascii_case(keyword.as_bytes());
        if is("AUTH") {
            return auth(arguments);
        }
        if is("EHLO") {
            return name(arguments).map(Self::Ehlo);
        }
        if is("HELO") {
            return name(arguments).map(Self::Helo);
        }
        if is("BDAT") {
            return chunk(arguments).map(Self::Bdat);
        }
        if is("MAIL") {
            return Ok(Self::Mail(arguments));
        }
        if is("RCPT") {
            return Ok(Self::Recipient(arguments));
        }
        let of = |table: &[(&str, Self)]| table.iter().find_map(|(keyword, command)| is(keyword).then_some(*command));
        if let Some(command) = of(&BARE) {
            // Trailing spaces are borne: there are clients that send them.
            return if arguments.trim_ascii().is_empty() {
                Ok(command)
            } else {
                Err("501 5.5.4 No arguments, please.")
            };
        }
        if let Some(command) = of(&WITH_ARGUMENTS) {
            return Ok(command);
        }
        let known = NOT_HERE.iter().any(|keyword| is(keyword));
        Err(if known { "502 5.5.1 Not implemented." } else { "500 5.5.2 Unknown command." })
    }
}

/// RFC 5321 §4.1.1: commands that take no argument.
const BARE: [(&str, Command<'static>); 4] =
    [("STARTTLS", Command::StartTls), ("DATA", Command::Data), ("RSET", Command::Rset), ("QUIT", Command::Quit)];

/// Commands whose argument does not matter here.
const WITH_ARGUMENTS: [(&str, Command<'static>); 3] =
    [("NOOP", Command::Noop), ("VRFY", Command::Vrfy), ("HELP", Command::Help)];

/// Who is no relay of ours may not say who the client is, and whoever asks for lists and queues learns nothing.
const NOT_HERE: [&str; 9] = ["EXPN", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML", "XCLIENT", "XFORWARD"];

/// The client's name for itself: nobody checks it, but it is told to the back-end and stands in logs. Letters of any
/// domain or address literal, and what badly named machines have; nothing that a page or a shell would read.
fn name(argument: &[u8]) -> Result<&str, &'static str> {
    let name = argument.trim_ascii();
    let is_fit = |byte: &u8| byte.is_ascii_graphic() && !b"<>\"'`&".contains(byte);
    match std::str::from_utf8(name) {
        Ok(name) if (1..=255).contains(&name.len()) && name.as_bytes().iter().all(is_fit) => Ok(name),
        Ok(_) | Err(_) => Err("501 5.5.4 A host's name or address is expected."),
    }
}

fn auth(arguments: &[u8]) -> Result<Command<'_>, &'static str> {
    let mut words = arguments.split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None)
            if !mechanism.is_empty() && initial.is_none_or(|initial| !initial.is_empty()) =>
        {
            Ok(Command::Auth { mechanism, initial })
        }
        _ => Err("501 5.5.4 AUTH takes a mechanism and at most one response."),
    }
}

/// `SIZE [LAST]` (RFC 3030 §2).
fn chunk(arguments: &[u8]) -> Result<Chunk, &'static str> {
    let mut words = arguments.split(|byte| *byte == b' ');
    let (size, last, more) = (words.next().unwrap_or_default(), words.next(), words.next());
    let is_number = !size.is_empty() && size.iter().all(u8::is_ascii_digit);
    let size = std::str::from_utf8(size).ok().filter(|_| is_number).and_then(|size| size.parse().ok());
    let is_fit = last.is_none_or(|last| last.eq_ignore_ascii_case(b"LAST")) && more.is_none();
    size.filter(|_| is_fit).map(|size| Chunk { size, last: last.is_some() }).ok_or(BAD_CHUNK)
}

/// Where the chunk ends that follows such a command nobody knows.
pub(super) const BAD_CHUNK: &str = "501 5.5.4 BDAT takes a size and LAST.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_in_any_case() {
        for (line, command) in [
            ("EHLO client.example.com", Command::Ehlo("client.example.com")),
            ("ehlo  x ", Command::Ehlo("x")),
            ("EHLO [IPv6:::1]", Command::Ehlo("[IPv6:::1]")),
            ("EHLO my_pc+1=2%3", Command::Ehlo("my_pc+1=2%3")),
            ("HeLo [127.0.0.1]", Command::Helo("[127.0.0.1]")),
            ("StartTls", Command::StartTls),
            ("starttls ", Command::StartTls),
            ("auth PLAIN", Command::Auth { mechanism: b"PLAIN", initial: None }),
            ("AUTH plain =", Command::Auth { mechanism: b"plain", initial: Some(b"=") }),
            ("AUTH PLAIN\tx", Command::Auth { mechanism: b"PLAIN\tx", initial: None }),
            ("MAIL FROM:<a@b> SIZE=-1", Command::Mail(b"FROM:<a@b> SIZE=-1")),
            ("mail", Command::Mail(b"")),
            ("RCPT TO:<\"\"@x>", Command::Recipient(b"TO:<\"\"@x>")),
            ("data", Command::Data),
            ("BDAT 0 last", Command::Bdat(Chunk { size: 0, last: true })),
            ("bdat 18446744073709551615", Command::Bdat(Chunk { size: u64::MAX, last: false })),
            ("NOOP x", Command::Noop),
            ("rset", Command::Rset),
            ("VRFY postmaster", Command::Vrfy),
            ("HELP MAIL", Command::Help),
            ("quit", Command::Quit),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_here_is_refused_by_its_kind() {
        for (line, code) in [
            ("", "500 5.5.2 "),
            (" ", "500 5.5.2 "),
            ("EHLO\tx", "500 5.5.2 "),
            ("FOO", "500 5.5.2 "),
            ("BELL\x08", "500 5.5.2 "),
            ("XEXCH50 1 2", "500 5.5.2 "),
            ("XADR x", "500 5.5.2 "),
            ("USER alice", "500 5.5.2 "),
            ("EXPN staff", "502 5.5.1 "),
            ("etrn #q", "502 5.5.1 "),
            ("TURN", "502 5.5.1 "),
            ("SAML FROM:<a@b>", "502 5.5.1 "),
            ("XCLIENT ADDR=192.0.2.1", "502 5.5.1 "),
            ("XFORWARD ADDR=192.0.2.1", "502 5.5.1 "),
            ("EHLO", "501 5.5.4 "),
            ("EHLO  ", "501 5.5.4 "),
            ("HELO", "501 5.5.4 "),
            ("EHLO a b", "501 5.5.4 "),
            ("EHLO <script>alert(1)</script>", "501 5.5.4 "),
            ("EHLO x\x1b[2J", "501 5.5.4 "),
            ("EHLO b\u{fc}ro", "501 5.5.4 "),
            ("STARTTLS now", "501 5.5.4 "),
            ("QUIT now", "501 5.5.4 "),
            ("RSET x", "501 5.5.4 "),
            ("AUTH", "501 5.5.4 "),
            ("AUTH ", "501 5.5.4 "),
            ("AUTH  PLAIN", "501 5.5.4 "),
            ("AUTH PLAIN ", "501 5.5.4 "),
            ("AUTH PLAIN x y", "501 5.5.4 "),
            ("BDAT", "501 5.5.4 "),
            ("BDAT -1", "501 5.5.4 "),
            ("BDAT +1", "501 5.5.4 "),
            ("BDAT 1 LAST x", "501 5.5.4 "),
            ("BDAT 1 FIRST", "501 5.5.4 "),
            ("BDAT 18446744073709551616", "501 5.5.4 "),
        ] {
            let answer = Command::parse(line.as_bytes()).expect_err(line);
            assert!(answer.starts_with(code), "{line:?}: {answer}");
        }
    }

    #[test]
    fn a_name_has_at_most_255_bytes() {
        let line = |length| format!("EHLO {}", "x".repeat(length));
        assert!(Command::parse(line(255).as_bytes()).is_ok());
        assert!(Command::parse(line(256).as_bytes()).is_err());
    }
}
