//! What the directory says of one user: for the API and the page to show, and to refuse acts on a name that nobody has.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use tokio::time::timeout;

use super::Admin;
use super::refusal::Refusal;
use crate::config::Standing;
use crate::directory::{Route, Unavailable, User};
use crate::proto::Protocol;

/// What a login of the user would be answered with now.
pub(super) struct DirectoryAnswer {
    pub verdict: Verdict,
    /// When the directory gave this answer, in seconds since 1970; `None`: it is not remembered.
    pub since: Option<u64>,
    /// The answer's time has passed, and it serves only because the directory is away.
    pub is_stale: bool,
    /// The name that was asked for, where a login by it is refused for its domain before any source is asked.
    pub foreign: Option<User>,
}

pub(super) enum Verdict {
    Known(Arc<Route>),
    /// No source knows the name.
    Unknown,
    /// The user's entry cannot be used; why.
    Unusable(String),
    /// The directory does not say; why.
    Unavailable(String),
}

/// Why a name is perhaps nobody's.
pub(super) enum Doubt {
    /// The directory does not know it; why, where more is known.
    Unknown(Option<String>),
    /// The directory does not say; why.
    Unavailable(String),
}

impl DirectoryAnswer {
    /// Whether a login by the name that was asked for is let in by this protocol, as far as the directory decides;
    /// `None`: nobody can say.
    pub(super) fn allows(&self, protocol: Protocol) -> Option<bool> {
        match &self.verdict {
            _ if self.foreign.is_some() => Some(false),
            Verdict::Known(route) => Some(route.standing == Standing::Active && route.allows(protocol)),
            Verdict::Unknown | Verdict::Unusable(_) => Some(false),
            Verdict::Unavailable(_) => None,
        }
    }

    /// What is wrong with the name's domain, as a clause.
    pub(super) fn foreign(&self) -> Option<String> {
        let name = self.foreign.as_ref()?;
        Some(format!("a login as {name} is refused: its domain is not one of directory.domains"))
    }
}

impl Doubt {
    pub(super) fn about(&self, user: &User) -> String {
        match self {
            Self::Unknown(None) => format!("The directory does not know {user}."),
            Self::Unknown(Some(why)) => format!("The directory does not know {user}; {why}."),
            Self::Unavailable(why) => {
                format!("The directory does not answer, so nobody can say whether there is a user {user} ({why}).")
            }
        }
    }

    fn refuse(&self, user: &User) -> Refusal {
        let about = self.about(user);
        match self {
            Self::Unknown(_) => Refusal::not_found(format!("{about} Nothing was changed.")),
            Self::Unavailable(_) => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "{about} Nothing was changed; --force (in the API `\"force\": true`) does it all the same, for exactly {user}."
                ),
            ),
        }
    }
}

impl Admin {
    /// Whom a name means, and what the directory says: asked once, as a login asks, the cache first. It is the user whom
    /// the directory knows by the name, whatever alias it is; else the name itself, so that what is left of a user who is
    /// gone can still be seen and taken back.
    pub(super) async fn look_up(&self, name: &str) -> Result<(User, DirectoryAnswer), Refusal> {
        let directory = &self.parts.directory;
        let named = directory.named(name).map_err(Refusal::bad)?;
        let (user, verdict) = match timeout(DIRECTORY_TIMEOUT, directory.resolve(name)).await {
            Ok(Ok(Some((user, route)))) => (Some(user), Verdict::Known(route)),
            Ok(Ok(None)) => (None, Verdict::Unknown),
            Ok(Err(problem @ (Unavailable::Ambiguous | Unavailable::BadEntry(_)))) => {
                (None, Verdict::Unusable(problem.to_string()))
            }
            Ok(Err(problem)) => (None, Verdict::Unavailable(problem.to_string())),
            Err(_) => {
                let seconds = DIRECTORY_TIMEOUT.as_secs();
                (None, Verdict::Unavailable(format!("no answer in {seconds} seconds")))
            }
        };
        let memory = match verdict {
            Verdict::Known(_) | Verdict::Unknown => directory.memory(&named),
            Verdict::Unusable(_) | Verdict::Unavailable(_) => None,
        };
        let answer = DirectoryAnswer {
            verdict,
            since: memory.and_then(|memory| ago(memory.age)),
            is_stale: memory.is_some_and(|memory| memory.is_stale),
            foreign: (!directory.serves(&named)).then(|| named.clone()),
        };
        Ok((user.unwrap_or(named), answer))
    }

    /// The same for an act: that there is no such user may be remembered from before the user was created.
    pub(super) async fn look_up_for_act(&self, name: &str) -> Result<(User, DirectoryAnswer), Refusal> {
        let (user, answer) = self.look_up(name).await?;
        match answer.verdict {
            Verdict::Unknown if self.parts.directory.forget(&user) => self.look_up(name).await,
            _ => Ok((user, answer)),
        }
    }

    /// Whether the name may be a typo. A name that has switches already is none: an administrator must be able to take
    /// those back.
    pub(super) fn doubt(&self, user: &User, answer: &DirectoryAnswer) -> Option<Doubt> {
        if !self.parts.registry.switched_off(user.name()).is_empty() {
            return None;
        }
        match &answer.verdict {
            Verdict::Known(_) | Verdict::Unusable(_) => None,
            Verdict::Unknown => Some(Doubt::Unknown(answer.foreign())),
            Verdict::Unavailable(why) => Some(Doubt::Unavailable(why.clone())),
        }
    }

    /// `force`: the act is meant although the directory does not say whether there is such a user.
    pub(super) fn must_exist(&self, user: &User, answer: &DirectoryAnswer, force: bool) -> Result<(), Refusal> {
        match self.doubt(user, answer) {
            None => Ok(()),
            Some(Doubt::Unavailable(_)) if force => Ok(()),
            Some(doubt) => Err(doubt.refuse(user)),
        }
    }
}

fn ago(age: Duration) -> Option<u64> {
    let then = SystemTime::now().checked_sub(age)?;
    then.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Less than the page's script waits for an answer.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(8);
