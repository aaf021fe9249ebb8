//! The messages that a front takes by itself: what MAIL, RCPT, DATA and BDAT may say, and when.
//!
//! ```text
//! (none) ──MAIL──▶ open ──RCPT: asked, accepted──▶ open with recipients ──DATA, or BDAT and BDAT LAST──▶ (none)
//!                    └──RSET, EHLO, HELO, STARTTLS, QUIT: given up, if a recipient was asked for──▶ (none)
//! ```
//!
//! It stands apart from the front, which has the commands that every SMTP server knows, as what only a server that
//! takes mail of strangers does.

use std::sync::Arc;

use crate::proto::smtp::command::{Chunk, Command};
use crate::proto::smtp::text::BareNewline;
use crate::proto::smtp::{envelope, extension};
use crate::proto::{Answer, FrontConfig, Mail, MailRequest};

/// A server's readiness to take messages, one at a time.
#[derive(Debug)]
pub(super) struct Reception {
    /// A message's size as it is shown; `None` = any.
    size_max: Option<u64>,
    takes_chunks: bool,
    transaction: Option<Transaction>,
    /// Commands since the last message that lead to none.
    idle_commands: u32,
}

#[derive(Debug)]
struct Transaction {
    mail: Arc<Mail>,
    /// Somebody was asked for a recipient, and may have told a back-end.
    is_known: bool,
    accepted: usize,
    /// Recipients who are to be sent the message once more: a long list is no flood of idle commands.
    put_off: usize,
    /// The bytes in chunks so far, once there was one.
    chunked: Option<u64>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Recipient,
    Data,
    /// The end of the text behind 354.
    Text,
    Chunk {
        last: bool,
    },
}

impl Asked {
    /// Whether a client may be told this: 354 has its one place, and no yes is given there.
    pub(super) const fn fits(self, answer: &Answer) -> bool {
        match (self, answer.code()) {
            (_, 400..=599) => true,
            (Self::Data, code) => code == 354,
            (Self::Recipient | Self::Text | Self::Chunk { .. }, _) => answer.is_yes(),
        }
    }
}

