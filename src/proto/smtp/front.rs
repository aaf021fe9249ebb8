//! The half of SMTP that faces the client: until it has logged in, and for as long as it delivers messages.
//!
//! ```text
//!    ┌────────── STARTTLS: all is forgotten ─────────┐
//!    ▼                                               │
//! Idle ──AUTH──▶ Exchange ──▶ Asked ──deny──▶ Idle, or Parting ──▶ Over
//!  │ ▲              │           └──grant──▶ (not called again)
//!  │ └──*, fault────┘
//!  ├──BDAT, refused──▶ PassOver: its bytes are passed over ──▶ Idle
//!  ├──MAIL, where an address may vouch──▶ Vouched ──deny──▶ Unwanted: the line is passed over ──▶ Idle
//!  └──RCPT, DATA, BDAT of a message that is taken here──▶ Posted ──answer──▶ Idle, or Posted till the text's end
//! ```
//!
//! A MAIL that the gateway is asked to vouch for stays in `heard`: the back-end is to answer it. It is asked each time,
//! for who is unknown now may log in elsewhere in a moment. Wrong commands and failed logins are counted for the whole
//! session, as in POP3, and TLS does not set the counts back.
//!
//! A front that has a `Reception` takes messages of strangers, and takes no line that ends in a bare LF. What may stand
//! behind what is `Pipelining`'s to say.

use bytes::{Buf, BytesMut};

use super::answer::{put, say_line};
use super::command::{BAD_CHUNK, Chunk, Command};
use super::pipelining::{OutOfTurn, Pipelining};
use super::{HELLO_FIRST, refusal, refusal_of_mail};
use crate::proto::error_budget::ErrorBudget;
use crate::proto::line::{self, Line, TooLong};
use crate::proto::sasl::{Exchange, Fault, Turn};
use crate::proto::{Answer, Closing, Denial, Front, FrontConfig, Granted, Login, MailRequest, Need, RefusedHere, Tls};

mod border;
mod obey;
mod reception;
mod take;

use border::{COMMAND_MAX, Stranger, line_max, stranger};
use reception::{Asked, Reception};

/// An SMTP server up to the login.
pub(in crate::proto) struct SmtpFront {
    config: FrontConfig,
    state: State,
    /// What the client has said by EHLO or HELO since TLS began.
    hello: Option<Hello>,
    errors: ErrorBudget,
    pipelining: Pipelining,
    /// `None` = no message is taken before a login.
    reception: Option<Reception>,
}

enum State {
    /// A command may come.
    Idle,
    /// AUTH goes on: the next line is an answer.
    Exchange(Exchange),
    /// So much of a refused chunk is still to come (RFC 3030 §2: it comes whatever is answered), then the answer.
    PassOver(u64, &'static str),
    /// A part of a message is passed on.
    Posted(Asked),
    /// A login is being decided.
    Asked,
    /// It is being decided whether the MAIL in `heard` may be relayed without a login.
    Vouched,
    /// It may not, but messages of strangers are taken: it is one of those.
    Stranger,
    /// It may not, and was answered.
    Unwanted,
    /// The end was decided, but not said.
    Parting(Closing),
    /// The last words are said.
    Over(Closing),
}

struct Hello {
    name: String,
    /// EHLO: AUTH may come (RFC 4954 §4).
    extended: bool,
}

impl SmtpFront {
    pub(in crate::proto) fn new(config: FrontConfig) -> Self {
        let pipelining = Pipelining::new(config.unauthorized_pipelining);
        Self { config, state: State::Idle, hello: None, errors: ErrorBudget::default(), pipelining, reception: None }
    }

    /// One that takes messages of strangers.
    pub(in crate::proto) fn taking_mail(config: FrontConfig) -> Self {
        let reception = Some(Reception::new(&config));
        Self { reception, ..Self::new(config) }
    }
}

impl Front for SmtpFront {
    fn greet(&mut self, say: &mut Vec<u8>) {
        put(say, &["220 ", &self.config.hostname, " ESMTP ", &self.config.greeting, "\r\n"]);
    }

    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Need {
        loop {
            if let Some(need) = self.turn(heard, say) {
                return need;
            }
        }
    }

    fn secured(&mut self) {
        self.config.tls = Tls::Active;
        self.state = State::Idle;
        self.hello = None;
        self.reception.as_mut().map(Reception::forget);
    }

