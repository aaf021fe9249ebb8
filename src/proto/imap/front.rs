//! The IMAP half that faces a client until it has logged in.
//!
//! ```text
//!            ┌── any other command ──┐
//!            ▼                       │
//!         Command ── AUTHENTICATE ─▶ Sasl
//!            │ ▲                      │
//!      LOGIN │ └── deny ── Asked ◀────┘         too many errors, or a violation, anywhere ─▶ Over
//!            └──────────────▶ │
//!                             └── grant ─▶ (not called again)
//! ```
//!
//! It stands apart from the grammar because this is where decisions are: what is allowed now, what counts as an error.

use std::mem;

use bytes::BytesMut;

use super::border::{Scan, scan};
use super::command::{Command, Verb, Wrong, parse};
use super::words;
use crate::proto::error_budget::ErrorBudget;
use crate::proto::line::{self, Line};
use crate::proto::sasl::{Exchange, Fault, Turn, password_login};
use crate::proto::{Closing, Denial, Front, FrontConfig, Granted, Login, Mechanism, Need, RefusedHere, Tls};

/// See the module's head.
#[derive(Debug)]
pub(in crate::proto) struct ImapFront {
    pub(super) config: FrontConfig,
    pub(super) state: State,
    /// Whether a whole line has come: after it the peer is taken for an IMAP client, however bad.
    acquainted: bool,
    /// From the last ID.
    ttl: Option<u8>,
    pub(super) errors: ErrorBudget,
}

#[derive(Debug)]
pub(super) enum State {
    /// The next command; so many of its synchronising literals were invited.
    Command { invited: usize },
    /// AUTHENTICATE waits for the client's next line.
    Sasl { tag: String, exchange: Exchange },
    /// A login waits for `deny` or `grant`.
    Asked { tag: String },
    /// The session ends.
    Over(Closing),
}

impl State {
    const START: Self = Self::Command { invited: 0 };
}

impl ImapFront {
    pub(in crate::proto) fn new(config: FrontConfig) -> Self {
        Self { config, state: State::START, acquainted: false, ttl: None, errors: ErrorBudget::default() }
    }
}

impl Front for ImapFront {
    fn greet(&mut self, say: &mut Vec<u8>) {
        words::greet(&self.config, say);
    }

    fn step(&mut self, heard: &mut BytesMut, say: &mut Vec<u8>) -> Need {
        loop {
            // Each arm leaves the next state behind; the one below is right for most commands.
            let need = match mem::replace(&mut self.state, State::START) {
                State::Command { invited } => self.read_command(invited, heard, say),
                State::Sasl { tag, exchange } => self.read_response(tag, exchange, heard, say),
                State::Asked { tag } => {
                    self.state = State::Asked { tag };
                    Some(Need::Input)
                }
                State::Over(why) => {
                    self.state = State::Over(why);
                    line::forget(heard);
                    Some(Need::Close(why))
                }
            };
            if let Some(need) = need {
                return need;
            }
        }
    }

    fn secured(&mut self) {
        self.config.tls = Tls::Active;
        self.state = State::START;
        self.ttl = None;
    }

    fn deny(&mut self, denial: Denial, say: &mut Vec<u8>) {
        if let State::Asked { tag } = mem::replace(&mut self.state, State::START) {
            self.refuse(&tag, words::denied(denial), denial.counts_as_failed_login(), say);
        }
    }

    fn grant(&mut self, granted: &Granted, say: &mut Vec<u8>) {
        if let State::Asked { tag } = &self.state {
            words::put(say, &words::granted(tag, granted));
        }
    }

    fn refused_here(&mut self) -> Vec<RefusedHere> {
        self.errors.take_refused()
    }
}

impl ImapFront {
    /// One command, if it is whole; `None` when there may be another.
    fn read_command(&mut self, invited: usize, heard: &mut BytesMut, say: &mut Vec<u8>) -> Option<Need> {
        if !self.acquainted
            && let Some(word) = line::stranger(heard)
        {
            return self.violation(word, say);
        }
        match scan(heard, invited) {
            Scan::More => {
                self.state = State::Command { invited };
                Some(Need::Input)
            }
            Scan::Waiting { end, too_long } => {
                self.acquainted = true;
                self.invite(invited, end, too_long, heard, say)
            }
            Scan::Whole(border) => {
                self.acquainted = true;
                let command = Line::split(heard, border);
                if self.is_one_too_many(say) {
                    return None;
                }
                match parse(&command, false) {
                    Ok(Command { tag, verb }) => self.run(tag, verb, say),
                    Err(wrong) => {
                        self.wrong(wrong, say);
                        None
                    }
                }
            }
            Scan::TooLong(word) => self.violation(word, say),
        }
    }

