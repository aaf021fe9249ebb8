//! How the front refuses: wrong commands, failed logins, violations, and when there were too many of them.
//!
//! It stands apart from the front's conversation because the counts are one thing: they never go back, not even when
//! TLS makes the front forget everything else.

use super::command::Wrong;
use super::front::{ImapFront, State};
use super::words;
use crate::proto::{Closing, Need, RefusedHere};

impl ImapFront {
    /// Whether the LOGIN command cannot be run here and now; then it has been answered.
    pub(super) fn login_is_barred(&mut self, tag: &str, say: &mut Vec<u8>) -> bool {
        if !words::takes_login(&self.config) {
            self.not_offered(tag, say);
        } else if !words::may_log_in(&self.config) {
            self.refuse_here(RefusedHere::NotPrivate, tag, words::NOT_PRIVATE, say);
        } else {
            return false;
        }
        true
    }

    pub(super) fn wrong(&mut self, wrong: Wrong, say: &mut Vec<u8>) {
        match wrong {
            Wrong::NoTag => self.bad("*", "Invalid tag", say),
            Wrong::Command { tag, why } => self.bad(&tag, why, say),
            Wrong::Unfinished { tag, .. } => self.bad(&tag, "Error in arguments", say),
        }
    }

    pub(super) fn bad(&mut self, tag: &str, why: &str, say: &mut Vec<u8>) {
        words::put(say, &format!("{tag} BAD {why}.\r\n"));
        self.count_bad_command(say);
    }

    /// A wish for what is not offered is a wrong command, and answered with NO (RFC 3501 §6.2.2).
    pub(super) fn not_offered(&mut self, tag: &str, say: &mut Vec<u8>) {
        words::put(say, &format!("{tag} {}\r\n", words::NOT_OFFERED));
        self.count_bad_command(say);
    }

    /// It never goes back: a good command between bad ones does not make them good.
    fn count_bad_command(&mut self, say: &mut Vec<u8>) {
        if self.errors.bad_command(&self.config) {
            words::put(say, "* BYE Too many bad commands.\r\n");
            self.state = State::Over(Closing::TooManyBadCommands);
        }
    }

    /// Counts a command, good or bad; `true` = it is not to be run, the last words are said.
    pub(super) fn is_one_too_many(&mut self, say: &mut Vec<u8>) -> bool {
        let too_many = self.errors.count_command();
        if too_many {
            words::put(say, "* BYE Too many commands before a login.\r\n");
            self.state = State::Over(Closing::TooManyCommands);
        }
        too_many
    }

    pub(super) fn refuse(&mut self, tag: &str, words: &str, counts: bool, say: &mut Vec<u8>) {
        words::put(say, &format!("{tag} {words}\r\n"));
        if counts && self.errors.failed_login(&self.config) {
            words::put(say, "* BYE Too many failed logins.\r\n");
            self.state = State::Over(Closing::TooManyFailedLogins);
        }
    }

    /// Nobody else is asked, so nobody else will log it.
    pub(super) fn refuse_here(&mut self, why: RefusedHere, tag: &str, words: &str, say: &mut Vec<u8>) {
        self.errors.refused(why);
        self.refuse(tag, words, true, say);
    }

    /// Nothing behind it can be trusted to be a command.
    pub(super) fn violation(&mut self, word: &'static str, say: &mut Vec<u8>) -> Option<Need> {
        words::put(say, "* BYE Protocol violation.\r\n");
        self.state = State::Over(Closing::Violation(word));
        None
    }
}
