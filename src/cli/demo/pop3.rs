//! The demo store's POP3 (RFC 1939).

use std::fmt::Write;
use std::sync::Arc;

use super::store::{Conversation, Store};

pub(super) struct Pop3 {
    store: Arc<Store>,
    user: String,
    logged_in: bool,
}

impl Pop3 {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, user: String::new(), logged_in: false }
    }

    fn of_maildrop(&self, command: &str, arguments: &str, say: &mut String) {
        let messages = self.store.messages();
        if command == "STAT" {
            let size: usize = messages.iter().map(|message| message.len()).sum();
            let _ = write!(say, "+OK {} {size}\r\n", messages.len());
            return;
        }
        if arguments.is_empty() && matches!(command, "LIST" | "UIDL") {
            say.push_str("+OK\r\n");
            for (number, message) in (1..).zip(&messages) {
                let _ = write!(say, "{}\r\n", listing(command, number, message));
            }
            say.push_str(".\r\n");
            return;
        }
        let number: usize = arguments.parse().unwrap_or_default();
        let message = number.checked_sub(1).and_then(|index| messages.get(index));
        match (command, message) {
            ("LIST" | "UIDL", Some(message)) => {
                let _ = write!(say, "+OK {}\r\n", listing(command, number, message));
            }
            ("RETR", Some(message)) => {
                let _ = write!(say, "+OK {} octets\r\n", message.len());
                for line in message.split_inclusive('\n') {
                    say.push_str(if line.starts_with('.') { "." } else { "" });
                    say.push_str(line);
                }
                say.push_str(".\r\n");
            }
            ("LIST" | "UIDL" | "RETR", None) => say.push_str("-ERR no such message\r\n"),
            _ => say.push_str("-ERR unknown command\r\n"),
        }
    }
}

/// A message's line in the answer to LIST or UIDL.
fn listing(command: &str, number: usize, message: &str) -> String {
    if command == "LIST" { format!("{number} {}", message.len()) } else { format!("{number} message-{number}") }
}

impl Conversation for Pop3 {
    fn greet(&self) -> String {
        format!("+OK {} ready\r\n", self.store.name)
    }

    fn answer(&mut self, line: &str, say: &mut String) -> Option<()> {
        let (command, arguments) = line.split_once(' ').unwrap_or((line, ""));
        match command.to_ascii_uppercase().as_str() {
            "CAPA" => say.push_str("+OK\r\nUSER\r\nUIDL\r\n.\r\n"),
            "NOOP" => say.push_str("+OK\r\n"),
            "USER" => {
                arguments.clone_into(&mut self.user);
                say.push_str("+OK\r\n");
            }
            "PASS" => {
                self.logged_in = self.store.lets_in(&self.user, arguments);
                say.push_str(if self.logged_in { "+OK logged in\r\n" } else { "-ERR [AUTH] no\r\n" });
            }
            "QUIT" => {
                say.push_str("+OK\r\n");
                return None;
            }
            command if self.logged_in => self.of_maildrop(command, arguments.trim_end(), say),
            _ => say.push_str("-ERR log in first\r\n"),
        }
        Some(())
    }
}
