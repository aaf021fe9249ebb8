//! The users file: a directory that needs no server.
//!
//! ```yaml
//! alice@example.com: mail1.example.com
//! bob@example.com: { host: mail2.example.com, user: bob, status: locked, services: [imap] }
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
use serde_yaml::Spanned;

use super::name::is_name;
use super::route::{Route, host, user_there};
use super::services::{self, Services};
use super::{NAME_MAX, SetupProblem, User};
use crate::config::Standing;

pub(super) struct File {
    path: PathBuf,
    default_domain: Option<String>,
    users: ArcSwap<Users>,
}

/// By canonical name, or `@domain`.
pub(super) type Users = HashMap<Box<str>, Route>;

impl File {
    pub(super) fn new(path: &Path, default_domain: Option<&str>) -> Result<Self, SetupProblem> {
        let default_domain = default_domain.map(str::to_owned);
        let file = Self { path: path.to_owned(), default_domain, users: ArcSwap::default() };
        file.replace(file.read()?);
        Ok(file)
    }

    pub(super) fn find(&self, user: &User) -> Option<Route> {
        let users = self.users.load();
        users.get(user.name()).or_else(|| users.get(format!("@{}", user.domain()).as_str())).cloned()
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

    fn text(&self) -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(&self.path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_MAX {
            return Err(std::io::Error::other("larger than 64 MiB"));
        }
        Ok(text)
    }
}

/// All users, or all problems (but no more than [`PROBLEMS_MAX`]).
fn parse(text: &str, default_domain: Option<&str>) -> Result<Users, Vec<String>> {
    // A file of nothing, or of comments, is a file of no users.
    let written: Option<HashMap<String, Spanned<Record>>> =
        serde_yaml::from_str_with_options(text, yaml_options()).map_err(|problem| vec![one_line(&problem)])?;
    let mut written: Vec<_> = written.unwrap_or_default().into_iter().collect();
    written.sort_by_key(|(_, record)| record.referenced.line());
    let mut users = Users::new();
    let mut problems = Vec::new();
    for (name, record) in written {
        let line = record.referenced.line();
        let read = canonical(&name, default_domain).and_then(|key| Ok((key, record.value.route()?)));
        let problem = match read {
            Ok((key, route)) => users.insert(key, route).map(|_| "the same user twice".to_owned()),
            Err(problem) => Some(problem),
        };
        problems.extend(problem.map(|problem| format!("line {line}: {name}: {problem}")));
    }
    if problems.is_empty() {
        return Ok(users);
    }
    problems.truncate(PROBLEMS_MAX);
    Err(problems)
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
}

impl<'de> Visitor<'de> for HostOrTable {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host, or { host: …, user: …, status: …, services: […] }")
    }

    fn visit_str<E>(self, host: &str) -> Result<Record, E> {
        Ok(Record { host: host.to_owned(), user: None, status: None, services: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Record, A::Error> {
        let Table { host, user, status, services } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Record { host, user, status, services })
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
    problem.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

const FILE_MAX: u64 = 64 * 1024 * 1024;
const PROBLEMS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Protocol;

    fn route(text: &str, name: &str) -> Option<Route> {
        let users = parse(text, Some("example.com")).expect("a users file");
        let file = File { path: PathBuf::new(), default_domain: None, users: ArcSwap::from_pointee(users) };
        file.find(&User::new(name, Some("example.com")).expect("a name"))
    }

    fn problems(text: &str) -> Vec<String> {
        parse(text, Some("example.com")).expect_err("a bad users file")
    }

    #[test]
    fn a_user_may_have_a_host_or_a_table() {
        let text = "alice@example.com: Mail1\nBob: { host: mail2, user: b, status: locked, services: [imap] }\n";
        assert_eq!(route(text, "alice"), Some(Route::to("mail1")));
        let bob = route(text, "bob@EXAMPLE.com").expect("known");
        assert_eq!((bob.host.as_str(), bob.user.as_deref(), bob.standing), ("mail2", Some("b"), Standing::Deny));
        assert!(bob.allows(Protocol::Imap) && !bob.allows(Protocol::Pop3));
        assert_eq!(route(text, "carol"), None);
    }

    #[test]
    fn a_domain_catches_who_is_not_named() {
        let text = "\"@Example.org\": stores\nalice@example.org: mail1\n";
        assert_eq!(route(text, "alice@example.org"), Some(Route::to("mail1")));
        assert_eq!(route(text, "bob@example.org"), Some(Route::to("stores")));
        assert_eq!(route(text, "bob@example.com"), None);
    }

    #[test]
    fn a_bare_user_without_a_domain_is_no_domain_s() {
        let users = parse("\"@example.org\": stores\n", None).expect("a users file");
        let file = File { path: PathBuf::new(), default_domain: None, users: ArcSwap::from_pointee(users) };
        assert_eq!(file.find(&User::new("alice", None).expect("a name")), None);
    }

    #[test]
    fn every_status_has_a_meaning_and_others_are_refused() {
        let standing = |status| route(&format!("a: {{ host: h, status: {status} }}"), "a").expect("known").standing;
        assert_eq!(standing("Active"), Standing::Active);
        assert_eq!(standing("locked"), Standing::Deny);
        assert_eq!(standing("disabled"), Standing::Deny);
        assert_eq!(standing("maintenance"), Standing::Unavailable);
        assert!(problems("a: { host: h, status: gone }")[0].starts_with("line 1: a: status: "));
    }

    #[test]
    fn all_problems_are_listed_with_their_lines() {
        let text = "alice: mail1\n\"a b\": mail1\nbob: { host: \"m x\" }\ncarol: { host: h, services: [jmap] }\n\
                    dave: { host: h, user: \"\" }\nALICE@example.com: mail2\n\"@a@b\": h\n";
        let found = problems(text);
        assert_eq!(found.len(), 6, "{found:?}");
        assert!(found[0].starts_with("line 2: a b: "), "{found:?}");
        assert!(found[1].starts_with("line 3: bob: host: "), "{found:?}");
        assert!(found[2].starts_with("line 4: carol: services: "), "{found:?}");
        assert!(found[3].starts_with("line 5: dave: user: "), "{found:?}");
        assert_eq!(found[4], "line 6: ALICE@example.com: the same user twice");
        assert_eq!(found[5], "line 7: @a@b: not a domain");
    }

    #[test]
    fn unknown_keys_and_what_is_no_table_are_refused_with_a_line() {
        for text in [
            "a: h\nb: { host: h, hosts: g }\n",
            "a: h\nb: [h]\n",
            "a: h\nb:\n",
            "a: h\na: g\n",
            "a: h\nb: { user: u }\n",
        ] {
            let found = problems(text);
            assert!(found[0].contains("line 2"), "{text:?}: {found:?}");
        }
        assert!(parse("- a\n", None).is_err());
        assert!(parse("a: &x h\nb: *x\n", None).is_err(), "aliases");
    }

    #[test]
    fn a_file_of_nothing_holds_nobody() {
        assert_eq!(parse("", None).map(|users| users.len()), Ok(0));
        assert_eq!(parse("# nobody yet\n", None).map(|users| users.len()), Ok(0));
    }

    #[test]
    fn more_users_fit_than_the_parser_would_take_by_itself() {
        let text: String = (0..70_000).map(|n| format!("user{n}@example.com: {{ host: mail{} }}\n", n % 9)).collect();
        assert_eq!(route(&text, "user69999"), Some(Route::to("mail6")));
    }
}
