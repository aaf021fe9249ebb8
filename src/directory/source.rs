//! A source: one place that may know a user. A closed set, so an `enum`.

use std::net::IpAddr;
use std::sync::Arc;

use super::counts::Counts;
use super::file::File;
use super::ldap::Ldap;
use super::recipient::{Home, Known, Mailbox};
use super::reload::{FileChange, Reloaded};
use super::route::{Entry, Route};
use super::state::{Reach, SourceState};
use super::{DN, PasswordAnswer, SetupProblem, Unavailable, User};
use crate::config;
use crate::secret::Secret;

pub(super) enum Source {
    Ldap(Arc<Ldap>),
    File(File),
    /// Knows everyone: the pool of this name.
    Pool(String),
}

/// Asks the sources in order; the first that knows the user, or cannot say, decides.
pub(super) async fn ask(sources: &[Source], user: &User) -> Result<Option<Arc<Route>>, Unavailable> {
    for source in sources {
        if let Some(route) = source.ask(user).await? {
            return Ok(Some(Arc::new(route)));
        }
    }
    Ok(None)
}

/// The same for the identity of a user; the entry that has it decides.
pub(super) async fn ask_identity(sources: &[Source], user: &User) -> Result<Option<Arc<Route>>, Unavailable> {
    for source in sources {
        let route = match source {
            Source::Ldap(ldap) => ldap.find_identity(user.name()).await?,
            Source::File(_) | Source::Pool(_) if user.name().starts_with(DN) => None,
            Source::File(_) | Source::Pool(_) => source.ask(user).await?,
        };
        if let Some(route) = route {
            return Ok(Some(Arc::new(route)));
        }
    }
    Ok(None)
}

/// The same for a recipient.
pub(super) async fn recipient(sources: &[Source], mailbox: &Mailbox) -> Result<Option<Known>, Unavailable> {
    for source in sources {
        if let Some(known) = source.recipient(mailbox).await? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

/// Asks the source that knows the entry whether this is its password; neither DN nor password is empty.
pub(super) async fn check(
    sources: &[Source],
    entry: &Entry,
    password: &Secret,
    client: IpAddr,
) -> Result<PasswordAnswer, Unavailable> {
    match sources.get(entry.source) {
        Some(Source::Ldap(ldap)) => ldap.check(&entry.dn, password, client).await,
        Some(Source::File(_) | Source::Pool(_)) | None => Ok(PasswordAnswer::CannotCheck),
    }
}

impl Source {
    pub(super) fn new(
        source: &config::Source,
        place: usize,
        config: &config::Directory,
        counts: &Arc<Counts>,
    ) -> Result<Self, SetupProblem> {
        Ok(match source {
            config::Source::Ldap(ldap) => {
                Self::Ldap(Ldap::new(ldap, place, config.default_domain.as_deref(), Arc::clone(counts))?)
            }
            config::Source::File(path) => {
                counts.up(place).set(1);
                let file = File::new(path, config)?;
                file.log_warnings();
                Self::File(file)
            }
            config::Source::Pool(name) => {
                counts.up(place).set(1);
                Self::Pool(name.clone())
            }
        })
    }

    async fn ask(&self, user: &User) -> Result<Option<Route>, Unavailable> {
        match self {
            Self::Ldap(ldap) => ldap.find(user).await,
            Self::File(file) => Ok(file.find(user)),
            Self::Pool(name) => Ok(Some(Route::to(name.as_str()))),
        }
    }

    async fn recipient(&self, mailbox: &Mailbox) -> Result<Option<Known>, Unavailable> {
        match self {
            Self::Ldap(ldap) => ldap.recipient(mailbox).await,
            Self::File(file) => Ok(file.recipient(mailbox).map(Known::Lives)),
            Self::Pool(name) => Ok(Some(Known::Lives(Home::new(mailbox.user(), Route::to(name.as_str()))))),
        }
    }

    /// Reads a users file again, which is used from now on. What changed in the one that stands at `place` is returned; what
    /// cannot be read stays as it was.
    pub(super) fn reload_users(&self, place: usize, told: &mut Reloaded) -> Option<FileChange> {
        let Self::File(file) = self else { return None };
        let now = match file.read() {
            Ok(users) => Arc::new(users),
            Err(problems) => {
                told.problems.push(SetupProblem::from(problems).into());
                return None;
            }
        };
        let before = file.replace(Arc::clone(&now));
        file.log_warnings();
        let changes = now.changes_since(&before);
        let noun = if changes == 1 { "change" } else { "changes" };
        told.read.push(format!("users file {} ({changes} {noun})", file.path().display()));
        (changes > 0).then_some(FileChange { place, before, now })
    }

    /// Reads the password of an LDAP bind again; `None` where there is none.
    pub(super) fn reload_bind(&self) -> Option<impl Future<Output = Reloaded> + Send + use<>> {
        match self {
            Self::Ldap(ldap) => Some(Arc::clone(ldap).reload_bind()),
            Self::File(_) | Self::Pool(_) => None,
        }
    }

    /// A users file and a pool answer from the start.
    pub(super) fn state(&self) -> SourceState {
        match self {
            Self::Ldap(ldap) => ldap.state(),
            Self::File(file) => SourceState { name: format!("file {}", file.path().display()), reach: Reach::Answers },
            Self::Pool(name) => SourceState { name: format!("pool {name}"), reach: Reach::Answers },
        }
    }

    /// What keeps the state up to date; `None` where nothing is asked.
    pub(super) fn watch(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        match self {
            Self::Ldap(ldap) => Some(Ldap::watch(Arc::downgrade(ldap))),
            Self::File(_) | Self::Pool(_) => None,
        }
    }
}
