//! The sections about the record of logins: `smtp_after_pop`, `registry`, `lookup`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access;
use super::backends::Pools;
use super::item::Item;
use super::listeners::Bound;
use super::sheet::Fields;
use super::tls;
use super::values::{self, MINUTE, Reading};
use crate::config::{AddressRange, AfterPop, ClientTls, Lookup, LookupProtocol, Store, address};
use crate::proto::Protocol;
use crate::secret::Secret;

/// `None`: nothing is recorded.
pub(super) fn after_pop(root: &mut Fields<'_>, pools: &Pools) -> Option<AfterPop> {
    let mut fields = root.take("smtp_after_pop")?.fields()?;
    let window = fields.or("window", values::time(5 * MINUTE, 1440 * MINUTE), WINDOW);
    let protocols = RECORDED.map(|each| (each.name(), each));
    let record = match fields.take("record") {
        Some(item) => item.one_or_more().iter().filter_map(|item| item.choice(&protocols)).collect(),
        None => RECORDED.to_vec(),
    };
    let max_users = fields.or("max_users_per_ip", values::whole(1, USERS_MAX), 1);
    let exempt = match fields.take("exempt") {
        Some(list) if is_empty(&list) => Vec::new(),
        Some(list) => access::addresses(list),
        None => loopback(&["127.0.0.0/8"]),
    };
    let relay = fields.take("relay").and_then(|item| relay(&item, pools));
    Some(AfterPop { window, record, max_users, exempt, relay })
}

/// A pool over which users can be hashed.
fn relay(item: &Item<'_>, pools: &Pools) -> Option<String> {
    let name = item.read(|text| pools.known(text))?;
    if pools.pools.iter().any(|pool| pool.name == name && pool.servers.is_empty()) {
        item.fault(format!("{name} has no `servers`, among which its users could be shared out"));
    }
    Some(name)
}

/// An empty list of exempt addresses is a wish, not a mistake.
fn is_empty(item: &Item<'_>) -> bool {
    matches!(&item.node.value, crate::config::raw::Value::List(items) if items.is_empty())
}

pub(super) fn store(root: &mut Fields<'_>) -> Store {
    let Some(item) = root.section("registry").take("store") else { return Store::Memory };
    if !item.is_map() || item.has("file") || item.has("env") {
        let _ = item.choice(&[("memory", ())]);
        return Store::Memory;
    }
    let Some(mut fields) = item.fields() else { return Store::Memory };
    let store = match (fields.take("disk"), fields.take("valkey")) {
        (Some(disk), None) => file_of_store(&disk).map(Store::Disk),
        (None, Some(server)) => valkey(&server, &mut fields),
        _ => {
            fields.fault("needs one of `disk` and `valkey`, or is memory; a Redis server is `valkey` too");
            fields.forget();
            None
        }
    };
    store.unwrap_or(Store::Memory)
}

/// The gateway makes the file, but not its folder. A folder that may not be looked at from here is none of our business: the
/// gateway may run as another user.
fn file_of_store(item: &Item<'_>) -> Option<PathBuf> {
    let path = item.path()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.metadata().map(|facts| facts.is_dir()) {
        Ok(true) if path.is_dir() => {
            item.fault(format!("{} is a folder; the name of a file belongs here", path.display()))
        }
        Ok(true) => {}
        Ok(false) => item.fault(format!("{} is not a folder", folder.display())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            item.fault(format!(
                "the folder {} does not exist; the gateway makes the file in it, but not the folder",
                folder.display()
            ));
        }
        Err(_) => {}
    }
    Some(path)
}

fn valkey(server: &Item<'_>, fields: &mut Fields<'_>) -> Option<Store> {
    let prefix = fields.or("prefix", prefix, "pc".to_owned());
    let tls = fields.take("tls");
    let (url, is_tls) = without_tls(server.secret()?);
    let tls = match tls {
        Some(item) if !is_tls => {
            item.fault("needs a URL that asks for TLS: rediss://");
            None
        }
        Some(item) => Some(tls::verification(&mut item.fields()?)),
        None => is_tls.then(ClientTls::default),
    };
    if redis::Client::open(url.expose()).is_err() {
        // Never quoted: whatever it is, it may hold a password.
        server.fault("is not the URL of a server, such as redis://10.0.0.9:6379 or redis://user:password@host:6379/0");
        return None;
    }
    Some(Store::Valkey { url, tls, prefix })
}

/// The same URL as the library understands it, for TLS is ours to speak.
fn without_tls(url: Secret) -> (Secret, bool) {
    let schemes = [("rediss://", "redis://"), ("valkeys://", "valkey://")];
    let mut plain = schemes.iter().filter_map(|(tls, plain)| Some((plain, url.expose().strip_prefix(tls)?)));
    match plain.next().map(|(scheme, rest)| Secret::new(format!("{scheme}{rest}"))) {
        Some(Ok(plain)) => (plain, true),
        Some(Err(_)) | None => (url, false),
    }
}

fn prefix(text: &str) -> Reading<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:{}".contains(&byte));
    if is_plain && (1..=64).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("is not a prefix: 1 to 64 letters, digits and -_.:{}".to_owned())
    }
}

pub(super) fn lookups(root: &mut Fields<'_>, is_recorded: bool, bound: &mut Bound) -> Vec<Lookup> {
    let Some(list) = root.take("lookup") else { return Vec::new() };
    let items = list.items();
    if !is_recorded && !items.is_empty() {
        let wanted = ["smtp_after_pop"];
        let message = "asks for a record that nobody keeps; it needs `smtp_after_pop`";
        list.sheet.missing(&list.place, &wanted, message);
    }
    items.iter().filter_map(|item| lookup(item, bound)).collect()
}

fn lookup(item: &Item<'_>, bound: &mut Bound) -> Option<Lookup> {
    let mut fields = item.fields()?;
    let protocols = LookupProtocol::ALL.map(|each| (each.name(), each));
    let protocol = fields.need("protocol").and_then(|item| item.choice(&protocols));
    let address = fields.need("address").and_then(|each| super::listeners::address(&each, &item.place.path, bound));
    let from = fields.take("from").map_or_else(|| loopback(&["127.0.0.0/8", "::1"]), access::addresses);
    Some(Lookup { protocol: protocol?, address: address?, from })
}

fn loopback(networks: &[&str]) -> Vec<AddressRange> {
    networks.iter().filter_map(|network| address::parse(network).ok()).flatten().collect()
}

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// An address is remembered with at most 16 users; more must be seen than are allowed.
const USERS_MAX: u64 = 15;
/// Logins that say where somebody reads mail; one that sends it would keep its own window open.
const RECORDED: [Protocol; 2] = [Protocol::Imap, Protocol::Pop3];
