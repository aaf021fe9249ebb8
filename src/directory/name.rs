//! A user's name in the one form that everything is counted, cached and asked by.
//!
//! It stands apart because filter, cache, limits and logs must agree on who is who: a name that could be written in two
//! ways is made one here, or refused here. Only printable ASCII passes, so no look-alike shares a name with anybody.

use std::fmt;
use std::sync::Arc;

/// Who wants to log in: the canonical name, and the name as the client gave it.
///
/// Two users are equal when their canonical names are.
#[derive(Debug, Clone)]
pub struct User {
    name: Arc<str>,
    given: Arc<str>,
    at: Option<usize>,
}

/// Why a name is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// Nothing was given.
    #[error("the user name is empty")]
    Empty,
    /// More than [`NAME_MAX`] bytes, the default domain included.
    #[error("the user name is longer than 255 bytes")]
    TooLong,
    /// Something other than printable ASCII, a space, or a double quote.
    #[error("the user name holds a character that no name may hold")]
    Character,
    /// More than one `@`.
    #[error("the user name holds more than one @")]
    SecondAt,
    /// Nothing in front of the `@`.
    #[error("the user name has nothing in front of the @")]
    NoLocal,
    /// Nothing behind the `@`.
    #[error("the user name has nothing behind the @")]
    NoDomain,
    /// A domain that is neither `directory.default_domain` nor one of `directory.domains`.
    #[error("the user name's domain is not one of directory.domains")]
    ForeignDomain,
}

/// The longest canonical name, in bytes.
pub const NAME_MAX: usize = 255;

impl User {
    /// Makes a name canonical: lower case, the default domain added to a bare name.
    ///
    /// # Errors
    /// [`NameProblem`] when it cannot be anybody's.
    pub(crate) fn new(given: &str, default_domain: Option<&str>) -> Result<Self, NameProblem> {
        let (local, domain) = parts(given)?;
        let domain = domain.or(default_domain);
        let mut name = String::with_capacity(local.len() + domain.map_or(0, |domain| 1 + domain.len()));
        name.push_str(local);
        let at = domain.map(|domain| {
            name.push('@');
            name.push_str(domain);
            local.len()
        });
        name.make_ascii_lowercase();
        if name.len() > NAME_MAX {
            return Err(NameProblem::TooLong);
        }
        let name: Arc<str> = name.into();
        let given = if *name == *given { Arc::clone(&name) } else { given.into() };
        Ok(Self { name, given, at })
    }

    /// The user whom the directory calls `identity`, and the client called `given`.
    pub(super) fn identified(identity: Arc<str>, given: Arc<str>) -> Self {
        let at = identity.rfind('@');
        Self { name: identity, given, at }
    }

    /// The canonical name, `local@domain`, or `local` where there is no default domain. Once the directory has been
    /// asked, the name by which it knows the user, whatever alias was given; see [`Route::identify`](super::Route::identify).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, for whoever keeps it.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The name as the client gave it.
    #[must_use]
    pub fn given(&self) -> &str {
        &self.given
    }

    pub(super) fn shared_given(&self) -> Arc<str> {
        Arc::clone(&self.given)
    }

    /// What stands in front of the `@`; never empty.
    #[must_use]
    pub fn local(&self) -> &str {
        self.at.and_then(|at| self.name.get(..at)).unwrap_or(&self.name)
    }

    /// What stands behind the `@`; empty for a bare name without a default domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.at.and_then(|at| self.name.get(at + 1..)).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &Arc<str> {
        &self.name
    }
}

impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for User {}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Local part and domain of a name that could be somebody's.
fn parts(given: &str) -> Result<(&str, Option<&str>), NameProblem> {
    if given.is_empty() {
        return Err(NameProblem::Empty);
    }
    if given.len() > NAME_MAX {
        return Err(NameProblem::TooLong);
    }
    if !is_name(given) {
        return Err(NameProblem::Character);
    }
    let Some((local, domain)) = given.split_once('@') else { return Ok((given, None)) };
    match (local, domain) {
        (_, domain) if domain.contains('@') => Err(NameProblem::SecondAt),
        ("", _) => Err(NameProblem::NoLocal),
        (_, "") => Err(NameProblem::NoDomain),
        (local, domain) => Ok((local, Some(domain))),
    }
}

/// Printable ASCII without space and double quote; RFC 4515's metacharacters may stand in a name, filters escape them.
pub(super) fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(given: &str) -> Result<User, NameProblem> {
        User::new(given, Some("example.com"))
    }

    #[test]
    fn one_person_has_one_name_however_it_is_written() {
        for given in ["alice", "Alice", "ALICE@example.com", "alice@EXAMPLE.com"] {
            let user = user(given).expect("a name");
            assert_eq!(user.name(), "alice@example.com", "{given}");
            assert_eq!((user.local(), user.domain()), ("alice", "example.com"));
            assert_eq!(user.given(), given);
        }
    }

    #[test]
    fn a_bare_name_stays_bare_without_a_default_domain() {
        let user = User::new("Alice", None).expect("a name");
        assert_eq!((user.name(), user.local(), user.domain()), ("alice", "alice", ""));
    }

    #[test]
    fn spaces_controls_quotes_and_look_alikes_are_refused() {
        let names = [
            " alice",
            "alice ",
            "alice\t",
            "alice\u{a0}",
            "\"alice\"",
            "al ice",
            "alice\0",
            "alice\r\nA1 LOGIN",
            "alice\u{7f}",
            "\u{ff41}lice",
            "al\u{131}ce",
            "e\u{301}",
            "\u{e9}",
            "al\u{200d}ice",
            "\u{202e}alice",
            "\u{430}lice",
            "alice@b\u{fc}cher.example",
        ];
        for given in names {
            assert_eq!(user(given), Err(NameProblem::Character), "{given:?}");
        }
    }

    #[test]
    fn local_part_and_domain_are_both_needed_and_one_at_is_enough() {
        assert_eq!(user(""), Err(NameProblem::Empty));
        assert_eq!(user("@example.com"), Err(NameProblem::NoLocal));
        assert_eq!(user("alice@"), Err(NameProblem::NoDomain));
        assert_eq!(user("a@b@c"), Err(NameProblem::SecondAt));
        assert_eq!(user("@@"), Err(NameProblem::SecondAt));
        assert_eq!(user(&"@".repeat(200)), Err(NameProblem::SecondAt));
    }

    #[test]
    fn a_name_may_have_255_bytes_and_not_one_more() {
        let domain = "@example.com";
        let longest = "a".repeat(NAME_MAX - domain.len());
        assert!(user(&longest).is_ok());
        assert!(user(&format!("{longest}{domain}")).is_ok());
        assert_eq!(user(&format!("{longest}a")), Err(NameProblem::TooLong));
        for length in [256, 1024, 65_536] {
            assert_eq!(User::new(&"a".repeat(length), None), Err(NameProblem::TooLong), "{length}");
        }
        assert!(User::new(&"a".repeat(255), None).is_ok());
    }

    #[test]
    fn filter_metacharacters_are_characters_like_others() {
        for given in ["*", "(", ")", "\\", "*)(uid=*", "\\2a", "alice,ou=admins", "#41", "alice@*"] {
            assert!(user(given).is_ok(), "{given}");
        }
    }
}
