//! What was heard of users and not told to other gateways yet.
//!
//! Nothing is noted until somebody asks to be told, and no more than a bound while nobody can be: what is over it, other
//! gateways never hear of.

use std::collections::HashMap;
use std::sync::Arc;

use super::Known;

#[derive(Default)]
pub(super) struct News {
    is_wanted: bool,
    /// The failures are those that were not told.
    of: HashMap<Arc<str>, Box<Known>>,
}

impl News {
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Where to note it, if it is to be noted.
    pub(super) fn about(&mut self, user: &Arc<str>) -> Option<&mut Known> {
        let has_room = self.of.len() < USERS_MAX || self.of.contains_key(user);
        (self.is_wanted && has_room).then(|| &mut **self.of.entry(user.clone()).or_default())
    }

    /// Of some users, who are forgotten here.
    pub(super) fn take(&mut self, limit: usize) -> Vec<(Arc<str>, Known)> {
        let users: Vec<Arc<str>> = self.of.keys().take(limit).cloned().collect();
        let taken = users.into_iter().filter_map(|user| self.of.remove(&user).map(|known| (user, *known)));
        let taken = taken.collect();
        if self.of.is_empty() {
            self.of = HashMap::new();
        }
        taken
    }

    pub(super) fn failures_of(&self, user: &str) -> u64 {
        self.of.get(user).map_or(0, |known| known.failures)
    }
}

/// In one of the history's parts; about 10 MB in all.
const USERS_MAX: usize = 1_000;
