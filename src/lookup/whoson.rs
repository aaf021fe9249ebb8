//! whoson 2.03: `QUERY address` and an empty line; `+user`, `-Not Logged in` or `*` and what is wrong.
//!
//! Who is on is known from logins alone: `LOGIN` and `LOGOUT`, with which others would tell us, are refused.

use bytes::BytesMut;

use super::{Answer, Heard, Language};

/// See the module; what was heard of a request so far.
#[derive(Default)]
pub(super) struct Whoson {
    lines: usize,
    meaning: Option<Heard>,
}

impl Language for Whoson {
    fn hear(&mut self, heard: &mut BytesMut) -> Heard {
        loop {
            let line = match super::line(heard, LINE_MAX) {
                Err(()) => return Heard::Last(b"*bad request: too long\r\n\r\n", "a line is too long"),
                Ok(None) => return Heard::More,
                Ok(Some(line)) => line,
            };
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                return std::mem::take(self).meaning.unwrap_or(Heard::Reply(BAD));
            }
            self.lines += 1;
            if self.lines > LINES_MAX {
                return Heard::Last(b"*bad request: too long\r\n\r\n", "there are too many lines");
            }
            // What follows the first line are data of others' requests.
            self.meaning.get_or_insert_with(|| meaning(line));
        }
    }

    fn answer(&mut self, answer: &Answer<'_>, say: &mut Vec<u8>) -> bool {
        match answer {
            Answer::User(user) => say.extend_from_slice(format!("+{user}\r\n\r\n").as_bytes()),
            Answer::Nobody => say.extend_from_slice(b"-Not Logged in\r\n\r\n"),
            Answer::Later | Answer::Away => say.extend_from_slice(b"*temporarily unavailable\r\n\r\n"),
        }
        true
    }
}

fn meaning(line: &[u8]) -> Heard {
    let line = std::str::from_utf8(line).unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    match (verb.as_str(), words.next(), words.next()) {
        ("QUERY", Some(address), None) => address.parse().map_or(Heard::Reply(BAD), Heard::Question),
        ("QUIT", None, None) => Heard::Last(b"+bye\r\n\r\n", ""),
        ("LOGIN" | "LOGOUT", ..) => Heard::Reply(b"*not allowed\r\n\r\n"),
        _ => Heard::Reply(BAD),
    }
}

const BAD: &[u8] = b"*bad request\r\n\r\n";
/// Of one line, without its end.
const LINE_MAX: usize = 512;
const LINES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::cut::{conversation, random_input};

    fn talk(text: &str) -> String {
        conversation(&|| Box::<Whoson>::default(), text.as_bytes()).replace("\r\n\r\n", ";")
    }

    #[test]
    fn a_covered_address_is_its_users() {
        assert_eq!(talk("QUERY 192.0.2.1\r\n\r\n"), "(192.0.2.1)+alice;");
        assert_eq!(talk("query 192.0.2.2\n\n"), "(192.0.2.2)-Not Logged in;");
        assert_eq!(talk("QUERY 192.0.2.8\r\n\r\n"), "(192.0.2.8)*temporarily unavailable;");
        assert_eq!(talk("QUERY 192.0.2.9\r\n\r\n"), "(192.0.2.9)*temporarily unavailable;");
        let three = "QUERY 192.0.2.2\r\n\r\nQUERY 192.0.2.1\r\n\r\nQUIT\r\n\r\nQUERY 192.0.2.1\r\n\r\n";
        assert_eq!(talk(three), "(192.0.2.2)-Not Logged in;(192.0.2.1)+alice;+bye;(close)");
    }

    #[test]
    fn nobody_else_may_say_who_is_on() {
        assert_eq!(talk("LOGIN 192.0.2.2 mallory\r\n\r\nLOGOUT 192.0.2.1\r\n\r\n"), "*not allowed;*not allowed;");
        assert_eq!(talk("LOGIN 192.0.2.2 m\r\nQUERY 192.0.2.1\r\n\r\n"), "*not allowed;", "one request is one");
    }

    #[test]
    fn bad_requests_are_told_so() {
        for text in
            ["\r\n", "QUERY\r\n\r\n", "QUERY x\r\n\r\n", "QUERY 192.0.2.1 x\r\n\r\n", "LIST\r\n\r\n", "\u{e4}\n\n"]
        {
            assert_eq!(talk(text), "*bad request;", "{text:?}");
        }
        let long = |length: usize| talk(&format!("{}\n\n", "x".repeat(length)));
        assert_eq!(long(LINE_MAX), "*bad request;");
        assert_eq!(long(LINE_MAX + 1), "*bad request: too long;(bad a line is too long)");
        let many = |count: usize| talk(&("QUERY 192.0.2.1\n".repeat(count) + "\n"));
        assert_eq!(many(LINES_MAX), "(192.0.2.1)+alice;");
        assert!(many(LINES_MAX + 1).contains("too many"));
    }

    #[test]
    fn random_input_is_survived() {
        random_input(&|| Box::<Whoson>::default(), &[b"QUERY 192.0.2.1\r\n", b"\r\n", b"LOGIN ", b"QUIT\n"]);
    }
}
