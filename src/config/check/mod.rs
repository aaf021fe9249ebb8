//! From what was written to what we run on: every fault of the file is found at once, each with its place.
//!
//! A section of the file is a file here. They all read through `sheet`: a fault is noted there and reading goes on
//! with the default, so one wrong word never hides the next. Only a sheet without a fault becomes a [`Config`].

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Config, Warnings, raw};
use sheet::{Fields, Sheet};

mod access;
mod admin;
mod backends;
mod cross;
mod directory;
mod filter;
mod item;
mod ldap;
mod listeners;
mod presets;
mod process;
mod registry;
mod servers;
mod services;
mod sheet;
mod suggest;
mod text;
mod tls;
mod users;
mod values;

pub use presets::presets;
pub(super) use suggest::nearest;
pub use users::{WrittenAddress, WrittenUser, WrittenUsers, login_protocol, parse_users, read_users};

#[cfg(test)]
mod tests;

/// One thing wrong with the configuration, or with a file of users, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the configuration can be used.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// From 1; of the value, or of the key where the key is wrong. 0 where the file itself cannot be read.
    pub line: u64,
    /// Such as `listeners[2].address`, counted from 0; empty for the file as a whole.
    pub path: String,
    /// What is wrong, and what would be right; one line, and never a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: ", self.file.display())?,
            line => write!(f, "{}:{line}: ", self.file.display())?,
        }
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// What follows from a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but somebody should look at this.
    Warning,
}

/// Reads and checks a file.
///
/// # Errors
/// Every problem, by line, warnings included; at least one error.
pub fn load(file: &Path) -> Result<Config, Vec<Problem>> {
    let text = read(file).map_err(|message| vec![whole(file, 0, message)])?;
    parse(&text, file)
}

/// Checks a text; relative paths are relative to `file`'s folder.
///
/// # Errors
/// Every problem, by line, warnings included; at least one error.
pub fn parse(text: &str, file: &Path) -> Result<Config, Vec<Problem>> {
    let root = raw::read(text).map_err(|fault| vec![whole(file, fault.line, fault.message)])?;
    let sheet = Sheet::new(file);
    let config = sheet.root(&root).and_then(|mut fields| config(&mut fields));
    let (mut problems, warnings) = sheet.into_problems();
    match config {
        Some(config) if problems.is_empty() => return Ok(Config { warnings, ..config }),
        None if problems.is_empty() => problems.push(whole(file, 1, "cannot be understood".to_owned())),
        _ => {}
    }
    problems.extend(warnings.at(OffsetDateTime::now_utc()));
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

fn config(root: &mut Fields<'_>) -> Option<Config> {
    let hostname = process::hostname(root);
    let threads = process::threads(root);
    let log = process::log(root);
    let tls = tls::shown(root);
    let access = access::rules(root);
    let (limits, ipv6_prefix) = access::global_limits(root);
    let offers = services::services(root);
    let mut bound = listeners::listeners(root, &offers, tls.is_written);
    let mut pools = backends::backends(root);
    let lives = directory::directory(root, &pools, &bound.protocols);
    let after_pop = registry::after_pop(root, &pools);
    let relay_pool = after_pop.as_ref().and_then(|after_pop| after_pop.relay.as_deref());
    pools.relays(relay_pool, lives.directory.as_ref());
    pools.serve(&bound.listeners);
    let store = registry::store(root);
    let lookups = registry::lookups(root, after_pop.is_some(), &mut bound);
    let relay = process::relay(root);
    let admin = admin::admin(root, &bound);
    let shutdown = process::shutdown(root);
    let used: Vec<_> = offers.iter().filter(|offer| bound.protocols.contains(&offer.service.protocol)).collect();
    cross::passwords(root.sheet, &used, &lives, &pools);

    let services = used.iter().map(|offer| (offer.service.protocol, offer.service.clone())).collect();
    Some(Config {
        hostname,
        threads,
        log,
        tls: tls.tls,
        access,
        limits,
        ipv6_prefix,
        services,
        listeners: bound.listeners,
        directory: lives.directory?,
        backends: pools.pools,
        after_pop,
        store,
        lookups,
        relay,
        admin,
        shutdown,
        warnings: Warnings::default(),
    })
}

fn whole(file: &Path, line: u64, message: String) -> Problem {
    Problem { severity: Severity::Error, file: file.to_owned(), line, path: String::new(), message }
}

/// More than that is not a configuration.
const SIZE_MAX: u64 = 4 * 1024 * 1024;

fn read(file: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let open = File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    open.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > SIZE_MAX {
        return Err(format!("is longer than {} MiB", SIZE_MAX / 1024 / 1024));
    }
    Ok(text)
}
