//! What every talk with a back-end begins with, up to the EHLO that counts.
//!
//! ```text
//! Greeting ─▶ Hello ─[STARTTLS]─▶ StartTls ─▶ (TLS) ─▶ Secured ─▶ Hello ─▶ open
//! ```
//!
//! It stands apart because a login and a probe share it, and because all the rules about TLS are in it: what was
//! offered in clear is forgotten, and where TLS is wanted nothing but EHLO and STARTTLS is said before it.

use std::sync::Arc;

use bytes::BytesMut;

use super::reply::{Offers, Reader, Reply};
use crate::proto::line::printable;
use crate::proto::{Ask, Denial, Refused, Stage};

/// An SMTP client up to the back-end's offers.
#[derive(Debug)]
pub(super) struct Opening {
    hostname: Arc<str>,
    /// STARTTLS is still due.
    starttls: bool,
    reader: Reader,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Greeting,
    Hello,
    StartTls,
    Secured,
}

/// What a step came to.
pub(super) enum Step {
    /// It goes on when the driver has done this.
    Ask(Ask),
    /// The back-end waits for a command, and takes these.
    Open(Offers),
}

impl Opening {
    pub(super) fn new(hostname: Arc<str>, starttls: bool) -> Self {
        Self { hostname, starttls, reader: Reader::default(), state: State::Greeting }
    }

    /// Reads until something is needed. Once it is open, replies come from [`Opening::reply`].
    pub(super) fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Result<Step, Refused> {
        loop {
            if let State::Secured = self.state {
                self.say_hello(heard, say)?;
            }
            let Some(reply) = self.reply(heard)? else { return Ok(Step::Ask(Ask::Input)) };
            match (self.state, reply.code) {
                (State::Greeting, 220) => self.say_hello(heard, say)?,
                (State::Hello, 250) => {
                    let offers = Offers::of(&reply);
                    if !self.starttls {
                        quiet(heard)?;
                        return Ok(Step::Open(offers));
                    }
                    if !offers.has("STARTTLS") {
                        return Err(unavailable("does not offer STARTTLS", b""));
                    }
                    quiet(heard)?;
                    say.extend_from_slice(b"STARTTLS\r\n");
                    self.state = State::StartTls;
                }
                // What is left in `heard` now was injected, and the driver ends the attempt.
                (State::StartTls, 220) => return Ok(Step::Ask(Ask::StartTls)),
                (State::Greeting, _) => return Err(unavailable("did not greet", reply.text())),
                // No HELO instead: it would be a way past TLS and AUTH.
                (State::Hello, _) => return Err(unavailable("refused EHLO", reply.text())),
                (State::StartTls | State::Secured, _) => return Err(unavailable("refused STARTTLS", reply.text())),
            }
        }
    }

    pub(super) fn secured(&mut self) {
        if let State::StartTls = self.state {
            self.starttls = false;
            self.state = State::Secured;
        }
    }

    /// Says EHLO, for which nothing may have come before.
    pub(super) fn say_hello(&mut self, heard: &BytesMut, say: &mut Vec<u8>) -> Result<(), Refused> {
        let hostname = Arc::clone(&self.hostname);
        self.say_hello_as(&hostname, heard, say)
    }

    /// The same by another name, which has no spaces and no controls.
    pub(super) fn say_hello_as(&mut self, name: &str, heard: &BytesMut, say: &mut Vec<u8>) -> Result<(), Refused> {
        quiet(heard)?;
        for part in ["EHLO ", name, "\r\n"] {
            say.extend_from_slice(part.as_bytes());
        }
        self.state = State::Hello;
        Ok(())
    }

    /// The next whole reply.
    pub(super) fn reply(&mut self, heard: &mut BytesMut) -> Result<Option<Reply>, Refused> {
        self.reader.next(heard).map_err(|garbled| unavailable(&garbled.to_string(), b""))
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Greeting => Stage::Greeting,
            State::StartTls => Stage::StartTls,
            State::Hello | State::Secured => Stage::Ehlo,
        }
    }
}

/// Whatever comes before we have spoken is no answer to us.
pub(super) fn quiet(heard: &BytesMut) -> Result<(), Refused> {
    if heard.is_empty() { Ok(()) } else { Err(unavailable("spoke out of turn", b"")) }
}

pub(super) fn unavailable(what: &str, text: &[u8]) -> Refused {
    refused(Denial::Unavailable, what, text)
}

pub(super) fn misconfigured(what: &str, text: &[u8]) -> Refused {
    refused(Denial::Misconfigured, what, text)
}

pub(super) fn refused(denial: Denial, what: &str, text: &[u8]) -> Refused {
    let colon = if text.is_empty() { "" } else { ": " };
    Refused { denial, detail: format!("the back-end {what}{colon}{}", printable(text, DETAIL_MAX)) }
}

/// With our words in front it is below the 256 bytes of [`Refused::detail`].
const DETAIL_MAX: usize = 200;
