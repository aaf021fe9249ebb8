//! Sessions of all gateways in any order, for who looks at a part of them.
//!
//! It stands apart from the pages of the API, which go by age and gateway, so that a cursor stays right while sessions
//! come and go.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Nodes, Other, Seen, View};
use crate::proto::Protocol;
use crate::roster::{Entry, Filter};
use crate::wire::HasActivity;

/// A session of any gateway, as a list compares it.
#[derive(Clone, Copy)]
pub struct One<'a> {
    node: &'a str,
    of: Of<'a>,
}

#[derive(Clone, Copy)]
enum Of<'a> {
    Here(&'a Entry),
    There(&'a Seen),
}

/// A part of a list.
#[derive(Debug, Default)]
pub struct List {
    /// In order, each with the name of its gateway where there are several.
    pub sessions: Vec<(Option<Arc<str>>, Seen)>,
    /// How many are meant in all.
    pub total: usize,
}

/// What is kept of a session until it is known whether it is shown.
enum Kept<'v> {
    Own(Arc<Entry>),
    Others(&'v Other, &'v Seen),
}

impl View {
    /// Whether there are other gateways, as far as is known.
    #[must_use]
    pub fn has_others(&self) -> bool {
        !self.others.is_empty()
    }
}

impl Drop for View {
    /// What is large is given back where nobody waits, as it was read.
    fn drop(&mut self) {
        let others = std::mem::take(&mut self.others);
        if !others.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(others));
        }
    }
}

impl Nodes {
    /// How many are on at all gateways of a view, of each protocol.
    #[must_use]
    pub fn counts(&self, view: &View) -> Vec<(Protocol, usize)> {
        let mut counts = self.0.roster.counts();
        for other in &view.others {
            counts.iter_mut().zip(other.counts).for_each(|((_, sum), count)| *sum += count);
        }
        counts
    }

    /// Of all sessions that are `meant`, those behind the first `skip`, at most `limit`. They may be so many that no
    /// thread looks through them that has anything else to do.
    pub async fn sorted<K: Ord>(
        &self,
        view: &Arc<View>,
        is_meant: impl Fn(One<'_>) -> bool + Send + 'static,
        key: impl Fn(One<'_>) -> K + Send + 'static,
        part: (usize, usize),
    ) -> List {
        let (nodes, view) = (self.clone(), view.clone());
        let list = tokio::task::spawn_blocking(move || nodes.sort(&view, is_meant, key, part));
        // None, when the runtime ends.
        list.await.unwrap_or_default()
    }

    fn sort<K: Ord>(
        &self,
        view: &View,
        is_meant: impl Fn(One<'_>) -> bool,
        key: impl Fn(One<'_>) -> K,
        (skip, limit): (usize, usize),
    ) -> List {
        let most = skip.saturating_add(limit);
        let name = view.has_others().then(|| self.0.name.clone());
        let own_name = name.as_deref().unwrap_or_default();
        let (own, mut total) = self.0.roster.sorted(
            |one| is_meant(One::here(one, own_name)),
            |one| key(One::here(one, own_name)),
            (0, most),
        );
        // Behind the key, what is alike keeps its order from one look to the next.
        let mut kept: Vec<(K, (u32, u64), Kept<'_>)> = own
            .into_iter()
            .map(|entry| (key(One::here(&entry, own_name)), (0, entry.number), Kept::Own(entry)))
            .collect();
        for other in &view.others {
            let all = other.sessions.iter().map(|seen| (seen, One { node: &other.name, of: Of::There(seen) }));
            let before = kept.len();
            kept.extend(
                all.filter(|(_, one)| is_meant(*one))
                    .map(|(seen, one)| (key(one), (other.tag, seen.number), Kept::Others(other, seen))),
            );
            total += kept.len() - before;
            if kept.len() > most {
                kept.select_nth_unstable_by(most, |one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
                kept.truncate(most);
            }
        }
        kept.sort_unstable_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        let shown = kept.into_iter().skip(skip).map(|(_, _, kept)| match kept {
            Kept::Own(entry) => (name.clone(), Seen::of(&entry)),
            Kept::Others(other, seen) => (Some(other.name.clone()), seen.clone()),
        });
        List { sessions: shown.collect(), total }
    }
}

impl<'a> From<&'a Entry> for One<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self::here(entry, "")
    }
}

impl<'a> One<'a> {
    fn here(entry: &'a Entry, node: &'a str) -> Self {
        Self { node, of: Of::Here(entry) }
    }

    /// What people call its gateway; empty where there is but one.
    #[must_use]
    pub fn node(self) -> &'a str {
        self.node
    }

    /// The user's canonical name.
    #[must_use]
    pub fn user(self) -> &'a str {
        match self.of {
            Of::Here(entry) => entry.user.as_deref().unwrap_or_default(),
            Of::There(seen) => &seen.user,
        }
    }

    /// The protocol that is spoken.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        match self.of {
            Of::Here(entry) => entry.protocol,
            Of::There(seen) => seen.protocol,
        }
    }

    /// The client's address.
    #[must_use]
    pub fn client(self) -> SocketAddr {
        match self.of {
            Of::Here(entry) => entry.client,
            Of::There(seen) => seen.client,
        }
    }

    /// The version of TLS; empty without.
    #[must_use]
    pub fn tls(self) -> &'a str {
        match self.of {
            Of::Here(entry) => entry.tls.as_ref().map_or("", |tls| tls.version()),
            Of::There(seen) => seen.tls.as_ref().map_or("", |(version, _)| version),
        }
    }

    /// The server of the back-end.
    #[must_use]
    pub fn backend(self) -> &'a str {
        match self.of {
            Of::Here(entry) => entry.backend.as_deref().unwrap_or_default(),
            Of::There(seen) => &seen.backend,
        }
    }

    /// When the client connected, in seconds since 1970.
    #[must_use]
    pub fn since(self) -> u64 {
        match self.of {
            Of::Here(entry) => entry.since(),
            Of::There(seen) => seen.since,
        }
    }

    /// When a byte was relayed last, in seconds since 1970.
    #[must_use]
    pub fn moved(self) -> u64 {
        match self.of {
            Of::Here(entry) => entry.moved(),
            Of::There(seen) => seen.moved,
        }
    }

    /// From the client and from the back-end.
    #[must_use]
    pub fn bytes(self) -> (u64, u64) {
        match self.of {
            Of::Here(entry) => entry.activity().bytes(),
            Of::There(seen) => (seen.up, seen.down),
        }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn fits(self, filter: &Filter) -> bool {
        filter.fits(self.protocol(), self.client().ip(), Some(self.user()), Some(self.backend()))
    }
}
