//! The users file: a directory that needs no server.
//!
//! ```yaml
//! alice@example.com: mail1.example.com
//! bob@example.com: { host: mail2.example.com, user: bob, status: locked, services: [imap] }
//! carol: { host: mail1.example.com, addresses: [c.smith@example.com, "@example.net"] }      # mail for these is hers too,
//!                                                                                           # but they are no login names
//! "@example.org": stores            # everyone else of this domain; YAML wants the quotes
//! ```
//!
//! It stands apart from the configuration because it is read again on its own: all of it is used, or none.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::User;
use super::problem::quoted;
use super::recipient::{Domains, Home, Mailbox};
use super::route::Route;
use super::services::Services;
use crate::config::{self, KnownHosts, Problem, Severity, Standing, WrittenAddress, WrittenUser, WrittenUsers};
use crate::proto::Protocol;

pub(super) struct File {
    path: PathBuf,
    site: Site,
    users: ArcSwap<Users>,
}

/// What a file's lines are checked against.
#[derive(Default)]
struct Site {
    default_domain: Option<String>,
    domains: Domains,
    hosts: Arc<KnownHosts>,
    protocols: Vec<Protocol>,
}

#[derive(Debug, Default)]
pub(super) struct Users {
    /// By canonical name, or `@domain`.
    routes: HashMap<Box<str>, Route>,
    /// Whose an address is that is no user's name; or all of a domain.
    owners: HashMap<Box<str>, User>,
    /// What can be used, but somebody should look at.
    warnings: Vec<Problem>,
}

impl File {
    pub(super) fn new(path: &Path, config: &config::Directory) -> Result<Self, Vec<Problem>> {
        let site = Site {
            default_domain: config.default_domain.clone(),
            domains: Domains::new(config),
            hosts: Arc::clone(&config.hosts),
            protocols: config.protocols.clone(),
        };
        let file = Self { path: path.to_owned(), site, users: ArcSwap::default() };
        file.replace(Arc::new(file.read()?));
        Ok(file)
    }

    pub(super) fn find(&self, user: &User) -> Option<Route> {
        self.users.load().find(user).cloned()
    }

    pub(super) fn recipient(&self, mailbox: &Mailbox) -> Option<Home> {
        self.users.load().recipient(mailbox)
    }

    /// The users that the file holds now.
    pub(super) fn read(&self) -> Result<Users, Vec<Problem>> {
        Users::of(config::read_users(&self.path, &self.site.hosts), &self.path, &self.site)
    }

