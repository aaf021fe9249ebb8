//! A users file as it is written: every user with what is said of it, and all faults at once.
//!
//! Which names mean the same user is the directory's to say; see there for what the file may hold.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::item::Item;
use super::sheet::{Fields, Place, Sheet};
use super::values::{self, Reading};
use super::{Problem, whole};
use crate::config::raw::{self, Value};
use crate::config::{KnownHosts, Standing};
use crate::proto::Protocol;

/// One user, or everyone else of a domain.
#[derive(Debug, Clone)]
pub struct WrittenUser {
    /// As it is written.
    pub name: String,
    /// Where, from 1.
    pub line: u64,
    /// Where the user lives: a host that the configuration knows, in lower case.
    pub host: String,
    /// The name there.
    pub user: Option<String>,
    /// Whether the user may log in.
    pub standing: Standing,
    /// The word for that, if one is written.
    pub status: Option<String>,
    /// `None` = all.
    pub services: Option<Vec<Protocol>>,
    /// Other addresses, as they are written.
    pub addresses: Vec<WrittenAddress>,
}

/// An address of a user.
#[derive(Debug, Clone)]
pub struct WrittenAddress {
    /// As it is written.
    pub address: String,
    /// Where, from 1.
    pub line: u64,
    /// Such as `alice.addresses[0]`.
    pub path: String,
}

/// What a users file says, and what is wrong with it; without problems, all of it can be used.
#[derive(Debug, Default)]
pub struct WrittenUsers {
    /// By line.
    pub users: Vec<WrittenUser>,
    /// By line.
    pub problems: Vec<Problem>,
}

/// Reads a users file.
#[must_use]
pub fn read_users(file: &Path, hosts: &KnownHosts) -> WrittenUsers {
    let mut text = String::new();
    let read = File::open(file).and_then(|open| open.take(SIZE_MAX + 1).read_to_string(&mut text));
    let fault = match read {
        Err(error) => format!("cannot be read: {error}"),
        Ok(_) if text.len() as u64 > SIZE_MAX => format!("is longer than {} MiB", SIZE_MAX / 1024 / 1024),
        Ok(_) => return parse_users(&text, file, hosts),
    };
    WrittenUsers { users: Vec::new(), problems: vec![whole(file, 0, fault)] }
}

/// Reads the text of one.
#[must_use]
pub fn parse_users(text: &str, file: &Path, hosts: &KnownHosts) -> WrittenUsers {
    let root = match raw::read_many(text) {
        Ok(root) => root,
        Err(fault) => {
            return WrittenUsers { users: Vec::new(), problems: vec![whole(file, fault.line, fault.message)] };
        }
    };
    let sheet = Sheet::new(file);
    let users = match &root.value {
        Value::Null => Vec::new(),
        Value::Map(entries) => {
            let place = Place { path: String::new(), line: 1 };
            let written = Fields::of(&sheet, place, entries).rest();
            written.into_iter().filter_map(|(name, item)| user(name, &item, hosts)).collect()
        }
        Value::Scalar(_) | Value::List(_) => {
            let place = Place { path: String::new(), line: root.line };
            sheet.fault(&place, "is not a map of users, such as `alice@example.com: mail1`");
            Vec::new()
        }
    };
    WrittenUsers { users, problems: sheet.into_problems().0 }
}

/// A record of a million users is well below.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

fn user(name: &str, item: &Item<'_>, hosts: &KnownHosts) -> Option<WrittenUser> {
    let at_key = Place { line: item.opened, path: item.place.path.clone() };
    let named = user_name(name).map_err(|reason| item.sheet.fault(&at_key, reason)).is_ok();
    let line = item.opened;
    let user = match &item.node.value {
        Value::Map(_) => whole_user(name, line, item, hosts),
        Value::Scalar(_) => host(item, hosts).map(|host| WrittenUser {
            name: name.to_owned(),
            line,
            host,
            user: None,
            standing: Standing::Active,
            status: None,
            services: None,
            addresses: Vec::new(),
        }),
        Value::Null | Value::List(_) => {
            item.fault("is neither a host nor { host: …, user: …, status: …, services: […], addresses: […] }");
            None
        }
    };
    user.filter(|_| named)
}

