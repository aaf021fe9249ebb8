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

    /// Answers with the whole messages of a set, such as `1`, `*` or `1:*`, whatever else was asked for.
    fn fetch(&self, set: &str, say: &mut String) -> &'static str {
        let messages = self.store.messages();
        let number = |text: &str| if text == "*" { Some(messages.len()) } else { text.parse().ok() };
        let (first, last) = set.split_once(':').unwrap_or((set, set));
        let (Some(first), Some(last)) = (number(first), number(last)) else { return "BAD Not such a set" };
        let set = first.min(last)..=first.max(last);
        for (number, message) in (1..).zip(&messages).filter(|(number, _)| set.contains(number)) {
            let size = message.len();
            let _ = write!(say, "* {number} FETCH (UID {number} FLAGS (\\Seen) BODY[] {{{size}}}\r\n{message})\r\n");
        }
        "OK Fetched"
    }

    fn of_mailbox(&self, command: &str, arguments: &str, say: &mut String) -> &'static str {
        match command {
            "SELECT" | "EXAMINE" => {
                let _ = write!(say, "* {} EXISTS\r\n", self.store.messages().len());
                say.push_str("* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 1] Valid\r\n");
                "OK [READ-ONLY] Selected"
            }
            "LIST" | "LSUB" => {
                let _ = write!(say, "* {command} () \"/\" INBOX\r\n");
                "OK Listed"
            }
            "SEARCH" | "UID SEARCH" => {
                say.push_str("* SEARCH");
                (1..=self.store.messages().len()).for_each(|number| {
                    let _ = write!(say, " {number}");
                });
                say.push_str("\r\n");
                "OK Searched"
            }
            "FETCH" | "UID FETCH" => self.fetch(arguments.split(' ').next().unwrap_or_default(), say),
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
        let (first, mut arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut command = first.trim_end().to_ascii_uppercase();
        if command == "UID" {
            let (second, rest) = arguments.split_once(' ').unwrap_or((arguments, ""));
            command = format!("UID {}", second.to_ascii_uppercase());
            arguments = rest;
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
            _ if self.logged_in => self.of_mailbox(&command, arguments, say),
            _ => "NO Log in first",
        };
        let _ = write!(say, "{tag} {answer}\r\n");
        Some(())
    }
}
