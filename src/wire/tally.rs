//! What is left of a relay when it is over.

use std::io;

/// Bytes each way, and how it ended.
#[derive(Debug)]
pub struct Tally {
    /// From the client.
    pub up: u64,
    /// From the back-end.
    pub down: u64,
    /// Why it is over.
    pub end: End,
}

/// Why a relay is over.
#[derive(Debug)]
pub enum End {
    /// This side said so first.
    Closed(Side),
    /// This side broke.
    Lost(Side, io::Error),
    /// Nothing moved for the idle time-out.
    Idle,
    /// Somebody who may do so has asked for it.
    Kicked,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who connected to us.
    Client,
    /// Whom we connected to.
    Backend,
}
