//! What well-known LDAP schemas call things, so that an operator need not; keys that are written win.

use crate::config::Standing::{self, Active, Deny, Unavailable};

/// The defaults of one schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    /// For whom it is.
    pub(super) about: &'static str,
    /// `None` = the operator must say.
    pub(super) filter: Option<&'static str>,
    /// `None` = as `filter`. Addresses only: the same name in two domains is two recipients.
    pub(super) recipient_filter: Option<&'static str>,
    /// `None` = the operator must say.
    pub(super) host: Option<&'static str>,
    /// Who an entry is: an attribute with one value that no other entry has. `None` = the DN says it.
    pub(super) identity: Option<&'static str>,
    /// `None` = the back-end is told the name as it was given.
    pub(super) user: Option<&'static str>,
    pub(super) status: Option<&'static str>,
    pub(super) services: Option<&'static str>,
    pub(super) routing_address: Option<&'static str>,
    pub(super) standings: &'static [(&'static str, Standing)],
}

/// Nothing is given.
pub(super) const NONE: Preset = Preset {
    name: "none",
    about: "nothing is given",
    filter: None,
    recipient_filter: None,
    host: None,
    identity: None,
    user: None,
    status: None,
    services: None,
    routing_address: None,
    standings: &[],
};

pub(super) const PRESETS: [Preset; 7] = [
    NONE,
    // draft-lachman-laser-ldap-mail-routing-02
    Preset {
        name: "inetlocalmailrecipient",
        about: "draft-lachman-laser-ldap-mail-routing, as sendmail's and OpenLDAP's misc.schema have it",
        filter: Some("(&(objectClass=inetLocalMailRecipient)(mailLocalAddress={user}))"),
        host: Some("mailHost"),
        identity: Some("mail"),
        routing_address: Some("mailRoutingAddress"),
        ..NONE
    },
    // qmail-ldap.schema; an entry without accountStatus is active.
    Preset {
        name: "qmail-ldap",
        about: "qmail-ldap.schema",
        filter: Some("(&(objectClass=qmailUser)(|(uid={local})(mail={user})(mailAlternateAddress={user})))"),
        recipient_filter: Some("(&(objectClass=qmailUser)(|(mail={user})(mailAlternateAddress={user})))"),
        host: Some("mailHost"),
        identity: Some("mail"),
        status: Some("accountStatus"),
        standings: &[("active", Active), ("noaccess", Deny), ("disabled", Deny), ("deleted", Deny)],
        ..NONE
    },
    // Kolab 3; older ones have kolabHomeServer.
    Preset {
        name: "kolab",
        about: "Kolab 3; older ones have `kolabHomeServer` as attributes.host",
        filter: Some("(&(objectClass=kolabInetOrgPerson)(|(mail={user})(alias={user})(uid={local})))"),
        recipient_filter: Some("(&(objectClass=kolabInetOrgPerson)(|(mail={user})(alias={user})))"),
        host: Some("mailHost"),
        identity: Some("mail"),
        ..NONE
    },
    // Two statuses stand side by side there, and inetUserStatus wins: the filter asks for it, the table for the other.
    // Mail for who is inactive there is to wait, not to bounce: for recipients the filter leaves that to the back-end.
    Preset {
        name: "sun",
        about: "Sun, Oracle and iPlanet messaging servers",
        filter: Some(
            "(&(objectClass=inetMailUser)\
             (|(uid={local})(mail={user})(mailAlternateAddress={user})(mailEquivalentAddress={user}))\
             (|(!(inetUserStatus=*))(inetUserStatus=active)))",
        ),
        recipient_filter: Some(
            "(&(objectClass=inetMailUser)\
             (|(mail={user})(mailAlternateAddress={user})(mailEquivalentAddress={user}))\
             (!(|(inetUserStatus=disabled)(inetUserStatus=deleted)(inetUserStatus=removed))))",
        ),
        host: Some("mailHost"),
        identity: Some("mail"),
        status: Some("mailUserStatus"),
        services: Some("mailAllowedServiceAccess"),
        standings: &[
            ("active", Active),
            ("overquota", Active),
            ("inactive", Unavailable),
            ("hold", Unavailable),
            ("disabled", Deny),
            ("deleted", Deny),
            ("removed", Deny),
        ],
        ..NONE
    },
    // msExchHomeServerName is no host, so there is none here. A disabled account (flag 2 of userAccountControl) may not log
    // in, but takes mail: shared mailboxes and rooms are such accounts. The back-end is told one name of the several that
    // a user may log in by: the principal name, which a forest has once and a DOMAIN\user name is not.
    Preset {
        name: "active-directory",
        about: "Microsoft Active Directory, and Samba as a domain controller",
        filter: Some(
            "(&(objectClass=user)\
             (|(userPrincipalName={user})(sAMAccountName={account})(mail={user})(proxyAddresses=smtp:{user})))",
        ),
        recipient_filter: Some("(&(objectClass=user)(|(mail={user})(proxyAddresses=smtp:{user})))"),
        identity: Some("userPrincipalName"),
        user: Some("userPrincipalName"),
        status: Some("userAccountControl"),
        standings: &[("flag 2", Deny)],
        ..NONE
    },
    Preset {
        name: "zimbra",
        about: "Zimbra",
        filter: Some("(|(zimbraMailDeliveryAddress={user})(zimbraMailAlias={user})(zimbraId={user}))"),
        recipient_filter: Some(
            "(|(zimbraMailDeliveryAddress={user})(zimbraMailAlias={user})(zimbraMailCatchAllAddress={user}))",
        ),
        host: Some("zimbraMailHost"),
        identity: Some("zimbraMailDeliveryAddress"),
        status: Some("zimbraAccountStatus"),
        standings: &[
            ("active", Active),
            ("maintenance", Unavailable),
            ("locked", Deny),
            ("lockout", Deny),
            ("closed", Deny),
            ("pending", Deny),
        ],
        ..NONE
    },
];

