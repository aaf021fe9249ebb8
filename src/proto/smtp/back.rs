//! The half of SMTP that logs in at a back-end.
//!
//! ```text
//! Opening ─[XCLIENT]─▶ Introducing ─▶ Introduced (EHLO again) ─┐
//!     └────────────────────────────────────────────────────────┴─▶ Proving ─▶ granted
//! ```
//!
//! A user whom the gateway vouches for is logged in by XCLIENT itself, and who only delivers is nobody: they need no
//! `Proving`. A back-end that does
//! not take our word for who the client is gets no credential: it would log the user in under our own address. Each
//! command waits for its reply, and nothing may follow a reply before we have spoken.

use std::vec::IntoIter;

use bytes::BytesMut;
use zeroize::Zeroizing;

use super::opening::{Opening, Step, misconfigured, quiet, refused, unavailable};
use super::reply::{Offers, Reply};
use super::{COMMAND_LINE, xclient};
use crate::proto::line::printable;
use crate::proto::{Ask, Back, Credential, Denial, Granted, LoginPlan, Refused, Stage, sasl};

/// An SMTP client up to the login.
pub(in crate::proto) struct SmtpBack {
    plan: LoginPlan,
    opening: Opening,
    state: State,
}

enum State {
    /// Up to the offers that count.
    Opening,
    /// With the XCLIENTs that are still to be said, and what was offered before them.
    Introducing(IntoIter<String>),
    /// EHLO was said once more.
    Introduced,
    /// With the answers to challenges that may still come, and what was offered.
    Proving(IntoIter<Zeroizing<String>>, Offers),
    Over,
}

impl SmtpBack {
    pub(in crate::proto) fn new(plan: LoginPlan) -> Self {
        let opening = Opening::new(plan.hostname.clone(), plan.starttls);
        Self { plan, opening, state: State::Opening }
    }
}

impl Back for SmtpBack {
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Ask {
        loop {
            match self.turn(heard, say) {
                Ok(None) => {}
                Ok(Some(ask)) => return ask,
                Err(refused) => {
                    self.state = State::Over;
                    return Ask::Refused(refused);
                }
            }
        }
    }

    fn secured(&mut self) {
        self.opening.secured();
    }

    fn stage(&self) -> Stage {
        match self.state {
            State::Opening => self.opening.stage(),
            State::Introducing(_) | State::Introduced => Stage::Xclient,
            State::Proving(..) | State::Over => Stage::Login,
        }
    }
}

