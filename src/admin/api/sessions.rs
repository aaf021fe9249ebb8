//! Sessions: all that are on, and the end of one.

use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Admin, Caller, Dropped, Refusal, State, Whose, address, protocol};
use crate::admin::refusal::{Path, Query};
use crate::nodes::Seen;
use crate::roster::Filter;

/// A session that has logged in. Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// As in the log, and in that of a back-end that is told of the client; unique among all gateways.
    id: String,
    /// The gateway it is at, as host name and process; absent where there is but one.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    user: String,
    protocol: &'static str,
    listener: String,
    /// Address and port.
    client: String,
    tls: Option<Tls>,
    backend: String,
    /// When the client connected.
    since: u64,
    /// When a byte was relayed last.
    moved: u64,
    /// Bytes from the client.
    up: u64,
    /// Bytes from the back-end.
    down: u64,
}

#[derive(Serialize, ToSchema)]
struct Tls {
    version: String,
    cipher: String,
}

impl Session {
    fn of(seen: Seen, node: Option<&str>) -> Self {
        Self {
            id: seen.id,
            node: node.map(ToOwned::to_owned),
            user: seen.user,
            protocol: seen.protocol.name(),
            listener: seen.listener,
            client: seen.client.to_string(),
            tls: seen.tls.map(|(version, cipher)| Tls { version, cipher }),
            backend: seen.backend,
            since: seen.since,
            moved: seen.moved,
            up: seen.up,
            down: seen.down,
        }
    }
}

/// Some sessions: this gateway's, then those of each other one that shares the registry's store; the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<Session>,
    /// How many match in all.
    total: usize,
    /// Behind it the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// The registry's store is away, so the sessions of other gateways are missing, and what they know.
    pub(super) partial: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Of this user.
    user: Option<String>,
    /// Of this protocol.
    #[param(pattern = "^(imap|pop3|submission|smtp)$")]
    protocol: Option<String>,
    /// From this IP address.
    client: Option<String>,
    /// At this server.
    backend: Option<String>,
    /// 1 to 1000; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// From the page before.
    #[param(pattern = "^[0-9a-f]{1,8}-[0-9a-f]{1,16}$")]
    cursor: Option<String>,
}

/// All that match, on one page.
pub(super) async fn matching(
    admin: &Admin,
    filter: &Filter,
    after: Option<&str>,
    limit: usize,
) -> Result<Sessions, Refusal> {
    let page = admin.parts.nodes.page(filter, after, limit).await;
    let page = page.ok_or_else(|| Refusal::bad("the cursor is none that a page ended with"))?;
    let sessions = page.sessions.into_iter().map(|(node, seen)| Session::of(seen, node.as_deref())).collect();
    Ok(Sessions { sessions, total: page.total, cursor: page.next, partial: page.is_partial })
}

/// Who is on.
#[utoipa::path(get, path = "/sessions", operation_id = "sessions", params(Wanted),
    responses((status = 200, body = Sessions), (status = "4XX", body = Refusal)))]
pub(super) async fn list(State(admin): State<Admin>, Query(wanted): Query<Wanted>) -> Result<Json<Sessions>, Refusal> {
    let limit = wanted.limit.unwrap_or(100);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refusal::bad(format!("limit is from 1 to {LIMIT_MAX}")));
    }
    let user = match &wanted.user {
        Some(name) => Some(admin.user(name).await?.shared_name()),
        None => None,
    };
    let filter = Filter {
        user,
        protocol: wanted.protocol.map(|name| protocol(&name)).transpose()?,
        client: wanted.client.map(|text| address(&text)).transpose()?,
        backend: wanted.backend.map(Into::into),
    };
    matching(&admin, &filter, wanted.cursor.as_deref(), limit).await.map(Json)
}

/// Drops one session.
#[utoipa::path(delete, path = "/sessions/{id}", operation_id = "drop_session", params(("id" = String, Path, description = "The session's id")),
    responses((status = 200, body = Dropped), (status = "4XX", body = Refusal), (status = 503, body = Refusal)))]
pub(super) async fn drop_one(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Dropped>, Refusal> {
    Ok(Json(admin.drop_sessions(&caller, &Whose::session(&id)?).await?.into()))
}

/// Of one page, and of what a detail shows.
pub(super) const LIMIT_MAX: usize = 1000;
