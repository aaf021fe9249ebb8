//! LDAP: the source that asks servers.
//!
//! From the outside in: [`Ldap`] asks one question under one deadline; [`searches`] and [`passwords`] have the
//! connections; [`mod@servers`] decides whom to dial; [`rotation`] changes the password of our own bind; a [`connection`] is the client library behind its [`guard`], which
//! reads [`ber`] and knows which [`message`] may pass. What an [`entry`] means is decided at the end.
//!
//! Everything here runs on the control runtime. An answer that does not come in time takes its connection along.

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ldap3::Scope;
use ldap3::asn1::StructureTag;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::counts::Counts;
use super::filter::Template;
use super::recipient::{Known, Mailbox};
use super::state::{SourceState, Watched};
use super::{PasswordAnswer, Route, SetupProblem, Unavailable, User};
use crate::config;
use crate::secret::Secret;
use crate::wire::tls_client::client_config;

mod ber;
mod check_lines;
mod check_queue;
mod connection;
mod dial;
mod entry;
mod guard;
mod identity;
mod message;
mod passwords;
mod rotation;
mod searches;
mod servers;

use check_queue::Asker;
use connection::{Found, Search};
use dial::Security;
use entry::Meaning;
use identity::EntrySearch;
use passwords::Passwords;
use searches::Searches;
use servers::Servers;

pub(super) struct Ldap {
    base: String,
    filter: Template,
    recipient_filter: Template,
    meaning: Meaning,
    attributes: Vec<String>,
    timeout: Duration,
    servers: Servers,
    searches: Searches,
    passwords: Passwords,
    counts: Arc<Counts>,
    watched: Arc<Watched>,
}

impl Ldap {
    pub(super) fn new(
        config: &config::Ldap,
        place: usize,
        default_domain: Option<&str>,
        counts: Arc<Counts>,
    ) -> Result<Arc<Self>, SetupProblem> {
        if config.bind.as_ref().is_some_and(|(dn, password)| dn.is_empty() || password.current().is_empty()) {
            return Err(SetupProblem::EmptyBind);
        }
        let meaning = Meaning::new(config, place, default_domain);
        let urls = config.urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let watched = Arc::new(Watched::new(format!("ldap {urls}"), counts.up(place)));
        Ok(Arc::new(Self {
            base: config.base.clone(),
            filter: Template::new(&config.filter)?,
            recipient_filter: Template::new(&config.recipient_filter)?,
            attributes: meaning.attributes(),
            meaning,
            timeout: config.timeout,
            servers: Servers::new(servers(config)?, config.bind.clone(), config.timeout),
            searches: Searches::new(config.connections),
            passwords: Passwords::new(config.connections),
            counts,
            watched,
        }))
    }

    /// Where the user lives, if exactly one entry says so.
    pub(super) async fn find(self: &Arc<Self>, user: &User) -> Result<Option<Route>, Unavailable> {
        let entry = self.entry(self.filter.fill(user.name()), Instant::now() + self.timeout).await?;
        entry.map(|entry| self.meaning.route(entry)).transpose()
    }

    /// Where the user of this identity lives, as long as the filter still lets the entry through.
    pub(super) async fn find_identity(self: &Arc<Self>, name: &str) -> Result<Option<Route>, Unavailable> {
        let (base, scope, filter) = match self.meaning.identity.place(name) {
            Some(EntrySearch::Dn(dn)) => (dn, Scope::Base, self.filter.anybody()),
            Some(EntrySearch::Values(attribute, values)) => {
                (self.base.clone(), Scope::Subtree, self.filter.anybody_with(&attribute, &values))
            }
            None => return Ok(None),
        };
        let entry = self.entry_at(&base, scope, filter, Instant::now() + self.timeout).await?;
        let route = entry.map(|entry| self.meaning.route(entry)).transpose()?;
        // An entry with more values of the attribute than one has another identity.
        Ok(route.filter(|route| route.identity.as_deref() == Some(name)))
    }

    /// Where mail for the mailbox goes, if exactly one entry says so of the first form in which it is known. All forms
    /// are asked for under one deadline.
    pub(super) async fn recipient(self: &Arc<Self>, mailbox: &Mailbox) -> Result<Option<Known>, Unavailable> {
        let deadline = Instant::now() + self.timeout;
        for user in mailbox.users() {
            if let Some(entry) = self.entry(self.recipient_filter.fill(user.name()), deadline).await? {
                return self.meaning.recipient(entry, user).map(Some);
            }
        }
        if !self.recipient_filter.knows_domains() {
            return Ok(None);
        }
        let entry = self.entry(self.recipient_filter.fill(&mailbox.catch_all()), deadline).await?;
        entry.map(|entry| self.meaning.recipient(entry, mailbox.user())).transpose()
    }

    /// Whether the password, which came from `client`, is that of the entry; neither DN nor password is empty.
    pub(super) async fn check(
        &self,
        dn: &str,
        password: &Secret,
        client: IpAddr,
    ) -> Result<PasswordAnswer, Unavailable> {
        let deadline = Instant::now() + self.timeout;
        let asker = Asker { address: client, user: dn.into() };
        let answer = self.in_time(deadline, self.passwords.check(&self.servers, asker, password, deadline)).await;
        if answer.as_ref().is_err_and(Unavailable::is_outage) {
            self.watched.doubt();
        }
        answer
    }

    pub(super) fn state(&self) -> SourceState {
        self.watched.state()
    }

