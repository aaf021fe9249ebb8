//! The back-ends: pools of servers that are set up alike.

use std::collections::HashMap;
use std::time::Duration;

use super::item::Item;
use super::servers::{self, Named};
use super::sheet::{Fields, Place};
use super::tls;
use super::values::{self, HOUR, MILLISECOND, MINUTE, Reading};
use crate::config::{BackendLogin, BackendTls, ClientTls, Directory, Listener, Pool, Source, Storage};
use crate::proto::Protocol;

/// The pools that could be read, and what the cross checks ask about them.
#[derive(Default)]
pub(super) struct Pools {
    pub(super) pools: Vec<Pool>,
    /// Every name that was written.
    pub(super) names: Vec<String>,
    /// Where a pool says that a master user logs in.
    pub(super) masters: Vec<Place>,
    /// Where a pool says that its back-ends take our word, and its name.
    pub(super) by_word: Vec<(String, Place)>,
}

impl Pools {
    /// A name that was written, if it is one; any, when the pools themselves are missing.
    pub(super) fn known(&self, name: &str) -> Reading<String> {
        if self.names.is_empty() || self.names.iter().any(|known| known == name) {
            return Ok(name.to_owned());
        }
        Err(format!("is not a pool of `backends`; there is {}", self.names.join(", ")))
    }

    /// Which of them is there only to relay: not the only pool, and not one that a source of the directory names.
    pub(super) fn relays(&mut self, relay: Option<&str>, directory: Option<&Directory>) {
        let sources = || directory.iter().flat_map(|directory| &directory.sources);
        let is_home = |name: &str| sources().any(|source| matches!(source, Source::Pool(home) if home == name));
        let others = self.pools.len() > 1;
        for pool in &mut self.pools {
            pool.only_relays = others && relay == Some(pool.name.as_str()) && !is_home(&pool.name);
        }
    }

    /// By which protocols clients are led to each: those that have a listener. A pool that only relays gets what users
    /// submit, and nothing else.
    pub(super) fn serve(&mut self, listeners: &[Listener]) {
        for pool in &mut self.pools {
            let is_led_here = |protocol: Protocol| !pool.only_relays || protocol == Protocol::Submission;
            let has_listener =
                |protocol: Protocol| listeners.iter().any(|listener| listener.service.protocol == protocol);
            let served = Protocol::ALL.into_iter().filter(|&protocol| has_listener(protocol) && is_led_here(protocol));
            pool.served = served.collect();
        }
    }
}

pub(super) fn backends(root: &mut Fields<'_>) -> Pools {
    let mut pools = Pools::default();
    let mut named = Named::default();
    let Some(item) = root.need("backends") else { return pools };
    let Some(mut fields) = item.fields() else { return pools };
    let entries = fields.rest();
    if entries.is_empty() {
        item.fault("is empty; at least one pool belongs here");
    }
    for (name, item) in entries {
        if let Err(reason) = pool_name(name) {
            item.sheet.fault(&Place { line: item.opened, ..item.place.clone() }, reason);
        }
        pools.names.push(name.to_owned());
        named.pool(name, &item);
        let Some(mut fields) = item.fields() else { continue };
        let (pool, login) = pool(name, &mut fields, &mut named);
        match pool.login {
            BackendLogin::Xclient => pools.by_word.extend(login.map(|place| (name.to_owned(), place))),
            BackendLogin::Replay | BackendLogin::Master { .. } => pools.masters.extend(login),
        }
        pools.pools.push(pool);
    }
    pools
}

// Lower case, so that it is never told from a server's name by case alone; it is also a metric label.
fn pool_name(name: &str) -> Reading<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 63 || !name.bytes().all(is_plain) {
        return Err("is not a pool's name: lower-case letters, digits, `-`, `_`, `.`, at most 63".to_owned());
    }
    Ok(())
}

fn pool(name: &str, fields: &mut Fields<'_>, named: &mut Named) -> (Pool, Option<Place>) {
    let (servers, matches) = servers::members(fields, named);
    let (tls, verify) = encryption(fields);
    let (login, place) = login(fields);
    let (storage, retry) = failover(fields);
    let pool = Pool {
        name: name.to_owned(),
        servers,
        matches,
        ports: ports(&mut fields.section("ports"), tls),
        tls,
        verify,
        connect_timeout: fields.or("connect_timeout", values::time(MILLISECOND, 5 * MINUTE), Duration::from_secs(5)),
        greeting_timeout: fields.or("greeting_timeout", values::time(MILLISECOND, 5 * MINUTE), Duration::from_secs(10)),
        login_timeout: fields.or("login_timeout", values::time(MILLISECOND, HOUR), Duration::from_secs(30)),
        recheck_interval: fields.section("health").or(
            "interval",
            values::time(Duration::from_secs(1), HOUR),
            Duration::from_secs(5),
        ),
        max_connections: fields.or(
            "max_connections",
            |text| values::whole(1, u64::from(u32::MAX))(text).map(Some),
            None,
        ),
        wait: fields.or("wait", values::time(Duration::ZERO, 5 * MINUTE), Duration::from_secs(2)),
        source_addresses: source_addresses(fields),
        login,
        identity: fields
            .take("identity")
            .and_then(|item| item.choice(&[("auto", true), ("none", false)]))
            .unwrap_or(true),
        storage,
        retry,
        only_relays: false,
        served: Vec::new(),
    };
    (pool, place)
}

