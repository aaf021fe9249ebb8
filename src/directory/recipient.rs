//! Whose mail this is: a recipient's address, taken apart and looked up.
//!
//! It stands apart from users because an address is less than a name and more: it may have a tag, belong to a user of
//! another name, be caught by its domain, or be routed to another address. A source is asked for the address as given,
//! without its tag, and for its domain, in this order; then the next source is.

use std::collections::HashSet;
use std::sync::Arc;

use super::cache::Identified;
use super::route::{Entry, Route};
use super::source::{self, Source};
use super::{Unavailable, User};
use crate::config::{self, Standing};

/// What is known of an address that mail is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A source knows it.
    Lives(Lodging),
    /// Its domain is ours, and nobody knows it.
    Unknown,
    /// Its domain is none of ours; nobody was asked.
    NotOurs,
}

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lodging {
    /// By whom a pool chooses its server, and whom limits count: the user whose address it is, by the same name as
    /// at a login; the address as it was known, where the source names no user.
    pub user: User,
    /// Where the user lives. Its standing and its services are about logging in; whether mail is taken is the caller's
    /// to decide.
    pub route: Arc<Route>,
    /// What RCPT TO is to say there: the address as given, tag and case included, unless the entry has a routing
    /// address, which is a dot-string at a domain (RFC 5321 §4.1.2), at most 254 bytes.
    pub address: String,
}

/// Which domains are ours, and how their addresses are read.
#[derive(Default)]
pub(super) struct Domains {
    ours: HashSet<String>,
    default: Option<String>,
    delimiter: Option<char>,
}

/// An address in a domain of ours that could be somebody's.
#[derive(Debug, Clone)]
pub(super) struct Mailbox {
    whole: User,
    /// Without its tag, if it has one.
    tagless: Option<User>,
}

/// What a source knows of a recipient.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Lives(Home),
    /// Whoever has this address knows where; and how the entry stands that says so.
    RoutedTo(String, Standing),
}

/// What is remembered of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) user: User,
    pub(super) route: Arc<Route>,
    /// The routing address.
    pub(super) address: Option<String>,
}

impl Domains {
    pub(super) fn new(config: &config::Directory) -> Self {
        Self {
            ours: config.domains.iter().cloned().collect(),
            // `<postmaster>` has no domain, and is somebody where mail is taken (RFC 5321 §4.5.1).
            default: config.default_domain.as_ref().or(config.domains.first()).cloned(),
            delimiter: config.recipient_delimiter,
        }
    }

    /// Whether users of this domain may log in; empty = the name has none.
    pub(super) fn serve(&self, domain: &str) -> bool {
        let is_default = self.default.as_deref().is_some_and(|default| default == domain);
        // Without any domain configured, names are as the sources have them; but no name ends with a dot.
        let any = self.ours.is_empty() && self.default.is_none() && !domain.ends_with('.');
        domain.is_empty() || is_default || any || self.ours.contains(domain)
    }

    /// Whether mail for this domain is taken.
    pub(super) fn take_mail_for(&self, domain: &str) -> bool {
        self.ours.contains(domain)
    }

    /// Whether there are any: without, mail is taken for nobody.
    pub(super) fn take_mail(&self) -> bool {
        !self.ours.is_empty()
    }

    /// The mailbox of this address; or the answer, where nobody needs to be asked.
    pub(super) fn mailbox(&self, address: &str) -> Result<Mailbox, Recipient> {
        // The last: a quoted local part may hold others.
        let (local, domain) = match (address.rsplit_once('@'), &self.default) {
            (Some(parts), _) => parts,
            (None, Some(default)) => (address, default.as_str()),
            (None, None) => return Err(Recipient::NotOurs),
        };
        let domain = domain.to_ascii_lowercase();
        if !self.take_mail_for(&domain) {
            return Err(Recipient::NotOurs);
        }
        // user%elsewhere@ours: a server that believes us may read on behind a domain of its own, and send it there.
        if local.contains(['%', '!']) {
            return Err(Recipient::Unknown);
        }
        // Canonical from the start: the answer is remembered, and given to who writes it otherwise.
        let user = |local: &str| User::new(&format!("{}@{domain}", local.to_ascii_lowercase()), None);
        let whole = user(local).map_err(|_| Recipient::Unknown)?;
        let tagless = self.delimiter.and_then(|delimiter| local.split_once(delimiter));
        let tagless = tagless.and_then(|(name, _tag)| user(name).ok());
        Ok(Mailbox { whole, tagless })
    }
}

impl Mailbox {
    /// What it is remembered by.
    pub(super) fn key(&self) -> &Arc<str> {
        self.whole.key()
    }

    /// As whom it may be known, in turn.
    pub(super) fn users(&self) -> impl Iterator<Item = &User> {
        std::iter::once(&self.whole).chain(&self.tagless)
    }

    /// Whose it is where no source knows better.
    pub(super) fn user(&self) -> &User {
        self.tagless.as_ref().unwrap_or(&self.whole)
    }

    /// `@domain`: what takes the mail of all who are not known.
    pub(super) fn catch_all(&self) -> String {
        format!("@{}", self.whole.domain())
    }
}

impl Home {
    /// At the address as it was given.
    pub(super) fn new(user: &User, route: Route) -> Self {
        Self { user: route.identify(user), route: Arc::new(route), address: None }
    }

    pub(super) fn lodging(&self, given: &str) -> Lodging {
        let address = self.address.as_deref().unwrap_or(given).to_owned();
        Lodging { user: self.user.clone(), route: Arc::clone(&self.route), address }
    }

    /// Reached by way of another entry: the stricter of the two standings counts.
    fn by_way_of(self, address: String, standing: Standing) -> Self {
        let standing = self.route.standing.stricter(standing);
        let route = Arc::new(Route { standing, ..Route::clone(&self.route) });
        Self { user: self.user, route, address: self.address.or(Some(address)) }
    }
}

impl Identified for Home {
    /// Each address has an answer of its own: what RCPT TO is to say there.
    fn identity(&self) -> Option<&Arc<str>> {
        None
    }

    fn entry(&self) -> Option<&Entry> {
        self.route.entry.as_ref()
    }
}

/// Where mail for the mailbox goes. A routing address without a host is looked up in its turn, once and no more; where
/// that leads nowhere, an administrator must mend it, and until then the sender must keep the mail.
pub(super) async fn find(
    sources: &[Source],
    domains: &Domains,
    mailbox: &Mailbox,
) -> Result<Option<Arc<Home>>, Unavailable> {
    let (address, standing) = match source::recipient(sources, mailbox).await? {
        None => return Ok(None),
        Some(Known::Lives(home)) => return Ok(Some(Arc::new(home))),
        Some(Known::RoutedTo(address, standing)) => (address, standing),
    };
    // Both are printable, and short.
    let astray =
        |why| Unavailable::BadEntry(format!("{} has no host, and is routed to {address}, {why}", mailbox.whole));
    let next = domains.mailbox(&address).map_err(|_| astray("which is no address of ours"))?;
    match source::recipient(sources, &next).await? {
        Some(Known::Lives(home)) => Ok(Some(Arc::new(home.by_way_of(address, standing)))),
        Some(Known::RoutedTo(..)) => Err(astray("which has no host either")),
        None => Err(astray("which nobody knows")),
    }
}

#[cfg(test)]
#[path = "recipient_tests.rs"]
mod tests;
