//! The IMAP half that logs in at the user's back-end.
//!
//! ```text
//! Greeting ─▶ [StartTls ─▶ Secured] ─▶ [Capability] ─▶ Login ─▶ [LoggedIn: CAPABILITY] ─▶ granted
//!     └────────────┴───────────┴───────────┴─────────────┴───────────────┴──────────────▶ refused
//! ```
//!
//! It stands apart because a back-end, or whoever sits between, is not believed: nothing but STARTTLS is told in the
//! clear where TLS is wanted, what was heard in the clear is forgotten, every tag must be the one that is awaited, and
//! no part of a password goes out without its `+`. A referral is never followed, and nothing untagged reaches the client.

use std::mem;

use bytes::BytesMut;

use super::login::{Script, identification};
use super::reply::{Capabilities, Condition, Reply, Words, parse};
use crate::proto::line::{Line, Replies, TooLong};
use crate::proto::{Ask, Back, Denial, Granted, LoginPlan, Refused, Stage};

/// See the module's head.
#[derive(Debug)]
pub(in crate::proto) struct ImapBack {
    pub(super) plan: LoginPlan,
    replies: Replies,
    state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// The first line.
    Greeting,
    /// `S STARTTLS` is said, in the clear.
    StartTls,
    /// The handshake is the driver's.
    Handshake,
    /// TLS is active and nothing is said yet.
    Secured,
    /// `C CAPABILITY` is said.
    Capability(Option<Capabilities>),
    /// `I ID` perhaps, and `L LOGIN` or `L AUTHENTICATE` are said.
    Login(Attempt),
    /// The user is in; `P CAPABILITY` is said.
    LoggedIn { text: String, capabilities: Option<Capabilities> },
    /// It was granted or refused.
    Over,
}

#[derive(Debug)]
pub(super) struct Attempt {
    script: Script,
    /// Whether ID has not been answered yet; it is answered first.
    identifying: bool,
    /// The last untagged list.
    capabilities: Option<Capabilities>,
}

impl ImapBack {
    pub(in crate::proto) fn new(plan: LoginPlan) -> Self {
        Self { plan, replies: Replies::default(), state: State::Greeting }
    }
}

impl Back for ImapBack {
    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Ask {
        if matches!(self.state, State::Secured) {
            // What was heard in the clear is not asked for again: it is not known any more.
            say.extend_from_slice(b"C CAPABILITY\r\n");
            self.state = State::Capability(None);
        }
        loop {
            if matches!(self.state, State::Over | State::Handshake) {
                return refused(Denial::Unavailable, "the attempt is over");
            }
            let line = match self.replies.next(heard) {
                Ok(Some(line)) => line,
                Ok(None) => return Ask::Input,
                Err(TooLong) => {
                    self.state = State::Over;
                    return refused(Denial::Unavailable, "protocol: more was said than a login takes");
                }
            };
            match self.hear(&line, heard.is_empty(), say) {
                Ok(state) => self.state = state,
                Err(ask) => {
                    self.state = if matches!(*ask, Ask::StartTls) { State::Handshake } else { State::Over };
                    return *ask;
                }
            }
        }
    }

    fn secured(&mut self) {
        self.state = State::Secured;
    }

    fn stage(&self) -> Stage {
        match self.state {
            State::Greeting => Stage::Greeting,
            State::StartTls | State::Handshake => Stage::StartTls,
            State::Secured | State::Capability(_) | State::LoggedIn { .. } => Stage::Capability,
            State::Login(_) | State::Over => Stage::Login,
        }
    }
}

/// The next state, or an ask that ends this round.
pub(super) type Next = Result<State, Box<Ask>>;

impl ImapBack {
    /// One line; `last` says that nothing has come behind it yet.
    fn hear(&mut self, line: &Line, last: bool, say: &mut Vec<u8>) -> Next {
        let reply = match parse(line) {
            Reply::Bye(words) => return deny(Denial::Unavailable, &format!("it said BYE {}", self.loggable(words))),
            reply => reply,
        };
        match mem::replace(&mut self.state, State::Over) {
            State::Greeting => self.greeted(&reply, last, line, say),
            State::StartTls => started(&reply, line),
            State::Capability(list) => self.listed(list, reply, line, say),
            State::Login(attempt) => self.answered(attempt, reply, say),
            State::LoggedIn { text, capabilities } => listed_after_login(text, capabilities, reply),
            State::Handshake | State::Secured | State::Over => protocol(line),
        }
    }

    fn greeted(&self, reply: &Reply<'_>, last: bool, line: &Line, say: &mut Vec<u8>) -> Next {
        let Reply::Ok(words) = reply else {
            // PREAUTH would make the client somebody that nobody checked.
            return if *reply == Reply::Preauth {
                deny(Denial::Unavailable, "protocol: PREAUTH")
            } else {
                protocol(line)
            };
        };
        if !last {
            return deny(Denial::Unavailable, "protocol: it said more than a greeting");
        }
        let capabilities = words.capabilities();
        if !self.plan.starttls {
            return match capabilities {
                Some(capabilities) => self.log_in(&capabilities, say),
                None => {
                    say.extend_from_slice(b"C CAPABILITY\r\n");
                    Ok(State::Capability(None))
                }
            };
        }
        if capabilities.is_some_and(|list| !list.has("STARTTLS")) {
            return deny(Denial::Unavailable, "STARTTLS not supported");
        }
        // Where nothing is known, STARTTLS itself is the question.
        say.extend_from_slice(b"S STARTTLS\r\n");
        Ok(State::StartTls)
    }

