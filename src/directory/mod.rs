//! The directory: where does this user live, where does mail for this address go, and is this the user's password?
//!
//! It stands apart so that sessions ask one question and get one of three answers: a [`Route`] (for an address a
//! [`Lodging`]), nobody, or [`Unavailable`]. Sources are asked in order and the first that knows the user decides. A source that is down ends the
//! question: asking the next one could land the user on the wrong back-end.
//!
//! Questions run as tasks on the control runtime, so that a session that goes away never leaves one half asked, and a
//! panic in a source is an [`Unavailable`] like others. Each ends within its sources' time-outs.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use prometheus::IntGauge;
use tokio::runtime::Handle;

use crate::config::{self, address::counted_as};
use crate::metrics::Metrics;
use crate::secret::Secret;

mod cache;
mod counts;
mod file;
mod filter;
mod ldap;
mod name;
mod problem;
mod recipient;
mod reload;
mod result_code;
mod route;
mod services;
mod source;
mod state;

pub use cache::Memory;
pub use name::{NAME_MAX, NameProblem, User};
pub use problem::{SetupProblem, TemplateProblem, Unavailable};
pub use recipient::{Lodging, Recipient};
pub use reload::{ReloadProblem, Reloaded};
pub use route::{NotPermitted, Route};
pub use state::{DirectoryState, Reach, SourceState, utc};

use cache::Cache;
use counts::Counts;
use recipient::{Domains, Home};
use source::Source;

/// All sources and what is remembered of their answers. Clones are the same directory.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    default_domain: Option<String>,
    domains: Arc<Domains>,
    sources: Arc<[Source]>,
    users: Arc<Cache<Route>>,
    recipients: Arc<Cache<Home>>,
    counts: Arc<Counts>,
    control: Handle,
}

/// Whether a password is the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordAnswer {
    /// It is.
    Right,
    /// It is not, or a policy of the directory does not let the user in.
    Wrong,
    /// The source that knows the user has no passwords.
    CannotCheck,
}

impl Directory {
    /// Reads users files; no server is asked yet. Questions will run on `control`.
    ///
    /// # Errors
    /// [`SetupProblem`]: a users file, a filter, or a CA file that cannot be used.
    pub fn new(config: &config::Directory, metrics: Arc<Metrics>, control: Handle) -> Result<Self, SetupProblem> {
        let default_domain = config.default_domain.clone();
        let counts = Arc::new(Counts::new(&metrics));
        let sources = config
            .sources
            .iter()
            .enumerate()
            .map(|(place, source)| Source::new(source, place, config, &counts))
            .collect::<Result<_, _>>()?;
        let domains = Arc::new(Domains::new(config));
        let users = cache(config, &counts, &metrics.directory_cached, &control);
        let recipients = cache(config, &counts, &metrics.directory_cached_recipients, &control);
        Ok(Self(Arc::new(Inner { default_domain, domains, sources, users, recipients, counts, control })))
    }

    /// What is wrong with the users files, warnings included; no server is asked.
    #[must_use]
    pub fn check(config: &config::Directory) -> Vec<config::Problem> {
        let problems = config.sources.iter().map(|source| match source {
            config::Source::File(path) => {
                file::File::new(path, config).map_or_else(|problems| problems, |file| file.warnings())
            }
            config::Source::Ldap(_) | config::Source::Pool(_) => Vec::new(),
        });
        problems.flatten().collect()
    }

    /// The canonical user behind a name as a client gave it.
    ///
    /// # Errors
    /// [`NameProblem`]: the name is nobody's, and no source needs to be asked.
    pub fn user(&self, given: &str) -> Result<User, NameProblem> {
        let user = User::new(given, self.0.default_domain.as_deref())?;
        if self.0.domains.serve(user.domain()) { Ok(user) } else { Err(NameProblem::ForeignDomain) }
    }

    /// Whether a source is asked for a login by this name: its domain is one of ours. Else the login is refused, even when
    /// the name is the identity of a user who logs in by another one.
    #[must_use]
    pub fn serves(&self, user: &User) -> bool {
        user.name().starts_with(DN) || self.0.domains.serve(user.domain())
    }

