//! The demo store's IMAP: what curl and a curious person with a terminal need (RFC 3501).

use std::fmt::Write;
use std::sync::Arc;

use super::store::{Conversation, Store};

pub(super) struct Imap {
    store: Arc<Store>,
    logged_in: bool,
}

impl Imap {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, logged_in: false }
    }

    fn log_in(&mut self, arguments: &str) -> &'static str {
        let mut words = arguments.split_ascii_whitespace().map(|word| word.trim_matches('"'));
        let (user, password) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.logged_in = self.store.lets_in(user, password);
        if self.logged_in { "OK [CAPABILITY IMAP4rev1] Logged in" } else { "NO [AUTHENTICATIONFAILED] No" }
    }

    fn fetch(&self, say: &mut String) -> &'static str {
        let message = &self.store.message;
        let _ = write!(say, "* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {{{}}}\r\n{message})\r\n", message.len());
        "OK Fetched"
    }

    fn of_mailbox(&self, command: &str, say: &mut String) -> &'static str {
        match command {
            "SELECT" | "EXAMINE" => {
                say.push_str("* 1 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 1] Valid\r\n");
                "OK [READ-ONLY] Selected"
            }
            "LIST" | "LSUB" => {
                let _ = write!(say, "* {command} () \"/\" INBOX\r\n");
                "OK Listed"
            }
            "SEARCH" | "UID SEARCH" => {
                say.push_str("* SEARCH 1\r\n");
                "OK Searched"
            }
            "FETCH" | "UID FETCH" => self.fetch(say),
            _ => "BAD Unknown command",
        }
    }
}

impl Conversation for Imap {
    fn greet(&self) -> String {
        format!("* OK [CAPABILITY IMAP4rev1 ID] {} ready\r\n", self.store.name)
    }

    fn answer(&mut self, line: &str, say: &mut String) -> Option<()> {
        let (tag, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut command = first.to_ascii_uppercase();
        if command == "UID" {
            command = format!("UID {}", arguments.split(' ').next().unwrap_or_default().to_ascii_uppercase());
        }
        let answer = match command.as_str() {
            "CAPABILITY" => {
                say.push_str("* CAPABILITY IMAP4rev1 ID\r\n");
                "OK Done"
            }
            "ID" => {
                say.push_str("* ID NIL\r\n");
                "OK Done"
            }
            "NOOP" | "CHECK" | "CLOSE" => "OK Done",
            "LOGIN" => self.log_in(arguments),
            "LOGOUT" => {
                let _ = write!(say, "* BYE\r\n{tag} OK Logged out\r\n");
                return None;
            }
            _ if self.logged_in => self.of_mailbox(&command, say),
            _ => "NO Log in first",
        };
        let _ = write!(say, "{tag} {answer}\r\n");
        Some(())
    }
}
