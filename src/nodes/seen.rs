//! A session as gateways show it to each other.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::proto::Protocol;
use crate::roster::{Entry, Filter, Piece};
use crate::wire::HasActivity;

/// What others see of a session, wherever it is. Times are seconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// The session's id, of which other systems know.
    pub id: String,
    /// Growing at each gateway.
    pub number: u64,
    /// The user's canonical name.
    pub user: String,
    /// The protocol that is spoken.
    #[serde(with = "by_name")]
    pub protocol: Protocol,
    /// The listener's name.
    pub listener: String,
    /// The client's address.
    pub client: SocketAddr,
    /// Version and cipher.
    pub tls: Option<(String, String)>,
    /// The server of the back-end.
    pub backend: String,
    /// When the client connected.
    pub since: u64,
    /// When a byte was relayed last.
    pub moved: u64,
    /// Bytes from the client.
    pub up: u64,
    /// Bytes from the back-end.
    pub down: u64,
}

impl Seen {
    pub(super) fn of(entry: &Entry) -> Self {
        let (up, down) = entry.activity().bytes();
        Self {
            id: entry.id(),
            number: entry.number,
            user: entry.user.as_deref().unwrap_or_default().to_owned(),
            protocol: entry.protocol,
            listener: entry.listener.to_string(),
            client: entry.client,
            tls: entry.tls.as_ref().map(|tls| (tls.version().to_owned(), tls.cipher().to_owned())),
            backend: entry.backend.as_deref().unwrap_or_default().to_owned(),
            since: entry.since(),
            moved: entry.moved(),
            up,
            down,
        }
    }

    pub(super) fn fits(&self, filter: &Filter) -> bool {
        filter.fits(self.protocol, self.client.ip(), Some(&self.user), Some(&self.backend))
    }
}

/// A piece of a gateway's roster.
#[derive(Serialize)]
pub(super) struct Shown {
    /// How many there are, in the order of [`Protocol::ALL`].
    pub(super) counts: Vec<usize>,
    pub(super) sessions: Vec<Seen>,
}

/// The same, as another gateway has written it.
#[derive(Deserialize)]
struct Written<'p> {
    counts: Vec<usize>,
    #[serde(borrow)]
    sessions: Vec<&'p RawValue>,
}

impl Shown {
    /// A session that we cannot read, of a newer gateway's protocol perhaps, is left out; so are the counts of such.
    pub(super) fn read(piece: &[u8]) -> Option<Self> {
        let Written { counts, sessions } = serde_json::from_slice(piece).ok()?;
        let sessions = sessions.into_iter().filter_map(|session| serde_json::from_str(session.get()).ok());
        Some(Self { counts, sessions: sessions.collect() })
    }

    pub(super) fn of(piece: &Piece) -> Self {
        Self {
            counts: piece.counts.iter().map(|(_, count)| *count).collect(),
            sessions: piece.entries.iter().map(|entry| Seen::of(entry)).collect(),
        }
    }
}

mod by_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::proto::Protocol;

    pub(super) fn serialize<S: Serializer>(protocol: &Protocol, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(protocol.name())
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Protocol, D::Error> {
        let name = String::deserialize(from)?;
        Protocol::named(&name).ok_or_else(|| D::Error::custom("no such protocol"))
    }
}