    /// Where the user lives; `Ok(None)` = nobody knows this user.
    ///
    /// May be cancelled at any time: the question goes on, and its answer is remembered.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing is known about the user, not even that there is none.
    pub async fn find(&self, user: &User) -> Result<Option<Arc<Route>>, Unavailable> {
        let question = || {
            let (sources, user) = (Arc::clone(&self.0.sources), user.clone());
            async move { source::ask(&sources, &user).await }
        };
        self.0.users.find(user.key(), question).await
    }

    /// Where the user of this identity lives: a name that [`Route::identify`] has given, such as one of a record.
    ///
    /// May be cancelled as [`Self::find`].
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn find_identity(&self, name: &Arc<str>) -> Result<Option<(User, Arc<Route>)>, Unavailable> {
        let user = User::identified(Arc::clone(name), Arc::clone(name));
        let question = || {
            let (sources, user) = (Arc::clone(&self.0.sources), user.clone());
            async move { source::ask_identity(&sources, &user).await }
        };
        let route = self.0.users.find(&identity_key(&user), question).await?;
        Ok(route.map(|route| (user, route)))
    }

    /// What is remembered of the user of this identity, by whatever name that was asked for; perhaps an answer that is due to
    /// be asked for again. Nobody is asked.
    #[must_use]
    pub fn remembered_identity(&self, name: &str) -> Option<Arc<Route>> {
        self.0.users.known(name)
    }