/// What each preset stands for, by name: the keys of an LDAP source that could be written in its place, as YAML.
pub fn presets() -> impl Iterator<Item = (&'static str, String)> {
    PRESETS.iter().filter(|preset| **preset != NONE).map(|preset| (preset.name, preset.written_out()))
}

impl Preset {
    fn written_out(&self) -> String {
        let mut lines = vec![format!("{}:     # {}", self.name, self.about)];
        let filters = [("filter", self.filter), ("recipient_filter", self.recipient_filter)];
        lines.extend(filters.iter().filter_map(|(key, text)| Some(format!("  {key}: \"{}\"", (*text)?))));
        let attributes = [
            ("host", self.host),
            ("identity", self.identity),
            ("user", self.user),
            ("status", self.status),
            ("services", self.services),
            ("routing_address", self.routing_address),
        ];
        let named: Vec<String> =
            attributes.iter().filter_map(|(key, name)| Some(format!("{key}: {}", (*name)?))).collect();
        let missing = if self.host.is_some() { "" } else { "     # and the one that is needed: host" };
        lines.push(format!("  attributes: {{ {} }}{missing}", named.join(", ")));
        let standings: Vec<String> =
            self.standings.iter().map(|(value, standing)| format!("{value}: {}", standing.name())).collect();
        if !standings.is_empty() {
            lines.push(format!("  status: {{ {} }}", standings.join(", ")));
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::filter;
    use super::*;

    #[test]
    fn every_preset_has_a_valid_filter_and_lower_case_values() {
        for preset in PRESETS {
            for text in preset.filter.into_iter().chain(preset.recipient_filter) {
                assert_eq!(filter(text).as_deref(), Ok(text), "{}", preset.name);
            }
            assert!(preset.recipient_filter.is_none_or(|text| !text.contains("{local}")), "{}", preset.name);
            assert!(preset.standings.iter().all(|(value, _)| *value == value.to_lowercase()), "{}", preset.name);
            assert_eq!(preset.status.is_some(), !preset.standings.is_empty(), "{}", preset.name);
        }
    }
}
