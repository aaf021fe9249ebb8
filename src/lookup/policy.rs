//! Postfix's policy delegation (SMTPD_POLICY_README): lines `name=value`, an empty line, `action=…`.
//!
//! In trouble of any kind the server is to say nothing and to hang up; Postfix then tells its client to come back.

use std::net::IpAddr;

use bytes::BytesMut;

use super::{Answer, Heard, Language};

/// See the module; what was heard of a request so far.
#[derive(Default)]
pub(super) struct Policy {
    attributes: usize,
    is_access_policy: bool,
    client: Option<Client>,
}

enum Client {
    Address(IpAddr),
    /// Postfix was not told: mail from a program, for one.
    Unknown,
}

impl Language for Policy {
    fn hear(&mut self, heard: &mut BytesMut) -> Heard {
        loop {
            match super::line(heard, LINE_MAX) {
                Err(()) => return bad("a line is too long"),
                Ok(None) => return Heard::More,
                Ok(Some(line)) if line.is_empty() => return std::mem::take(self).whole(),
                Ok(Some(line)) => {
                    if let Err(problem) = self.attribute(&line) {
                        return bad(problem);
                    }
                }
            }
        }
    }

    fn answer(&mut self, answer: &Answer<'_>, say: &mut Vec<u8>) -> bool {
        match answer {
            Answer::User(_) => say.extend_from_slice(b"action=OK\n\n"),
            Answer::Nobody => say.extend_from_slice(DUNNO),
            Answer::Later => say.extend_from_slice(b"action=DEFER the user of this address may not send now\n\n"),
            Answer::Away => return false,
        }
        true
    }
}

impl Policy {
    fn attribute(&mut self, line: &[u8]) -> Result<(), &'static str> {
        self.attributes += 1;
        if self.attributes > ATTRIBUTES_MAX {
            return Err("there are too many attributes");
        }
        let equals = memchr::memchr(b'=', line).ok_or("a line has no =")?;
        let (name, value) = line.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        match name {
            b"request" if self.is_access_policy => return Err("an attribute comes twice"),
            b"request" if value == b"smtpd_access_policy" => self.is_access_policy = true,
            b"request" => return Err("the request is another"),
            b"client_address" if self.client.is_some() => return Err("an attribute comes twice"),
            b"client_address" => {
                let address = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                self.client = Some(address.map_or(Client::Unknown, Client::Address));
            }
            // Others come with every version of Postfix, and mean nothing here.
            _ => {}
        }
        Ok(())
    }

    fn whole(self) -> Heard {
        match self {
            Self { is_access_policy: false, .. } => bad("the request is none"),
            Self { client: None, .. } => bad("the client's address is missing"),
            Self { client: Some(Client::Unknown), .. } => Heard::Reply(DUNNO),
            Self { client: Some(Client::Address(address)), .. } => Heard::Question(address),
        }
    }
}

fn bad(problem: &'static str) -> Heard {
    Heard::Last(b"", problem)
}

const DUNNO: &[u8] = b"action=DUNNO\n\n";
/// Of one line, without its end.
const LINE_MAX: usize = 4096;
const ATTRIBUTES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::cut::{conversation, random_input};

    fn talk(text: &str) -> String {
        conversation(&|| Box::<Policy>::default(), text.as_bytes())
    }

    #[test]
    fn a_covered_address_is_ok_and_any_other_is_left_to_the_next_rule() {
        let ask =
            |address| format!("request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address={address}\nx=\n\n");
        assert_eq!(talk(&ask("192.0.2.1")), "(192.0.2.1)action=OK\n\n");
        assert_eq!(talk(&ask("192.0.2.2")), "(192.0.2.2)action=DUNNO\n\n");
        assert_eq!(talk(&ask("2001:db8::1")), "(2001:db8::1)action=OK\n\n");
        assert_eq!(talk(&ask("unknown")), "action=DUNNO\n\n");
        let later = "(192.0.2.8)action=DEFER the user of this address may not send now\n\n";
        assert_eq!(talk(&ask("192.0.2.8")), later);
        assert_eq!(talk(&ask("192.0.2.9")), "(192.0.2.9)(close)", "the registry is away");
        let both = ask("192.0.2.2") + &ask("192.0.2.1");
        assert_eq!(talk(&both), "(192.0.2.2)action=DUNNO\n\n(192.0.2.1)action=OK\n\n");
    }

    #[test]
    fn what_is_no_request_gets_no_answer() {
        let good = "request=smtpd_access_policy\nclient_address=192.0.2.1\n";
        for (text, problem) in [
            ("\n", "request is none"),
            ("request=junk\n\n", "another"),
            ("request=smtpd_access_policy\n\n", "missing"),
            ("client_address=192.0.2.1\n\n", "request is none"),
            ("GET / HTTP/1.1\r\n\r\n", "no ="),
            (&format!("{good}client_address=192.0.2.2\n\n"), "twice"),
            (&format!("{good}request=smtpd_access_policy\n\n"), "twice"),
            (&format!("{good}\r\n"), "no ="),
        ] {
            let heard = talk(text);
            assert!(heard.starts_with("(bad ") && heard.contains(problem), "{text:?}: {heard}");
        }
    }

    #[test]
    fn lines_and_attributes_are_counted() {
        let start = "request=smtpd_access_policy\nclient_address=192.0.2.1\n";
        let long = |length: usize| format!("{start}x={}\n\n", "y".repeat(length - 2));
        assert!(talk(&long(LINE_MAX)).ends_with("action=OK\n\n"));
        assert!(talk(&long(LINE_MAX + 1)).contains("too long"));
        let many = |count: usize| format!("{start}{}\n", "a=b\n".repeat(count - 2));
        assert!(talk(&many(ATTRIBUTES_MAX)).ends_with("action=OK\n\n"));
        assert!(talk(&many(ATTRIBUTES_MAX + 1)).contains("too many"));
    }

    #[test]
    fn random_input_is_survived() {
        random_input(
            &|| Box::<Policy>::default(),
            &[b"request=smtpd_access_policy\n", b"client_address=1.2.3.4\n", b"\n"],
        );
    }
}
