//! The demo store's submission (RFC 6409). The user logs in by AUTH PLAIN, or the gateway vouches for the user by XCLIENT.

use std::fmt::Write;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use super::store::{Conversation, Store};
use super::transaction::{DemoTransaction, MESSAGE_MAX};
use crate::proto::Credential;
use crate::proto::sasl::{Exchange, Mechanism, Turn};

pub(super) struct Submission {
    store: Arc<Store>,
    /// As XCLIENT says.
    client: Option<IpAddr>,
    logged_in: bool,
    expects_response: bool,
    transaction: DemoTransaction,
}

impl Submission {
    pub(super) fn new(store: Arc<Store>) -> Self {
        let transaction = DemoTransaction::default();
        Self { store, client: None, logged_in: false, expects_response: false, transaction }
    }

    fn command(&mut self, command: &str, arguments: &str) -> &'static str {
        let mailboxes = &self.store.mailboxes;
        match command {
            "EHLO" | "HELO" | "RSET" => {
                self.transaction = DemoTransaction::default();
                "250 2.0.0 OK"
            }
            "XCLIENT" | "AUTH" if self.logged_in => "503 5.5.1 Logged in already",
            "XCLIENT" => self.xclient(arguments),
            "AUTH" => self.auth(arguments),
            "NOOP" => "250 2.0.0 OK",
            "MAIL" | "RCPT" | "DATA" if !self.logged_in => "530 5.7.0 Log in first",
            "MAIL" => self.transaction.mail(arguments),
            "RCPT" => self.transaction.rcpt(arguments, mailboxes),
            "DATA" => self.transaction.data(),
            _ => "500 5.5.2 Unknown command",
        }
    }

    /// Postfix's XCLIENT. The store believes anybody on its loopback address; a real server has a list of hosts.
    fn xclient(&mut self, attributes: &str) -> &'static str {
        for attribute in attributes.split_ascii_whitespace() {
            match attribute.split_once('=') {
                Some(("LOGIN", user)) if user == self.store.user => self.logged_in = true,
                Some(("LOGIN", _)) => return "550 5.7.1 No such user",
                Some(("ADDR", address)) => self.client = address.trim_start_matches("IPV6:").parse().ok(),
                _ => return "501 5.5.4 Unknown attribute",
            }
        }
        "220 Ready"
    }

    fn auth(&mut self, arguments: &str) -> &'static str {
        match arguments.split_once(' ').unwrap_or((arguments, "")) {
            (mechanism, _) if !mechanism.eq_ignore_ascii_case("PLAIN") => "504 5.5.4 AUTH PLAIN only",
            (_, "") => {
                self.expects_response = true;
                "334 "
            }
            (_, response) => self.authenticate(response),
        }
    }

    fn authenticate(&mut self, response: &str) -> &'static str {
        if let Turn::Done(login) = Exchange::new(Mechanism::Plain).answer(response.as_bytes())
            && let Credential::Password(password) = &login.credential
        {
            self.logged_in = self.store.lets_in(&login.user, password.expose());
        }
        if self.logged_in { "235 2.7.0 Logged in" } else { "535 5.7.8 Wrong user or password" }
    }

    /// What the store writes above a message.
    fn header(&self) -> String {
        let client = self.client.map_or_else(|| "an unknown address".to_owned(), |client| client.to_string());
        format!("X-Demo: {} sent this from {client} through {}", self.store.user, self.store.name)
    }
}

impl Conversation for Submission {
    fn greet(&self) -> String {
        format!("220 {} ESMTP ready\r\n", self.store.name)
    }

    fn answer(&mut self, line: &str, say: &mut String) -> Option<()> {
        if self.transaction.expects_text() {
            let header = self.header();
            if let Some(reply) = self.transaction.add_line(line, &header, &self.store.mailboxes) {
                let _ = write!(say, "{reply}\r\n");
            }
            return Some(());
        }
        if mem::take(&mut self.expects_response) {
            let _ = write!(say, "{}\r\n", self.authenticate(line));
            return Some(());
        }
        let (command, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let command = command.to_ascii_uppercase();
        if command == "QUIT" {
            say.push_str("221 2.0.0 Bye\r\n");
            return None;
        }
        let reply = self.command(&command, arguments);
        let _ = if command == "EHLO" {
            write!(
                say,
                "250-{}\r\n250-SIZE {MESSAGE_MAX}\r\n250-AUTH PLAIN\r\n250 XCLIENT LOGIN ADDR\r\n",
                self.store.name
            )
        } else {
            write!(say, "{reply}\r\n")
        };
        Some(())
    }
}

#[cfg(test)]
mod tests;
