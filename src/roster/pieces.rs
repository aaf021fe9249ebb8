//! The roster piece by piece, for whoever passes it on: a piece that has not changed need not be looked at.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Entry, Roster, SHARDS, lock};
use crate::proto::Protocol;

/// How many pieces there are.
pub const PIECES: usize = SHARDS;

/// Some of those who are on.
#[derive(Debug)]
pub struct Piece {
    /// No more than were asked for.
    pub entries: Vec<Arc<Entry>>,
    /// How many there are, of each protocol.
    pub counts: [(Protocol, usize); Protocol::ALL.len()],
}

impl Roster {
    /// How often somebody has come to a piece or left it.
    #[must_use]
    pub fn changes(&self, piece: usize) -> u64 {
        self.0.changes.get(piece).map_or(0, |changes| changes.load(Ordering::Acquire))
    }

    /// One piece as it is now, with at most `limit` entries.
    #[must_use]
    pub fn piece(&self, piece: usize, limit: usize) -> Piece {
        let mut counts = Protocol::ALL.map(|protocol| (protocol, 0));
        let Some(shard) = self.0.shards.get(piece).map(lock) else { return Piece { entries: Vec::new(), counts } };
        for entry in shard.iter() {
            counts.iter_mut().filter(|(of, _)| *of == entry.protocol).for_each(|(_, count)| *count += 1);
        }
        Piece { entries: shard.iter().take(limit).cloned().collect(), counts }
    }
}
