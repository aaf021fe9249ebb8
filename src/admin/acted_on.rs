//! Whom an act was for: the user whom the directory knows, beside the name that was typed.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use super::directory::{DirectoryAnswer, Verdict};
use crate::directory::{Reach, User, utc};
use crate::proto::Protocol;

/// The user that was acted on.
#[derive(Serialize, ToSchema)]
pub(super) struct ActedOn {
    /// The user that was acted on: the name by which switches, limits and sessions are counted.
    user: String,
    /// The name as the request had it.
    typed: String,
    /// What the operator must know besides: such as that the directory did not answer, so that nobody knows whose the
    /// name is.
    note: Option<String>,
}

impl ActedOn {
    /// An act on sessions or switches, for which the directory was asked whose the name is.
    pub(super) fn looked_up(typed: &str, user: &User, answer: &DirectoryAnswer) -> Self {
        Self { user: user.name().to_owned(), typed: typed.to_owned(), note: note(user, answer) }
    }

    /// A switch, for which the directory was asked whose the name is; of this protocol if it was switched off.
    pub(super) fn switched(typed: &str, user: &User, answer: &DirectoryAnswer, off: Option<Protocol>) -> Self {
        let mut of = Self::looked_up(typed, user, answer);
        if let (Verdict::Unavailable(_), Some(protocol), Some(note)) = (&answer.verdict, off, &mut of.note) {
            let protocol = protocol.name();
            note.push_str(&format!(
                ". Once it answers, a switch for an alias has no effect: if another name is shown then, switch that one, and \
                 take this back with `portcullis enable {user} {protocol} --force`"
            ));
        }
        of
    }

    /// A switch that was taken back from this name, whoever that is.
    pub(super) fn exactly(typed: &str, user: &User, was_off: bool) -> Self {
        let note = if was_off {
            format!("this is for exactly `{user}`; the directory was not asked")
        } else {
            format!(
                "it was not switched off for exactly `{user}`; `portcullis switched-off` lists the names for which something is"
            )
        };
        Self { user: user.name().to_owned(), typed: typed.to_owned(), note: Some(note) }
    }

    /// What was remembered of a user is forgotten, and the directory was not asked.
    pub(super) fn forgotten(typed: &str, user: &User, admin: &Admin) -> Self {
        let state = admin.parts.directory.state();
        let since = match state.reach() {
            Reach::Answers => None,
            Reach::Away { since, .. } => Some(format!("has not answered since {}", utc(since))),
            Reach::NeverAnswered { .. } => Some("has not answered since the gateway started".to_owned()),
        };
        let note = since.map(|since| format!("the directory {since}: until it answers, {user} cannot log in"));
        Self { user: user.name().to_owned(), typed: typed.to_owned(), note }
    }

    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

/// `alice`, or `alice (typed: a.smith@example.com)`.
impl fmt::Display for ActedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        if self.typed == self.user { Ok(()) } else { write!(f, " (typed: {})", self.typed) }
    }
}

/// Said of an entry that is known by a name which nobody can type at a login.
const OTHER_NAMES: &str = "this is for logins of the same entry by other names, if it has any";

/// Said where the directory did not say whose the name is: the act is then for the name itself.
fn note(user: &User, answer: &DirectoryAnswer) -> Option<String> {
    let exactly = format!("this is for exactly `{user}`");
    match (&answer.verdict, answer.foreign()) {
        (Verdict::Known(_), foreign) => foreign.map(|foreign| format!("{foreign}; {OTHER_NAMES}")),
        (Verdict::Unknown, None) => Some(format!("the directory does not know this name: {exactly}")),
        (Verdict::Unknown, Some(foreign)) => {
            Some(format!("the directory does not know this name ({foreign}): {exactly}"))
        }
        (Verdict::Unusable(why), _) => Some(format!("the directory's entry cannot be used ({why}): {exactly}")),
        (Verdict::Unavailable(_), _) => Some(format!(
            "the directory did not answer: {exactly}; check again with `portcullis user {user}` when it answers"
        )),
    }
}