    fn deny(&mut self, denial: Denial, say: &mut Vec<u8>) {
        if matches!(self.state, State::Vouched) {
            return self.refuse_mail(denial, say);
        }
        say_line(say, refusal(denial));
        self.state = State::Idle;
        if denial.counts_as_failed_login() {
            self.count_failed_login();
        }
    }

    fn grant(&mut self, _: &Granted, say: &mut Vec<u8>) {
        // A MAIL that was vouched for is answered by the back-end.
        if !matches!(self.state, State::Vouched) {
            say_line(say, "235 2.7.0 Authentication successful.");
        }
    }

    fn answer(&mut self, answer: &Answer, say: &mut Vec<u8>) {
        let asked = match std::mem::replace(&mut self.state, State::Idle) {
            State::Posted(asked) => asked,
            other => return self.state = other,
        };
        let broken = Answer::ours("451 4.3.0 Something went wrong, please try again later.");
        let answer = if asked.fits(answer) { answer } else { &broken };
        answer.put(say);
        if matches!(asked, Asked::Data) && !answer.is_go_ahead() {
            self.pipelining.data_is_refused();
        }
        let Some(reception) = &mut self.reception else { return };
        let (then, is_idle) = reception.answered(asked, answer);
        self.state = then.map_or(State::Idle, State::Posted);
        if is_idle && reception.idle_command() && self.errors.bad_command(&self.config) {
            self.state = State::Parting(Closing::TooManyBadCommands);
        }
    }

    fn refused_here(&mut self) -> Vec<RefusedHere> {
        self.errors.take_refused()
    }
}

impl SmtpFront {
    /// Reads one line; `None` = go on.
    fn turn(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Option<Need> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.command(true, heard, say),
            State::Stranger => self.command(false, heard, say),
            State::Exchange(exchange) => match line::take(heard, exchange.line_max()) {
                Ok(Some(line)) => self.turned(exchange.answer(&line), say),
                Ok(None) => self.wait(State::Exchange(exchange)),
                Err(TooLong) => self.too_long(say),
            },
            State::PassOver(left, answer) => self.pass_over(left, answer, heard, say),
            State::Unwanted => {
                // The line is whole: it was found before it was vouched for.
                drop(line::take(heard, COMMAND_MAX));
                None
            }
            State::Parting(closing) => {
                say_line(say, "421 4.7.0 Too many errors.");
                Some(self.over(closing))
            }
            state @ (State::Asked | State::Vouched | State::Posted(_)) => self.wait(state),
            State::Over(closing) => Some(self.over(closing)),
        }
    }

    fn command(&mut self, may_vouch: bool, heard: &mut BytesMut, say: &mut Vec<u8>) -> Option<Need> {
        if let Err(out_of_turn) = self.pipelining.look(!heard.is_empty()) {
            return Some(self.out_of_turn(out_of_turn, say));
        }
        match stranger(heard.get(..COMMAND_MAX + 2).unwrap_or(heard)) {
            Stranger::No => {}
            Stranger::Unknown => return self.wait(State::Idle),
            // Such bytes may be a browser's, with a message in what it posts: the rest is not read.
            Stranger::Yes(what) => {
                say_line(say, "554 5.5.1 This is not SMTP.");
                return Some(self.over(Closing::Violation(what)));
            }
        }
        match line::find(heard, line_max(heard)) {
            Ok(None) => self.wait(State::Idle),
            Err(TooLong) => self.too_long(say),
            Ok(Some(border)) => {
                let line = heard.get(..border.text).unwrap_or_default();
                let is_whole = self.reception.is_none() || border.end - border.text == CRLF;
                if let Err(out_of_turn) = self.take_turn(line, is_whole, heard.len() > border.end) {
                    return Some(self.out_of_turn(out_of_turn, say));
                }
                if let Some(login) = self.vouch(line).filter(|_| may_vouch) {
                    self.state = State::Vouched;
                    return Some(Need::Login(login));
                }
                if is_whole && self.gives_up(line) {
                    return Some(Need::MailRequest(MailRequest::GiveUp));
                }
                let line = Line::split(heard, border);
                if !is_whole {
                    return self.garbled(BARE_LF, &line, say);
                }
                self.obey(&line, say)
            }
        }
    }