    /// Whom an administrator means by a name: the user who logs in with it, else the user whose identity it is.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn resolve(&self, name: &str) -> Result<Option<(User, Arc<Route>)>, Unavailable> {
        let Ok(user) = self.named(name) else { return Ok(None) };
        if !user.name().starts_with(DN)
            && self.0.domains.serve(user.domain())
            && let Some(route) = self.find(&user).await?
        {
            return Ok(Some((route.identify(&user), route)));
        }
        self.find_identity(user.key()).await
    }

    /// The user of a name that an administrator or another gateway says: perhaps of a domain that is served no more.
    ///
    /// # Errors
    /// [`NameProblem`]: the name is nobody's.
    pub fn named(&self, name: &str) -> Result<User, NameProblem> {
        match name.starts_with(DN) && name.len() <= NAME_MAX && name::is_name(name) {
            true => Ok(User::identified(name.into(), name.into())),
            false => User::new(name, self.0.default_domain.as_deref()),
        }
    }

    /// How the answer to [`Self::find`] is remembered; `None`: it is not, the next login asks the directory.
    #[must_use]
    pub fn memory(&self, user: &User) -> Option<Memory> {
        self.0.users.memory(user.key()).or_else(|| self.0.users.memory(&identity_key(user)))
    }

    /// Where mail for a recipient goes. The address is as RCPT TO has it, without the brackets: `local@domain`, or a bare
    /// `local`, to which the default domain is added, or the first of ours (RFC 5321 §4.1.1.3 knows `postmaster`).
    ///
    /// May be cancelled as [`Self::find`]. A user and a recipient of one name are two questions, with two answers.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing is known about the address; the sender is to try again.
    pub async fn recipient(&self, address: &str) -> Result<Recipient, Unavailable> {
        let mailbox = match self.0.domains.mailbox(address) {
            Ok(mailbox) => mailbox,
            Err(answer) => return Ok(answer),
        };
        let question = || {
            let (sources, domains, mailbox) =
                (Arc::clone(&self.0.sources), Arc::clone(&self.0.domains), mailbox.clone());
            async move { recipient::find(&sources, &domains, &mailbox).await }
        };
        let home = self.0.recipients.find(mailbox.key(), question).await?;
        Ok(home.map_or(Recipient::Unknown, |home| Recipient::Lives(home.lodging(address))))
    }

    /// The user whom a name is remembered to mean; the name itself, where nothing is. Nobody is asked.
    #[must_use]
    pub fn remembered(&self, user: &User) -> User {
        match self.0.users.identity(user.key()) {
            Some(identity) => User::identified(identity, user.shared_given()),
            None => user.clone(),
        }
    }

    /// Forgets where a user lives; the next login asks again. Whether there was something to forget.
    pub fn forget(&self, user: &User) -> bool {
        let (name, identity) = (self.0.users.forget(user.key()), self.0.users.forget(&identity_key(user)));
        name || identity
    }

    /// Whether this is the password of the user who was found at this route. The answer is never remembered. Checks from
    /// one address `client`, and those of one user, wait for their turn among others'.
    ///
    /// # Errors
    /// [`Unavailable`]: nobody can say now. The password may have been sent, and is not sent again.
    pub async fn check_password(
        &self,
        route: &Route,
        password: &Secret,
        client: IpAddr,
    ) -> Result<PasswordAnswer, Unavailable> {
        let Some(entry) = route.entry.clone() else { return Ok(PasswordAnswer::CannotCheck) };
        // An LDAP bind with an empty password succeeds as anonymous (RFC 4513 §5.1.2).
        if password.is_empty() || entry.dn.is_empty() {
            return Ok(PasswordAnswer::Wrong);
        }
        let (sources, password) = (Arc::clone(&self.0.sources), password.clone());
        let client = counted_as(client, IPV6_PREFIX);
        let answer = self.on_control(async move { source::check(&sources, &entry, &password, client).await }).await;
        self.0.counts.password(&answer);
        answer
    }

    /// Reads users files and the passwords of our own binds again, each by itself: what cannot be used stays as it was.
    /// Only the answers are forgotten that a changed users file would give otherwise. Call it on the control runtime; a
    /// new password is tried at the server, all at once and each in its source's time.
    #[must_use]
    pub async fn reload(&self) -> Reloaded {
        let mut told = Reloaded::default();
        let sources = self.0.sources.iter().enumerate();
        let changes: Vec<_> = sources.filter_map(|(place, source)| source.reload_users(place, &mut told)).collect();
        if !changes.is_empty() {
            self.0.users.retain(|name, route| changes.iter().all(|change| change.keeps_user(name, route)));
            let domains = &self.0.domains;
            let keeps = |address: &str, home: Option<&Home>| {
                changes.iter().all(|change| change.keeps_recipient(domains, address, home))
            };
            self.0.recipients.retain(keeps);
        }
        let binds: Vec<_> =
            self.0.sources.iter().filter_map(Source::reload_bind).map(|bind| self.0.control.spawn(bind)).collect();
        for bind in binds {
            told.add(bind.await.unwrap_or_default());
        }
        told
    }

    /// Whether it answers, and what is remembered while it does not.
    #[must_use]
    pub fn state(&self) -> DirectoryState {
        DirectoryState {
            sources: self.0.sources.iter().map(Source::state).collect(),
            remembered_users: self.0.users.served_stale(),
            remembered_recipients: self.0.recipients.served_stale(),
        }
    }

    /// Keeps the state up to date, from now on and for as long as there is a clone of this directory: every server is
    /// asked at once, and then from time to time.
    pub fn watch(&self) {
        for watch in self.0.sources.iter().filter_map(Source::watch) {
            self.0.control.spawn(watch);
        }
    }

    async fn on_control<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, Unavailable>> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.0.control.spawn(question).await.unwrap_or(Err(Unavailable::Lost))
    }
}

/// What the question for a user by identity is remembered by: a name that is typed has no space in it, and may be an
/// alias of somebody else.
fn identity_key(user: &User) -> Arc<str> {
    format!(" {user}").into()
}

/// How the identity of an entry begins that nothing but its DN names.
const DN: &str = "dn:";

fn cache<T: cache::Identified + Send + Sync + 'static>(
    config: &config::Directory,
    counts: &Arc<Counts>,
    remembered: &IntGauge,
    control: &Handle,
) -> Arc<Cache<T>> {
    Arc::new(Cache::new(config.cache, Arc::clone(counts), remembered.clone(), control.clone()))
}

/// What one IPv6 user has, at least.
const IPV6_PREFIX: u8 = 64;

#[cfg(test)]
mod tests;