    /// The client waits to send a literal: it is asked for it, or the command is refused here and its literal never
    /// comes (RFC 3501 §7.5). What came of an invited command stays in `heard`.
    fn invite(
        &mut self,
        invited: usize,
        end: usize,
        too_long: bool,
        heard: &mut BytesMut,
        say: &mut Vec<u8>,
    ) -> Option<Need> {
        let so_far = heard.get(..end).unwrap_or_default();
        match parse(so_far, true) {
            Err(Wrong::Unfinished { .. }) if too_long => return self.violation("literal_too_long", say),
            Err(Wrong::Unfinished { tag, login: true }) if self.login_is_barred(&tag, say) => {}
            Err(Wrong::Unfinished { .. }) => {
                words::put(say, "+ OK\r\n");
                self.state = State::Command { invited: invited + 1 };
                return None;
            }
            Err(wrong @ (Wrong::NoTag | Wrong::Command { .. })) => self.wrong(wrong, say),
            // A command does not end with a literal that has not come; if it did, it would not be understood.
            Ok(Command { tag, .. }) => self.bad(&tag, "Error in arguments", say),
        }
        drop(Line::split(heard, line::Border { text: end, end }));
        None
    }

    fn run(&mut self, tag: String, verb: Verb<'_>, say: &mut Vec<u8>) -> Option<Need> {
        match verb {
            Verb::Capability => {
                let capabilities = words::capabilities(&self.config);
                words::put(say, &format!("* CAPABILITY {capabilities}\r\n{tag} OK Capability completed.\r\n"));
            }
            Verb::Noop => words::put(say, &format!("{tag} OK NOOP completed.\r\n")),
            Verb::Enable => words::put(say, &format!("* ENABLED\r\n{tag} OK ENABLE ignored before the login.\r\n")),
            Verb::Id { ttl } => {
                self.ttl = ttl;
                words::put(say, &format!("{}{tag} OK ID completed.\r\n", words::ID));
            }
            Verb::Logout => {
                words::put(say, &format!("* BYE Logging out\r\n{tag} OK Logout completed.\r\n"));
                self.state = State::Over(Closing::LoggedOut);
            }
            Verb::StartTls => match self.config.tls {
                Tls::Offered => {
                    words::put(say, &format!("{tag} OK Begin TLS negotiation now.\r\n"));
                    return Some(Need::StartTls);
                }
                Tls::Active => self.bad(&tag, "TLS is already active", say),
                Tls::Unavailable => self.bad(&tag, "TLS is not available", say),
            },
            Verb::Login { user, password } => {
                if !self.login_is_barred(&tag, say) {
                    // The mechanism that stands for the command itself.
                    let turn = password_login(Mechanism::Plain, &user, &password).map_or_else(Turn::Failed, Turn::Done);
                    return self.turn(tag, turn, say);
                }
            }
            Verb::Authenticate { mechanism, initial } => return self.authenticate(tag, mechanism, initial, say),
        }
        None
    }

    fn authenticate(
        &mut self,
        tag: String,
        mechanism: Option<Mechanism>,
        initial: Option<&[u8]>,
        say: &mut Vec<u8>,
    ) -> Option<Need> {
        let Some(mechanism) = mechanism.filter(|mechanism| words::offers(&self.config, *mechanism)) else {
            self.not_offered(&tag, say);
            return None;
        };
        if !words::may_log_in(&self.config) {
            self.refuse_here(RefusedHere::NotPrivate, &tag, words::NOT_PRIVATE, say);
            return None;
        }
        let exchange = Exchange::new(mechanism);
        let turn = match initial {
            Some(response) => exchange.initial(response),
            None => Turn::Challenge(exchange),
        };
        self.turn(tag, turn, say)
    }

    /// The client's next line in an AUTHENTICATE exchange.
    fn read_response(
        &mut self,
        tag: String,
        exchange: Exchange,
        heard: &mut BytesMut,
        say: &mut Vec<u8>,
    ) -> Option<Need> {
        match line::take(heard, exchange.line_max()) {
            Ok(Some(response)) => self.turn(tag, exchange.answer(&response), say),
            Ok(None) => {
                self.state = State::Sasl { tag, exchange };
                Some(Need::Input)
            }
            Err(line::TooLong) => self.violation("line_too_long", say),
        }
    }

    fn turn(&mut self, tag: String, turn: Turn, say: &mut Vec<u8>) -> Option<Need> {
        match turn {
            Turn::Challenge(exchange) => {
                words::put(say, &format!("+ {}\r\n", exchange.challenge()));
                self.state = State::Sasl { tag, exchange };
            }
            Turn::Done(login) => {
                self.state = State::Asked { tag };
                return Some(Need::Login(Login { ttl: self.ttl, ..login }));
            }
            Turn::Failed(Fault::TooLong) => return self.violation("line_too_long", say),
            Turn::Failed(Fault::Cancelled) => self.bad(&tag, "Authentication cancelled", say),
            Turn::Failed(Fault::Syntax) => self.bad(&tag, "Invalid base64", say),
            Turn::Failed(Fault::Credentials) => {
                self.refuse_here(RefusedHere::Malformed, &tag, words::denied(Denial::BadCredentials), say);
            }
            Turn::Failed(Fault::Authorization) => {
                self.refuse_here(RefusedHere::Authorization, &tag, words::denied(Denial::Policy), say);
            }
        }
        None
    }
}
