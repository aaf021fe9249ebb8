//! The gateway as a whole.

use std::time::SystemTime;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Refusal, State};
use crate::admin::expiry::expiries;
use crate::directory::{DirectoryState, Reach, SourceState};
use crate::nodes::Other;

/// How the gateway is.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    hostname: String,
    version: &'static str,
    /// It takes no new sessions.
    stopping: bool,
    /// Sessions that have logged in, by protocol; at all gateways that share the registry's store.
    sessions: Vec<Count>,
    /// The gateways, this one first.
    nodes: Vec<Node>,
    /// The registry's store is away, so the other gateways are missing.
    partial: bool,
    directory: Directory,
    /// Whether the registry's store answers.
    registry_up: bool,
    /// Whether what is switched off stays so over a restart.
    registry_kept: bool,
    backends: usize,
    /// Those that are down, by one protocol at least.
    backends_down: usize,
    /// Those that clients are shown.
    certificates: Vec<Certificate>,
}

/// Whether the directory answers. Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryStatus)]
struct Directory {
    #[serde(flatten)]
    reach: Reached,
    /// Users who can be served from memory while a source is away.
    remembered_users: usize,
    /// Recipients of mail, likewise.
    remembered_recipients: usize,
    /// In the order in which they are asked.
    sources: Vec<Source>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DirectorySource)]
struct Source {
    /// What it is and where.
    source: String,
    #[serde(flatten)]
    reach: Reached,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryReach)]
struct Reached {
    /// `answers`, `away`, or `never_answered` (since the gateway started). A directory is what its worst source is.
    state: &'static str,
    /// Since when it is away.
    since: Option<u64>,
    /// Why it does not answer.
    reason: Option<String>,
}

/// A certificate that clients are shown.
#[derive(Serialize, ToSchema)]
struct Certificate {
    /// Its file, as the configuration has it.
    file: String,
    /// The last second in which it is valid, since 1970.
    expires: i64,
}

#[derive(Serialize, ToSchema)]
struct Count {
    protocol: &'static str,
    sessions: usize,
}

#[derive(Serialize, ToSchema)]
struct Node {
    /// Host name and process.
    node: String,
    sessions: usize,
}

/// How the gateway is.
#[utoipa::path(get, path = "/status", operation_id = "status", responses((status = 200, body = Status), (status = "4XX", body = Refusal)))]
pub(super) async fn status(State(admin): State<Admin>) -> Json<Status> {
    let parts = &admin.parts;
    let (own, view) = (parts.roster.counts(), parts.nodes.others().await);
    let counts = parts.nodes.counts(&view).into_iter();
    let here = Node { node: parts.nodes.name().to_string(), sessions: own.iter().map(|(_, count)| count).sum() };
    let there = |other: &Other| Node { node: other.name.to_string(), sessions: other.counts.iter().sum() };
    let servers = parts.backends.servers();
    Json(Status {
        hostname: parts.hostname.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        stopping: admin.drain.is_stopping(),
        sessions: counts.map(|(protocol, sessions)| Count { protocol: protocol.name(), sessions }).collect(),
        nodes: [here].into_iter().chain(view.others.iter().map(there)).collect(),
        partial: view.is_partial,
        directory: parts.directory.state().into(),
        registry_up: parts.metrics.registry_up.get() != 0,
        registry_kept: parts.registry.keeps(),
        backends: servers.len(),
        backends_down: servers.iter().filter(|server| server.is_down()).count(),
        certificates: expiries(&parts.metrics)
            .into_iter()
            .map(|(file, expires)| Certificate { file, expires })
            .collect(),
    })
}

impl From<DirectoryState> for Directory {
    fn from(state: DirectoryState) -> Self {
        Self {
            reach: state.reach().into(),
            remembered_users: state.remembered_users,
            remembered_recipients: state.remembered_recipients,
            sources: state.sources.into_iter().map(Source::from).collect(),
        }
    }
}

impl From<SourceState> for Source {
    fn from(state: SourceState) -> Self {
        Self { source: state.name, reach: state.reach.into() }
    }
}

impl From<Reach> for Reached {
    fn from(reach: Reach) -> Self {
        let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { state: reach.label(), since: reach.since().map(seconds), reason: reach.why().map(ToString::to_string) }
    }
}
