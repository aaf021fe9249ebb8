//! What an LDAP entry says about a user, or a recipient.
//!
//! It stands apart, pure: from the library's tree to a [`Route`] or a [`Known`], without the library's own reading of entries, which
//! panics on what is no UTF-8. Attribute names are compared without case (RFC 4512 §2.5).

use std::collections::HashMap;
use std::sync::Arc;

use ldap3::asn1::{PL, StructureTag};

use super::identity::EntryIdentity;
use crate::config::{self, Standing};
use crate::directory::problem::{printable, quoted};
use crate::directory::recipient::{Home, Known};
use crate::directory::route::{self, Route, VALUE_MAX};
use crate::directory::services::Services;
use crate::directory::{Unavailable, User};

/// Which attributes mean what, and which entry is whose.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) identity: EntryIdentity,
    place: usize,
    host: String,
    user: Option<String>,
    status: Option<String>,
    services: Option<String>,
    routing: Option<String>,
    standing: HashMap<String, Standing>,
    flags: Vec<(i64, Standing)>,
}

impl Meaning {
    /// Of the source at this place in the list.
    pub(super) fn new(config: &config::Ldap, place: usize, default_domain: Option<&str>) -> Self {
        Self {
            identity: EntryIdentity::new(config.identity_attribute.clone(), default_domain.map(str::to_owned), place),
            place,
            host: config.host_attribute.clone(),
            user: config.user_attribute.clone(),
            status: config.status_attribute.clone(),
            services: config.services_attribute.clone(),
            routing: config.routing_attribute.clone(),
            standing: config.status.clone(),
            flags: config.status_flags.clone(),
        }
    }

    /// The attributes to ask for.
    pub(super) fn attributes(&self) -> Vec<String> {
        let others = [&self.user, &self.status, &self.services, &self.routing];
        let identity = self.identity.attribute();
        std::iter::once(&self.host).chain(others.into_iter().flatten()).chain(identity).cloned().collect()
    }

    /// Where the user of this entry lives; an entry without a host is a user all the same.
    pub(super) fn route(&self, entry: StructureTag) -> Result<Route, Unavailable> {
        let entry = Entry::read(entry)?;
        let host = self.host(&entry)?;
        self.route_to(host, entry)
    }

    /// Where mail for the recipient of this entry goes, who is known as `user`: to its host, or where its routing
    /// address leads, or to its host at that address (draft-lachman-laser-ldap-mail-routing-02 §4).
    pub(super) fn recipient(&self, entry: StructureTag, user: &User) -> Result<Known, Unavailable> {
        let entry = Entry::read(entry)?;
        let address = self.routing_address(&entry)?;
        match (self.host(&entry)?, address) {
            (Some(host), address) => {
                let route = self.route_to(Some(host), entry)?;
                Ok(Known::Lives(Home { address, ..Home::new(user, route) }))
            }
            (None, Some(address)) => Ok(Known::RoutedTo(address, self.standing(&entry)?.0)),
            (None, None) => Err(entry.bad(&self.host, "is missing")),
        }
    }

    fn host(&self, entry: &Entry) -> Result<Option<String>, Unavailable> {
        match entry.values(&self.host).as_slice() {
            [] => Ok(None),
            [host] => text(host).and_then(route::host).map(Some).ok_or("is not a host's name"),
            _ => Err("has more than one value"),
        }
        .map_err(|why| entry.bad(&self.host, why))
    }

    fn routing_address(&self, entry: &Entry) -> Result<Option<String>, Unavailable> {
        let Some(name) = self.routing.as_deref() else { return Ok(None) };
        match entry.values(name).as_slice() {
            [] => Ok(None),
            [address] => text(address).and_then(route::address).map(Some).ok_or("is not an address"),
            _ => Err("has more than one value"),
        }
        .map_err(|why| entry.bad(name, why))
    }

    fn route_to(&self, host: Option<String>, entry: Entry) -> Result<Route, Unavailable> {
        let user = match self.user.as_deref().map(|name| (name, entry.values(name))) {
            Some((name, values)) => match values.first() {
                Some(value) => {
                    Some(text(value).and_then(route::user_there).ok_or_else(|| entry.bad(name, "is unusable"))?)
                }
                None => None,
            },
            None => None,
        };
        let services = match self.services.as_deref().map(|name| (name, entry.values(name))) {
            Some((name, values)) if !values.is_empty() => {
                let values: Option<Vec<&str>> = values.into_iter().map(text).collect();
                let unreadable = || entry.bad(name, "is unreadable");
                let values = values.ok_or_else(unreadable)?;
                let services = Services::parse(values.iter().copied()).ok_or_else(unreadable)?;
                Some(services.said_by(name, &values))
            }
            _ => None,
        };
        let (standing, status) = self.standing(&entry)?;
        let identity =
            self.identity.of(&entry.dn, &self.identity.attribute().map_or_else(Vec::new, |name| entry.values(name)));
        let identity =
            identity.ok_or_else(|| entry.bad("attributes.identity", "is needed: the DN is too long for a name"))?;
        let entry = Some(route::Entry { source: self.place, dn: entry.dn });
        Ok(Route { host, user, identity: Some(identity), standing, status, services, entry })
    }

    /// The strictest of all values, and which it is; a value that nobody named means nothing, one that cannot be read might
    /// mean "no".
    fn standing(&self, entry: &Entry) -> Result<(Standing, Option<Arc<String>>), Unavailable> {
        let Some(name) = self.status.as_deref() else { return Ok((Standing::Active, None)) };
        let values: Option<Vec<&str>> = entry.values(name).into_iter().map(text).collect();
        let values = values.ok_or_else(|| entry.bad("the status", "is unreadable"))?;
        // As the configuration's keys were made lower case.
        let named = values.iter().filter_map(|value| Some((*self.standing.get(&value.to_lowercase())?, *value, None)));
        let numbers = values.iter().filter_map(|value| Some((*value, value.parse::<i64>().ok()?)));
        let flagged = numbers.flat_map(|(value, number)| {
            let set = self.flags.iter().filter(move |(mask, _)| number & mask == *mask);
            set.map(move |(mask, standing)| (*standing, value, Some(mask)))
        });
        let strictest = named.chain(flagged).reduce(|a, b| if a.0.stricter(b.0) == a.0 { a } else { b });
        Ok(match strictest {
            None | Some((Standing::Active, ..)) => (Standing::Active, None),
            Some((standing, value, None)) => (standing, Some(quoted(name, value))),
            Some((standing, value, Some(mask))) => {
                (standing, Some(format!("{}, flag {mask}", quoted(name, value)).into()))
            }
        })
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
    fn read(entry: StructureTag) -> Result<Self, Unavailable> {
        Self::of(entry).ok_or_else(|| Unavailable::BadEntry("no DN, or not UTF-8".to_owned()))
    }

    /// RFC 4511 §4.5.2; the guard has seen that it has this shape.
    fn of(entry: StructureTag) -> Option<Self> {
        let mut parts = entry.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok().filter(|dn| !dn.is_empty())?;
        let attributes = parts.next()?.expect_constructed()?.into_iter().map(attribute).collect::<Option<_>>()?;
        Some(Self { dn, attributes })
    }

    fn bad(&self, attribute: &str, what: &str) -> Unavailable {
        Unavailable::BadEntry(format!("{}: {attribute} {what}", printable(&self.dn)))
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
