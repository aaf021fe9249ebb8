//! The half of POP3 that logs in at a back-end.
//!
//! ```text
//! Greeting ─[STLS]─▶ Stls ─▶ (TLS) ─▶ Secured ─┐
//!     └────────────────────────────────────────┴─▶ [Identified ─▶] Opened ─▶ Proving ─▶ granted
//! ```
//!
//! `Identified` waits for the answer to XCLIENT, `Opened` for that to USER or AUTH, which went out in the same write;
//! what proves the user goes only when both were answered well: a back-end that does not take our word for who the
//! client is would log the user in under our own address. After each answer for which nothing else is due, nothing
//! may follow: such bytes were not an answer to us.

use std::vec::IntoIter;

use bytes::BytesMut;
use zeroize::Zeroizing;

use super::reply::{self, Reply};
use crate::proto::line::{Replies, printable};
use crate::proto::{Ask, Back, Credential, Denial, Granted, Identity, LoginPlan, Refused, Stage, sasl};
use crate::secret::Secret;

/// A POP3 client up to the login.
pub(in crate::proto) struct Pop3Back {
    plan: LoginPlan,
    replies: Replies,
    state: State,
}

enum State {
    Greeting,
    Stls {
        xclient: bool,
    },
    Secured {
        xclient: bool,
    },
    Identified(Proof),
    Opened(Proof),
    /// With the answers to challenges that may still come.
    Proving(IntoIter<Zeroizing<String>>),
    Over,
}

/// What proves the user, after USER or AUTH.
enum Proof {
    /// By PASS.
    Password(Secret),
    /// By what SASL answers to each challenge.
    Answers(IntoIter<Zeroizing<String>>),
}

impl Pop3Back {
    pub(in crate::proto) fn new(plan: LoginPlan) -> Self {
        Self { plan, replies: Replies::default(), state: State::Greeting }
    }
}

impl Back for Pop3Back {
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
        if let State::Stls { xclient } = self.state {
            self.state = State::Secured { xclient };
        }
    }

    fn stage(&self) -> Stage {
        match self.state {
            State::Greeting => Stage::Greeting,
            State::Stls { .. } => Stage::StartTls,
            State::Secured { .. } | State::Identified(_) | State::Opened(_) | State::Proving(_) | State::Over => {
                Stage::Login
            }
        }
    }
}

impl Pop3Back {
    /// Reads one reply; `None` = go on.
    fn turn(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Result<Option<Ask>, Refused> {
        if let State::Secured { xclient } = self.state {
            self.state = self.open(xclient, heard, say)?;
        }
        let reply = self.replies.next(heard).map_err(|_| unavailable("said too much before the login", b""))?;
        let Some(line) = reply else { return Ok(Some(Ask::Input)) };
        let reply = Some(&line).filter(|line| line.is_clean()).and_then(|line| Reply::parse(line));
        let reply = reply.ok_or_else(|| self.astray("did not answer in POP3", &line))?;
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match (state, reply) {
            (State::Greeting, Reply::Yes(text)) => self.greeted(reply::offers_xclient(text), heard, say)?,
            (State::Stls { xclient }, Reply::Yes(_)) => {
                self.state = State::Stls { xclient };
                return Ok(Some(Ask::StartTls));
            }
            (State::Greeting | State::Stls { .. }, Reply::No(text)) => return Err(not_now(text)),
            (State::Identified(proof), Reply::Yes(_)) => State::Opened(proof),
            (State::Identified(_), Reply::No(text)) => return Err(misconfigured("refused XCLIENT", text)),
            (State::Opened(proof), reply) => proof.begin(reply, heard, say)?,
            (State::Proving(_), Reply::Yes(text)) => return Ok(Some(Ask::Granted(granted(text)))),
            (State::Proving(_), Reply::No(text)) => return Err(self.denied(text)),
            (State::Proving(answers), Reply::Challenge) => answer(answers, heard, say)?,
            (State::Over | State::Secured { .. }, _)
            | (State::Greeting | State::Stls { .. } | State::Identified(_), Reply::Challenge) => {
                return Err(self.astray("answered what was not asked", &line));
            }
        };
        Ok(None)
    }

    fn greeted(&self, xclient: bool, heard: &BytesMut, say: &mut Vec<u8>) -> Result<State, Refused> {
        if !self.plan.starttls {
            return self.open(xclient, heard, say);
        }
        quiet(heard)?;
        say.extend_from_slice(b"STLS\r\n");
        Ok(State::Stls { xclient })
    }

    /// Says who is behind us and who the user is, in one write.
    fn open(&self, xclient: bool, heard: &BytesMut, say: &mut Vec<u8>) -> Result<State, Refused> {
        quiet(heard)?;
        let (command, proof) = self.opening()?;
        let identity = self.plan.identity.as_ref().filter(|_| xclient);
        if let Some(identity) = identity {
            say.extend_from_slice(xclient_command(identity).as_bytes());
        }
        say.extend_from_slice(command.as_bytes());
        Ok(if identity.is_some() { State::Identified(proof) } else { State::Opened(proof) })
    }

    /// A line that nobody can make sense of; it is quoted only while no credential has left.
    fn astray(&self, what: &str, line: &[u8]) -> Refused {
        match self.state {
            State::Greeting | State::Stls { .. } | State::Secured { .. } => unavailable(what, line),
            State::Identified(_) | State::Opened(_) | State::Proving(_) | State::Over => unavailable(what, b""),
        }
    }

    /// The answer to what proves the user; that our own master is refused is not the user's fault.
    fn denied(&self, text: &[u8]) -> Refused {
        let denial = match (reply::denial(text), &self.plan.credential) {
            (Denial::BadCredentials, Credential::Master { .. }) => Denial::Misconfigured,
            (denial, _) => denial,
        };
        if sasl::is_repeated_in(text, &self.plan.user, &self.plan.credential) {
            return refused(denial, "said no, and repeated the credential", b"");
        }
        refused(denial, "said no", text)
    }

    fn opening(&self) -> Result<(String, Proof), Refused> {
        let LoginPlan { user, credential, .. } = &self.plan;
        // The name comes from the directory: a line end in it would be a second command.
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(misconfigured("cannot be told this user's name", b""));
        }
        match credential {
            Credential::Password(password) if !user.contains(' ') => {
                Ok((format!("USER {user}\r\n"), Proof::Password(password.clone())))
            }
            // USER takes one word; and a token or a master has no other way.
            Credential::Password(_)
            | Credential::Token(..)
            | Credential::Master { .. }
            | Credential::Trusted
            | Credential::Nobody => {
                // No initial response: XCLIENT may be refused, and many servers bear only 255 bytes (RFC 2449 §4).
                let mechanism = sasl::candidates(credential).first().copied();
                let answers = mechanism.and_then(|mechanism| {
                    let answers = sasl::responses(mechanism, user, credential)?;
                    Some((format!("AUTH {}\r\n", mechanism.wire_name()), Proof::Answers(answers.into_iter())))
                });
                answers.ok_or_else(|| misconfigured("has no mechanism for this credential", b""))
            }
        }
    }
}

