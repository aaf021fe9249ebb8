//! The login at a server: the driver of a back half.

use zeroize::Zeroizing;

use super::attempt::Attempt;
use super::lease::Lease;
use crate::proto::{Ask, Back, Denial, Granted, LoginFailure, LoginPlan, Protocol, Refused, Stage};
use crate::wire::Wire;

impl Lease {
    /// Connects and logs in; what the server said after its OK is in the wire's `heard`.
    ///
    /// # Errors
    /// [`LoginFailure`], within the pool's `login_timeout`; a server that says nothing fails within `greeting_timeout`.
    pub(super) async fn log_in(&self, protocol: Protocol, plan: LoginPlan) -> Result<(Wire, Granted), LoginFailure> {
        self.attempt(protocol, protocol.back(plan)).await
    }

    /// Connects, and does what this half is for.
    pub(super) async fn attempt(
        &self,
        protocol: Protocol,
        back: Box<dyn Back>,
    ) -> Result<(Wire, Granted), LoginFailure> {
        self.attempt_as(&mut Attempt::new(self.server(), protocol), back).await
    }

    pub(super) async fn attempt_as(
        &self,
        attempt: &mut Attempt<'_>,
        back: Box<dyn Back>,
    ) -> Result<(Wire, Granted), LoginFailure> {
        let wire = self.dial(attempt).await?;
        self.converse(attempt, wire, back).await
    }

    async fn converse(
        &self,
        attempt: &mut Attempt<'_>,
        mut wire: Wire,
        mut back: Box<dyn Back>,
    ) -> Result<(Wire, Granted), LoginFailure> {
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
                    let detail = "bytes behind the answer, in the clear";
                    return Err(LoginFailure::new(Denial::Unavailable, Stage::StartTls, detail));
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
                    return Err(LoginFailure::new(denial, stage, detail));
                }
            }
        }
    }
}

/// Enough for any login but one with a long token.
const SAY: usize = 1024;