    /// Whether this line may be run now, with or without something behind it.
    fn take_turn(&mut self, line: &[u8], is_whole: bool, has_more: bool) -> Result<(), OutOfTurn> {
        let is_clean = is_whole && memchr::memchr2(b'\r', 0, line).is_none();
        let command = match Command::parse(line) {
            // A chunk's bytes lie behind it in any case; whether it is a good one is for others to say.
            Ok(Command::Bdat(_)) | Err(BAD_CHUNK) => Some(Command::Bdat(Chunk { size: 0, last: false })),
            command => command.ok().filter(|_| is_clean),
        };
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        self.pipelining.take(command.as_ref(), extended, has_more)
    }

    fn out_of_turn(&mut self, out_of_turn: OutOfTurn, say: &mut Vec<u8>) -> Need {
        if let Some(answer) = out_of_turn.answer {
            say_line(say, answer);
        }
        self.over(Closing::Violation(out_of_turn.what))
    }

    fn turned(&mut self, turn: Turn, say: &mut Vec<u8>) -> Option<Need> {
        match turn {
            Turn::Challenge(exchange) => {
                put(say, &["334 ", exchange.challenge(), "\r\n"]);
                self.state = State::Exchange(exchange);
                None
            }
            Turn::Done(login) => {
                self.state = State::Asked;
                let helo = self.hello.as_ref().map(|hello| hello.name.clone());
                Some(Need::Login(Login { helo, ..login }))
            }
            Turn::Failed(Fault::Cancelled) => self.wrong("501 5.7.0 Authentication cancelled.", say),
            Turn::Failed(Fault::Syntax) => self.wrong("501 5.5.2 Invalid base64.", say),
            Turn::Failed(Fault::TooLong) => self.too_long(say),
            // Refused here: nobody needs to be asked about an empty password.
            Turn::Failed(fault @ (Fault::Credentials | Fault::Authorization)) => {
                let (why, denial) = match fault {
                    Fault::Authorization => (RefusedHere::Authorization, Denial::Policy),
                    _ => (RefusedHere::Malformed, Denial::BadCredentials),
                };
                self.errors.refused(why);
                self.deny(denial, say);
                None
            }
        }
    }

    /// RFC 3030 §2: the bytes of a chunk come behind the command, and are no commands.
    fn pass_over(&mut self, left: u64, answer: &'static str, heard: &mut BytesMut, say: &mut Vec<u8>) -> Option<Need> {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(heard.len());
        heard.advance(here);
        match left - here as u64 {
            0 => self.wrong(answer, say),
            left => self.wait(State::PassOver(left, answer)),
        }
    }

    /// A session does not ask for ever.
    fn refuse_mail(&mut self, denial: Denial, say: &mut Vec<u8>) {
        if self.reception.is_some() {
            self.state = State::Stranger;
            return;
        }
        say_line(say, refusal_of_mail(denial));
        let is_last = self.errors.bad_command(&self.config);
        self.state = if is_last { State::Parting(Closing::TooManyBadCommands) } else { State::Unwanted };
    }

    fn wait(&mut self, state: State) -> Option<Need> {
        self.state = state;
        Some(Need::Input)
    }

    fn over(&mut self, closing: Closing) -> Need {
        self.state = State::Over(closing);
        Need::Close(closing)
    }

    fn too_long(&mut self, say: &mut Vec<u8>) -> Option<Need> {
        say_line(say, "500 5.5.2 Line too long.");
        Some(self.over(Closing::Violation("line_too_long")))
    }

    /// One wrong command more.
    fn wrong(&mut self, answer: &str, say: &mut Vec<u8>) -> Option<Need> {
        if !self.errors.bad_command(&self.config) {
            say_line(say, answer);
            return None;
        }
        Some(self.too_many(say))
    }

    fn too_many(&mut self, say: &mut Vec<u8>) -> Need {
        say_line(say, "421 4.7.0 Too many errors.");
        self.over(Closing::TooManyBadCommands)
    }

    /// One failed login more; it was answered, so the end is said with the next step.
    fn count_failed_login(&mut self) {
        if self.errors.failed_login(&self.config) {
            self.state = State::Parting(Closing::TooManyFailedLogins);
        }
    }
}

const CRLF: usize = 2;
/// A server that has passed such a line on may have taken it for a part of another.
const BARE_LF: &str = "500 5.5.2 A line ends with CR and LF.";
#[cfg(test)]
mod tests;
