//! What gateways with one store tell each other of themselves; what it means is known above.

use std::time::Duration;

use super::{Away, Backing, Registry, Valkey};

/// What was heard when the lease was renewed.
#[derive(Debug)]
pub struct Heard {
    /// Nothing that was posted before is there.
    pub is_new: bool,
    /// The server's time, in milliseconds since 1970.
    pub now: u64,
    /// What was ordered, the oldest first, each with its place in the order of all.
    pub orders: Vec<((u64, u64), String)>,
}

/// What another node shows.
#[derive(Debug)]
pub struct Posted {
    /// Its tag.
    pub tag: u32,
    /// What people call it.
    pub name: String,
    /// In no order.
    pub pieces: Vec<Vec<u8>>,
}

impl Registry {
    /// Whether other gateways may use the same store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0.store, Backing::Valkey(_))
    }

    /// This node lives, for another [`LEASE`]; and what was ordered behind the order `after`.
    ///
    /// # Errors
    /// [`Away`], as in the others.
    pub async fn renew(&self, tag: u32, name: &str, after: (u64, u64)) -> Result<Heard, Away> {
        self.server()?.renew(tag, name, after).await
    }

    /// Replaces some pieces of what this node shows.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn post(&self, tag: u32, pieces: &[(usize, Vec<u8>)]) -> Result<(), Away> {
        self.server()?.post(tag, pieces).await
    }

    /// What the other nodes show.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn posted(&self, own: u32) -> Result<Vec<Posted>, Away> {
        self.server()?.posted(own).await
    }

    /// Tells all nodes, this one included, to do something.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn order(&self, order: &str) -> Result<(), Away> {
        self.server()?.order(order).await
    }

    /// This node ends.
    pub async fn leave(&self, tag: u32) {
        if let Ok(server) = self.server() {
            // Its lease ends soon anyway.
            let _ = server.leave(tag).await;
        }
    }

    pub(super) fn server(&self) -> Result<&Valkey, Away> {
        match &self.0.store {
            Backing::Valkey(server) => Ok(server),
            Backing::Memory | Backing::Disk(_) => Err(Away("not shared".to_owned())),
        }
    }
}

/// For so long a node is believed to live after it was heard of.
pub const LEASE: Duration = Duration::from_secs(15);
