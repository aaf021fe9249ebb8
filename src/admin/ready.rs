//! `/readyz`: whether a load balancer is to send clients here.
//!
//! After a start the gateway is not ready until every source of the directory has answered, so that a wrong CA or
//! password stops a rolling deployment. Later a source that is away does not make it unready while somebody can be served:
//! all gateways share the directory, and a balancer would be left with none of them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Admin;
use crate::config::{Listener, PasswordCheck, Ready};
use crate::directory::{DirectoryState, Reach};
use crate::proto::Protocol;

/// For whom what the directory's cache remembers is enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FromMemory {
    /// Users: some service has its passwords checked by the back-end alone.
    pub users: bool,
    /// Recipients of mail: port 25 is served.
    pub recipients: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    Degraded(String),
    NotReady(String),
}

pub(super) async fn ready(State(admin): State<Admin>) -> Response {
    if admin.drain.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match readiness(&admin.parts.directory.state(), admin.from_memory, admin.ready) {
        Readiness::Ready => (StatusCode::OK, "ready\n").into_response(),
        Readiness::Degraded(why) => (StatusCode::OK, format!("degraded: {why}\n")).into_response(),
        Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

fn readiness(state: &DirectoryState, from_memory: FromMemory, rule: Ready) -> Readiness {
    let why = || format!("directory {state}");
    let serves_users = from_memory.users && state.remembered_users > 0;
    let serves_mail = from_memory.recipients && state.remembered_recipients > 0;
    match (state.reach(), rule) {
        (Reach::Answers, _) => Readiness::Ready,
        (Reach::Away { .. }, Ready::Lenient) if state.first_answers() || serves_users || serves_mail => {
            Readiness::Degraded(why())
        }
        (Reach::Away { .. } | Reach::NeverAnswered { .. }, Ready::Lenient | Ready::Strict) => {
            Readiness::NotReady(why())
        }
    }
}

impl FromMemory {
    /// What these listeners offer.
    #[must_use]
    pub fn of<'l>(listeners: impl Iterator<Item = &'l Listener>) -> Self {
        listeners.fold(Self::default(), |so_far, listener| {
            let is_mail = listener.service.protocol == Protocol::Smtp;
            let is_checked_elsewhere = listener.service.check == PasswordCheck::Backend;
            Self { users: so_far.users || (!is_mail && is_checked_elsewhere), recipients: so_far.recipients || is_mail }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::directory::{SourceState, Unavailable};

    const BOTH: FromMemory = FromMemory { users: true, recipients: true };

    fn state(reaches: &[Reach], users: usize, recipients: usize) -> DirectoryState {
        let source = |reach: &Reach| SourceState { name: "ldap".to_owned(), reach: reach.clone() };
        let sources = reaches.iter().map(source).collect();
        DirectoryState { sources, remembered_users: users, remembered_recipients: recipients }
    }

    fn away() -> Reach {
        Reach::Away { since: SystemTime::UNIX_EPOCH, why: Unavailable::Lost }
    }

    fn status(state: &DirectoryState, from_memory: FromMemory, rule: Ready) -> &'static str {
        match readiness(state, from_memory, rule) {
            Readiness::Ready => "ready",
            Readiness::Degraded(_) => "degraded",
            Readiness::NotReady(_) => "not ready",
        }
    }

    #[test]
    fn after_a_start_every_source_has_to_answer_once() {
        let never = || Reach::NeverAnswered { why: None };
        for rule in [Ready::Lenient, Ready::Strict] {
            assert_eq!(status(&state(&[Reach::Answers, never()], 5, 5), BOTH, rule), "not ready");
            assert_eq!(status(&state(&[Reach::Answers, Reach::Answers], 0, 0), BOTH, rule), "ready");
        }
    }

    #[test]
    fn later_it_is_degraded_while_somebody_can_be_served() {
        let lenient = |state, from_memory| status(&state, from_memory, Ready::Lenient);
        assert_eq!(lenient(state(&[away()], 0, 0), BOTH), "not ready");
        assert_eq!(lenient(state(&[away()], 1, 0), BOTH), "degraded");
        assert_eq!(lenient(state(&[away()], 0, 1), BOTH), "degraded");
        let mail_only = FromMemory { users: false, recipients: true };
        assert_eq!(lenient(state(&[away()], 1, 0), mail_only), "not ready", "passwords are checked by the directory");
        assert_eq!(lenient(state(&[Reach::Answers, away()], 0, 0), FromMemory::default()), "degraded");
    }

    #[test]
    fn a_strict_site_is_not_ready_while_a_source_is_away_and_hears_why() {
        let state = state(&[Reach::Answers, away()], 7, 0);
        let Readiness::NotReady(why) = readiness(&state, BOTH, Ready::Strict) else { panic!("ready") };
        assert!(why.starts_with("directory away since 1970-01-01T00:00:00Z, serving 7 remembered users: "), "{why}");
    }
}
