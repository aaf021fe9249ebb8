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
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde_yaml::{MessageFormatter, Spanned, UserMessageFormatter};

use super::name::is_name;
use super::recipient::{Home, Mailbox};
use super::route::{Route, host, user_there};
use super::services::{self, Services};
use super::{NAME_MAX, SetupProblem, User};
use crate::config::Standing;

pub(super) struct File {
    path: PathBuf,
    default_domain: Option<String>,
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
    pub(super) fn new(path: &Path, default_domain: Option<&str>) -> Result<Self, SetupProblem> {
        let default_domain = default_domain.map(str::to_owned);
        let file = Self { path: path.to_owned(), default_domain, users: ArcSwap::default() };
        file.replace(file.read()?);
        Ok(file)
    }

    pub(super) fn find(&self, user: &User) -> Option<Route> {
        let users = self.users.load();
        users.routes.get(user.name()).or_else(|| users.routes.get(format!("@{}", user.domain()).as_str())).cloned()
    }

    pub(super) fn recipient(&self, mailbox: &Mailbox) -> Option<Home> {
        let users = self.users.load();
        let known = mailbox.users().find_map(|user| users.home(user.name(), user));
        known.or_else(|| users.home(&mailbox.catch_all(), mailbox.user()))
    }

    /// The users that the file holds now.
    pub(super) fn read(&self) -> Result<Users, SetupProblem> {
        let text = self.text().map_err(|problem| SetupProblem::Unreadable { file: self.path.clone(), problem })?;
        parse(&text, self.default_domain.as_deref())
            .map_err(|problems| SetupProblem::Users { file: self.path.clone(), problems })
    }

    pub(super) fn replace(&self, users: Users) {
        self.users.store(Arc::new(users));
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn text(&self) -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(&self.path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_MAX {
            return Err(std::io::Error::other("larger than 64 MiB"));
        }
        Ok(text)
    }
}

impl Users {
    /// Where mail for `name` goes: to the user whose address it is, else to `user`.
    fn home(&self, name: &str, user: &User) -> Option<Home> {
        let owner = self.owners.get(name);
        let route = self.routes.get(owner.map_or(name, User::name))?;
        Some(Home::new(owner.unwrap_or(user), route.clone()))
    }

    /// Adds what is written about a user.
    fn add(&mut self, name: &str, record: Record, default_domain: Option<&str>) -> Result<Box<str>, String> {
        let key = canonical(name, default_domain)?;
        if !record.addresses.is_empty() && key.starts_with('@') {
            return Err("addresses: only a user has them".to_owned());
        }
        let repeated = self.routes.insert(key.clone(), record.route()?);
        if repeated.is_some() { Err("the same user twice".to_owned()) } else { Ok(key) }
    }

