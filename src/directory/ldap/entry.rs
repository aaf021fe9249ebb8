//! What an LDAP entry says about a user.
//!
//! It stands apart, pure: from the library's tree to a [`Route`], without the library's own reading of entries, which
//! panics on what is no UTF-8. Attribute names are compared without case (RFC 4512 §2.5).

use std::collections::HashMap;

use ldap3::asn1::{PL, StructureTag};

use crate::config::{self, Standing};
use crate::directory::Unavailable;
use crate::directory::problem::printable;
use crate::directory::route::{self, Route, VALUE_MAX};
use crate::directory::services::Services;

/// Which attributes mean what.
#[derive(Debug)]
pub(super) struct Meaning {
    host: String,
    user: Option<String>,
    status: Option<String>,
    services: Option<String>,
    standing: HashMap<String, Standing>,
}

impl Meaning {
    pub(super) fn new(config: &config::Ldap) -> Self {
        Self {
            host: config.host_attribute.clone(),
            user: config.user_attribute.clone(),
            status: config.status_attribute.clone(),
            services: config.services_attribute.clone(),
            standing: config.status.clone(),
        }
    }

    /// The attributes to ask for.
    pub(super) fn attributes(&self) -> Vec<String> {
        let others = [&self.user, &self.status, &self.services];
        std::iter::once(&self.host).chain(others.into_iter().flatten()).cloned().collect()
    }

    /// Where the user of this entry of source `place` lives.
    pub(super) fn route(&self, entry: StructureTag, place: usize) -> Result<Route, Unavailable> {
        let entry = Entry::read(entry).ok_or_else(|| Unavailable::BadEntry("no DN, or not UTF-8".to_owned()))?;
        let bad = |attribute: &str, what: &str| {
            Unavailable::BadEntry(format!("{}: {attribute} {what}", printable(&entry.dn)))
        };
        let hosts = entry.values(&self.host);
        let host = match hosts.as_slice() {
            [] => return Err(bad(&self.host, "is missing")),
            [host] => text(host).and_then(route::host).ok_or_else(|| bad(&self.host, "is not a host's name"))?,
            _ => return Err(bad(&self.host, "has more than one value")),
        };
        let user = match self.user.as_deref().map(|name| (name, entry.values(name))) {
            Some((name, values)) => match values.first() {
                Some(value) => Some(text(value).and_then(route::user_there).ok_or_else(|| bad(name, "is unusable"))?),
                None => None,
            },
            None => None,
        };
        let services = match self.services.as_deref().map(|name| (name, entry.values(name))) {
            Some((name, values)) if !values.is_empty() => {
                let values: Option<Vec<&str>> = values.into_iter().map(text).collect();
                Some(values.and_then(Services::parse).ok_or_else(|| bad(name, "is unreadable"))?)
            }
            _ => None,
        };
        let standing = self.standing(&entry).ok_or_else(|| bad("the status", "is unreadable"))?;
        let dn = route::Entry { source: place, dn: entry.dn };
        Ok(Route { user, standing, services, entry: Some(dn), ..Route::to(host) })
    }

    /// The strictest of all values; a value that nobody named means nothing, one that cannot be read might mean "no".
    fn standing(&self, entry: &Entry) -> Option<Standing> {
        let Some(name) = self.status.as_deref() else { return Some(Standing::Active) };
        let values: Vec<&str> = entry.values(name).into_iter().map(text).collect::<Option<_>>()?;
        // As the configuration's keys were made lower case.
        let standings = values.iter().filter_map(|value| self.standing.get(&value.to_lowercase()));
        Some(standings.copied().max_by_key(strictness).unwrap_or(Standing::Active))
    }
}

const fn strictness(standing: &Standing) -> u8 {
    match standing {
        Standing::Active => 0,
        Standing::Unavailable => 1,
        Standing::Deny => 2,
    }
}

/// A value that is looked at: short, and UTF-8.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.len() <= VALUE_MAX)
}

struct Entry {
    /// Never empty.
    dn: String,
    attributes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

impl Entry {
    /// RFC 4511 §4.5.2; the guard has seen that it has this shape.
    fn read(entry: StructureTag) -> Option<Self> {
        let mut parts = entry.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok().filter(|dn| !dn.is_empty())?;
        let attributes = parts.next()?.expect_constructed()?.into_iter().map(attribute).collect::<Option<_>>()?;
        Some(Self { dn, attributes })
    }

    fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.attributes.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        named.flat_map(|(_, values)| values).map(Vec::as_slice).collect()
    }
}

fn attribute(attribute: StructureTag) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut parts = attribute.expect_constructed()?.into_iter();
    let name = parts.next()?.expect_primitive()?;
    let values = parts.next()?.expect_constructed()?;
    let values = values.into_iter().map(|value| match value.payload {
        PL::P(octets) => Some(octets),
        PL::C(_) => None,
    });
    Some((name, values.collect::<Option<_>>()?))
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
