//! How a front takes a message: what it does with what its [`Reception`] makes of a command.

use super::reception::{Outcome, Reception};
use super::{SmtpFront, State};
use crate::proto::line::Line;
use crate::proto::smtp::answer::say_line;
use crate::proto::smtp::command::{BAD_CHUNK, Chunk, Command};
use crate::proto::smtp::{AUTHENTICATE_FIRST, HELLO_FIRST};
use crate::proto::{Closing, MailRequest, Need, Tls};

impl SmtpFront {
    /// What belongs to a message.
    pub(super) fn take(&mut self, command: Command<'_>, say: &mut Vec<u8>) -> Option<Need> {
        let helo = self.hello.as_ref().map(|hello| hello.name.as_str());
        let outcome = match (&mut self.reception, command) {
            (None, Command::Mail(_)) if helo.is_none() => Outcome::Wrong(HELLO_FIRST),
            (None, Command::Bdat(chunk)) => Outcome::PassOver(chunk.size, AUTHENTICATE_FIRST),
            (Some(reception), Command::Mail(arguments)) => reception.mail(arguments, helo),
            (Some(reception), Command::Recipient(arguments)) => reception.recipient(arguments),
            (Some(reception), Command::Data) => reception.data(),
            (Some(reception), Command::Bdat(chunk)) => reception.chunk(chunk),
            (_, _) => Outcome::Wrong(AUTHENTICATE_FIRST),
        };
        if matches!(command, Command::Data) && !matches!(outcome, Outcome::Ask(..)) {
            self.pipelining.data_is_refused();
        }
        match outcome {
            Outcome::Ask(asked, post) => {
                self.state = State::Posted(asked);
                return Some(Need::MailRequest(post));
            }
            Outcome::Say(answer) => say_line(say, answer),
            Outcome::Idle(answer) if self.is_idle_for_too_long() => return self.wrong(answer, say),
            Outcome::Idle(answer) => say_line(say, answer),
            Outcome::Wrong(answer) => return self.wrong(answer, say),
            Outcome::PassOver(size, answer) => self.state = State::PassOver(size, answer),
            Outcome::GiveUpAndPassOver(size, answer) => {
                self.state = State::PassOver(size, answer);
                return Some(Need::MailRequest(MailRequest::GiveUp));
            }
            Outcome::TooMuch(answer) => {
                say_line(say, answer);
                return Some(self.over(Closing::Violation("chunk_too_large")));
            }
        }
        None
    }

    /// Whether this line ends a transaction that somebody knows of; then it is over, and the line is obeyed next.
    pub(super) fn gives_up(&mut self, line: &[u8]) -> bool {
        let may_starttls = self.config.tls == Tls::Offered;
        let is_clean = memchr::memchr2(b'\r', 0, line).is_none();
        let gives_up = is_clean && Command::parse(line).is_ok_and(|command| command.gives_up(may_starttls));
        gives_up && self.reception.as_mut().is_some_and(Reception::forget)
    }

    /// A line that is none. What a chunk's command was meant to say nobody knows, and its bytes would be read as
    /// commands.
    pub(super) fn garbled(&mut self, answer: &str, line: &Line, say: &mut Vec<u8>) -> Option<Need> {
        let is_chunk = matches!(Command::parse(line), Ok(Command::Bdat(_)) | Err(BAD_CHUNK));
        if is_chunk {
            return Some(self.bad_chunk(say));
        }
        self.not_a_command(answer, line, say)
    }

    /// A line that is refused for what it is. What was meant as DATA may have a message behind it.
    pub(super) fn not_a_command(&mut self, answer: &str, line: &Line, say: &mut Vec<u8>) -> Option<Need> {
        if is_meant_as_data(line) {
            self.pipelining.data_is_refused();
        }
        self.wrong(answer, say)
    }

    pub(super) fn bad_chunk(&mut self, say: &mut Vec<u8>) -> Need {
        say_line(say, BAD_CHUNK);
        self.over(Closing::Violation("bad_chunk"))
    }

    /// Whether this command leads to no message, and was said too often between two.
    pub(super) fn is_one_too_many(&mut self, command: &Command<'_>) -> bool {
        let is_idle = match command {
            Command::Ehlo(_) | Command::Helo(_) | Command::Rset | Command::Noop | Command::Vrfy | Command::Help => true,
            // Byte by byte a message costs more than it should.
            Command::Bdat(Chunk { size, last }) => *size < SMALL_CHUNK && !last,
            Command::StartTls | Command::Auth { .. } | Command::Quit => false,
            Command::Mail(_) | Command::Recipient(_) | Command::Data => false,
        };
        is_idle && self.is_idle_for_too_long() && self.errors.bad_command(&self.config)
    }

    fn is_idle_for_too_long(&mut self) -> bool {
        self.reception.as_mut().is_some_and(Reception::idle_command)
    }
}

fn is_meant_as_data(line: &[u8]) -> bool {
    let (verb, rest) = line.split_at_checked(DATA.len()).unwrap_or_default();
    verb.eq_ignore_ascii_case(DATA) && !rest.first().is_some_and(u8::is_ascii_alphanumeric)
}

const DATA: &[u8] = b"DATA";
/// Chunks below this are not worth their commands.
const SMALL_CHUNK: u64 = 512;
