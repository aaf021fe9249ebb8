//! What an administrator can do, by the API or by the page: one way for both, so that no act is without its log line.

use axum::http::StatusCode;

use super::Admin;
use super::acted_on::ActedOn;
use super::directory::DirectoryAnswer;
use super::guard::Caller;
use super::named;
use super::refusal::Refusal;
use crate::directory::User;
use crate::node_id::node_id;
use crate::nodes::{Act, Told};
use crate::proto::Protocol;
use crate::registry::SwitchProblem;
use crate::roster::{Filter, read_id};

/// Whose sessions are meant.
pub(super) enum Whose {
    /// One, by its id.
    One(String),
    /// All that match, as the log calls them.
    All(&'static str, String, Filter),
}

/// What a protocol of a user is to be.
pub(super) struct Wish {
    pub protocol: Protocol,
    pub enabled: bool,
    /// Sessions that are on end, too.
    pub now: bool,
    /// Even when the directory does not say whether there is such a user.
    pub force: bool,
}

/// What became of a switch.
pub(super) struct Switched {
    /// Whether a restart leaves it so.
    pub kept: bool,
    /// Which sessions were asked to end.
    pub dropped: Ended,
}

/// Sessions that were asked to end.
#[derive(Default)]
pub(super) struct Ended {
    /// So many of this gateway.
    pub here: usize,
    /// What the other gateways do.
    pub told: Option<Told>,
}

/// A route that was forgotten.
pub(super) struct ForgottenRoute {
    /// Whether there was something to forget here.
    pub forgotten: bool,
    /// What the other gateways do.
    pub told: Told,
    pub of: ActedOn,
}

impl Whose {
    pub(super) fn session(id: &str) -> Result<Self, Refusal> {
        read_id(id).map(|_| Self::One(id.to_owned())).ok_or_else(not_on)
    }

    pub(super) fn user(user: &User, protocol: Option<Protocol>) -> Self {
        let filter = Filter { user: Some(user.shared_name()), protocol, ..Filter::default() };
        Self::All("user", user.name().to_owned(), filter)
    }

    pub(super) fn address(text: &str) -> Result<Self, Refusal> {
        let address = named::address(text)?;
        Ok(Self::All("address", address.to_string(), Filter { client: Some(address), ..Filter::default() }))
    }

    pub(super) fn backend(admin: &Admin, name: &str) -> Result<Self, Refusal> {
        let name = name.to_ascii_lowercase();
        if !admin.parts.backends.servers().iter().any(|server| server.name() == name) {
            return Err(Refusal::not_found("no back-end has this name"));
        }
        let filter = Filter { backend: Some(name.as_str().into()), ..Filter::default() };
        Ok(Self::All("backend", name, filter))
    }
}

impl Admin {
    /// Asks sessions to end, here and at the other gateways. None is an error only for the one that was meant.
    pub(super) async fn drop_sessions(&self, caller: &Caller, whose: &Whose) -> Result<Ended, Refusal> {
        match whose {
            Whose::One(id) => self.drop_one(caller, id).await,
            Whose::All(of, what, filter) => {
                let here = self.parts.roster.kick(filter);
                self.note_drop(caller, of, what, here);
                let told = self.parts.nodes.drop_elsewhere(Act { by: &caller.name, of, what }, filter).await;
                Ok(Ended { here, told: Some(told) })
            }
        }
    }

    async fn drop_one(&self, caller: &Caller, id: &str) -> Result<Ended, Refusal> {
        let own = read_id(id).filter(|(of, _)| *of == node_id());
        if own.is_some_and(|(_, number)| self.parts.roster.kick_one(number)) {
            self.note_drop(caller, "session", id, 1);
            return Ok(Ended { here: 1, told: None });
        }
        let act = Act { by: &caller.name, of: "session", what: id };
        let told = self.parts.nodes.drop_one_elsewhere(act, id).await.ok_or_else(not_on)?;
        if told.is_partial {
            let detail = "it is none of this gateway, and the registry's store is away: the others cannot be told";
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        self.note_drop(caller, "session", id, 0);
        Ok(Ended { here: 0, told: Some(told) })
    }

    fn note_drop(&self, caller: &Caller, by: &'static str, what: &str, count: usize) {
        self.parts.metrics.kicks.with_label_values(&[by]).inc_by(count as u64);
        tracing::info!(by = &*caller.name, from = %caller.peer, act = "drop", of = by, what, count, "administrator");
    }

    /// Switches a protocol of a user that the directory knows off or on, from the next login on.
    pub(super) async fn switch(
        &self,
        caller: &Caller,
        user: &User,
        answer: &DirectoryAnswer,
        wish: Wish,
    ) -> Result<Switched, Refusal> {
        let Wish { protocol, enabled, now, force } = wish;
        self.must_exist(user, answer, force)?;
        let registry = &self.parts.registry;
        let before = !registry.switched_off(user.name()).contains(protocol);
        registry.switch(user.name(), protocol, enabled).await.map_err(|problem| match problem {
            SwitchProblem::Away(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem),
            SwitchProblem::TooMany => Refusal::new(StatusCode::INSUFFICIENT_STORAGE, problem),
        })?;
        let (act, what) = (if enabled { "enable" } else { "disable" }, user.name());
        let typed = typed(user);
        tracing::info!(by = &*caller.name, from = %caller.peer, act, what, typed, protocol = protocol.name(), before, "administrator");
        let drops = now && !enabled;
        let dropped = match drops {
            true => self.drop_sessions(caller, &Whose::user(user, Some(protocol))).await?,
            false => Ended::default(),
        };
        Ok(Switched { kept: registry.keeps(), dropped })
    }

    /// Forgets where the user of this name lives, here and at the other gateways. The directory is not asked: it would
    /// be remembered again.
    pub(super) async fn forget_route(&self, caller: &Caller, name: &str) -> Result<ForgottenRoute, Refusal> {
        let directory = &self.parts.directory;
        let named = directory.named(name).map_err(Refusal::bad)?;
        let user = &directory.remembered(&named);
        let forgotten = directory.forget(&named);
        let (what, typed) = (user.name(), typed(user));
        tracing::info!(by = &*caller.name, from = %caller.peer, act = "forget_route", what, typed, forgotten, "administrator");
        let told = self.parts.nodes.forget_elsewhere(&caller.name, user).await;
        Ok(ForgottenRoute { forgotten, told, of: ActedOn::forgotten(name, user, self) })
    }
}

/// For the log: the name as it was typed, where the user has another one.
fn typed(user: &User) -> Option<&str> {
    (user.given() != user.name()).then_some(user.given())
}

fn not_on() -> Refusal {
    Refusal::not_found("no such session is on")
}
