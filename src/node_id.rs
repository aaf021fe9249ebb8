//! What tells this process from all others: a number that it draws at its start.
//!
//! It stands apart because the roster, which counts sessions, and the nodes, which share them, must mean the same by it; and a
//! process id will not do, for in two containers it is often the same.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

static NODE_ID: LazyLock<u32> = LazyLock::new(|| {
    // The top bit is set, so that all are of one length.
    RandomState::new().hash_one(std::process::id()) as u32 | 1 << 31
});

/// This process's.
#[must_use]
pub fn node_id() -> u32 {
    *NODE_ID
}