    /// Adds one of the addresses of the user of this canonical name; all users are there.
    fn add_address(&mut self, address: &str, owner: &str, default_domain: Option<&str>) -> Result<(), String> {
        let fault = |why: &str| format!("addresses: {address}: {why}");
        let key = canonical(address, default_domain).map_err(|why| fault(&why))?;
        let owner = User::new(owner, None).map_err(|why| fault(&why.to_string()))?;
        if self.routes.contains_key(&key) {
            return Err(fault("is a user of this file by itself"));
        }
        match self.owners.insert(key, owner) {
            Some(_) => Err(fault("the same address twice")),
            None => Ok(()),
        }
    }
}

/// All users, or all problems (but no more than [`PROBLEMS_MAX`]).
fn parse(text: &str, default_domain: Option<&str>) -> Result<Users, Vec<String>> {
    // A file of nothing, or of comments, is a file of no users.
    let written: Option<HashMap<String, Spanned<Record>>> =
        serde_yaml::from_str_with_options(text, yaml_options()).map_err(|problem| vec![one_line(&problem)])?;
    let mut written: Vec<_> = written.unwrap_or_default().into_iter().collect();
    written.sort_by_key(|(_, record)| record.referenced.line());
    let mut users = Users::default();
    let mut problems = Vec::new();
    let mut note = |line, name: &str, problem| problems.push((line, format!("line {line}: {name}: {problem}")));
    let mut with_addresses = Vec::new();
    for (name, Spanned { value: record, referenced, .. }) in written {
        let addresses = record.addresses.clone();
        match users.add(&name, record, default_domain) {
            Ok(key) if !addresses.is_empty() => with_addresses.push((referenced.line(), name, key, addresses)),
            Ok(_) => {}
            Err(problem) => note(referenced.line(), &name, problem),
        }
    }
    for (line, name, key, addresses) in with_addresses {
        for address in addresses {
            users.add_address(&address, &key, default_domain).unwrap_or_else(|problem| note(line, &name, problem));
        }
    }
    if problems.is_empty() {
        return Ok(users);
    }
    problems.sort_by_key(|(line, _)| *line);
    problems.truncate(PROBLEMS_MAX);
    Err(problems.into_iter().map(|(_, problem)| problem).collect())
}

/// `alice`, `alice@example.com` or `@example.com` as [`File::find`] looks them up.
fn canonical(name: &str, default_domain: Option<&str>) -> Result<Box<str>, String> {
    if let Some(domain) = name.strip_prefix('@') {
        let fits = !domain.is_empty() && name.len() <= NAME_MAX && is_name(domain) && !domain.contains('@');
        return if fits { Ok(name.to_ascii_lowercase().into()) } else { Err("not a domain".to_owned()) };
    }
    User::new(name, default_domain).map(|user| user.name().into()).map_err(|problem| problem.to_string())
}

/// What is written about a user: a host, or a table.
struct Record {
    host: String,
    user: Option<String>,
    status: Option<String>,
    services: Option<Vec<String>>,
    addresses: Vec<String>,
}

impl Record {
    fn route(self) -> Result<Route, String> {
        let host = host(&self.host).ok_or("host: not a host's name")?;
        let user = self.user.map(|user| user_there(&user).ok_or("user: not a user's name")).transpose()?;
        let standing = self.status.as_deref().map_or(Ok(Standing::Active), standing)?;
        let services = self.services.map(allowed).transpose()?;
        Ok(Route { user, standing, services, ..Route::to(host) })
    }
}

fn standing(status: &str) -> Result<Standing, String> {
    match status.to_ascii_lowercase().as_str() {
        "active" => Ok(Standing::Active),
        "locked" | "disabled" | "deny" => Ok(Standing::Deny),
        "maintenance" | "unavailable" => Ok(Standing::Unavailable),
        _ => Err("status: active, locked, disabled, deny, maintenance or unavailable".to_owned()),
    }
}

fn allowed(names: Vec<String>) -> Result<Services, String> {
    let mut protocols = Vec::new();
    for name in &names {
        match services::named(name) {
            named if named.is_empty() => return Err(format!("services: imap, pop3 or submission, not {name}")),
            named => protocols.extend(named),
        }
    }
    Ok(Services::only(protocols))
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HostOrTable)
    }
}

struct HostOrTable;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    host: String,
    user: Option<String>,
    status: Option<String>,
    services: Option<Vec<String>>,
    #[serde(default)]
    addresses: Vec<String>,
}

impl<'de> Visitor<'de> for HostOrTable {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host, or { host: …, user: …, status: …, services: […], addresses: […] }")
    }

    fn visit_str<E>(self, host: &str) -> Result<Record, E> {
        Ok(Record { host: host.to_owned(), user: None, status: None, services: None, addresses: Vec::new() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Record, A::Error> {
        let Table { host, user, status, services, addresses } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Record { host, user, status, services, addresses })
    }
}

/// Room for a million users, and no aliases: nothing in a users file needs them.
fn yaml_options() -> serde_yaml::Options {
    serde_yaml::options! {
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_events: 32_000_000,
            max_nodes: 16_000_000,
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 8,
            max_documents: 1,
        },
    }
}

fn one_line(problem: &serde_yaml::Error) -> String {
    let line = problem.location().map_or(1, |location| location.line().max(1));
    let message = UserMessageFormatter.format_message(problem);
    format!("line {line}: {}", message.split_whitespace().collect::<Vec<_>>().join(" "))
}

const FILE_MAX: u64 = 64 * 1024 * 1024;
const PROBLEMS_MAX: usize = 32;

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
