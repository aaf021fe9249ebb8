//! The directory: where does this user live, where does mail for this address go, and is this the user's password?
//!
//! It stands apart so that sessions ask one question and get one of three answers: a [`Route`] (for an address a
//! [`Lodging`]), nobody, or [`Unavailable`]. Sources are asked in order and the first that knows the user decides. A source that is down ends the
//! question: asking the next one could land the user on the wrong back-end.
//!
//! Questions run as tasks on the control runtime, so that a session that goes away never leaves one half asked, and a
//! panic in a source is an [`Unavailable`] like others. Each ends within its sources' time-outs.

use std::future::Future;
use std::sync::Arc;

use prometheus::IntGauge;
use tokio::runtime::Handle;

use crate::config;
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
mod route;
mod services;
mod source;

pub use name::{NAME_MAX, NameProblem, User};
pub use problem::{SetupProblem, TemplateProblem, Unavailable};
pub use recipient::{Lodging, Recipient};
pub use route::Route;

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

    /// What is wrong with the users files; no server is asked.
    #[must_use]
    pub fn check(config: &config::Directory) -> Vec<config::Problem> {
        let problems = config.sources.iter().filter_map(|source| match source {
            config::Source::File(path) => file::File::new(path, config).err(),
            config::Source::Ldap(_) | config::Source::Pool(_) => None,
        });
        problems.flatten().collect()
    }

    /// The canonical user behind a name as a client gave it.
    ///
    /// # Errors
    /// [`NameProblem`]: the name is nobody's, and no source needs to be asked.
    pub fn user(&self, given: &str) -> Result<User, NameProblem> {
        User::new(given, self.0.default_domain.as_deref())
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

    /// Forgets where a user lives; the next login asks again. Whether there was something to forget.
    pub fn forget(&self, user: &User) -> bool {
        self.0.users.forget(user.key())
    }

    /// Whether this is the password of the user who was found at this route. The answer is never remembered.
    ///
    /// # Errors
    /// [`Unavailable`]: nobody can say now. The password may have been sent, and is not sent again.
    pub async fn check_password(&self, route: &Route, password: &Secret) -> Result<PasswordAnswer, Unavailable> {
        let Some(entry) = route.entry.clone() else { return Ok(PasswordAnswer::CannotCheck) };
        // An LDAP bind with an empty password succeeds as anonymous (RFC 4513 §5.1.2).
        if password.is_empty() || entry.dn.is_empty() {
            return Ok(PasswordAnswer::Wrong);
        }
        let (sources, password) = (Arc::clone(&self.0.sources), password.clone());
        let answer = self.on_control(async move { source::check(&sources, &entry, &password).await }).await;
        self.0.counts.password(&answer);
        answer
    }

    /// Reads the users files again and forgets all answers; with a problem, everything stays as it was.
    ///
    /// # Errors
    /// [`SetupProblem`]: a users file cannot be used.
    pub fn reload(&self) -> Result<(), SetupProblem> {
        let read = self.0.sources.iter().map(Source::read_again).collect::<Result<Vec<_>, _>>()?;
        for (source, users) in self.0.sources.iter().zip(read) {
            source.use_users(users);
        }
        self.0.users.clear();
        self.0.recipients.clear();
        Ok(())
    }

    /// Whether every source answered when it was asked last, or was never asked: one that is down ends the question,
    /// whatever stands behind it.
    #[must_use]
    pub fn reachable(&self) -> bool {
        self.0.sources.iter().all(Source::reachable)
    }

    /// Whether a login has a chance: a directory that is away still serves whom it remembers.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.reachable() || self.0.users.serves_stale()
    }

    async fn on_control<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, Unavailable>> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.0.control.spawn(question).await.unwrap_or(Err(Unavailable::Lost))
    }
}

fn cache<T: Send + Sync + 'static>(
    config: &config::Directory,
    counts: &Arc<Counts>,
    remembered: &IntGauge,
    control: &Handle,
) -> Arc<Cache<T>> {
    Arc::new(Cache::new(config.cache, Arc::clone(counts), remembered.clone(), control.clone()))
}

#[cfg(test)]
mod tests;
