//! One user seen at an address: the form in which table, stores and verdict pass it on.

use std::fmt;
use std::sync::Arc;

use crate::proto::Protocol;

/// A user at an address, and until when that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) user: Arc<str>,
    /// In seconds since 1970; not covered any more at this second.
    pub(super) until: u64,
    pub(super) protocols: Protocols,
}

/// A set of protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protocols(u8);

impl Protocols {
    /// With one more.
    #[must_use]
    pub fn with(self, protocol: Protocol) -> Self {
        Self(self.0 | bit(protocol))
    }

    /// Without one of them.
    #[must_use]
    pub fn without(self, protocol: Protocol) -> Self {
        Self(self.0 & !bit(protocol))
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(self, protocol: Protocol) -> bool {
        self.0 & bit(protocol) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In the order in which an operator reads them.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        Protocol::ALL.into_iter().filter(move |protocol| self.0 & bit(*protocol) != 0)
    }

    /// From names with `+` between them; names that are unknown here (a newer gateway wrote them) are left out.
    pub(super) fn read(text: &str) -> Self {
        text.split('+').filter_map(Protocol::named).fold(Self::default(), Self::with)
    }
}

const fn bit(protocol: Protocol) -> u8 {
    1 << protocol.index()
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, protocol) in self.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "+" }, protocol.name())?;
        }
        Ok(())
    }
}

/// Whether a name may be written into a line, a reply or a key: printable, without spaces, not too long.
pub(super) fn is_name(user: &str) -> bool {
    (1..=NAME_MAX).contains(&user.len()) && user.chars().all(|letter| !letter.is_control() && !letter.is_whitespace())
}

/// More than any name that the directory lets through.
const NAME_MAX: usize = 512;

impl fmt::Display for Seen {
    /// `UNTIL:PROTOCOLS:USER`, as it is stored on disk.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.until, self.protocols, self.user)
    }
}

impl Seen {
    /// The reverse; `None` when it is garbage.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let until = parts.next()?.parse().ok()?;
        let protocols = Protocols::read(parts.next()?);
        let user = parts.next().filter(|user| is_name(user))?;
        Some(Self { user: user.into(), until, protocols })
    }
}

/// Adds what another place knows; one user stays one.
pub(super) fn merge(users: &mut Vec<Seen>, more: Vec<Seen>) {
    for one in more {
        match users.iter_mut().find(|known| known.user == one.user) {
            Some(known) => {
                known.until = known.until.max(one.until);
                known.protocols = known.protocols.and(one.protocols);
            }
            None => users.push(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(user: &str, until: u64, protocols: &[Protocol]) -> Seen {
        let protocols = protocols.iter().fold(Protocols::default(), |set, protocol| set.with(*protocol));
        Seen { user: user.into(), until, protocols }
    }

    #[test]
    fn what_is_written_is_read_again_and_garbage_is_not() {
        for one in [seen("alice@example.com", 7, &Protocol::ALL), seen("a:b", u64::MAX, &[Protocol::Pop3])] {
            assert_eq!(Seen::read(&one.to_string()), Some(one));
        }
        let newer = Seen::read("9:imap+jmap:bob");
        assert_eq!(newer, Some(seen("bob", 9, &[Protocol::Imap])), "a protocol of a newer version");
        for garbage in ["", "x", "1:imap", "1:imap:", "-1:imap:a", "1.5:imap:a", "1:imap:a b", "1:imap:a\rb"] {
            assert_eq!(Seen::read(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn a_user_who_is_known_twice_stays_one() {
        let mut users = vec![seen("a", 5, &[Protocol::Imap])];
        merge(&mut users, vec![seen("b", 4, &[Protocol::Imap]), seen("a", 9, &[Protocol::Pop3])]);
        assert_eq!(users, [seen("a", 9, &[Protocol::Imap, Protocol::Pop3]), seen("b", 4, &[Protocol::Imap])]);
    }
}
