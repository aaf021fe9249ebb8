//! All gateways that share a store as one: who is on at any of them, what they remember of users, orders that reach each.
//!
//! It stands above the roster, which is of this process, and the registry, which carries what gateways tell each other.
//! Nothing on a login's way or a relay's is in here: a task shows the roster to the others, and who asks waits for an
//! answer that is at most a second old.
//!
//! ```text
//! roster ── pieces that changed, news of users ──▶ keep ──▶ registry ──▶ the others' views, what is known ──▶ admin
//! roster ◀── kick ──── orders ◀─────────────────────┘          ▲── order ── admin
//! directory ◀── forget ──┘
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::directory::{Directory, User};
use crate::metrics::Metrics;
use crate::node_id::node_id;
use crate::proto::Protocol;
use crate::registry::{Posted, Registry};
use crate::roster::{Filter, Roster, id, read_id};

mod keep;
mod known;
mod list;
mod seen;

pub use known::Remembered;
pub use list::{List, One};
pub use seen::Seen;

use seen::Shown;

/// See the module; a clone is the same.
#[derive(Clone)]
pub struct Nodes(Arc<Inner>);

struct Inner {
    roster: Roster,
    registry: Registry,
    directory: Directory,
    metrics: Arc<Metrics>,
    /// What people call this one: host name and process.
    name: Arc<str>,
    /// The last look at the others; one at a time looks.
    looked: Mutex<Option<(Instant, Arc<View>)>>,
}

/// The other gateways, as they were a moment ago.
#[derive(Debug, Default)]
pub struct View {
    /// By tag.
    pub others: Vec<Other>,
    /// The store is away, so nobody knows.
    pub is_partial: bool,
}

/// Another gateway.
#[derive(Debug)]
pub struct Other {
    tag: u32,
    /// What people call it.
    pub name: Arc<str>,
    /// How many are on there.
    pub counts: [usize; Protocol::ALL.len()],
    /// Who, the oldest first; a very large roster is not shown in full.
    sessions: Vec<Seen>,
}

/// Some sessions of all gateways.
#[derive(Debug)]
pub struct Page {
    /// Each with the name of its gateway where there are several: first this one's, then gateway by gateway, the oldest
    /// first.
    pub sessions: Vec<(Option<Arc<str>>, Seen)>,
    /// How many match in all.
    pub total: usize,
    /// Where the next page begins: behind this session's id.
    pub next: Option<String>,
    /// Those of other gateways are not in it, because the store is away.
    pub is_partial: bool,
}

/// What became of an order.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// So many other gateways hear of it within a second or so.
    pub nodes: usize,
    /// And end about so many sessions.
    pub sessions: usize,
    /// The store is away or was a moment ago: perhaps nobody was told, or not everybody is counted.
    pub is_partial: bool,
}

/// Sessions to be dropped or a [`ROUTE`] to be forgotten, and who wants it; how gateways tell each other.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    from: u32,
    by: String,
    of: String,
    what: String,
    session: Option<(u32, u64)>,
    user: Option<String>,
    protocol: Option<String>,
    client: Option<IpAddr>,
    backend: Option<String>,
}

/// What is done; for log and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// The administrator.
    pub by: &'a str,
    /// By which of their kinds sessions are dropped: `user`, `address`, `backend`.
    pub of: &'static str,
    /// Which of them.
    pub what: &'a str,
}

impl Nodes {
    /// Knows of nobody else yet.
    #[must_use]
    pub fn new(
        roster: Roster,
        registry: Registry,
        directory: Directory,
        metrics: Arc<Metrics>,
        hostname: &str,
    ) -> Self {
        let name = format!("{hostname}/{}", std::process::id()).into();
        Self(Arc::new(Inner { roster, registry, directory, metrics, name, looked: Mutex::new(None) }))
    }

    /// What people call this one.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The others. Takes a few seconds at most, and none where there can be no others.
    pub async fn others(&self) -> Arc<View> {
        let inner = &self.0;
        if !inner.registry.is_shared() {
            return Arc::default();
        }
        let mut looked = inner.looked.lock().await;
        if let Some((then, view)) = &*looked
            && then.elapsed() < FRESH
        {
            return view.clone();
        }
        let view = Arc::new(self.look().await.unwrap_or(View { others: Vec::new(), is_partial: true }));
        *looked = Some((Instant::now(), view.clone()));
        view
    }

    async fn look(&self) -> Option<View> {
        let posted = timeout(PATIENCE, self.0.registry.posted(node_id())).await.ok()?.ok()?;
        let read = move || posted.into_iter().map(Other::read).collect();
        // Megabytes, perhaps.
        let others = tokio::task::spawn_blocking(read).await.ok()?;
        Some(View { others, is_partial: false })
    }

    /// The first `limit` sessions behind the one with the id `after`; `None` when that is no id.
    pub async fn page(&self, filter: &Filter, after: Option<&str>, limit: usize) -> Option<Page> {
        let after = match after {
            Some(text) => Some(read_id(text)?),
            None => None,
        };
        let (nodes, view, filter) = (self.clone(), self.others().await, filter.clone());
        tokio::task::spawn_blocking(move || nodes.part(&view, &filter, after, limit)).await.ok()
    }

