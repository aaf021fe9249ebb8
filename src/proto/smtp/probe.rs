//! A talk that learns what a back-end offers, without a login: greeting, EHLO, STARTTLS where it is wanted, QUIT.
//!
//! It stands apart because it has no user and no credential, and so cannot tell one by mistake.

use std::sync::Arc;

use bytes::BytesMut;

use super::opening::{Opening, Step, unavailable};
use crate::proto::{Ask, Back, Granted, Stage};

/// An SMTP client that asks and goes. It ends in [`Ask::Granted`] with the extensions, QUIT being said: whatever comes
/// after that does not matter, and the stream is to be closed.
#[derive(Debug)]
pub struct Probe {
    opening: Opening,
    is_over: bool,
}

impl Probe {
    /// `hostname` is what EHLO says; with `starttls`, what is offered inside TLS is learnt, or nothing.
    #[must_use]
    pub fn new(hostname: Arc<str>, starttls: bool) -> Self {
        Self { opening: Opening::new(hostname, starttls), is_over: false }
    }
}

impl Back for Probe {
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Ask {
        if self.is_over {
            return Ask::Refused(unavailable("was asked already", b""));
        }
        let ask = match self.opening.step(heard, say) {
            Ok(Step::Ask(ask)) => return ask,
            Ok(Step::Open(offers)) => {
                say.extend_from_slice(b"QUIT\r\n");
                Ask::Granted(Granted { extensions: offers.into_lines(), ..Granted::default() })
            }
            Err(refused) => Ask::Refused(refused),
        };
        self.is_over = true;
        ask
    }

    fn secured(&mut self) {
        self.opening.secured();
    }

    fn stage(&self) -> Stage {
        self.opening.stage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::cut;

    fn talk(starttls: bool, rounds: &[&str]) -> String {
        let rounds: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
        cut::back(|| Box::new(Probe::new("gw.example.com".into(), starttls)), &rounds)
    }

    const OFFERS: &str = "250-mx.example.com\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 DSN\r\n";

    #[test]
    fn what_a_back_end_offers_is_learnt_without_a_login() {
        assert_eq!(
            talk(false, &["220-mx\r\n220 ESMTP\r\n", OFFERS]),
            "EHLO gw.example.com\nQUIT\n(granted [\"SIZE 1000\", \"STARTTLS\", \"DSN\"] )\n"
        );
        assert_eq!(
            talk(true, &["220 mx\r\n", OFFERS, "220 go\r\n", "250-mx\r\n250 CHUNKING\r\n"]),
            "EHLO gw.example.com\nSTARTTLS\n(starttls)\nEHLO gw.example.com\nQUIT\n(granted [\"CHUNKING\"] )\n"
        );
        assert_eq!(talk(false, &["220 mx\r\n", "250 mx\r\n"]), "EHLO gw.example.com\nQUIT\n(granted )\n");
    }

    #[test]
    fn nothing_is_learnt_of_a_back_end_that_does_not_work() {
        for rounds in [&["421 later\r\n"][..], &["220 mx\r\n", "502 no\r\n"], &["220 mx\r\n", "250 mx\r\n"]] {
            assert!(talk(true, rounds).contains("(refused Unavailable: "), "{rounds:?}");
        }
    }
}