    /// Of the users that it holds now.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        self.users.load().warnings.clone()
    }

    /// In the log.
    pub(super) fn log_warnings(&self) {
        for problem in &self.users.load().warnings {
            tracing::warn!(%problem, "the users file can be used, but look at this");
        }
    }

    /// Uses these from now on; the users before.
    pub(super) fn replace(&self, users: Arc<Users>) -> Arc<Users> {
        self.users.swap(users)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Users {
    pub(super) fn find(&self, user: &User) -> Option<&Route> {
        self.routes.get(user.name()).or_else(|| self.routes.get(format!("@{}", user.domain()).as_str()))
    }

    pub(super) fn recipient(&self, mailbox: &Mailbox) -> Option<Home> {
        let known = mailbox.users().find_map(|user| self.home(user.name(), user));
        known.or_else(|| self.home(&mailbox.catch_all(), mailbox.user()))
    }

    /// How many users and addresses are new, gone, or other than in `before`.
    pub(super) fn changes_since(&self, before: &Self) -> usize {
        changes(&before.routes, &self.routes) + changes(&before.owners, &self.owners)
    }

    /// All users, or all problems (but no more than [`PROBLEMS_MAX`], and how many others there are).
    fn of(written: WrittenUsers, file: &Path, site: &Site) -> Result<Self, Vec<Problem>> {
        let WrittenUsers { users: written, mut problems } = written;
        let (mut users, mut warnings) = (Self::default(), Vec::new());
        let at = |severity, line, path: &str, message: String| {
            let (file, path) = (file.to_owned(), path.to_owned());
            Problem { severity, file, line, path, message }
        };
        let mut with_addresses = Vec::new();
        for user in &written {
            match users.add(user, site) {
                Ok(key) => with_addresses.extend((!user.addresses.is_empty()).then_some((user, key))),
                Err(problem) => problems.push(at(Severity::Error, user.line, &user.name, problem)),
            }
            warnings.extend(site.port(user).map(|warning| at(Severity::Warning, user.line, &user.name, warning)));
        }
        for (user, key) in with_addresses {
            for WrittenAddress { address, line, path } in &user.addresses {
                if let Err(problem) = users.add_address(address, &key, site) {
                    problems.push(at(Severity::Error, *line, path, format!("`{address}` {problem}")));
                }
            }
        }
        if !problems.is_empty() {
            return Err(bounded(problems));
        }
        if written.is_empty() {
            warnings.push(at(Severity::Warning, 0, "", "holds no users".to_owned()));
        }
        users.warnings = bounded(warnings);
        Ok(users)
    }

    /// Where mail for `name` goes: to the user whose address it is, else to `user`.
    fn home(&self, name: &str, user: &User) -> Option<Home> {
        let owner = self.owners.get(name);
        let route = self.routes.get(owner.map_or(name, User::name))?;
        Some(Home::new(owner.unwrap_or(user), route.clone()))
    }

    /// Adds what is written about a user.
    fn add(&mut self, user: &WrittenUser, site: &Site) -> Result<Box<str>, String> {
        let key = site.canonical(&user.name)?;
        if !site.domains.serve(domain(&key)) {
            return Err(
                "is in a domain that is neither one of `directory.domains` nor the default domain, so nobody can \
                        log in by it"
                    .to_owned(),
            );
        }
        if !user.addresses.is_empty() && key.starts_with('@') {
            return Err("has `addresses`, but only a user has them".to_owned());
        }
        let services = user.services.clone().map(|allowed| {
            let names: Vec<&str> = allowed.iter().map(|protocol| protocol.name()).collect();
            Services::only(allowed.iter().copied()).said_by("services", &names)
        });
        let (there, standing) = (user.user.clone(), user.standing);
        let status = user.status.as_deref().filter(|_| standing != Standing::Active);
        let status = status.map(|status| quoted("status", status));
        let route = Route { user: there, standing, status, services, ..Route::to(user.host.as_str()) };
        match self.routes.insert(key.clone(), route) {
            Some(_) => Err(format!("is the same user as another line's: both are {key}")),
            None => Ok(key),
        }
    }

    /// Adds one of the addresses of the user of this canonical name; all users are there.
    fn add_address(&mut self, address: &str, owner: &str, site: &Site) -> Result<(), String> {
        let key = site.canonical(address)?;
        if site.domains.take_mail() && !site.domains.take_mail_for(domain(&key)) {
            return Err("is in a domain that is not one of `directory.domains`, so no mail is taken for it".to_owned());
        }
        let owner = User::new(owner, None).map_err(|why| format!("is nobody's address: {why}"))?;
        if self.routes.contains_key(&key) {
            return Err("is a user of this file by itself".to_owned());
        }
        match self.owners.insert(key, owner) {
            Some(_) => Err("is the address of another line too".to_owned()),
            None => Ok(()),
        }
    }
}

fn changes<V: PartialEq>(before: &HashMap<Box<str>, V>, now: &HashMap<Box<str>, V>) -> usize {
    let gone = before.keys().filter(|name| !now.contains_key(*name)).count();
    gone + now.iter().filter(|(name, value)| before.get(*name) != Some(value)).count()
}

/// The first problems by line.
fn bounded(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.line);
    let others = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if let (Some(last), 1..) = (problems.last().cloned(), others) {
        problems.push(Problem {
            path: String::new(),
            message: format!("{others} more problems are not shown"),
            ..last
        });
    }
    problems
}

impl Site {
    /// `alice`, `alice@example.com` or `@example.com` as [`File::find`] looks them up.
    fn canonical(&self, name: &str) -> Result<Box<str>, String> {
        if name.starts_with('@') {
            return Ok(name.to_ascii_lowercase().into());
        }
        User::new(name, self.default_domain.as_deref())
            .map(|user| user.name().into())
            .map_err(|problem| format!("is nobody's name: {problem}"))
    }

    /// What is odd about the port of a user's host.
    fn port(&self, user: &WrittenUser) -> Option<String> {
        let is_used = |protocol: &&Protocol| {
            let is_allowed = |services: &Vec<Protocol>| services.contains(protocol);
            **protocol == Protocol::Smtp || user.services.as_ref().is_none_or(is_allowed)
        };
        let used: Vec<&str> = self.protocols.iter().filter(is_used).map(|protocol| protocol.name()).collect();
        (used.len() > 1 && KnownHosts::has_port(&user.host)).then(|| {
            format!(
                "its host `{}` has a port, which is used for {} alike; name the host alone, and the ports of the protocols in \
                 `ports` of its pool, or say which protocol is meant, such as `services: [imap]`",
                user.host,
                used.join(" and ")
            )
        })
    }
}

/// What stands behind the `@` of a canonical name; empty where there is none.
fn domain(key: &str) -> &str {
    key.rsplit_once('@').map_or("", |(_, domain)| domain)
}

const PROBLEMS_MAX: usize = 32;

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
