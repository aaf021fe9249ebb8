//! How many logins of a user failed: what all gateways have counted, and never fewer than are listed.

use std::net::IpAddr;

use crate::roster::{Known, RefusedLogin};

/// Logins that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    pub count: u64,
    /// The last of them: when, in seconds since 1970, and from where.
    pub last: Option<(u64, IpAddr)>,
}

impl Failures {
    /// Counted are wrong passwords and what a rule refused, of users whom the directory knows; listed is whatever was
    /// refused here, for any reason and of any name. Who sees both must not see the list longer than the count.
    pub(super) fn of(known: &Known, listed: &[RefusedLogin]) -> Self {
        let listed_last = listed.first().map(|refused| (refused.at, refused.client));
        Self {
            count: known.failures.max(u64::try_from(listed.len()).unwrap_or(u64::MAX)),
            last: known.last_failure.into_iter().chain(listed_last).max_by_key(|(at, _)| *at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Protocol;

    #[test]
    fn what_is_listed_is_counted_and_what_is_counted_is_not_lost() {
        let client = IpAddr::from([192, 0, 2, 1]);
        let refused = |at| RefusedLogin { at, protocol: Protocol::Imap, client, denial: "policy", detail: "".into() };
        let counted = Known { failures: 2, last_failure: Some((5, client)), ..Known::default() };
        let of = |known: &Known, listed: &[RefusedLogin]| {
            let Failures { count, last } = Failures::of(known, listed);
            (count, last.map(|(at, _)| at))
        };
        assert_eq!(of(&Known::default(), &[]), (0, None));
        assert_eq!(of(&Known::default(), &[refused(7)]), (1, Some(7)), "a name that the directory does not know");
        assert_eq!(of(&counted, &[refused(7)]), (2, Some(7)));
        assert_eq!(of(&counted, &[refused(4), refused(3), refused(2)]), (3, Some(5)));
    }
}
