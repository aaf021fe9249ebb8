//! What a front has borne with so far: commands, wrong commands, failed logins, and logins that it refused by itself.
//!
//! The counts never go back: a good command between bad ones does not make them good, and TLS, which makes a front forget
//! everything else, does not either.

use super::{FrontConfig, RefusedHere};

/// One for each session, against its [`FrontConfig`].
#[derive(Debug, Default)]
pub(super) struct ErrorBudget {
    commands: u32,
    bad_commands: u32,
    failed_logins: u32,
    refused: Vec<RefusedHere>,
}

impl ErrorBudget {
    /// Counts a command of any kind before the login; whether it is over [`COMMANDS_MAX`], and not to be answered.
    pub(super) fn count_command(&mut self) -> bool {
        self.commands = self.commands.saturating_add(1);
        self.commands > COMMANDS_MAX
    }

    /// One wrong command more; whether it was one too many.
    pub(super) fn bad_command(&mut self, config: &FrontConfig) -> bool {
        self.bad_commands = self.bad_commands.saturating_add(1);
        self.bad_commands >= config.bad_commands
    }

    /// One failed login more; whether it was one too many.
    pub(super) fn failed_login(&mut self, config: &FrontConfig) -> bool {
        self.failed_logins = self.failed_logins.saturating_add(1);
        self.failed_logins >= config.failed_logins
    }

    /// A login that nobody else is asked about, and so nobody else will log. It is not counted by this.
    pub(super) fn refused(&mut self, why: RefusedHere) {
        self.refused.push(why);
    }

    /// Those since the last call.
    pub(super) fn take_refused(&mut self) -> Vec<RefusedHere> {
        std::mem::take(&mut self.refused)
    }
}

/// Commands in one session before its login, good and bad ones together. A mail client needs about ten.
pub(super) const COMMANDS_MAX: u32 = 100;
