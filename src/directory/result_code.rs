//! LDAP result codes as an operator can act on them (RFC 4511 appendix A).

use std::fmt;

/// A result code and the server's words, for a log line: `49 invalidCredentials: the name or its password is wrong`.
pub(super) struct ResultCode<'t>(pub(super) u32, pub(super) &'t str);

impl fmt::Display for ResultCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code, text) = self;
        match CODES.iter().find(|(known, ..)| known == code) {
            Some((_, name, meaning)) => write!(f, "{code} {name}: {meaning}")?,
            None => write!(f, "{code}, which RFC 4511 does not have")?,
        }
        if text.is_empty() { Ok(()) } else { write!(f, " (the server says: {text})") }
    }
}

/// The same, where the base of all searches is refused; with what to look at.
pub(super) struct BelowBase<'t>(pub(super) u32, pub(super) &'t str);

impl fmt::Display for BelowBase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code, text) = self;
        write!(f, "{}; is `base` right, and may the gateway's bind search there?", ResultCode(*code, text))
    }
}

/// Whether what was asked for may explain the code: one name's search takes too long, finds too much, or compares what
/// cannot be compared. Every other code but success is about the server or about us, whoever's name was asked for.
pub(super) const fn is_of_one_question(code: u32) -> bool {
    matches!(code, 3 | 4 | 11 | 18 | 21 | 32 | 33 | 34 | 36)
}

const CODES: &[(u32, &str, &str)] = &[
    (0, "success", "nothing is wrong"),
    (1, "operationsError", "the server cannot do this now; Active Directory answers so to searches without a bind"),
    (2, "protocolError", "the server does not understand the request"),
    (3, "timeLimitExceeded", "the search took too long; do the filter's attributes have an index?"),
    (4, "sizeLimitExceeded", "more entries match than the server gives"),
    (7, "authMethodNotSupported", "the server does not allow simple binds"),
    (8, "strongerAuthRequired", "the server wants TLS before a password: starttls: true, or ldaps://"),
    (10, "referral", "another server has this part of the tree; referrals are not followed"),
    (11, "adminLimitExceeded", "the search is more than the server's administrator allows; is there an index?"),
    (12, "unavailableCriticalExtension", "the server lacks an extension"),
    (13, "confidentialityRequired", "the server wants TLS before a password: starttls: true, or ldaps://"),
    (16, "noSuchAttribute", "the entry lacks an attribute"),
    (17, "undefinedAttributeType", "the server's schema lacks an attribute"),
    (18, "inappropriateMatching", "the filter compares an attribute in a way that its schema does not have"),
    (19, "constraintViolation", "a policy of the directory forbids it; too many wrong passwords, for example"),
    (21, "invalidAttributeSyntax", "a value does not fit its attribute"),
    (32, "noSuchObject", "the base or the entry does not exist, or may not be seen"),
    (34, "invalidDNSyntax", "the base or the bind DN is not written as a DN"),
    (48, "inappropriateAuthentication", "the entry has no password"),
    (49, "invalidCredentials", "the bind DN or its password is wrong"),
    (
        50,
        "insufficientAccessRights",
        "the bind DN, or anybody without one, may not do this; see the server's access rules",
    ),
    (51, "busy", "the server has too much to do"),
    (52, "unavailable", "the server is going down, or its database is away"),
    (53, "unwillingToPerform", "the server's policy forbids it; binds without TLS or password, for example"),
    (54, "loopDetect", "the server's aliases or chains lead in a circle"),
    (80, "other", "the server has an internal error; see its log"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_with_its_name_its_meaning_and_the_servers_words() {
        let text = |code, words| ResultCode(code, words).to_string();
        assert_eq!(text(49, ""), "49 invalidCredentials: the bind DN or its password is wrong");
        let words = "52 unavailable: the server is going down, or its database is away (the server says: bye)";
        assert_eq!(text(52, "bye"), words);
        assert_eq!(text(4096, ""), "4096, which RFC 4511 does not have");
    }
}
