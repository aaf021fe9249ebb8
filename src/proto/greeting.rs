//! A talk that hears a back-end's greeting and leaves: whether anybody is there.

use bytes::BytesMut;

use super::{Ask, Back, Denial, Granted, Protocol, Refused, Stage};

/// A client that ends in [`Ask::Granted`] after the greeting's first line, whatever that says: a server that is too busy
/// now says so itself, to each login. The protocol's own goodbye is said, and the stream is to be closed.
#[derive(Debug)]
pub struct Probe {
    protocol: Protocol,
}

impl Probe {
    /// For a server that speaks this protocol.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol }
    }
}

impl Back for Probe {
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Ask {
        match memchr::memchr(b'\n', heard) {
            Some(_) => {
                heard.clear();
                say.extend_from_slice(match self.protocol {
                    Protocol::Imap => b"C LOGOUT\r\n",
                    Protocol::Pop3 | Protocol::Submission | Protocol::Smtp => b"QUIT\r\n",
                });
                Ask::Granted(Granted::default())
            }
            None if heard.len() > GREETING_MAX => {
                let detail = "a greeting without an end".to_owned();
                Ask::Refused(Refused { denial: Denial::Unavailable, detail })
            }
            None => Ask::Input,
        }
    }

    fn secured(&mut self) {}

    fn stage(&self) -> Stage {
        Stage::Greeting
    }
}

/// In bytes: more than any protocol allows for a line.
const GREETING_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::cut;

    #[test]
    fn a_greeting_is_all_that_is_waited_for() {
        let talk = |protocol, greeting: &str| cut::back(|| Box::new(Probe::new(protocol)), &[greeting.as_bytes()]);
        assert_eq!(talk(Protocol::Imap, "* OK hello\r\n"), "C LOGOUT\n(granted )\n");
        assert_eq!(talk(Protocol::Imap, "* BYE busy\r\n"), "C LOGOUT\n(granted )\n");
        assert_eq!(talk(Protocol::Pop3, "+OK\r\n"), "QUIT\n(granted )\n");
        assert_eq!(talk(Protocol::Smtp, "220 mx\r\n"), "QUIT\n(granted )\n");
    }

    #[test]
    fn a_greeting_without_an_end_is_none() {
        let mut probe = Probe::new(Protocol::Imap);
        let mut heard = BytesMut::from(&b"x".repeat(GREETING_MAX)[..]);
        assert!(matches!(probe.step(&mut heard, &mut Vec::new()), Ask::Input));
        heard.extend_from_slice(b"x");
        assert!(matches!(probe.step(&mut heard, &mut Vec::new()), Ask::Refused(_)));
    }
}