impl Proof {
    /// Says it, now that USER or AUTH is answered.
    fn begin(self, reply: Reply<'_>, heard: &BytesMut, say: &mut Vec<u8>) -> Result<State, Refused> {
        match (self, reply) {
            (Self::Password(password), Reply::Yes(_)) => {
                quiet(heard)?;
                for part in ["PASS ", password.expose(), "\r\n"] {
                    say.extend_from_slice(part.as_bytes());
                }
                Ok(State::Proving(IntoIter::default()))
            }
            (Self::Password(_), Reply::No(text)) => Err(refused(reply::denial(text), "said no", text)),
            (Self::Answers(answers), Reply::Challenge) => answer(answers, heard, say),
            // Nobody was named yet: whatever is wrong, it is not the password.
            (Self::Answers(_), Reply::No(text)) => Err(match reply::denial(text) {
                Denial::BadCredentials => misconfigured("refused the mechanism", text),
                denial => refused(denial, "refused AUTH", text),
            }),
            (Self::Password(_), Reply::Challenge) | (Self::Answers(_), Reply::Yes(_)) => {
                Err(unavailable("answered what was not asked", b""))
            }
        }
    }
}

fn answer(mut answers: IntoIter<Zeroizing<String>>, heard: &BytesMut, say: &mut Vec<u8>) -> Result<State, Refused> {
    quiet(heard)?;
    let line = answers.next().ok_or_else(|| unavailable("asks for more than the mechanism has", b""))?;
    say.extend_from_slice(line.as_bytes());
    say.extend_from_slice(b"\r\n");
    Ok(State::Proving(answers))
}

/// As Dovecot reads it; every value is of digits, letters, `.`, `:` and `-`, so that none can hold a space or a line
/// end. An IPv4 client on an IPv6 socket is told as IPv4.
fn xclient_command(identity: &Identity) -> String {
    let Identity { client, session, ttl, .. } = identity;
    let session: String = session.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    format!("XCLIENT ADDR={} PORT={} SESSION={session} TTL={ttl}\r\n", client.ip().to_canonical(), client.port())
}

fn granted(text: &[u8]) -> Granted {
    let (_, text) = reply::code(text);
    Granted { text: printable(text, 512), ..Granted::default() }
}

fn quiet(heard: &BytesMut) -> Result<(), Refused> {
    if heard.is_empty() { Ok(()) } else { Err(unavailable("spoke out of turn", b"")) }
}

/// A `-ERR` before anybody was named is never about the user.
fn not_now(text: &[u8]) -> Refused {
    match reply::denial(text) {
        Denial::Misconfigured => misconfigured("said no", text),
        _ => unavailable("said no", text),
    }
}

fn unavailable(what: &str, text: &[u8]) -> Refused {
    refused(Denial::Unavailable, what, text)
}

fn misconfigured(what: &str, text: &[u8]) -> Refused {
    refused(Denial::Misconfigured, what, text)
}

fn refused(denial: Denial, what: &str, text: &[u8]) -> Refused {
    let colon = if text.is_empty() { "" } else { ": " };
    Refused { denial, detail: format!("the back-end {what}{colon}{}", printable(text, DETAIL_MAX)) }
}

/// With our words in front it is below the 256 bytes of [`Refused::detail`].
const DETAIL_MAX: usize = 200;

#[cfg(test)]
mod tests;