fn whole_user(name: &str, line: u64, item: &Item<'_>, hosts: &KnownHosts) -> Option<WrittenUser> {
    let mut fields = item.fields()?;
    let host = fields.need("host").and_then(|item| host(&item, hosts));
    let user = fields.take("user").map(|item| plain(&item, values::words(VALUE_MAX)));
    let status = fields.take("status").map(|item| plain(&item, |text| Ok((standing(text)?, text.to_lowercase()))));
    let services = fields.take("services").map(|list| {
        let services: Vec<_> = list.items().iter().map(|item| plain(item, login_protocol)).collect();
        services.into_iter().collect::<Option<Vec<Protocol>>>()
    });
    let addresses = fields.take("addresses").map(|list| list.items()).unwrap_or_default();
    let addresses = addresses.iter().filter_map(|item| {
        let address = plain(item, |text| user_name(text).map(|()| text.to_owned()))?;
        Some(WrittenAddress { address, line: item.place.line, path: item.place.path.clone() })
    });
    let addresses = addresses.collect();
    drop(fields);
    let (standing, status) = match status {
        Some(read) => read.map(|(standing, word)| (standing, Some(word)))?,
        None => (Standing::Active, None),
    };
    Some(WrittenUser {
        name: name.to_owned(),
        line,
        host: host?,
        user: user.map_or(Some(None), |user| user.map(Some))?,
        standing,
        status,
        services: services.map_or(Some(None), |services| services.map(Some))?,
        addresses,
    })
}

/// A value that stands in the file itself: whoever writes it shall not make the gateway read other files.
fn plain<T>(item: &Item<'_>, parse: impl FnOnce(&str) -> Reading<T>) -> Option<T> {
    if item.is_map() {
        item.fault("is a map of keys, but one value belongs here");
        return None;
    }
    item.read(parse)
}

fn host(item: &Item<'_>, hosts: &KnownHosts) -> Option<String> {
    plain(item, |text| {
        let host = text.to_ascii_lowercase();
        let is_word = !host.is_empty() && host.len() <= VALUE_MAX && host.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word {
            return Err("is not a host name or an IP address".to_owned());
        }
        hosts.fault(&host).map_or(Ok(host), Err)
    })
}

fn standing(text: &str) -> Reading<Standing> {
    match text.to_ascii_lowercase().as_str() {
        "active" => Ok(Standing::Active),
        "locked" | "disabled" | "deny" => Ok(Standing::Deny),
        "maintenance" | "unavailable" => Ok(Standing::Unavailable),
        _ => Err("is not one of active, locked, disabled, deny, maintenance, unavailable".to_owned()),
    }
}

/// A protocol that users log in by, by the names that `services` of the configuration have, and no others: one thing, one
/// name. Also for acts on the running gateway.
///
/// # Errors
/// What is wrong with the name, to be said behind it.
pub fn login_protocol(text: &str) -> Result<Protocol, String> {
    let meant = match text.to_ascii_lowercase().as_str() {
        "imap" => return Ok(Protocol::Imap),
        "pop3" => return Ok(Protocol::Pop3),
        "submission" => return Ok(Protocol::Submission),
        "imaps" => "; `imap` is IMAP with and without TLS",
        "pop" | "pops" | "pop3s" => "; `pop3` is POP3 with and without TLS",
        "smtp" | "smtps" | "submissions" => "; `submission` is what users send mail by, with and without TLS",
        _ => "",
    };
    Err(format!("is not one of imap, pop3, submission{meant}"))
}

/// `alice`, `alice@example.com`, or `@example.com` for everyone else of a domain.
fn user_name(text: &str) -> Reading<()> {
    let (local, domain) = text.split_once('@').map_or((text, None), |(local, domain)| (local, Some(domain)));
    // What RFC 5322 §3.2.3 lets stand in an address, and the backslash of `DOMAIN\user`.
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.\\".contains(&byte);
    let looks_like_pattern = local.contains('*') || local.starts_with('^') || local.ends_with('$');
    if looks_like_pattern || text.contains(['[', ']', '(', ')']) {
        return Err("is nobody's name: there are no patterns here; \"@example.com\" is everyone else of a domain, \
                    and a source `pool` behind this file knows everyone else"
            .to_owned());
    }
    if text.is_empty() || text.len() > VALUE_MAX {
        return Err(format!("is nobody's name: it has from 1 to {VALUE_MAX} bytes"));
    }
    if !local.bytes().all(is_in_name) {
        return Err("is nobody's name: it has a character that no name has".to_owned());
    }
    match domain {
        Some(domain) if values::domain(domain).is_err() => {
            Err("is nobody's name: behind the @ stands no domain".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

/// The longest name, in bytes.
const VALUE_MAX: usize = 255;
