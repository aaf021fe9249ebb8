//! The half of POP3 that faces the client until it has logged in.
//!
//! ```text
//!            ┌──────────────── STLS: all is forgotten ───────────────┐
//!            ▼                                                       │
//! Fresh ──line──▶ Idle ──USER──▶ Named ──PASS──▶ Asked ──deny──▶ Idle, or Over
//!                  │  ▲            │               ▲   └──grant──▶ (not called again)
//!                  └──┼───AUTH─────┴─▶ Exchange ───┘
//!                     └────*, fault────────┘
//! ```
//!
//! Wrong commands and failed logins are counted for the whole session. A good command does not set the count back:
//! else CAPA and nonsense in turn could go on for ever. A cancelled AUTH is a wrong command for the same reason.

use bytes::BytesMut;

use super::answer::{list, no, put, yes};
use super::command::Command;
use super::refusal;
use crate::proto::error_budget::ErrorBudget;
use crate::proto::line::{self, Line, TooLong};
use crate::proto::sasl::{Exchange, Fault, Turn, password_login};
use crate::proto::{Closing, Denial, Front, FrontConfig, Granted, Login, Mechanism, Need, RefusedHere, Tls};

/// A POP3 server up to the login.
pub(in crate::proto) struct Pop3Front {
    config: FrontConfig,
    state: State,
    errors: ErrorBudget,
}

enum State {
    /// No line has come yet: this may be no mail client at all.
    Fresh,
    /// Nobody has said who they are.
    Idle,
    /// USER has; the name is as it came.
    Named(Vec<u8>),
    /// AUTH goes on: the next line is an answer.
    Exchange(Exchange),
    /// A login is being decided.
    Asked,
    /// The last words are said.
    Over(Closing),
}

impl Pop3Front {
    pub(in crate::proto) fn new(config: FrontConfig) -> Self {
        Self { config, state: State::Fresh, errors: ErrorBudget::default() }
    }
}

impl Front for Pop3Front {
    fn greet(&mut self, say: &mut Vec<u8>) {
        // The name first: a greeting in `<…>` would offer APOP (RFC 1939 §7), one in `[…]` would be a code.
        yes(say, &format!("{} {}", self.config.hostname, self.config.greeting));
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
        self.state = State::Fresh;
    }

    fn deny(&mut self, denial: Denial, say: &mut Vec<u8>) {
        no(say, refusal(denial));
        self.state = State::Idle;
        if denial.counts_as_failed_login() {
            self.count_failed_login();
        }
    }

    fn grant(&mut self, granted: &Granted, say: &mut Vec<u8>) {
        yes(say, if granted.text.is_empty() { "Logged in." } else { &granted.text });
    }

    fn refused_here(&mut self) -> Vec<RefusedHere> {
        self.errors.take_refused()
    }
}

