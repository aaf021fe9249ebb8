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
        let (size, message) = (self.store.message.len(), &self.store.message);
        let _ = match command {
            "STAT" => write!(say, "+OK 1 {size}\r\n"),
            "LIST" if arguments.is_empty() => write!(say, "+OK\r\n1 {size}\r\n.\r\n"),
            "LIST" => write!(say, "+OK 1 {size}\r\n"),
            "UIDL" if arguments.is_empty() => write!(say, "+OK\r\n1 hello\r\n.\r\n"),
            "UIDL" => write!(say, "+OK 1 hello\r\n"),
            // No line of the message begins with a dot.
            "RETR" if arguments == "1" => write!(say, "+OK {size} octets\r\n{message}.\r\n"),
            "RETR" => write!(say, "-ERR no such message\r\n"),
            _ => write!(say, "-ERR unknown command\r\n"),
        };
    }
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
            command if self.logged_in => self.of_maildrop(command, arguments, say),
            _ => say.push_str("-ERR log in first\r\n"),
        }
        Some(())
    }
}
