//! One message on its way into a demo store: a sender, recipients, then the text (RFC 5321 §3.3).

use std::collections::BTreeSet;

use super::mailboxes::{MailboxFull, Mailboxes};

/// Its methods return the reply to a command.
#[derive(Default)]
pub(super) struct DemoTransaction {
    has_sender: bool,
    recipients: BTreeSet<String>,
    /// What has come of it since DATA.
    text: Option<String>,
}

impl DemoTransaction {
    pub(super) fn mail(&mut self, arguments: &str) -> &'static str {
        if self.has_sender {
            return "503 5.5.1 There is a sender already";
        }
        self.has_sender = path(arguments, "FROM:").is_some();
        if self.has_sender { "250 2.1.0 OK" } else { "501 5.5.4 MAIL FROM:<address>" }
    }

    pub(super) fn rcpt(&mut self, arguments: &str, mailboxes: &Mailboxes) -> &'static str {
        if !self.has_sender {
            return "503 5.5.1 MAIL first";
        }
        let Some(address) = path(arguments, "TO:").map(str::to_ascii_lowercase) else {
            return "501 5.5.4 RCPT TO:<address>";
        };
        if !mailboxes.contains(&address) {
            return "550 5.1.1 No such mailbox";
        }
        self.recipients.insert(address);
        "250 2.1.5 OK"
    }

    pub(super) fn data(&mut self) -> &'static str {
        if self.recipients.is_empty() {
            return "503 5.5.1 RCPT first";
        }
        self.text = Some(String::new());
        "354 Go ahead; a dot alone on a line ends the message"
    }

    /// Whether the client sends the text now, and no commands.
    pub(super) const fn expects_text(&self) -> bool {
        self.text.is_some()
    }

    /// Takes one line of the text. There is a reply after the last one, when the message was delivered or refused.
    pub(super) fn add_line(&mut self, line: &str, header: &str, mailboxes: &Mailboxes) -> Option<&'static str> {
        let text = self.text.get_or_insert_default();
        if line != "." {
            // What is too long is read to its end, and not kept.
            if text.len() <= MESSAGE_MAX {
                // RFC 5321 §4.5.2: the client puts a dot in front of a dot.
                text.push_str(line.strip_prefix('.').unwrap_or(line));
                text.push_str("\r\n");
            }
            return None;
        }
        let reply = if text.len() > MESSAGE_MAX {
            "552 5.3.4 The message is too long"
        } else {
            match mailboxes.deliver(&self.recipients, &format!("{header}\r\n{text}")) {
                Ok(()) => "250 2.0.0 Delivered",
                Err(MailboxFull) => "452 4.2.2 The mailbox is full",
            }
        };
        *self = Self::default();
        Some(reply)
    }
}

/// The address in `FROM:<alice@example.com> SIZE=100`.
fn path<'a>(arguments: &'a str, keyword: &str) -> Option<&'a str> {
    let (start, rest) = arguments.split_at_checked(keyword.len())?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    start.eq_ignore_ascii_case(keyword).then_some(address)
}

/// In bytes, with CRLF after each line.
pub(super) const MESSAGE_MAX: usize = 32 * 1024;
