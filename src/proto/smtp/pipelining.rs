//! What may stand behind what in one flight of commands (RFC 2920 §3.1), and what may come once DATA was refused.
//!
//! It stands apart because it is one rule. A client that does not wait where it has to may be sending bytes that it took
//! for something else, such as a message whose lines read like commands; so what it sends too early must not be run as
//! commands. There are two parts:
//!
//! - A command that has to be the last of its flight has something behind it. This shows only when both arrive
//!   together. An operator may allow it.
//! - DATA was refused, and what comes next is the message that should have waited for 354. It may arrive together with
//!   DATA, or later. Honest clients wait, and then begin anew or leave, so everything else ends the session, whenever it
//!   arrives. Nobody can allow it.

use super::command::Command;

/// What becomes of a client that sends commands before their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnauthorizedPipelining {
    /// The session is ended.
    #[default]
    Reject,
    /// The commands are run in their order.
    Allow,
}

impl UnauthorizedPipelining {
    /// Whether a client that has sent `early` bytes before the greeting, or before 354, may go on.
    #[must_use]
    pub const fn bears(self, early: bool) -> bool {
        match self {
            Self::Reject => !early,
            Self::Allow => true,
        }
    }
}

/// The rule, for one session.
#[derive(Debug)]
pub(super) struct Pipelining {
    policy: UnauthorizedPipelining,
    refused_data: RefusedData,
}

/// Where the session is after a DATA that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefusedData {
    /// There was none, or the client has shown since that it waited.
    None,
    /// The answer is being said: what was heard by now did not wait for it.
    Answered,
    /// The next line tells.
    Awaited,
}

/// Why a session is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfTurn {
    /// For the log.
    pub(super) what: &'static str,
    /// What the client is told, unless it was told already.
    pub(super) answer: Option<&'static str>,
}

impl Pipelining {
    pub(super) const fn new(policy: UnauthorizedPipelining) -> Self {
        Self { policy, refused_data: RefusedData::None }
    }

    /// DATA was refused, by whomever.
    pub(super) const fn data_is_refused(&mut self) {
        self.refused_data = RefusedData::Answered;
    }

    /// Before more is read or run; `has_more` = bytes were heard that nobody has read.
    pub(super) const fn look(&mut self, has_more: bool) -> Result<(), OutOfTurn> {
        match (self.refused_data, has_more) {
            (RefusedData::Answered, true) => Err(OutOfTurn { what: TEXT, answer: None }),
            (RefusedData::Answered, false) => {
                self.refused_data = RefusedData::Awaited;
                Ok(())
            }
            (RefusedData::None | RefusedData::Awaited, _) => Ok(()),
        }
    }

    /// The next line; `None` = it is no command. `extended` = the client said EHLO; `has_more` = something is behind it.
    pub(super) fn take(
        &mut self,
        command: Option<&Command<'_>>,
        extended: bool,
        has_more: bool,
    ) -> Result<(), OutOfTurn> {
        if self.refused_data != RefusedData::None && !command.is_some_and(may_follow_refused_data) {
            return Err(OutOfTurn { what: TEXT, answer: Some(SYNCHRONIZATION) });
        }
        if !self.policy.bears(has_more && !command.is_some_and(|command| may_be_followed(command, extended))) {
            let is_starttls = matches!(command, Some(Command::StartTls));
            let what = if is_starttls { "starttls_plaintext_pipelined" } else { PIPELINED };
            return Err(OutOfTurn { what, answer: Some(SYNCHRONIZATION) });
        }
        self.refused_data = RefusedData::None;
        Ok(())
    }
}

/// Whether another command may come before this one was answered.
///
/// As in Postfix it does not matter whether PIPELINING was shown: what is shown changes with the back-ends, and a client
/// that knows us from yesterday does no harm. But a client that said HELO, or nothing yet, knows of no pipelining.
const fn may_be_followed(command: &Command<'_>, extended: bool) -> bool {
    match command {
        Command::Mail(_) | Command::Recipient(_) | Command::Rset => extended,
        // The answers to its challenges may come at once, and so may what the back-end is to hear after the login.
        Command::Auth { .. } => extended,
        // RFC 3030 §4.2; the chunk's length is told, whatever becomes of the chunk.
        Command::Bdat(_) => true,
        // Nothing behind it is read.
        Command::Quit => true,
        Command::Ehlo(_) | Command::Helo(_) | Command::StartTls | Command::Data => false,
        Command::Noop | Command::Vrfy | Command::Help => false,
    }
}