    /// The capabilities before the login.
    fn listed(&self, list: Option<Capabilities>, reply: Reply<'_>, line: &Line, say: &mut Vec<u8>) -> Next {
        match reply {
            Reply::Capability(list) => Ok(State::Capability(Some(list))),
            Reply::Ok(_) | Reply::Untagged => Ok(State::Capability(list)),
            Reply::Tagged(b"C", Condition::Ok, words) => match words.capabilities().or(list) {
                Some(list) => self.log_in(&list, say),
                None => deny(Denial::Unavailable, "protocol: CAPABILITY without a list"),
            },
            Reply::Tagged(b"C", Condition::No | Condition::Bad, _) => deny(Denial::Unavailable, "CAPABILITY refused"),
            Reply::Tagged(..) | Reply::Continue | Reply::Preauth | Reply::Bye(_) | Reply::Garbage => protocol(line),
        }
    }

    /// ID and the login's first part go in one write: the back-end answers them in this order.
    fn log_in(&self, offered: &Capabilities, say: &mut Vec<u8>) -> Next {
        if !offered.has("IMAP4rev1") && !offered.has("IMAP4rev2") {
            return deny(Denial::Misconfigured, "neither IMAP4rev1 nor IMAP4rev2 is offered");
        }
        let mut script = match Script::new(&self.plan.user, &self.plan.credential, offered) {
            Ok(script) => script,
            Err(why) => return deny(Denial::Misconfigured, why),
        };
        let identity = self.plan.identity.as_ref().filter(|_| offered.has("ID"));
        if let Some(identity) = identity {
            say.extend_from_slice(identification(identity).as_bytes());
        }
        if let Some(first) = script.next() {
            say.extend_from_slice(first.as_bytes());
        }
        Ok(State::Login(Attempt { script, identifying: identity.is_some(), capabilities: None }))
    }

    fn answered(&self, mut attempt: Attempt, reply: Reply<'_>, say: &mut Vec<u8>) -> Next {
        match (reply, attempt.identifying) {
            (Reply::Tagged(b"I", _, _), true) => attempt.identifying = false,
            // A server answers in order, so this is the list after the login (RFC 3501 §6.2.2).
            (Reply::Capability(list), false) => attempt.capabilities = Some(list),
            (Reply::Capability(_), true) | (Reply::Ok(_) | Reply::Untagged, _) => {}
            (Reply::Continue, false) => match attempt.script.next() {
                Some(part) => say.extend_from_slice(part.as_bytes()),
                None => return out_of_turn(),
            },
            (Reply::Tagged(b"L", Condition::Ok, words), false) if attempt.script.is_told() => {
                return logged_in(words, attempt.capabilities, say);
            }
            (Reply::Tagged(b"L", condition @ (Condition::No | Condition::Bad), words), false) => {
                return self.turned_away(condition, words);
            }
            (Reply::Tagged(..) | Reply::Continue | Reply::Preauth | Reply::Bye(_) | Reply::Garbage, _) => {
                return out_of_turn();
            }
        }
        Ok(State::Login(attempt))
    }
}

/// After `S STARTTLS`: what is untagged is swallowed, a list in the clear is not believed.
fn started(reply: &Reply<'_>, line: &Line) -> Next {
    match reply {
        Reply::Tagged(b"S", Condition::Ok, _) => Err(Box::new(Ask::StartTls)),
        Reply::Tagged(b"S", Condition::No | Condition::Bad, _) | Reply::Continue => {
            deny(Denial::Unavailable, "STARTTLS not supported: it was refused")
        }
        Reply::Ok(_) | Reply::Capability(_) | Reply::Untagged => Ok(State::StartTls),
        Reply::Tagged(..) | Reply::Preauth | Reply::Bye(_) | Reply::Garbage => protocol(line),
    }
}

/// The client is to know what the back-end can do now; most say it by themselves.
fn logged_in(words: Words<'_>, heard: Option<Capabilities>, say: &mut Vec<u8>) -> Next {
    let text = words.text(TEXT_MAX);
    match words.capabilities().or(heard) {
        Some(capabilities) => granted(text, Some(capabilities)),
        None => {
            say.extend_from_slice(b"P CAPABILITY\r\n");
            Ok(State::LoggedIn { text, capabilities: None })
        }
    }
}

/// The user is in; a back-end that cannot list its capabilities is no reason to throw them out.
fn listed_after_login(text: String, list: Option<Capabilities>, reply: Reply<'_>) -> Next {
    match reply {
        Reply::Capability(list) => Ok(State::LoggedIn { text, capabilities: Some(list) }),
        Reply::Ok(_) | Reply::Untagged => Ok(State::LoggedIn { text, capabilities: list }),
        Reply::Tagged(b"P", _, words) => granted(text, words.capabilities().or(list)),
        Reply::Tagged(..) | Reply::Continue | Reply::Preauth | Reply::Bye(_) | Reply::Garbage => out_of_turn(),
    }
}

fn granted(text: String, capabilities: Option<Capabilities>) -> Next {
    Err(Box::new(Ask::Granted(Granted {
        text,
        capabilities: capabilities.and_then(Capabilities::into_list),
        ..Granted::default()
    })))
}

fn protocol(line: &Line) -> Next {
    deny(Denial::Unavailable, &format!("protocol: unexpected {:?}", crate::proto::line::printable(line, 100)))
}

/// The same once the credential is told: the line may be its echo, and is not quoted.
fn out_of_turn() -> Next {
    deny(Denial::Unavailable, "protocol: unexpected reply to the login")
}

pub(super) fn deny(denial: Denial, detail: &str) -> Next {
    Err(Box::new(refused(denial, detail)))
}

fn refused(denial: Denial, detail: &str) -> Ask {
    Ask::Refused(Refused { denial, detail: detail.to_owned() })
}

/// As [`Granted::text`] promises.
const TEXT_MAX: usize = 512;
