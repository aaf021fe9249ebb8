//! One address: who logged in from there, and their sessions.

use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::sessions::{LIMIT_MAX, Sessions, matching};
use super::{Admin, Caller, Dropped, Refusal, State, Whose, address};
use crate::admin::refusal::Path;
use crate::roster::Filter;

/// An address, as far as this gateway has heard of it. Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
#[schema(as = AddressDetail)]
pub(super) struct Detail {
    address: String,
    /// Who logged in from there, the latest first; 1000 at most.
    users: Vec<Visitor>,
    /// The first 1000 of them.
    #[serde(flatten)]
    sessions: Sessions,
}

#[derive(Serialize, ToSchema)]
struct Visitor {
    user: String,
    at: u64,
    protocol: &'static str,
}

/// An address's detail.
#[utoipa::path(get, path = "/addresses/{ip}", operation_id = "address", params(("ip" = String, Path, description = "An IP address")),
    responses((status = 200, body = Detail), (status = "4XX", body = Refusal)))]
pub(super) async fn one(State(admin): State<Admin>, Path(ip): Path<String>) -> Result<Json<Detail>, Refusal> {
    let ip = address(&ip)?;
    let filter = Filter { client: Some(ip), ..Filter::default() };
    let visitors = admin.parts.roster.visitors(ip, LIMIT_MAX).into_iter();
    let users =
        visitors.map(|(user, visit)| Visitor { user: user.to_string(), at: visit.at, protocol: visit.protocol.name() });
    let sessions = matching(&admin, &filter, None, LIMIT_MAX).await?;
    Ok(Json(Detail { address: ip.to_string(), users: users.collect(), sessions }))
}

/// Drops the sessions from an address.
#[utoipa::path(delete, path = "/addresses/{ip}/sessions", operation_id = "drop_sessions_from_address", params(("ip" = String, Path, description = "An IP address")),
    responses((status = 200, body = Dropped), (status = "4XX", body = Refusal)))]
pub(super) async fn drop_sessions(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(ip): Path<String>,
) -> Result<Json<Dropped>, Refusal> {
    Ok(Json(admin.drop_sessions(&caller, &Whose::address(&ip)?).await?.into()))
}
