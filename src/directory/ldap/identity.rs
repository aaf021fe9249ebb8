//! Who an LDAP entry is: one name an entry, whatever alias it was found by.
//!
//! The name is the value of the identity attribute, in the canonical form of a user's name. An entry without that
//! attribute, or with several values of it, is called by its source and DN: `dn:0:uid=alice,ou=people,dc=example,dc=com`.
//! A record that holds the name can find the entry again by it.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::directory::{DN, NAME_MAX, User};

/// How entries of one source are named.
#[derive(Debug)]
pub(super) struct EntryIdentity {
    attribute: Option<String>,
    /// Added to a bare value.
    default_domain: Option<String>,
    /// The source's place in the list.
    place: usize,
}

/// Where the entry of a name is looked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntrySearch {
    /// It is the entry of this DN.
    Dn(String),
    /// The attribute has one of these values.
    Values(String, Vec<String>),
}

impl EntryIdentity {
    pub(super) const fn new(attribute: Option<String>, default_domain: Option<String>, place: usize) -> Self {
        Self { attribute, default_domain, place }
    }

    pub(super) fn attribute(&self) -> Option<&String> {
        self.attribute.as_ref()
    }

    /// The name of the entry with this DN and these values of the identity attribute; `None` = the DN is too long.
    pub(super) fn of(&self, dn: &str, values: &[&[u8]]) -> Option<Arc<str>> {
        let value = match values {
            [value] => std::str::from_utf8(value).ok(),
            _ => None,
        };
        // A value that no user name can be, such as one with a space in it, does not name anybody.
        if let Some(user) = value.and_then(|value| User::new(value, self.default_domain.as_deref()).ok()) {
            return Some(user.shared_name());
        }
        let name = format!("{DN}{}:{}", self.place, utf8_percent_encode(dn, NOT_IN_NAMES));
        (name.len() <= NAME_MAX).then(|| name.into())
    }

    /// Where to look for the entry of this name; `None` = it is no name of this source.
    pub(super) fn place(&self, name: &str) -> Option<EntrySearch> {
        if let Some(rest) = name.strip_prefix(DN) {
            let dn = rest.strip_prefix(&format!("{}:", self.place))?;
            let dn = percent_decode_str(dn).decode_utf8().ok()?;
            return (!dn.is_empty()).then(|| EntrySearch::Dn(dn.into_owned()));
        }
        let attribute = self.attribute.clone()?;
        let mut values = vec![name.to_owned()];
        if let (Some((local, domain)), Some(default)) = (name.rsplit_once('@'), &self.default_domain) {
            values.extend((domain == default).then(|| local.to_owned()));
        }
        Some(EntrySearch::Values(attribute, values))
    }
}

/// What may not stand in a user's name, and what would be read as an escape.
const NOT_IN_NAMES: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(attribute: Option<&str>) -> EntryIdentity {
        EntryIdentity::new(attribute.map(str::to_owned), Some("example.com".into()), 2)
    }

    #[test]
    fn the_one_value_of_the_attribute_is_the_name_in_canonical_form() {
        let mail = identity(Some("mail"));
        assert_eq!(mail.of("uid=a", &[b"Alice@Example.org"]).as_deref(), Some("alice@example.org"));
        assert_eq!(mail.of("uid=a", &[b"Alice"]).as_deref(), Some("alice@example.com"), "the default domain");
    }

    #[test]
    fn without_one_usable_value_the_source_and_the_dn_are_the_name() {
        let dn = "cn=Alice 100%,dc=\u{fc}";
        let name = "dn:2:cn=Alice%20100%25,dc=%C3%BC";
        let none: &[&[u8]] = &[];
        for values in [none, &[b"a@x", b"b@x"], &[b"Alice Smith"], &[b"\xff"], &[b""]] {
            assert_eq!(identity(Some("mail")).of(dn, values).as_deref(), Some(name), "{values:?}");
        }
        assert_eq!(identity(None).place(name), Some(EntrySearch::Dn(dn.to_owned())), "and finds it again");
        assert_eq!(identity(None).of(&"d".repeat(NAME_MAX), &[]), None);
    }

    #[test]
    fn a_name_says_where_its_entry_is_looked_for() {
        let values = |values: &[&str]| {
            Some(EntrySearch::Values("mail".into(), values.iter().map(|&value| value.to_owned()).collect()))
        };
        let mail = identity(Some("mail"));
        assert_eq!(mail.place("a@example.org"), values(&["a@example.org"]));
        assert_eq!(mail.place("a@example.com"), values(&["a@example.com", "a"]));
        for name in ["dn:1:uid=a", "dn:2:", "dn:2", "dn:x"] {
            assert_eq!(mail.place(name), None, "{name}");
        }
        assert_eq!(identity(None).place("a@example.com"), None);
    }
}
