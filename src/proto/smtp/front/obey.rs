//! What the front does on each command: whether it may be said now, and what it answers.

use super::reception::{self, Reception};
use super::{Hello, SmtpFront};
use crate::proto::line::Line;
use crate::proto::sasl::{Exchange, Turn};
use crate::proto::smtp::answer::{say_line, say_list};
use crate::proto::smtp::command::{BAD_CHUNK, Command};
use crate::proto::smtp::{HELLO_FIRST, extension};
use crate::proto::{Closing, Credential, Login, Mechanism, Need, RefusedHere, Tls};

impl SmtpFront {
    pub(super) fn obey(&mut self, line: &Line, say: &mut Vec<u8>) -> Option<Need> {
        // Where messages are taken, only what leads to none is counted, from message to message.
        if self.reception.is_none() && self.errors.count_command() {
            say_line(say, "421 4.7.0 Too many commands before a login.");
            return Some(self.over(Closing::TooManyCommands));
        }
        if !line.is_clean() {
            return self.garbled("500 5.5.2 A CR or NUL inside a line.", line, say);
        }
        let command = Command::parse(line);
        if let Ok(command) = &command
            && self.is_one_too_many(command)
        {
            return Some(self.too_many(say));
        }
        match command {
            Ok(Command::Ehlo(name)) => {
                self.hello = Some(Hello { name: name.to_owned(), extended: true });
                say_list(say, &self.offers());
            }
            Ok(Command::Helo(name)) => {
                self.hello = Some(Hello { name: name.to_owned(), extended: false });
                say_list(say, &[self.config.hostname.to_string()]);
            }
            Ok(Command::Noop | Command::Rset) => say_line(say, "250 2.0.0 OK."),
            // RFC 5321 §3.5.3: that is not said to strangers, and not denied.
            Ok(Command::Vrfy) => say_line(say, "252 2.5.0 Send some mail, and see."),
            Ok(Command::Help) if self.reception.is_some() => {
                say_line(say, "214 2.0.0 EHLO STARTTLS MAIL RCPT DATA NOOP RSET QUIT");
            }
            Ok(Command::Help) => say_line(say, "214 2.0.0 EHLO STARTTLS AUTH NOOP RSET QUIT"),
            Ok(Command::Auth { mechanism, initial }) => return self.auth(mechanism, initial, say),
            Ok(Command::StartTls) => return self.starttls(say),
            Ok(command @ (Command::Mail(_) | Command::Recipient(_) | Command::Data | Command::Bdat(_))) => {
                return self.take(command, say);
            }
            Ok(Command::Quit) => {
                say_line(say, "221 2.0.0 Bye.");
                return Some(self.over(Closing::LoggedOut));
            }
            // Its bytes would be read as commands.
            Err(BAD_CHUNK) => return Some(self.bad_chunk(say)),
            Err(answer) => return self.not_a_command(answer, line, say),
        }
        None
    }

    /// Only what is true now, and what every back-end has that the session may end at.
    fn offers(&self) -> Vec<String> {
        let mut lines = vec![self.config.hostname.to_string()];
        match &self.reception {
            Some(_) => lines.extend(reception::shown(&self.config)),
            None => lines.extend(self.config.extensions.iter().filter_map(|offered| extension::shown(offered))),
        }
        if self.config.tls == Tls::Offered {
            lines.push("STARTTLS".to_owned());
        }
        if self.is_private() && !self.config.mechanisms.is_empty() {
            let names = self.config.mechanisms.iter().map(|mechanism| mechanism.wire_name());
            lines.push(names.fold("AUTH".to_owned(), |line, name| line + " " + name));
        }
        lines
    }

    /// The login of a client that may need none of its own; nothing of the line is read that the back-end will read.
    pub(super) fn vouch(&self, line: &[u8]) -> Option<Login> {
        let hello = self.hello.as_ref().filter(|_| self.config.vouching)?;
        let is_clean = memchr::memchr2(b'\r', 0, line).is_none();
        let is_mail = is_clean && matches!(Command::parse(line), Ok(Command::Mail(_)));
        let is_open = self.reception.as_ref().is_some_and(Reception::is_open);
        (is_mail && !is_open).then(|| Login {
            user: String::new(),
            credential: Credential::Trusted,
            mechanism: Mechanism::Plain,
            ttl: None,
            helo: Some(hello.name.clone()),
        })
    }

    fn auth(&mut self, mechanism: &[u8], initial: Option<&[u8]>, say: &mut Vec<u8>) -> Option<Need> {
        match &self.reception {
            Some(_) if self.config.mechanisms.is_empty() => return self.wrong("502 5.5.1 Not implemented.", say),
            // RFC 4954 §4.
            Some(reception) if reception.is_open() => return self.wrong("503 5.5.1 Not while a message is sent.", say),
            _ => {}
        }
        if !self.hello.as_ref().is_some_and(|hello| hello.extended) {
            return self.wrong(HELLO_FIRST, say);
        }
        let offered = |mechanism: &Mechanism| self.config.mechanisms.contains(mechanism);
        let Some(mechanism) = Mechanism::from_wire(mechanism).filter(offered) else {
            return self.wrong("504 5.5.4 Unsupported authentication mechanism.", say);
        };
        if !self.is_private() {
            // It counts as a failed login: what was said in clear may be known to others now.
            self.errors.refused(RefusedHere::NotPrivate);
            say_line(say, "538 5.7.11 Encryption is required for authentication.");
            self.count_failed_login();
            return None;
        }
        let exchange = Exchange::new(mechanism);
        let turn = match initial {
            Some(response) => exchange.initial(response),
            None => Turn::Challenge(exchange),
        };
        self.turned(turn, say)
    }

    fn starttls(&mut self, say: &mut Vec<u8>) -> Option<Need> {
        match self.config.tls {
            Tls::Offered => {
                say_line(say, "220 2.0.0 Begin TLS negotiation now.");
                Some(Need::StartTls)
            }
            Tls::Active => self.wrong("503 5.5.1 TLS is already active.", say),
            Tls::Unavailable => self.wrong("502 5.5.1 TLS is not available here.", say),
        }
    }

    /// Whether a password may be said now. A bearer token is one in all but name.
    fn is_private(&self) -> bool {
        self.config.cleartext || self.config.tls == Tls::Active
    }
}
