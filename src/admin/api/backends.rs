//! Back-ends: the servers and their state, and the end of all sessions at one.

use std::time::UNIX_EPOCH;

use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Caller, Dropped, Refusal, State, Whose};
use crate::admin::refusal::Path;
use crate::backend::{self, LastAttempt};

/// Every server that is known now.
#[derive(Serialize, ToSchema)]
pub(super) struct Backends {
    backends: Vec<Server>,
}

#[derive(Serialize, ToSchema)]
struct Server {
    name: String,
    pool: String,
    /// As it is dialled: a name or an address.
    address: String,
    /// By the protocols of the gateway's listeners. `up`: it answered the last attempt by each. `partly_tried`: by each of
    /// those by which it was tried, but not by all yet. `degraded`: by some the last attempt failed. `down`: by all.
    /// `unknown`: nobody has tried it yet.
    state: &'static str,
    /// Those by which clients are led to it, and those by which it was tried.
    protocols: Vec<Reached>,
    /// Open now, those of logins under way included.
    connections: usize,
    max_connections: Option<u32>,
}

/// A protocol at a back-end.
#[derive(Serialize, ToSchema)]
struct Reached {
    protocol: &'static str,
    port: u16,
    /// `up`, `down` when the last attempt failed (no connection, no TLS, or no answer), or `unknown` while there was none.
    state: &'static str,
    /// Why it failed.
    problem: Option<String>,
    /// Since when all attempts have failed, in seconds since 1970.
    since: Option<u64>,
}

impl Reached {
    fn of(reached: &backend::Reached) -> Self {
        let (state, since) = match &reached.last {
            LastAttempt::NotTried => ("unknown", None),
            LastAttempt::Answered => ("up", None),
            LastAttempt::Failed { since, .. } => {
                ("down", since.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()))
            }
        };
        let problem = reached.problem().map(ToString::to_string);
        Self { protocol: reached.protocol.name(), port: reached.port, state, problem, since }
    }
}

/// The back-ends and their state.
#[utoipa::path(get, path = "/backends", operation_id = "backends", responses((status = 200, body = Backends), (status = "4XX", body = Refusal)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<Backends> {
    let servers = admin.parts.backends.servers();
    let backends = servers.iter().map(|server| Server {
        name: server.name().to_owned(),
        pool: server.pool().to_owned(),
        address: server.address().to_owned(),
        state: server.state().name(),
        protocols: server.reached().iter().map(Reached::of).collect(),
        connections: server.connections(),
        max_connections: server.max_connections(),
    });
    Json(Backends { backends: backends.collect() })
}

/// Drops the sessions at a server.
#[utoipa::path(delete, path = "/backends/{name}/sessions", operation_id = "drop_sessions_at_backend", params(("name" = String, Path, description = "A server's name")),
    responses((status = 200, body = Dropped), (status = "4XX", body = Refusal)))]
pub(super) async fn drop_sessions(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Dropped>, Refusal> {
    Ok(Json(admin.drop_sessions(&caller, &Whose::backend(&admin, &name)?).await?.into()))
}
