//! The gateway as a whole.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Refusal, State};

/// How the gateway is.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    hostname: String,
    version: &'static str,
    /// It takes no new sessions.
    stopping: bool,
    /// Sessions that have logged in, by protocol.
    sessions: Vec<Count>,
    /// Whether the directory has an answer for logins.
    directory_answers: bool,
    /// Whether the registry's store is there.
    registry_up: bool,
    /// Whether what is switched off stays so over a restart.
    registry_kept: bool,
    backends: usize,
    /// Those to which the last connection failed.
    backends_down: usize,
}

#[derive(Serialize, ToSchema)]
struct Count {
    protocol: &'static str,
    sessions: usize,
}

/// How the gateway is.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Status), (status = "4XX", body = Refusal)))]
pub(super) async fn status(State(admin): State<Admin>) -> Json<Status> {
    let parts = &admin.parts;
    let counts = parts.roster.counts().into_iter();
    let servers = parts.backends.servers();
    Json(Status {
        hostname: parts.hostname.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        stopping: admin.drain.is_stopping(),
        sessions: counts.map(|(protocol, sessions)| Count { protocol: protocol.name(), sessions }).collect(),
        directory_answers: parts.directory.answers(),
        registry_up: parts.metrics.registry_up.get() != 0,
        registry_kept: parts.registry.keeps(),
        backends: servers.len(),
        backends_down: servers.iter().filter(|server| server.is_down()).count(),
    })
}
