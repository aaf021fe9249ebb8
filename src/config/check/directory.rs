//! Where users live: the sources in their order, and what is remembered of their answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::backends::Pools;
use super::item::Item;
use super::ldap;
use super::sheet::Fields;
use super::values::{self, DAY, MILLISECOND, Reading};
use crate::config::{Cache, Directory, KnownHosts, Source};
use crate::proto::Protocol;

/// The directory, and what the cross checks ask about it.
pub(super) struct Lives {
    /// `None` = no source could be read.
    pub(super) directory: Option<Directory>,
    /// Whether an LDAP server is asked, right or wrong otherwise; also where no source is written at all.
    pub(super) has_ldap: bool,
}

/// `bound`: the protocols of the listeners.
pub(super) fn directory(root: &mut Fields<'_>, pools: &Pools, bound: &[Protocol]) -> Lives {
    let protocols: Vec<Protocol> = Protocol::ALL.into_iter().filter(|protocol| bound.contains(protocol)).collect();
    let takes_mail = protocols.contains(&Protocol::Smtp);
    let has_users = protocols.iter().any(|protocol| *protocol != Protocol::Smtp);
    let mut fields = root.section("directory");
    let default = fields.take("default_domain");
    let written = fields.take("domains");
    if takes_mail && default.is_none() && written.is_none() {
        let message = "a listener of service smtp takes mail for nobody; needs `domains`, or `default_domain`";
        fields.missing_all(&["domains", "default_domain"], message);
    }
    let default_domain = default.as_ref().and_then(|item| item.read(values::domain));
    let domains = domains(written, default_domain.as_deref());
    if let (Some(item), Some(name)) = (&default, &default_domain)
        && !domains.is_empty()
        && !domains.contains(name)
    {
        warn_of_default(item, name);
    }
    let recipient_delimiter = fields.or("recipient_delimiter", delimiter, Some('+'));
    let list = fields.need("sources").map(|item| item.some_items()).unwrap_or_default();
    let cache = cache(&mut fields.section("cache"));
    let mut served = domains.clone();
    served.extend(default_domain.clone().filter(|domain| !domains.contains(domain)));
    let mut sources = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let Some(source) = source(item, pools, &served, has_users) else { continue };
        if matches!(source, Source::Pool(_)) && index + 1 < list.len() {
            item.fault("knows everyone, so no source behind it is ever asked; it belongs at the end");
        }
        sources.push(source);
    }
    // A source with a misspelt key may be one.
    let is_other = |item: &Item<'_>| item.has("file") || item.has("pool");
    let has_ldap = list.is_empty() || list.iter().any(|item| item.has("ldap") || !is_other(item));
    let hosts = Arc::new(KnownHosts::new(&pools.pools));
    let directory = (!sources.is_empty()).then_some(Directory {
        default_domain,
        domains,
        recipient_delimiter,
        sources,
        hosts,
        protocols,
        cache,
    });
    Lives { directory, has_ldap }
}

/// Those whose recipients are taken; the default domain where none are written.
fn domains(written: Option<Item<'_>>, default_domain: Option<&str>) -> Vec<String> {
    let Some(written) = written else { return default_domain.map(str::to_owned).into_iter().collect() };
    let mut domains = Vec::new();
    let mut seen = HashSet::new();
    for item in written.one_or_more() {
        let Some(domain) = item.read(values::domain) else { continue };
        if seen.insert(domain.clone()) {
            domains.push(domain);
        } else {
            item.fault("is there twice: upper and lower case make no difference here");
        }
    }
    domains
}

/// A bare name would be looked up in a domain that is served for nothing but that.
fn warn_of_default(item: &Item<'_>, name: &str) {
    item.sheet.warn(
        &item.place,
        format!(
            "{name} is not one of `domains`: is it a typo? A user who types `alice` is looked up as alice@{name}, and no mail is taken for {name}"
        ),
    );
}

/// One character; with a letter or a digit in its place, names would be cut that have no tag.
fn delimiter(text: &str) -> Reading<Option<char>> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (None, _) => Ok(None),
        (Some(one), None) if one.is_ascii_punctuation() && !matches!(one, '@' | '"') => Ok(Some(one)),
        _ => Err("is not one character such as +, nor \"\" for none".to_owned()),
    }
}

fn source(item: &Item<'_>, pools: &Pools, served: &[String], has_users: bool) -> Option<Source> {
    let mut fields = item.fields()?;
    match (fields.take("ldap"), fields.take("file"), fields.take("pool")) {
        (Some(ldap), None, None) => Some(Source::Ldap(Box::new(ldap::ldap(&mut ldap.fields()?, served, has_users)?))),
        (None, Some(file), None) => users(&file),
        (None, None, Some(name)) => name.read(|text| pools.known(text)).map(Source::Pool),
        (None, None, None) => {
            fields.missing_all(&["ldap", "file", "pool"], "names no source; it is one of ldap, file, pool");
            None
        }
        _ => {
            fields.fault("names more than one source; make an item of the list for each");
            None
        }
    }
}

fn users(item: &Item<'_>) -> Option<Source> {
    let mut fields = item.fields()?;
    let item = fields.need("path")?;
    let path = item.path()?;
    if let Err(error) = std::fs::File::open(&path) {
        item.fault(format!("{} cannot be read: {error}", path.display()));
    }
    Some(Source::File(path))
}

fn cache(fields: &mut Fields<'_>) -> Cache {
    let long = 30 * DAY;
    Cache {
        entries: fields.or("entries", values::whole(0, 10_000_000), 100_000),
        ttl: fields.or("ttl", values::time(MILLISECOND, long), Duration::from_secs(5 * 60)),
        negative_ttl: fields.or("negative_ttl", values::time(Duration::ZERO, long), Duration::from_secs(30)),
        stale: fields.or("stale", values::time(Duration::ZERO, long), Duration::from_secs(60 * 60)),
    }
}