/// What comes of a command.
#[derive(Debug)]
pub(super) enum Outcome {
    Ask(Asked, MailRequest),
    Say(&'static str),
    /// The same, and it is not welcome for ever.
    Idle(&'static str),
    /// One wrong command more.
    Wrong(&'static str),
    /// The answer is for behind so many bytes.
    PassOver(u64, &'static str),
    /// The same, and the transaction is over.
    GiveUpAndPassOver(u64, &'static str),
    /// The answer, and the end: more would have to be passed over than is borne.
    TooMuch(&'static str),
}

impl Reception {
    pub(super) fn new(config: &FrontConfig) -> Self {
        let shown: Vec<_> = shown(config).collect();
        let size = shown.iter().find_map(|line| line.strip_prefix("SIZE ")?.parse().ok());
        Self {
            size_max: size.filter(|size| *size > 0),
            takes_chunks: shown.iter().any(|line| line == "CHUNKING"),
            transaction: None,
            idle_commands: 0,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.transaction.is_some()
    }

    /// The transaction is over; whether anybody knew of it.
    pub(super) fn forget(&mut self) -> bool {
        self.transaction.take().is_some_and(|transaction| transaction.is_known)
    }

    /// One command more that leads to no message; whether it is one too many to be welcome.
    pub(super) fn idle_command(&mut self) -> bool {
        self.idle_commands = self.idle_commands.saturating_add(1);
        self.idle_commands >= IDLE_COMMANDS
    }

    /// MAIL; `helo` is what the client calls itself, once it has.
    pub(super) fn mail(&mut self, arguments: &[u8], helo: Option<&str>) -> Outcome {
        let Some(helo) = helo else { return Outcome::Wrong(super::HELLO_FIRST) };
        if self.is_open() {
            return Outcome::Wrong("503 5.5.1 One message at a time.");
        }
        match envelope::mail(arguments, helo) {
            Err(answer) => Outcome::Wrong(answer),
            Ok(mail) if self.is_too_large(mail.size.unwrap_or(0)) => Outcome::Idle(TOO_LARGE),
            Ok(mail) => {
                let mail = Arc::new(mail);
                self.transaction = Some(Transaction { mail, is_known: false, accepted: 0, put_off: 0, chunked: None });
                Outcome::Say("250 2.1.0 OK.")
            }
        }
    }

    /// RCPT.
    pub(super) fn recipient(&mut self, arguments: &[u8]) -> Outcome {
        let Some(transaction) = &mut self.transaction else { return Outcome::Wrong(MAIL_FIRST) };
        if transaction.chunked.is_some() {
            return Outcome::Wrong("503 5.5.1 The message has begun.");
        }
        match envelope::recipient(arguments) {
            Err(answer) => Outcome::Wrong(answer),
            Ok(_) if transaction.accepted >= RECIPIENTS_MAX => match transaction.puts_off() {
                true => Outcome::Say(TOO_MANY),
                false => Outcome::Idle(TOO_MANY),
            },
            Ok(recipient) => {
                transaction.is_known = true;
                Outcome::Ask(Asked::Recipient, MailRequest::Recipient(transaction.mail.clone(), recipient))
            }
        }
    }

    /// DATA.
    pub(super) const fn data(&self) -> Outcome {
        match &self.transaction {
            None => Outcome::Wrong(MAIL_FIRST),
            Some(Transaction { chunked: Some(_), .. }) => Outcome::Wrong("503 5.5.1 BDAT has begun the message."),
            Some(Transaction { accepted: 0, .. }) => Outcome::Idle(NO_RECIPIENTS),
            Some(_) => Outcome::Ask(Asked::Data, MailRequest::Data),
        }
    }

    /// BDAT: the chunk comes whatever is said, and is no command (RFC 3030 §2).
    pub(super) fn chunk(&mut self, Chunk { size, last }: Chunk) -> Outcome {
        let has_recipients = self.transaction.as_ref().is_some_and(|transaction| transaction.accepted > 0);
        let refusal = match (self.takes_chunks, &self.transaction) {
            (false, _) => Some("502 5.5.1 Not implemented."),
            (true, None) => Some(MAIL_FIRST),
            (true, Some(_)) if !has_recipients => Some(NO_RECIPIENTS),
            (true, Some(_)) if size == 0 && !last => Some("551 5.5.4 An empty chunk is none, but for the last."),
            (true, Some(_)) => None,
        };
        let so_far = self.transaction.as_ref().and_then(|transaction| transaction.chunked);
        let in_all = so_far.unwrap_or(0).saturating_add(size);
        match refusal {
            Some(_) if size > PASSED_OVER_MAX => Outcome::TooMuch(TOO_LARGE),
            Some(answer) => Outcome::PassOver(size, answer),
            None if !self.is_too_large(in_all) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.chunked = Some(in_all);
                }
                Outcome::Ask(Asked::Chunk { last }, MailRequest::Chunk { size, last })
            }
            None if size > PASSED_OVER_MAX => Outcome::TooMuch(TOO_LARGE),
            None => {
                self.forget();
                Outcome::GiveUpAndPassOver(size, TOO_LARGE)
            }
        }
    }

    /// Takes note of an answer; what is asked behind it, and whether it brought no message nearer.
    pub(super) fn answered(&mut self, asked: Asked, answer: &Answer) -> (Option<Asked>, bool) {
        match asked {
            Asked::Recipient if answer.is_yes() => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.accepted += 1;
                }
                (None, false)
            }
            Asked::Recipient => {
                let is_put_off = answer.code() == 452 && self.transaction.as_mut().is_some_and(Transaction::puts_off);
                (None, !is_put_off)
            }
            Asked::Data if answer.code() == 354 => (Some(Asked::Text), false),
            Asked::Chunk { last: false } if answer.is_yes() => (None, false),
            Asked::Data | Asked::Chunk { last: false } => {
                self.forget();
                (None, true)
            }
            Asked::Text | Asked::Chunk { last: true } => {
                self.forget();
                self.idle_commands = 0;
                (None, false)
            }
        }
    }

    fn is_too_large(&self, size: u64) -> bool {
        self.size_max.is_some_and(|most| size > most)
    }
}

impl Transaction {
    /// Takes note of one recipient more who is for another transaction, if that can be borne: the message can go to
    /// somebody, and such a list has an end.
    const fn puts_off(&mut self) -> bool {
        let is_borne = self.accepted > 0 && self.put_off < RECIPIENTS_MAX;
        self.put_off += is_borne as usize;
        is_borne
    }
}

/// The extensions that a client is shown that is no user.
pub(super) fn shown(config: &FrontConfig) -> impl Iterator<Item = String> {
    let strict = config.bare_newline == BareNewline::Reject;
    config.extensions.iter().filter_map(move |offered| extension::shown_to_servers(offered, strict))
}

impl Command<'_> {
    /// Whether it ends a transaction without a message.
    pub(super) const fn gives_up(&self, may_starttls: bool) -> bool {
        match self {
            Self::Ehlo(_) | Self::Helo(_) | Self::Rset | Self::Quit => true,
            Self::StartTls => may_starttls,
            Self::Auth { .. } | Self::Mail(_) | Self::Recipient(_) | Self::Data | Self::Bdat(_) => false,
            Self::Noop | Self::Vrfy | Self::Help => false,
        }
    }
}

const MAIL_FIRST: &str = "503 5.5.1 MAIL comes first.";
const NO_RECIPIENTS: &str = "554 5.5.1 No valid recipients.";
const TOO_LARGE: &str = "552 5.3.4 The message is too large.";
const TOO_MANY: &str = "452 4.5.3 Too many recipients.";
/// RFC 5321 §4.5.3.1.8 wants 100 at least.
const RECIPIENTS_MAX: usize = 1000;
/// So many EHLO, HELO, NOOP, RSET, VRFY, HELP and refused recipients between two messages are more than anybody
/// needs: from this one on each is a wrong command.
const IDLE_COMMANDS: u32 = 100;
/// What is passed over of one refused chunk.
const PASSED_OVER_MAX: u64 = 64 * 1024 * 1024;