    /// Asks at once and then from time to time, for as long as the source is used: an idle gateway knows its state too,
    /// and a gateway that is not ready is asked by nobody else.
    pub(super) async fn watch(source: Weak<Self>) {
        loop {
            let Some(ldap) = source.upgrade() else { return };
            ldap.probe().await;
            let watched = Arc::clone(&ldap.watched);
            drop(ldap);
            sleep(PROBE).await;
            if watched.answers() {
                let _ = timeout(IDLE, watched.doubted()).await;
            }
        }
    }

    /// The one entry that matches.
    async fn entry(self: &Arc<Self>, filter: String, deadline: Instant) -> Result<Option<StructureTag>, Unavailable> {
        self.entry_at(&self.base, Scope::Subtree, filter, deadline).await
    }

    async fn entry_at(
        self: &Arc<Self>,
        base: &str,
        scope: Scope,
        filter: String,
        deadline: Instant,
    ) -> Result<Option<StructureTag>, Unavailable> {
        only(self.search(&self.question(base, scope, filter), deadline).await?)
    }

    /// A search that was answered usefully. The outcome is the state of the source.
    async fn search(&self, search: &Search<'_>, deadline: Instant) -> Result<Found, Unavailable> {
        let answer = self.in_time(deadline, self.searches.ask(&self.servers, search, deadline)).await;
        let answer = answer.and_then(|found| useful(search, found));
        match &answer {
            // A login needs a search below the base; that an entry can be read by its DN proves nothing.
            Ok(_) if search.scope == Scope::Subtree => self.watched.answered(),
            // Nobody was asked.
            Ok(_) | Err(Unavailable::Overloaded) => {}
            Err(problem) if problem.is_outage() => self.watched.failed(problem),
            // Perhaps because of the name: a probe is to find out.
            Err(_) => self.watched.doubt(),
        }
        answer
    }

    /// One deadline for everything: the wait for a place, connecting, a second try.
    async fn in_time<T>(
        &self,
        deadline: Instant,
        question: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let began = Instant::now();
        let answer = timeout_at(deadline, question).await.unwrap_or(Err(Unavailable::TimedOut(self.timeout)));
        self.counts.took(began.elapsed());
        answer
    }

    /// Searches as a login does, for a name that nobody has: whatever is wrong with the answer, no user's name is to blame.
    async fn probe(&self) {
        let attributes = [NO_ATTRIBUTES.to_owned()];
        let search =
            Search { attributes: &attributes, ..self.question(&self.base, Scope::Subtree, self.filter.fill(NOBODY)) };
        match self.search(&search, Instant::now() + self.timeout).await {
            Ok(_) | Err(Unavailable::Overloaded) => {}
            Err(problem) => self.watched.failed(&problem),
        }
    }

    fn question<'q>(&'q self, base: &'q str, scope: Scope, filter: String) -> Search<'q> {
        let time_limit = i32::try_from(self.timeout.as_secs() + 1).unwrap_or(i32::MAX);
        Search { base, scope, filter, attributes: &self.attributes, time_limit }
    }
}

/// An answer that says whether there is such an entry. Without a match a search below a base that exists succeeds, so
/// noSuchObject is about the base; only where one DN is asked for, it is about the entry.
fn useful(search: &Search<'_>, found: Found) -> Result<Found, Unavailable> {
    let is_below_base = search.scope == Scope::Subtree;
    match found.result.code {
        SUCCESS | SIZE_LIMIT_EXCEEDED => Ok(found),
        NO_SUCH_OBJECT if !is_below_base => Ok(found),
        code @ (NO_SUCH_OBJECT | REFERRAL | INVALID_DN_SYNTAX) if is_below_base => {
            Err(Unavailable::Base { base: search.base.to_owned(), code, text: found.result.text })
        }
        code => Err(Unavailable::Refused { code, text: found.result.text }),
    }
}

/// RFC 4511 appendix A: sizeLimitExceeded means that there are more than the two we asked for.
fn only(found: Found) -> Result<Option<StructureTag>, Unavailable> {
    let mut entries = found.entries.into_iter();
    match (found.result.code, entries.next(), entries.next()) {
        (SUCCESS, None, _) | (NO_SUCH_OBJECT, _, _) => Ok(None),
        (SUCCESS, Some(entry), None) => Ok(Some(entry)),
        (SUCCESS, Some(_), Some(_)) | (SIZE_LIMIT_EXCEEDED, _, _) => Err(Unavailable::Ambiguous),
        (code, _, _) => Err(Unavailable::Refused { code, text: found.result.text }),
    }
}

fn servers(config: &config::Ldap) -> Result<Vec<(config::LdapUrl, Security)>, SetupProblem> {
    let with_tls = config.starttls || config.urls.iter().any(|url| url.ldaps);
    let Some(tls) = with_tls.then(|| client_config(&config.tls, &[])).transpose()? else {
        return Ok(config.urls.iter().map(|url| (url.clone(), Security::None)).collect());
    };
    if config.tls.skip_verification {
        tracing::warn!("LDAP servers are NOT verified: anyone on the way can read and change what they say");
    }
    let security = |url: &config::LdapUrl| match (url.ldaps, config.starttls) {
        (true, _) => Security::Implicit(Arc::clone(&tls)),
        (false, true) => Security::StartTls(Arc::clone(&tls)),
        (false, false) => Security::None,
    };
    Ok(config.urls.iter().map(|url| (url.clone(), security(url))).collect())
}

const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const REFERRAL: u32 = 10;
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_DN_SYNTAX: u32 = 34;
/// No user has a name in this domain (RFC 2606 §2).
const NOBODY: &str = "portcullis-probe@probe.invalid";
/// RFC 4511 §4.5.1.8.
const NO_ATTRIBUTES: &str = "1.1";
/// Between two probes of a source that is away, and at least between any two.
const PROBE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5000 });
/// Between two probes of a source that answers.
const IDLE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 30_000 });

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
