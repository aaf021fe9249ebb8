//! Sessions: all that are on, and the end of one.

use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Admin, Caller, Dropped, Refusal, State, Whose, address, protocol};
use crate::admin::refusal::{Path, Query};
use crate::roster::{Entry, Filter};
use crate::wire::Watched;

/// A session that has logged in. Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// As in the log, and in that of a back-end that is told of the client.
    id: String,
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
    version: &'static str,
    cipher: &'static str,
}

impl Session {
    pub(super) fn of(entry: &Entry) -> Self {
        let (up, down) = entry.pulse().bytes();
        Self {
            id: entry.id(),
            user: entry.user.as_deref().unwrap_or_default().to_owned(),
            protocol: entry.protocol.name(),
            listener: entry.listener.to_string(),
            client: entry.client.to_string(),
            tls: entry.tls.as_ref().map(|tls| Tls { version: tls.version(), cipher: tls.cipher() }),
            backend: entry.backend.as_deref().unwrap_or_default().to_owned(),
            since: entry.since(),
            moved: entry.moved(),
            up,
            down,
        }
    }
}

/// Some sessions, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<Session>,
    /// How many match in all.
    total: usize,
    /// Behind it the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Of this user.
    user: Option<String>,
    /// Of this protocol.
    protocol: Option<String>,
    /// From this IP address.
    client: Option<String>,
    /// At this server.
    backend: Option<String>,
    /// 1 to 1000; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<u64>,
}

/// All that match, on one page.
pub(super) fn matching(admin: &Admin, filter: &Filter, after: u64, limit: usize) -> Sessions {
    let page = admin.parts.roster.page(filter, after, limit);
    let sessions = page.entries.iter().map(|entry| Session::of(entry)).collect();
    Sessions { sessions, total: page.total, cursor: page.next }
}

/// Who is on.
#[utoipa::path(get, path = "/sessions", params(Wanted),
    responses((status = 200, body = Sessions), (status = "4XX", body = Refusal)))]
pub(super) async fn list(State(admin): State<Admin>, Query(wanted): Query<Wanted>) -> Result<Json<Sessions>, Refusal> {
    let limit = wanted.limit.unwrap_or(100);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refusal::bad(format!("limit is from 1 to {LIMIT_MAX}")));
    }
    let filter = Filter {
        user: wanted.user.map(|name| admin.user(&name)).transpose()?.map(|user| user.shared_name()),
        protocol: wanted.protocol.map(|name| protocol(&name)).transpose()?,
        client: wanted.client.map(|text| address(&text)).transpose()?,
        backend: wanted.backend.map(Into::into),
    };
    Ok(Json(matching(&admin, &filter, wanted.cursor.unwrap_or_default(), limit)))
}

/// Drops one session.
#[utoipa::path(delete, path = "/sessions/{id}", params(("id" = String, Path, description = "The session's id")),
    responses((status = 200, body = Dropped), (status = "4XX", body = Refusal)))]
pub(super) async fn drop_one(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Dropped>, Refusal> {
    let dropped = admin.drop_sessions(&caller, &Whose::session(&id)?)?;
    Ok(Json(Dropped { dropped }))
}

/// Of one page, and of what a detail shows.
pub(super) const LIMIT_MAX: usize = 1000;
