//! The login at a server: the driver of a back half.

use zeroize::Zeroizing;

use super::attempt::Attempt;
use super::lease::Lease;
use crate::proto::{Ask, Back, Denial, Errand, Granted, Protocol, Refused};
use crate::wire::Wire;

/// Why a user could not be logged in at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the client is told.
    pub denial: Denial,
    /// What was being done.
    pub stage: &'static str,
    /// For the log.
    pub detail: String,
    /// The server is away: another of the pool may be tried, since no password was refused.
    pub down: bool,
}

impl Failure {
    pub(super) fn new(denial: Denial, stage: &'static str, detail: impl Into<String>) -> Self {
        Self { denial, stage, detail: detail.into(), down: false }
    }

    pub(super) fn down(stage: &'static str, detail: impl Into<String>) -> Self {
        Self { denial: Denial::Unavailable, stage, detail: detail.into(), down: true }
    }
}

impl Lease {
    /// Connects and logs in; what the server said after its OK is in the wire's `heard`.
    ///
    /// # Errors
    /// [`Failure`], within the pool's `login_timeout`; a server that says nothing fails within `greeting_timeout`.
    pub async fn log_in(&self, protocol: Protocol, errand: Errand) -> Result<(Wire, Granted), Failure> {
        self.attempt(protocol, protocol.back(errand)).await
    }

    /// Connects, and does what this half is for.
    pub(super) async fn attempt(&self, protocol: Protocol, back: Box<dyn Back>) -> Result<(Wire, Granted), Failure> {
        let mut attempt = Attempt::new(self.server(), protocol);
        let wire = self.dial(&mut attempt, protocol).await?;
        self.converse(&mut attempt, wire, back).await
    }

    async fn converse(
        &self,
        attempt: &mut Attempt<'_>,
        mut wire: Wire,
        mut back: Box<dyn Back>,
    ) -> Result<(Wire, Granted), Failure> {
        // Passwords pass through here; one allocation, so that no copy of it is left behind.
        let mut say = Zeroizing::new(Vec::with_capacity(SAY));
        loop {
            let ask = back.step(&mut wire.heard, &mut say);
            let stage = back.stage();
            if !say.is_empty() {
                wire.say(&say).await.map_err(|lost| attempt.lost(stage, &lost))?;
                say.clear();
            }
            match ask {
                Ask::Input => {
                    wire.hear().await.map_err(|lost| attempt.lost(stage, &lost))?;
                    attempt.spoke();
                    wire.deadline = attempt.started + self.server().settings.config.login_timeout;
                }
                Ask::StartTls if !wire.heard.is_empty() => {
                    return Err(Failure::new(Denial::Unavailable, "starttls", "bytes behind the answer, in the clear"));
                }
                Ask::StartTls => {
                    wire = self.secure(attempt, wire).await?;
                    back.secured();
                }
                Ask::Granted(granted) => {
                    attempt.answered();
                    return Ok((wire, granted));
                }
                Ask::Refused(Refused { denial, detail }) => {
                    attempt.answered();
                    return Err(Failure::new(denial, stage, detail));
                }
            }
        }
    }
}

/// Enough for any login but one with a long token.
const SAY: usize = 1024;
