//! What gateways with one store remember of users together; what it means is known above.
//!
//! It is another record than that of addresses: this one is for people who ask, that one for who may send, and it ends
//! with its window.

use std::sync::Arc;

use super::{Away, Registry};

/// One thing that is remembered; of two with the same name the later stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// [`LAST`] or [`VISIT`] and what of, or [`FAILED`].
    pub of: String,
    /// In seconds since 1970.
    pub at: u64,
    /// On one line.
    pub what: String,
}

/// What was heard of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The user's canonical name.
    pub user: Arc<str>,
    /// In any order.
    pub facts: Vec<Fact>,
    /// So many more failures.
    pub failures: u64,
}

/// What all gateways have told of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// By name.
    pub facts: Vec<Fact>,
    /// How many failures.
    pub failures: u64,
}

impl Registry {
    /// Has the server remember what was heard of some users.
    ///
    /// # Errors
    /// [`Away`]; some of it may be remembered all the same.
    pub async fn remember(&self, news: &[News]) -> Result<(), Away> {
        self.server()?.remember(news, USERS_MAX).await
    }

    /// What the server remembers of a user.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn recall(&self, user: &str) -> Result<Recalled, Away> {
        self.server()?.recall(user).await
    }
}

/// Before a protocol's name: its last login.
pub const LAST: &str = "last:";
/// Before an address: the last login from there. The sixteen latest of them stay.
pub const VISIT: &str = "at:";
/// The last failure.
pub const FAILED: &str = "failed";
/// Of one user.
pub const VISITS_MAX: usize = 16;
/// So long after something was heard of a user it is forgotten, in seconds: 30 days.
pub const KEPT: u64 = 30 * 86_400;
/// About 160 MB at the server when all have 16 long addresses; then who was heard of longest ago goes.
const USERS_MAX: usize = 100_000;