    fn part(&self, view: &View, filter: &Filter, after: Option<(u32, u64)>, limit: usize) -> Page {
        let own_after = match after {
            Some((of, number)) if of == node_id() => Some(number),
            Some(_) => None,
            None => Some(0),
        };
        let is_one_of_many = view.has_others();
        let own = self.0.roster.page(filter, own_after.unwrap_or(u64::MAX), limit);
        let own_name = is_one_of_many.then(|| self.0.name.clone());
        let mut sessions: Vec<_> = own.entries.iter().map(|entry| (own_name.clone(), Seen::of(entry))).collect();
        let (mut total, mut last) = (own.total, own.entries.last().map(|entry| (node_id(), entry.number)));
        let mut is_last = own.next.is_none();
        let behind = after.filter(|(of, _)| *of != node_id());
        for other in &view.others {
            for seen in other.sessions.iter().filter(|seen| seen.fits(filter)) {
                total += 1;
                let place = (other.tag, seen.number);
                if behind.is_some_and(|behind| place <= behind) {
                    continue;
                }
                if sessions.len() < limit && is_last {
                    sessions.push((Some(other.name.clone()), seen.clone()));
                    last = Some(place);
                } else {
                    is_last = false;
                }
            }
        }
        let next = last.filter(|_| !is_last).map(|(of, number)| id(of, number));
        Page { sessions, total, next, is_partial: view.is_partial }
    }

    /// Has the other gateways drop what matches.
    pub async fn drop_elsewhere(&self, act: Act<'_>, filter: &Filter) -> Told {
        let view = self.others().await;
        let sessions = view.others.iter().flat_map(|other| &other.sessions).filter(|seen| seen.fits(filter)).count();
        self.told(&view, sessions, self.order(act, filter, None).await)
    }

    /// Has another gateway drop one session; `None` when no gateway has it, as far as is known.
    pub async fn drop_one_elsewhere(&self, act: Act<'_>, id: &str) -> Option<Told> {
        let (of, number) = read_id(id).filter(|(of, _)| *of != node_id())?;
        let view = self.others().await;
        let other = view.others.iter().find(|other| other.tag == of);
        let is_on = other.is_some_and(|other| other.sessions.iter().any(|seen| seen.number == number));
        if view.is_partial {
            return Some(Told { nodes: 0, sessions: 0, is_partial: true });
        }
        if !is_on {
            return None;
        }
        let is_told = self.order(act, &Filter::default(), Some((of, number))).await;
        Some(Told { nodes: 1, sessions: 1, is_partial: !is_told })
    }

    /// Has the other gateways forget where a user lives.
    pub async fn forget_elsewhere(&self, by: &str, user: &User) -> Told {
        let (view, filter) = (self.others().await, Filter { user: Some(user.shared_name()), ..Filter::default() });
        let act = Act { by, of: ROUTE, what: user.name() };
        self.told(&view, 0, self.order(act, &filter, None).await)
    }

    /// Who was told without being seen is not counted.
    fn told(&self, view: &View, sessions: usize, is_ordered: bool) -> Told {
        let is_partial = self.0.registry.is_shared() && (view.is_partial || !is_ordered);
        Told { nodes: view.others.len(), sessions, is_partial }
    }

    async fn order(&self, act: Act<'_>, filter: &Filter, session: Option<(u32, u64)>) -> bool {
        let order = Order {
            from: node_id(),
            by: act.by.to_owned(),
            of: act.of.to_owned(),
            what: act.what.to_owned(),
            session,
            user: filter.user.as_deref().map(ToOwned::to_owned),
            protocol: filter.protocol.map(|protocol| protocol.name().to_owned()),
            client: filter.client,
            backend: filter.backend.as_deref().map(ToOwned::to_owned),
        };
        match serde_json::to_string(&order) {
            Ok(order) => self.0.registry.is_shared() && self.0.registry.order(&order).await.is_ok(),
            Err(_) => false,
        }
    }
}

impl Other {
    /// What is not as we would have written it is left out.
    fn read(Posted { tag, name, pieces }: Posted) -> Self {
        let (mut counts, mut sessions) = ([0; Protocol::ALL.len()], Vec::new());
        for shown in pieces.iter().filter_map(|piece| Shown::read(piece)) {
            for (sum, count) in counts.iter_mut().zip(shown.counts) {
                *sum = count.saturating_add(*sum).min(COUNT_MAX);
            }
            let own = shown.sessions.into_iter().filter(|seen| read_id(&seen.id) == Some((tag, seen.number)));
            sessions.extend(own.take(PIECE_MAX));
        }
        sessions.sort_unstable_by_key(|seen: &Seen| seen.number);
        Self { tag, name: name.into(), counts, sessions }
    }
}

#[cfg(test)]
mod tests;

/// What an order is of that drops no session.
const ROUTE: &str = "route";
/// Sessions of one piece that are shown to others: 64,000 in all.
const PIECE_MAX: usize = 1_000;
/// More sessions than any gateway has, and so few that those of all gateways can be added up.
const COUNT_MAX: usize = 10_000_000;
/// A look serves whoever asks within this time.
const FRESH: Duration = Duration::from_millis(500);
/// For a look.
const PATIENCE: Duration = Duration::from_secs(3);
