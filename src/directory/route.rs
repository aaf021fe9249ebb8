//! Where a user lives: the directory's answer.

use std::fmt;
use std::sync::Arc;

use super::User;
use super::cache::Identified;
use super::services::Services;
use crate::config::Standing;
use crate::proto::Protocol;

/// Where one user lives, and what the user may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// A server's name, a pool's name, or host:port, as the source wrote it but in lower case: printable ASCII without
    /// spaces, 1 to 255 bytes. Whether it is a host that may be dialled is the back-ends' to decide. `None` = the
    /// directory knows the user, but names no host.
    pub host: Option<String>,
    /// The user's name there; `None` = as the client gave it. No control characters, 1 to 255 bytes.
    pub user: Option<String>,
    /// Who the user is, whatever alias was given; `None` = who the name says.
    pub(super) identity: Option<Arc<str>>,
    /// Whether the user may log in at all.
    pub standing: Standing,
    /// The attribute and the value that say so, where it is not active.
    pub(super) status: Option<Arc<String>>,
    /// `None` = all.
    pub(super) services: Option<Services>,
    /// Where the password can be checked.
    pub(super) entry: Option<Entry>,
}

/// Why the directory does not let a user use a protocol; what it says is quoted, and short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// The user may not log in at all.
    #[error("status deny{0}")]
    Denied(Said),
    /// The user may not log in now.
    #[error("status unavailable{0}")]
    Unavailable(Said),
    /// The user may use other services only.
    #[error("service not allowed{0}")]
    Service(Said),
}

/// What a source says, such as accountStatus=`locked`; shown in brackets behind what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said(Option<Arc<String>>);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |said| write!(f, " ({said})"))
    }
}

/// An LDAP entry: its DN is never empty, and comes from a search result only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// The source that knows it: its place in the list.
    pub(super) source: usize,
    pub(super) dn: String,
}

impl Route {
    /// An active user of all services at this host, whose password cannot be checked here.
    #[must_use]
    pub fn to(host: impl Into<String>) -> Self {
        Self {
            host: Some(host.into()),
            user: None,
            identity: None,
            standing: Standing::Active,
            status: None,
            services: None,
            entry: None,
        }
    }

    /// The user who was found here by the name `asked`. One entry of a directory is one user, however many names it is
    /// found by; switches, limits, records and logs go by this one.
    #[must_use]
    pub fn identify(&self, asked: &User) -> User {
        match &self.identity {
            Some(identity) => User::identified(Arc::clone(identity), asked.shared_given()),
            None => asked.clone(),
        }
    }

    /// Whether the user may use this protocol now.
    ///
    /// # Errors
    /// [`NotPermitted`]: why not.
    pub fn permits(&self, protocol: Protocol) -> Result<(), NotPermitted> {
        let status = || Said(self.status.clone());
        match self.standing {
            Standing::Active if self.allows(protocol) => Ok(()),
            Standing::Active => Err(NotPermitted::Service(Said(self.services.as_ref().and_then(Services::said)))),
            Standing::Deny => Err(NotPermitted::Denied(status())),
            Standing::Unavailable => Err(NotPermitted::Unavailable(status())),
        }
    }

    /// Whether this protocol is one of the services that the user may use.
    #[must_use]
    pub fn allows(&self, protocol: Protocol) -> bool {
        self.services.as_ref().is_none_or(|services| services.allow(protocol))
    }
}

impl Identified for Route {
    fn identity(&self) -> Option<&Arc<str>> {
        self.identity.as_ref()
    }

    fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }
}

/// A host as a source may name it: it is dialled, or compared with names, and nothing else.
pub(super) fn host(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= VALUE_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_ascii_lowercase())
}

/// A user's name at the back-end, as a source may give it.
pub(super) fn user_there(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= VALUE_MAX && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// An address that mail goes to instead, as a source may give it: a dot-string at a domain (RFC 5321 §4.1.2), so that
/// nothing in it can end the command that it is put into.
pub(super) fn address(text: &str) -> Option<String> {
    let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let is_in_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let parted = |text: &str, fits: &dyn Fn(u8) -> bool| text.split('.').all(|p| !p.is_empty() && p.bytes().all(fits));
    let (local, domain) = text.split_once('@')?;
    let fits = text.len() <= ADDRESS_MAX && local.len() <= LOCAL_MAX;
    (fits && parted(local, &is_atext) && parted(domain, &is_in_domain)).then(|| text.to_owned())
}

/// RFC 5321 §4.5.3.1.1, and §4.5.3.1.3 without the brackets.
const LOCAL_MAX: usize = 64;
const ADDRESS_MAX: usize = 254;
/// The longest value of an attribute that is looked at, in bytes.
pub(super) const VALUE_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_printable_word() {
        assert_eq!(host("Mail1.Example.com:1143").as_deref(), Some("mail1.example.com:1143"));
        assert_eq!(host(&"h".repeat(255)).map(|h| h.len()), Some(255));
        for text in ["", "h\r\nXCLIENT LOGIN=x", "a b", "b\u{fc}cher", "h\0", &"h".repeat(256)] {
            assert_eq!(host(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_user_name_there_is_one_line() {
        assert_eq!(user_there("J\u{f6}rg Smith").as_deref(), Some("J\u{f6}rg Smith"));
        for text in ["", "a\r\nb", "a\0", "a\u{85}b", &"u".repeat(256)] {
            assert_eq!(user_there(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_routing_address_is_a_word_at_a_domain() {
        for text in [
            "Alice@Mail1.example.com",
            "o'hara.b+tag@host_1",
            &format!("{}@x", "a".repeat(64)),
            &format!("a@{}", "x".repeat(252)),
        ] {
            assert_eq!(address(text).as_deref(), Some(text), "{text}");
        }
        let long = format!("a@{}", "x".repeat(253));
        for text in [
            "",
            "alice",
            "@x",
            "alice@",
            "a@b@c",
            "a b@x",
            "a@x> ORCPT=rfc822;b@y",
            "<a@x>",
            "a@x\r\nDATA",
            "\"a\"@x",
            "a..b@x",
            ".a@x",
            "a@x.",
            "a@[127.0.0.1]",
            "j\u{f6}rg@x",
            "a\0@x",
            "smtp:a@x",
            &format!("{}@x", "a".repeat(65)),
            &long,
        ] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }
}
