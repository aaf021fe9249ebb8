//! One session, as everybody but itself sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::node_id::node_id;
use crate::proto::Protocol;
use crate::wire::tls::Facts;
use crate::wire::{Activity, HasActivity};

/// Who is there, where, and since when. Shared by the session and the roster, so that nothing of it is kept twice.
#[derive(Debug)]
pub struct Entry {
    /// Unique in this process, and growing.
    pub number: u64,
    /// The protocol that is spoken.
    pub protocol: Protocol,
    /// The listener's name: `imap [::]:143`.
    pub listener: Arc<str>,
    /// The client's address.
    pub client: SocketAddr,
    /// The TLS with the client, if there is any.
    pub tls: Option<Facts>,
    /// The user's canonical name; before a login, as it was given, if it was.
    pub user: Option<Arc<str>>,
    /// The server of the back-end.
    pub backend: Option<Arc<str>>,
    pub(super) activity: Activity,
    /// It is counted among the user's sessions, which have a limit.
    pub(super) is_seated: bool,
    /// Where it stands in its shard of the roster; changed with the shard locked.
    pub(super) index: AtomicU32,
}

impl Entry {
    /// Unique among all gateways; other systems see it (IMAP ID, XCLIENT), so letters and digits only.
    #[must_use]
    pub fn id(&self) -> String {
        id(node_id(), self.number)
    }

    /// When the client connected, in seconds since 1970.
    #[must_use]
    pub fn since(&self) -> u64 {
        unix(self.activity.since())
    }

    /// When a byte was relayed last, in seconds since 1970.
    #[must_use]
    pub fn moved(&self) -> u64 {
        unix(self.activity.last_active())
    }
}

/// A session's id, from its process's tag and its number there.
#[must_use]
pub fn id(tag: u32, number: u64) -> String {
    format!("{tag:x}-{number:x}")
}

/// The reverse.
#[must_use]
pub fn read_id(id: &str) -> Option<(u32, u64)> {
    let (tag, number) = id.split_once('-')?;
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_plain(tag) || !is_plain(number) {
        return None;
    }
    Some((u32::from_str_radix(tag, 16).ok()?, u64::from_str_radix(number, 16).ok()?))
}

impl HasActivity for Entry {
    fn activity(&self) -> &Activity {
        &self.activity
    }
}

fn unix(time: Instant) -> u64 {
    let then = SystemTime::now().checked_sub(time.elapsed());
    then.and_then(|then| then.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        // Paid once a session, with 16 bytes of its Arc: 72 are the activity, 32 an address, 16 each of three shared names.
        assert!(size_of::<Entry>() <= 176, "{}", size_of::<Entry>());
        assert!(size_of::<Activity>() <= 72, "{}", size_of::<Activity>());
    }
}