impl Pop3Front {
    /// Reads one line; `None` = go on.
    fn turn(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Option<Need> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Fresh => match line::stranger(heard.get(..COMMAND_MAX + 2).unwrap_or(heard)) {
                // Not a word: a browser, or whoever speaks through one, is not to get an answer.
                Some(what) => Some(self.over(Closing::Violation(what))),
                None => self.command(State::Fresh, heard, say),
            },
            before @ (State::Idle | State::Named(_)) => self.command(before, heard, say),
            State::Exchange(exchange) => match line::take(heard, exchange.line_max()) {
                Ok(Some(line)) => self.turned(exchange.answer(&line), say),
                Ok(None) => self.wait(State::Exchange(exchange)),
                Err(TooLong) => self.too_long(say),
            },
            State::Asked => self.wait(State::Asked),
            State::Over(closing) => Some(self.over(closing)),
        }
    }

    fn command(&mut self, before: State, heard: &mut BytesMut, say: &mut Vec<u8>) -> Option<Need> {
        match line::take(heard, line_max(heard)) {
            Ok(None) => self.wait(before),
            Err(TooLong) => self.too_long(say),
            Ok(Some(line)) => {
                self.state = if matches!(before, State::Fresh) { State::Idle } else { before };
                self.obey(&line, say)
            }
        }
    }

    fn obey(&mut self, line: &Line, say: &mut Vec<u8>) -> Option<Need> {
        if self.errors.count_command() {
            no(say, "Too many commands before a login.");
            return Some(self.over(Closing::TooManyCommands));
        }
        if !line.is_clean() {
            return self.wrong("A CR or NUL inside a line.", say);
        }
        match Command::parse(line) {
            Ok(Command::Capa) => self.capabilities(say),
            Ok(Command::Noop) => yes(say, ""),
            Ok(Command::Mechanisms) => list(say, self.mechanisms().iter().map(|mechanism| mechanism.wire_name())),
            Ok(Command::User(name)) => return self.user(name, say),
            Ok(Command::Pass(password)) => return self.pass(password, say),
            Ok(Command::Auth { mechanism, initial }) => return self.auth(mechanism, initial, say),
            Ok(Command::Stls) => return self.stls(say),
            Ok(Command::Quit) => {
                yes(say, "Bye.");
                return Some(self.over(Closing::LoggedOut));
            }
            Err(words) => return self.wrong(words, say),
        }
        None
    }

    /// Only what is true now (RFC 2449 §5). TOP, UIDL and PIPELINING are what every back-end has, and what a client
    /// decides by before it logs in.
    fn capabilities(&self, say: &mut Vec<u8>) {
        let mechanisms = self.mechanisms().iter().fold(String::new(), |text, name| text + " " + name.wire_name());
        let sasl = format!("SASL{mechanisms}");
        let conditional = [
            ("STLS", self.config.tls == Tls::Offered),
            ("USER", self.takes_passwords()),
            (sasl.as_str(), !mechanisms.is_empty()),
        ];
        let conditional = conditional.into_iter().filter_map(|(capability, holds)| holds.then_some(capability));
        list(say, ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"].into_iter().chain(conditional));
    }

    fn user(&mut self, name: &[u8], say: &mut Vec<u8>) -> Option<Need> {
        // Where only tokens are offered, there is no password to come.
        if !self.config.mechanisms.iter().any(|mechanism| mechanism.carries_password()) {
            return self.wrong("[AUTH] Passwords are not accepted here.", say);
        }
        if !self.is_private() {
            return self.not_private(say);
        }
        // Whether there is such a user is not said; a second USER replaces the first.
        yes(say, "");
        self.state = State::Named(name.to_vec());
        None
    }

    fn pass(&mut self, password: &[u8], say: &mut Vec<u8>) -> Option<Need> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Named(name) => match password_login(Mechanism::Plain, &name, password) {
                Ok(login) => Some(self.ask(login)),
                Err(_) => self.failed(RefusedHere::Malformed, Denial::BadCredentials, say),
            },
            _ => self.wrong("USER comes first.", say),
        }
    }

    fn auth(&mut self, mechanism: &[u8], initial: Option<&[u8]>, say: &mut Vec<u8>) -> Option<Need> {
        // Whoever USER named is not who AUTH speaks for.
        self.state = State::Idle;
        let offered = |mechanism: &Mechanism| self.config.mechanisms.contains(mechanism);
        let Some(mechanism) = Mechanism::from_wire(mechanism).filter(offered) else {
            return self.wrong("Unsupported authentication mechanism.", say);
        };
        if !self.is_private() {
            return self.not_private(say);
        }
        let exchange = Exchange::new(mechanism);
        let turn = match initial {
            Some(response) => exchange.initial(response),
            None => Turn::Challenge(exchange),
        };
        self.turned(turn, say)
    }

    fn turned(&mut self, turn: Turn, say: &mut Vec<u8>) -> Option<Need> {
        match turn {
            Turn::Challenge(exchange) => {
                put(say, &["+ ", exchange.challenge(), "\r\n"]);
                self.state = State::Exchange(exchange);
                None
            }
            Turn::Done(login) => Some(self.ask(login)),
            Turn::Failed(Fault::Cancelled) => self.wrong("Authentication cancelled.", say),
            Turn::Failed(Fault::Syntax) => self.wrong("Invalid base64.", say),
            Turn::Failed(Fault::TooLong) => self.too_long(say),
            Turn::Failed(Fault::Credentials) => self.failed(RefusedHere::Malformed, Denial::BadCredentials, say),
            Turn::Failed(Fault::Authorization) => self.failed(RefusedHere::Authorization, Denial::Policy, say),
        }
    }

    fn stls(&mut self, say: &mut Vec<u8>) -> Option<Need> {
        match self.config.tls {
            Tls::Offered => {
                self.state = State::Idle;
                yes(say, "Begin TLS negotiation now.");
                Some(Need::StartTls)
            }
            Tls::Active => self.wrong("TLS is already active.", say),
            Tls::Unavailable => self.wrong("TLS is not available here.", say),
        }
    }

    fn ask(&mut self, login: Login) -> Need {
        self.state = State::Asked;
        Need::Login(login)
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
        no(say, "Line too long.");
        Some(self.over(Closing::Violation("line_too_long")))
    }

    /// One wrong command more.
    fn wrong(&mut self, words: &str, say: &mut Vec<u8>) -> Option<Need> {
        if !self.errors.bad_command(&self.config) {
            no(say, words);
            return None;
        }
        no(say, "Too many wrong commands.");
        Some(self.over(Closing::TooManyBadCommands))
    }

    /// A login that is refused here: nobody needs to be asked about an empty password.
    fn failed(&mut self, why: RefusedHere, denial: Denial, say: &mut Vec<u8>) -> Option<Need> {
        self.errors.refused(why);
        self.deny(denial, say);
        None
    }

    /// It counts as a failed login: what was said in clear may be known to others now.
    fn not_private(&mut self, say: &mut Vec<u8>) -> Option<Need> {
        self.errors.refused(RefusedHere::NotPrivate);
        no(say, "[AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.");
        self.count_failed_login();
        None
    }

    /// One failed login more; it was answered, so the end comes with the next step, without another word.
    fn count_failed_login(&mut self) {
        if self.errors.failed_login(&self.config) {
            self.state = State::Over(Closing::TooManyFailedLogins);
        }
    }

    /// Whether a password may be said now. A bearer token is one in all but name.
    fn is_private(&self) -> bool {
        self.config.cleartext || self.config.tls == Tls::Active
    }

    /// Whether USER and PASS may come now.
    fn takes_passwords(&self) -> bool {
        self.mechanisms().iter().any(|mechanism| mechanism.carries_password())
    }

    fn mechanisms(&self) -> &[Mechanism] {
        if self.is_private() { &self.config.mechanisms } else { &[] }
    }
}

fn line_max(heard: &[u8]) -> usize {
    let is_auth = heard.get(..AUTH.len()).is_some_and(|start| start.eq_ignore_ascii_case(AUTH));
    if is_auth { AUTH_MAX } else { COMMAND_MAX }
}

/// RFC 2449 §4 wants 255 bytes; passwords are longer today.
const COMMAND_MAX: usize = 8 * 1024;
const AUTH: &[u8] = b"AUTH ";
/// An AUTH with the longest initial response.
const AUTH_MAX: usize = AUTH.len() + "OAUTHBEARER ".len() + Mechanism::OAuthBearer.line_max();

#[cfg(test)]
mod tests;