impl SmtpBack {
    /// Reads one reply; `None` = go on.
    fn turn(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Result<Option<Ask>, Refused> {
        if let State::Opening = self.state {
            match self.opening.step(heard, say)? {
                Step::Ask(ask) => return Ok(Some(ask)),
                Step::Open(offers) => return self.opened(offers, say),
            }
        }
        let Some(reply) = self.opening.reply(heard)? else { return Ok(Some(Ask::Input)) };
        match (std::mem::replace(&mut self.state, State::Over), reply.code) {
            (State::Introducing(rest), 220) => self.introduce(rest, heard, say)?,
            (State::Introducing(_), 400..=499) => return Err(unavailable("refused XCLIENT", reply.text())),
            (State::Introducing(_), _) => return Err(misconfigured("refused XCLIENT", reply.text())),
            (State::Introduced, 250) => {
                quiet(heard)?;
                let offers = Offers::of(&reply);
                if let Credential::Trusted | Credential::Nobody = self.plan.credential {
                    return Ok(Some(Ask::Granted(granted(offers, b""))));
                }
                self.prove(offers, say)?;
            }
            (State::Introduced, _) => return Err(unavailable("refused EHLO after XCLIENT", reply.text())),
            (State::Proving(_, offers), 235) => return Ok(Some(Ask::Granted(granted(offers, reply.text())))),
            (State::Proving(answers, offers), 334) => {
                quiet(heard)?;
                self.answer(answers, offers, say)?;
            }
            (State::Proving(..), _) => return Err(self.denied(&reply)),
            (State::Opening | State::Over, _) => return Err(unavailable("answered what was not asked", b"")),
        }
        Ok(None)
    }

    /// The back-end waits for a command: first who is behind us, then who the user is.
    fn opened(&mut self, offers: Offers, say: &mut Vec<u8>) -> Result<Option<Ask>, Refused> {
        let user = &self.plan.user;
        // The name comes from the directory: a NUL in it would be another name.
        let is_nobody = matches!(self.plan.credential, Credential::Nobody);
        if user.is_empty() && !is_nobody || user.chars().any(char::is_control) {
            return Err(misconfigured("cannot be told this user's name", b""));
        }
        let mut commands = xclient::commands(&self.plan, &offers)?.into_iter();
        match commands.next() {
            Some(first) => {
                say.extend_from_slice(first.as_bytes());
                self.state = State::Introducing(commands);
            }
            None if is_nobody => {
                self.state = State::Over;
                return Ok(Some(Ask::Granted(granted(offers, b""))));
            }
            None => self.prove(offers, say)?,
        }
        Ok(None)
    }

    fn introduce(&mut self, mut rest: IntoIter<String>, heard: &BytesMut, say: &mut Vec<u8>) -> Result<(), Refused> {
        match rest.next() {
            Some(command) => {
                quiet(heard)?;
                say.extend_from_slice(command.as_bytes());
                self.state = State::Introducing(rest);
            }
            // Everything begins anew, as for the client itself: what it is offered may be something else. Postfix
            // takes the name of this EHLO for the client's, and forgets the one that XCLIENT told.
            None => {
                match self.plan.identity.as_ref().and_then(|identity| identity.helo.as_deref()).filter(is_name) {
                    Some(name) => self.opening.say_hello_as(name, heard, say)?,
                    None => self.opening.say_hello(heard, say)?,
                }
                self.state = State::Introduced;
            }
        }
        Ok(())
    }

    fn prove(&mut self, offers: Offers, say: &mut Vec<u8>) -> Result<(), Refused> {
        let LoginPlan { user, credential, .. } = &self.plan;
        let mut mechanisms = sasl::candidates(credential).iter();
        let mechanism = mechanisms.find(|mechanism| offers.has_with("AUTH", mechanism.wire_name()));
        let answers = mechanism.and_then(|mechanism| Some((mechanism, sasl::responses(*mechanism, user, credential)?)));
        let (mechanism, answers) =
            answers.ok_or_else(|| misconfigured("offers no mechanism for this credential", b""))?;
        let mut answers = answers.into_iter();
        let command = format!("AUTH {}", mechanism.wire_name());
        say.extend_from_slice(command.as_bytes());
        // LOGIN's first answer is a name, which not every server takes so early; a line of more than 512 bytes is
        // too long for a command, but not for an answer (RFC 4954 §4).
        let fits = |answer: &Zeroizing<String>| command.len() + 1 + answer.len() + 2 <= COMMAND_LINE;
        if *mechanism != sasl::Mechanism::Login && answers.as_slice().first().is_some_and(fits) {
            let initial = answers.next().unwrap_or_default();
            say.push(b' ');
            say.extend_from_slice(initial.as_bytes());
        }
        say.extend_from_slice(b"\r\n");
        self.state = State::Proving(answers, offers);
        Ok(())
    }

    fn answer(
        &mut self,
        mut answers: IntoIter<Zeroizing<String>>,
        offers: Offers,
        say: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let line = answers.next().ok_or_else(|| unavailable("asks for more than the mechanism has", b""))?;
        say.extend_from_slice(line.as_bytes());
        say.extend_from_slice(b"\r\n");
        self.state = State::Proving(answers, offers);
        Ok(())
    }

    /// What a no to AUTH means, by its code and never by its words (RFC 4954 §6).
    fn denied(&self, reply: &Reply) -> Refused {
        let denial = match reply.code {
            // Not understood, not here, not now, not this mechanism, not without TLS: nobody looked at the password.
            500 | 502..=504 | 530 | 534 | 538 => Denial::Misconfigured,
            500..=599 => match self.plan.credential {
                Credential::Password(_) | Credential::Token(..) => Denial::BadCredentials,
                // The client gave no wrong password: ours is wrong, or may not do this.
                Credential::Master { .. } | Credential::Trusted | Credential::Nobody => Denial::Misconfigured,
            },
            _ => Denial::Unavailable,
        };
        let is_repeated = |line: &Vec<u8>| sasl::is_repeated_in(line, &self.plan.user, &self.plan.credential);
        if reply.lines.iter().any(is_repeated) {
            return refused(denial, &format!("said {}, and repeated the credential", reply.code), b"");
        }
        refused(denial, &format!("said {}", reply.code), reply.text())
    }
}

/// What may be said raw behind EHLO.
fn is_name(name: &&str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn granted(offers: Offers, text: &[u8]) -> Granted {
    Granted { text: printable(text, 512), capabilities: None, extensions: offers.into_lines() }
}

#[cfg(test)]
mod tests;
