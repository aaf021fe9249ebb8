//! A reload: what is read again, and which remembered answers it makes wrong.
//!
//! It stands apart because an answer that is still right must stay: while LDAP is away it cannot be had again.

use std::path::PathBuf;
use std::sync::Arc;

use super::file::Users;
use super::recipient::{Domains, Home};
use super::route::Route;
use super::{SetupProblem, User};
use crate::config::RereadProblem;

/// What a reload read: one line an operator understands for each thing.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// `users file users.yaml (3 changes)`.
    pub read: Vec<String>,
    /// What could not be read; the old one stays.
    pub problems: Vec<ReloadProblem>,
}

/// Why a part of the directory stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadProblem {
    /// A users file.
    #[error(transparent)]
    Users(#[from] SetupProblem),
    /// The password of an LDAP bind cannot be read.
    #[error("bind_password of {of}: {problem}")]
    Secret {
        /// The source.
        of: String,
        /// Why.
        problem: RereadProblem,
    },
    /// The new password of an LDAP bind is wrong.
    #[error(
        "bind_password of {of}: {} holds another password than before, and the server refuses it with {answer}; \
         the former password stays in use",
        file.display()
    )]
    WrongSecret {
        /// The source.
        of: String,
        /// The secret's file.
        file: PathBuf,
        /// The server's.
        answer: String,
    },
}

impl Reloaded {
    pub(super) fn add(&mut self, other: Self) {
        self.read.extend(other.read);
        self.problems.extend(other.problems);
    }
}

/// A users file that was read again, and is not as it was.
pub(super) struct FileChange {
    /// Of the file in the list of sources.
    pub(super) place: usize,
    pub(super) before: Arc<Users>,
    pub(super) now: Arc<Users>,
}

impl FileChange {
    /// Whether what is remembered of a user is as right as it was; `None`: nobody knew the user.
    pub(super) fn keeps_user(&self, name: &str, route: Option<&Route>) -> bool {
        let is_same = |user: User| self.before.find(&user) == self.now.find(&user);
        route.is_some_and(|route| self.is_decided_before(route)) || User::new(name, None).is_ok_and(is_same)
    }

    /// The same for a recipient.
    pub(super) fn keeps_recipient(&self, domains: &Domains, address: &str, home: Option<&Home>) -> bool {
        if home.is_some_and(|home| self.is_decided_before(&home.route)) {
            return true;
        }
        // A routing address of LDAP may have led to a user of the file.
        let same_target = home.is_none_or(|home| self.before.find(&home.user) == self.now.find(&home.user));
        let same_address = domains
            .mailbox(address)
            .is_ok_and(|mailbox| self.before.recipient(&mailbox) == self.now.recipient(&mailbox));
        same_target && same_address
    }

    /// A source in front of the file gave the answer, and was not asked again.
    fn is_decided_before(&self, route: &Route) -> bool {
        route.entry.as_ref().is_some_and(|entry| entry.source < self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::super::route::Entry;
    use super::*;

    /// A users file at place 1 of the sources that changes from one text to another.
    fn change(before: &str, now: &str) -> FileChange {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, config) = (folder.path().join("users.yaml"), crate::directory::tests::config(Vec::new()));
        let users = |text: &str| {
            std::fs::write(&path, text).expect("written");
            Arc::new(File::new(&path, &config).expect("good").read().expect("good"))
        };
        FileChange { place: 1, before: users(before), now: users(now) }
    }

    fn of_ldap(place: usize) -> Route {
        Route { entry: Some(Entry { source: place, dn: "cn=x".to_owned() }), ..Route::to("mail1") }
    }

    #[test]
    fn only_users_whose_record_changed_or_is_new_or_gone_are_forgotten() {
        let change = change(
            "same: mail1\nother: mail1\ngone: mail1\n\"@example.org\": mail1\n",
            "same: mail1\nother: mail2\nnew: mail1\n\"@example.org\": mail2\n",
        );
        let pool = Route::to("pool");
        for (name, keeps) in [("same", true), ("other", false), ("gone", false), ("new", false), ("nobody", true)] {
            let name = format!("{name}@example.com");
            assert_eq!(change.keeps_user(&name, Some(&pool)), keeps, "{name}");
            assert_eq!(change.keeps_user(&name, None), keeps, "{name}, whom nobody knew");
            assert!(change.keeps_user(&name, Some(&of_ldap(0))), "{name}, whom LDAP knows in front of the file");
            assert_eq!(change.keeps_user(&name, Some(&of_ldap(2))), keeps, "{name}, whom LDAP knows behind the file");
        }
        assert!(!change.keeps_user("anyone@example.org", Some(&pool)));
        assert_eq!(change.now.changes_since(&change.before), 4);
    }

    #[test]
    fn a_recipient_is_forgotten_when_its_address_its_owner_or_its_target_changed() {
        let change = change(
            "alice: { host: mail1, addresses: [sales@example.com, info@example.com] }\nbob: mail1\n",
            "alice: { host: mail1, addresses: [info@example.com] }\nbob: { host: mail2, addresses: [sales@example.com] }\n",
        );
        let domains = Domains::new(&crate::directory::tests::config(Vec::new()));
        let home = |user: &str| Home::new(&User::new(user, Some("example.com")).expect("a name"), Route::to("mail1"));
        let keeps = |address: &str, user: &str| change.keeps_recipient(&domains, address, Some(&home(user)));
        assert!(keeps("info@example.com", "alice") && keeps("alice+tag@example.com", "alice"));
        assert!(!keeps("sales@example.com", "alice") && !keeps("bob+tag@example.com", "bob"));
        assert!(!keeps("routed@example.com", "bob"), "by way of LDAP to a user of the file");
        assert!(!change.keeps_recipient(&domains, "sales@example.com", None));
    }
}
