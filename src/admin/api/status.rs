//! The gateway as a whole.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Refusal, State};
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
    /// Whether the directory has an answer for logins.
    directory_answers: bool,
    /// Whether the registry's store is there.
    registry_up: bool,
    /// Whether what is switched off stays so over a restart.
    registry_kept: bool,
    backends: usize,
    /// Those that are down, by one protocol at least.
    backends_down: usize,
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
        directory_answers: parts.directory.answers(),
        registry_up: parts.metrics.registry_up.get() != 0,
        registry_kept: parts.registry.keeps(),
        backends: servers.len(),
        backends_down: servers.iter().filter(|server| server.is_down()).count(),
    })
}
