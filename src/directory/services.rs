//! Which protocols a user may use, as directories write it.
//!
//! Two forms are read, and may be mixed in one attribute:
//! - names, one a value or several with commas or spaces between: `imap`, `pop3`. They mean `+imap:*`.
//! - Sun's `mailAllowedServiceAccess`: filters with `$` between, each `+` (allow) or `-` (deny), services, `:`, clients:
//!   `+imap,pop3:*$-smtp:*`. Services may be `*`, `ALL` and `ALL EXCEPT pop3`. Allow filters are read before deny
//!   filters and the first that matches decides; where none matches, the service is allowed unless there are allow
//!   filters and no deny filters.
//!
//! `imaps` counts as `imap`, `pop`, `pops`, `pop3s` as `pop3`, and `smtp`, `smtps`, `submissions` as `submission`. The client's address is not known here: a filter for
//! other clients than `*` or `ALL` does not allow, but does deny. Names of other services match nothing.

use std::sync::Arc;

use super::problem::quoted;
use crate::proto::Protocol;

/// The protocols that a user may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Services {
    /// A bit for each protocol, by its index.
    allowed: u8,
    /// The attribute and its value, where not all are allowed. A thin pointer: each remembered user pays for it.
    said: Option<Arc<String>>,
}

struct Filter {
    allow: bool,
    services: Vec<Protocol>,
    any_client: bool,
}

impl Services {
    /// From the attribute's values; `None` when one of them cannot be read.
    pub(super) fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut filters = Vec::new();
        for value in values {
            for text in value.split('$').map(str::trim).filter(|text| !text.is_empty()) {
                filters.push(filter(text)?);
            }
        }
        Some(Self::only(Protocol::ALL.into_iter().filter(|protocol| allowed(&filters, *protocol))))
    }

    /// These and no others.
    pub(super) fn only(allowed: impl IntoIterator<Item = Protocol>) -> Self {
        Self { allowed: allowed.into_iter().fold(0, |bits, protocol| bits | bit(protocol)), said: None }
    }

    /// As this attribute says.
    pub(super) fn said_by(self, attribute: &str, values: &[&str]) -> Self {
        let allows_all = Protocol::ALL.into_iter().all(|protocol| self.allow(protocol));
        Self { said: (!allows_all).then(|| quoted(attribute, &values.join(", "))), ..self }
    }

    /// The attribute and its value, for a log line.
    pub(super) fn said(&self) -> Option<Arc<String>> {
        self.said.clone()
    }

    pub(super) fn allow(&self, protocol: Protocol) -> bool {
        self.allowed & bit(protocol) != 0
    }
}

const fn bit(protocol: Protocol) -> u8 {
    1 << protocol.index()
}

fn allowed(filters: &[Filter], protocol: Protocol) -> bool {
    let allows = |filter: &Filter| filter.allow && filter.any_client && filter.services.contains(&protocol);
    let denies = |filter: &Filter| !filter.allow && filter.services.contains(&protocol);
    let only_allow_filters = !filters.is_empty() && filters.iter().all(|filter| filter.allow);
    filters.iter().any(allows) || !(filters.iter().any(denies) || only_allow_filters)
}

fn filter(text: &str) -> Option<Filter> {
    let (allow, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => (true, text),
    };
    let (services, clients) = rest.split_once(':').unwrap_or((rest, "*"));
    let any_client = is_all(clients.trim());
    Some(Filter { allow, services: protocols(services)?, any_client })
}

/// `ALL EXCEPT pop3`, `imap,pop3`, `*`; `None` for nothing at all.
fn protocols(text: &str) -> Option<Vec<Protocol>> {
    let mut words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).peekable();
    words.peek()?;
    let mut protocols = Vec::new();
    let mut excepting = false;
    for word in words {
        if word.eq_ignore_ascii_case("except") {
            excepting = true;
        } else if excepting {
            protocols.retain(|protocol| !names(word, *protocol));
        } else {
            protocols.extend(Protocol::ALL.into_iter().filter(|protocol| names(word, *protocol)));
        }
    }
    Some(protocols)
}

fn names(word: &str, protocol: Protocol) -> bool {
    is_all(word) || is_name(word, protocol)
}

fn is_name(word: &str, protocol: Protocol) -> bool {
    let own: &[&str] = match protocol {
        Protocol::Imap => &["imap", "imaps"],
        Protocol::Pop3 => &["pop3", "pop3s", "pop", "pops"],
        // Who sends on port 25 as a user; what comes for a user is not a service that they use.
        Protocol::Submission | Protocol::Smtp => &["submission", "submissions", "smtp", "smtps"],
    };
    own.iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn is_all(word: &str) -> bool {
    word == "*" || word.eq_ignore_ascii_case("all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_use_smtp_may_submit() {
        let submits = |value: &str| Services::parse([value]).map(|services| services.allow(Protocol::Submission));
        for allowed in ["smtp", "SMTPS", "submission", "imap submissions", "+smtp:*", "-imap:*", "*"] {
            assert_eq!(submits(allowed), Some(true), "{allowed}");
        }
        for forbidden in ["imap", "-smtp:*", "+ALL EXCEPT smtp:*", "+submission:10.0.0.0/8", "smtpx"] {
            assert_eq!(submits(forbidden), Some(false), "{forbidden}");
        }
    }

    /// (imap, pop3)
    fn read(values: &[&str]) -> Option<(bool, bool)> {
        let services = Services::parse(values.iter().copied())?;
        Some((services.allow(Protocol::Imap), services.allow(Protocol::Pop3)))
    }

    #[test]
    fn a_list_of_names_allows_those() {
        assert_eq!(read(&["imap"]), Some((true, false)));
        assert_eq!(read(&["imap", "pop3"]), Some((true, true)));
        assert_eq!(read(&["IMAPS, smtp"]), Some((true, false)));
        assert_eq!(read(&["pops"]), Some((false, true)));
        assert_eq!(read(&["smtp", "webmail"]), Some((false, false)));
    }

    #[test]
    fn suns_filters_are_read_allow_before_deny() {
        assert_eq!(read(&["+imap,pop3:*$-smtp:*"]), Some((true, true)));
        assert_eq!(read(&["+imap:*"]), Some((true, false)));
        assert_eq!(read(&["-pop3:*"]), Some((true, false)));
        assert_eq!(read(&["-ALL:ALL$+imap:*"]), Some((true, false)));
        assert_eq!(read(&["+ALL EXCEPT pop3:*"]), Some((true, false)));
        assert_eq!(read(&["-*:*"]), Some((false, false)));
        assert_eq!(read(&["+smtp:*$-http:*"]), Some((true, true)), "no match, and there is a deny filter");
    }

    #[test]
    fn a_filter_for_some_clients_does_not_allow_but_denies() {
        assert_eq!(read(&["+imap:10.0.0.0/8$+pop3:*"]), Some((false, true)));
        assert_eq!(read(&["-imap:evil.example"]), Some((false, true)));
    }

    #[test]
    fn nothing_written_allows_everything_and_nonsense_is_not_guessed_at() {
        assert_eq!(read(&[]), Some((true, true)));
        assert_eq!(read(&["", "$"]), Some((true, true)));
        assert_eq!(read(&["+"]), None);
        assert_eq!(read(&["+:*"]), None);
    }
}