/// Whether a client says this that has read that its DATA was refused. HELP is no such word: a text may begin with it.
const fn may_follow_refused_data(command: &Command<'_>) -> bool {
    match command {
        Command::Rset | Command::Quit | Command::Mail(_) => true,
        Command::Ehlo(_) | Command::Helo(_) | Command::Noop => true,
        // As it was told, where it did not log in first.
        Command::StartTls | Command::Auth { .. } => true,
        Command::Recipient(_) | Command::Data | Command::Bdat(_) | Command::Vrfy | Command::Help => false,
    }
}

/// What is told to a client that spoke before its turn.
pub(crate) const SYNCHRONIZATION: &str = "554 5.5.0 SMTP synchronization error: commands were sent before their turn.";
/// For the log.
pub(crate) const PIPELINED: &str = "unauthorized_pipelining";
const TEXT: &str = "text_behind_refused_data";

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, and whether something may be behind it: after EHLO, and after HELO or nothing; and whether it may come
    /// when DATA was refused.
    const TABLE: &[(&str, bool, bool, bool)] = &[
        ("EHLO x", false, false, true),
        ("HELO x", false, false, true),
        ("STARTTLS", false, false, true),
        ("AUTH PLAIN", true, false, true),
        ("MAIL FROM:<a@b>", true, false, true),
        ("MAIL", true, false, true),
        ("RCPT TO:<a@b>", true, false, false),
        ("DATA", false, false, false),
        ("BDAT 5", true, true, false),
        ("BDAT 5 LAST", true, true, false),
        ("RSET", true, false, true),
        ("NOOP", false, false, true),
        ("VRFY x", false, false, false),
        ("HELP", false, false, false),
        ("QUIT", true, true, true),
        // No commands: of any such line nobody knows what it was to be.
        ("DATA now", false, false, false),
        ("EXPN x", false, false, false),
        ("XCLIENT ADDR=::1", false, false, false),
        ("Subject: x", false, false, false),
        ("", false, false, false),
    ];

    fn take(line: &str, rule: &mut Pipelining, extended: bool, has_more: bool) -> Result<(), OutOfTurn> {
        rule.take(Command::parse(line.as_bytes()).as_ref().ok(), extended, has_more)
    }

    #[test]
    fn each_command_has_its_place_in_a_flight() {
        for (line, after_ehlo, otherwise, _) in TABLE {
            for (extended, may) in [(true, after_ehlo), (false, otherwise)] {
                let mut strict = Pipelining::new(UnauthorizedPipelining::Reject);
                assert_eq!(take(line, &mut strict, extended, true).is_ok(), *may, "{line:?}, EHLO {extended}");
                assert_eq!(take(line, &mut strict, extended, false), Ok(()), "{line:?} by itself");
                let mut lenient = Pipelining::new(UnauthorizedPipelining::Allow);
                assert_eq!(take(line, &mut lenient, extended, true), Ok(()), "{line:?}");
            }
        }
    }

    #[test]
    fn behind_a_refused_data_a_client_begins_anew_or_leaves() {
        for (line, _, _, may) in TABLE {
            for policy in [UnauthorizedPipelining::Reject, UnauthorizedPipelining::Allow] {
                let mut early = Pipelining::new(policy);
                early.data_is_refused();
                assert!(early.look(true).is_err(), "{line:?} together with DATA");
                let mut later = Pipelining::new(policy);
                later.data_is_refused();
                assert_eq!(later.look(false), Ok(()));
                // What came in pieces is looked at again.
                assert_eq!(later.look(true), Ok(()));
                assert_eq!(take(line, &mut later, true, false).is_ok(), *may, "{line:?}");
                if *may {
                    assert_eq!(take("RCPT TO:<a@b>", &mut later, true, false), Ok(()), "it has waited");
                }
            }
        }
    }

    #[test]
    fn only_who_is_strict_minds_early_bytes() {
        assert!(!UnauthorizedPipelining::Reject.bears(true) && UnauthorizedPipelining::Reject.bears(false));
        assert!(UnauthorizedPipelining::Allow.bears(true) && UnauthorizedPipelining::Allow.bears(false));
    }
}