/// Who may stand in for a server that is down: somebody else's mailbox, or a `wrong password` from a server that does
/// not know the user, is what others than the user's own would give where mail is kept separately.
fn failover(fields: &mut Fields<'_>) -> (Storage, u32) {
    let (storage, retry) = (fields.take("storage"), fields.take("retry"));
    let is_left_out = storage.is_none();
    let storage = storage.and_then(|item| item.choice(&STORAGES));
    let read = retry.as_ref().and_then(|item| item.read(values::whole(0, 16)));
    match (storage, retry, read) {
        (Some(Storage::Shared), _, read) => (Storage::Shared, read.unwrap_or(1)),
        (Some(Storage::Separate) | None, Some(item), Some(1..)) if is_left_out || storage.is_some() => {
            item.fault("needs `storage: shared`, where every server of the pool can serve every user; with separate storage nobody is sent to another server, so leave `retry` out");
            (Storage::Separate, 0)
        }
        (Some(Storage::Separate) | None, ..) => (Storage::Separate, 0),
    }
}

const STORAGES: [(&str, Storage); 2] = [("separate", Storage::Separate), ("shared", Storage::Shared)];

fn encryption(fields: &mut Fields<'_>) -> (BackendTls, ClientTls) {
    let Some(mut fields) = fields.take("tls").and_then(|item| item.fields()) else {
        return (BackendTls::default(), ClientTls::default());
    };
    let mode = fields.need("mode").and_then(|item| item.choice(&MODES)).unwrap_or_default();
    (mode, tls::verification(&mut fields))
}

const MODES: [(&str, BackendTls); 3] =
    [("none", BackendTls::None), ("starttls", BackendTls::StartTls), ("implicit", BackendTls::Implicit)];

fn ports(fields: &mut Fields<'_>, tls: BackendTls) -> HashMap<Protocol, u16> {
    let standard = |protocol: Protocol| match tls {
        BackendTls::Implicit => protocol.tls_port().unwrap_or_else(|| protocol.port()),
        BackendTls::None | BackendTls::StartTls => protocol.port(),
    };
    let port = |protocol: Protocol| fields.or(protocol.name(), values::whole(1, 65_535), standard(protocol));
    Protocol::ALL.into_iter().zip(Protocol::ALL.map(port)).collect()
}

fn source_addresses(fields: &mut Fields<'_>) -> Vec<std::net::IpAddr> {
    let mut addresses = Vec::new();
    for item in fields.take("source_addresses").map(Item::one_or_more).unwrap_or_default() {
        match item.read(values::ip) {
            Some(address) if addresses.contains(&address) => item.fault("stands in the list twice"),
            address => addresses.extend(address),
        }
    }
    addresses
}

/// And where it stands, if it is not the user's own password that is shown.
fn login(fields: &mut Fields<'_>) -> (BackendLogin, Option<Place>) {
    let Some(item) = fields.take("login") else { return (BackendLogin::Replay, None) };
    if !item.is_map() {
        let login = item.read(|text| match text {
            "replay" => Ok(BackendLogin::Replay),
            "xclient" => Ok(BackendLogin::Xclient),
            _ => Err("is neither replay, nor xclient, nor { master: { user, password } }".to_owned()),
        });
        let login = login.unwrap_or(BackendLogin::Replay);
        let place = matches!(login, BackendLogin::Xclient).then_some(item.place);
        return (login, place);
    }
    (master(&item).unwrap_or(BackendLogin::Replay), Some(item.place))
}

fn master(item: &Item<'_>) -> Option<BackendLogin> {
    let mut fields = item.fields()?;
    let mut fields = fields.need("master")?.fields()?;
    let user = fields.need("user").and_then(|item| item.read(values::words(255)));
    let password = fields.need("password").and_then(|item| item.reloadable_secret(|_| true));
    // The contract's key, with the one value that there is yet: SASL PLAIN carries the user and the master.
    fields.take("mechanism").and_then(|item| item.choice(&[("plain", ())]));
    Some(BackendLogin::Master { user: user?, password: password? })
}
