//! What well-known LDAP schemas call things, so that an operator need not; keys that are written win.

use crate::config::Standing::{self, Active, Deny, Unavailable};

/// The defaults of one schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    /// `None` = the operator must say.
    pub(super) filter: Option<&'static str>,
    /// `None` = as `filter`. Addresses only: the same name in two domains is two recipients.
    pub(super) recipient_filter: Option<&'static str>,
    /// `None` = the operator must say.
    pub(super) host: Option<&'static str>,
    /// Who an entry is: an attribute with one value that no other entry has. `None` = the DN says it.
    pub(super) identity: Option<&'static str>,
    pub(super) status: Option<&'static str>,
    pub(super) services: Option<&'static str>,
    pub(super) routing_address: Option<&'static str>,
    pub(super) standings: &'static [(&'static str, Standing)],
}

/// Nothing is given.
pub(super) const NONE: Preset = Preset {
    name: "none",
    filter: None,
    recipient_filter: None,
    host: None,
    identity: None,
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
        filter: Some("(&(objectClass=inetLocalMailRecipient)(mailLocalAddress={user}))"),
        host: Some("mailHost"),
        identity: Some("mail"),
        routing_address: Some("mailRoutingAddress"),
        ..NONE
    },
    // qmail-ldap.schema; an entry without accountStatus is active.
    Preset {
        name: "qmail-ldap",
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
    // The last term is "not disabled" (userAccountControl bit 2). msExchHomeServerName is no host, so there is none here.
    // Shared mailboxes and rooms are disabled accounts that take mail, so for recipients the last term is not there.
    Preset {
        name: "active-directory",
        filter: Some(
            "(&(objectClass=user)\
             (|(userPrincipalName={user})(sAMAccountName={local})(mail={user})(proxyAddresses=smtp:{user}))\
             (!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
        ),
        recipient_filter: Some("(&(objectClass=user)(|(mail={user})(proxyAddresses=smtp:{user})))"),
        identity: Some("userPrincipalName"),
        ..NONE
    },
    Preset {
        name: "zimbra",
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

#[cfg(test)]
mod tests {
    use super::super::ldap::filter;
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
