//! The users file: a directory that needs no server.
//!
//! ```yaml
//! alice@example.com: mail1.example.com
//! bob@example.com: { host: mail2.example.com, user: bob, status: locked, services: [imap] }
//! carol: { host: mail1.example.com, addresses: [c.smith@example.com, "@example.net"] }      # mail for these is hers too
//! "@example.org": stores            # everyone else of this domain; YAML wants the quotes
//! ```
//!
//! It stands apart from the configuration because it is read again on its own: all of it is used, or none.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::User;
use super::recipient::{Home, Mailbox};
use super::route::Route;
use super::services::Services;
use crate::config::{self, KnownHosts, Problem, Severity, WrittenAddress, WrittenUser, WrittenUsers};

pub(super) struct File {
    path: PathBuf,
    default_domain: Option<String>,
    hosts: Arc<KnownHosts>,
    users: ArcSwap<Users>,
}

#[derive(Debug, Default)]
pub(super) struct Users {
    /// By canonical name, or `@domain`.
    routes: HashMap<Box<str>, Route>,
    /// Whose an address is that is no user's name; or all of a domain.
    owners: HashMap<Box<str>, User>,
}

impl File {
    pub(super) fn new(path: &Path, config: &config::Directory) -> Result<Self, Vec<Problem>> {
        let (default_domain, hosts) = (config.default_domain.clone(), Arc::clone(&config.hosts));
        let file = Self { path: path.to_owned(), default_domain, hosts, users: ArcSwap::default() };
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
        Users::of(config::read_users(&self.path, &self.hosts), &self.path, self.default_domain.as_deref())
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
    fn of(written: WrittenUsers, file: &Path, default_domain: Option<&str>) -> Result<Self, Vec<Problem>> {
        let WrittenUsers { users: written, mut problems } = written;
        let mut users = Self::default();
        let mut note = |line, path: &str, message: String| {
            let (severity, file, path) = (Severity::Error, file.to_owned(), path.to_owned());
            problems.push(Problem { severity, file, line, path, message });
        };
        let mut with_addresses = Vec::new();
        for user in &written {
            match users.add(user, default_domain) {
                Ok(key) => with_addresses.extend((!user.addresses.is_empty()).then_some((user, key))),
                Err(problem) => note(user.line, &user.name, problem),
            }
        }
        for (user, key) in with_addresses {
            for WrittenAddress { address, line, path } in &user.addresses {
                let added = users.add_address(address, &key, default_domain);
                added.unwrap_or_else(|problem| note(*line, path, format!("`{address}` {problem}")));
            }
        }
        if problems.is_empty() { Ok(users) } else { Err(bounded(problems)) }
    }

    /// Where mail for `name` goes: to the user whose address it is, else to `user`.
    fn home(&self, name: &str, user: &User) -> Option<Home> {
        let owner = self.owners.get(name);
        let route = self.routes.get(owner.map_or(name, User::name))?;
        Some(Home::new(owner.unwrap_or(user), route.clone()))
    }

    /// Adds what is written about a user.
    fn add(&mut self, user: &WrittenUser, default_domain: Option<&str>) -> Result<Box<str>, String> {
        let key = canonical(&user.name, default_domain)?;
        if !user.addresses.is_empty() && key.starts_with('@') {
            return Err("has `addresses`, but only a user has them".to_owned());
        }
        let services = user.services.clone().map(Services::only);
        let there = user.user.clone();
        let route = Route { user: there, standing: user.standing, services, ..Route::to(user.host.as_str()) };
        match self.routes.insert(key.clone(), route) {
            Some(_) => Err(format!("is the same user as another line's: both are {key}")),
            None => Ok(key),
        }
    }

    /// Adds one of the addresses of the user of this canonical name; all users are there.
    fn add_address(&mut self, address: &str, owner: &str, default_domain: Option<&str>) -> Result<(), String> {
        let key = canonical(address, default_domain)?;
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

/// `alice`, `alice@example.com` or `@example.com` as [`File::find`] looks them up.
fn canonical(name: &str, default_domain: Option<&str>) -> Result<Box<str>, String> {
    if name.starts_with('@') {
        return Ok(name.to_ascii_lowercase().into());
    }
    User::new(name, default_domain)
        .map(|user| user.name().into())
        .map_err(|problem| format!("is nobody's name: {problem}"))
}

const PROBLEMS_MAX: usize = 32;

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
