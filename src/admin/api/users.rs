//! One user: what is known of them, their switches, their sessions, their route.

use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::{LIMIT_MAX, Sessions, matching};
use super::{Admin, Caller, Dropped, Refusal, State, StatusCode, protocol};
use crate::admin::refusal::{Body, Path};
use crate::directory::User;
use crate::proto::Protocol;
use crate::registry::SwitchProblem;
use crate::roster::{Filter, Visit};

/// A user, as far as this gateway has heard of them. Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
#[schema(as = UserDetail)]
pub(super) struct Detail {
    /// The canonical name.
    user: String,
    protocols: Vec<Switch>,
    /// The address of the last login.
    last_address: Option<String>,
    /// Addresses that logged in, the last one first; 16 at most.
    addresses: Vec<Address>,
    failed_logins: Failures,
    /// The first 1000 of them.
    #[serde(flatten)]
    sessions: Sessions,
}

#[derive(Serialize, ToSchema)]
struct Switch {
    protocol: &'static str,
    /// Whether it is not switched off here; the directory may say no all the same.
    enabled: bool,
    last_login: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct Address {
    address: String,
    at: u64,
    protocol: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Failures {
    count: u64,
    last_at: Option<u64>,
    last_address: Option<String>,
}

/// What a protocol is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    enabled: bool,
    /// Drop the sessions that are on, too.
    #[serde(default)]
    now: bool,
}

/// What it is now.
#[derive(Serialize, ToSchema)]
pub(super) struct Switched {
    enabled: bool,
    /// Whether a restart leaves it so: with `registry.store: memory` it does not.
    kept: bool,
    #[serde(flatten)]
    dropped: Dropped,
}

/// Whether there was something to forget.
#[derive(Serialize, ToSchema)]
pub(super) struct Forgotten {
    forgotten: bool,
}

/// A user's detail.
#[utoipa::path(get, path = "/users/{name}", operation_id = "user", params(("name" = String, Path, description = "A user's name")),
    responses((status = 200, body = Detail), (status = "4XX", body = Refusal)))]
pub(super) async fn one(State(admin): State<Admin>, Path(name): Path<String>) -> Result<Json<Detail>, Refusal> {
    let user = admin.user(&name)?;
    let known = admin.parts.roster.known(user.name()).unwrap_or_default();
    let off = admin.parts.registry.switched_off(user.name());
    let last = |protocol| known.last.iter().find(|(of, _)| *of == protocol).map(|(_, at)| *at);
    let switch = |protocol: Protocol| Switch {
        protocol: protocol.name(),
        enabled: !off.contains(protocol),
        last_login: last(protocol),
    };
    let address =
        |visit: &Visit| Address { address: visit.address.to_string(), at: visit.at, protocol: visit.protocol.name() };
    Ok(Json(Detail {
        user: user.name().to_owned(),
        protocols: Protocol::ALL.into_iter().map(switch).collect(),
        last_address: known.addresses.last().map(|visit| visit.address.to_string()),
        addresses: known.addresses.iter().rev().map(address).collect(),
        failed_logins: Failures {
            count: known.failures,
            last_at: known.last_failure.map(|(at, _)| at),
            last_address: known.last_failure.map(|(_, address)| address.to_string()),
        },
        sessions: matching(&admin, &of(&user, None), None, LIMIT_MAX).await?,
    }))
}

fn of(user: &User, protocol: Option<Protocol>) -> Filter {
    Filter { user: Some(user.shared_name()), protocol, ..Filter::default() }
}

/// Switches a protocol off or on for a user, from the next login on.
#[utoipa::path(put, path = "/users/{name}/protocols/{protocol}", operation_id = "switch_protocol", request_body = Wish,
    params(("name" = String, Path, description = "A user's name"), ("protocol" = String, Path, pattern = "^(imap|pop3|submission|smtp)$")),
    responses((status = 200, body = Switched), (status = "4XX", body = Refusal), (status = 503, body = Refusal), (status = 507, body = Refusal)))]
pub(super) async fn switch(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path((name, protocol_name)): Path<(String, String)>,
    Body(wish): Body<Wish>,
) -> Result<Json<Switched>, Refusal> {
    let (user, protocol) = (admin.user(&name)?, protocol(&protocol_name)?);
    let registry = &admin.parts.registry;
    let before = !registry.switched_off(user.name()).contains(protocol);
    registry.switch(user.name(), protocol, wish.enabled).await.map_err(|problem| match problem {
        SwitchProblem::Away(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem),
        SwitchProblem::TooMany => Refusal::new(StatusCode::INSUFFICIENT_STORAGE, problem),
    })?;
    let (act, what) = (if wish.enabled { "enable" } else { "disable" }, user.name());
    tracing::info!(by = &*caller.name, from = %caller.peer, act, what, protocol = protocol.name(), before, "administrator");
    let drops = wish.now && !wish.enabled;
    let Json(dropped) = match drops {
        true => admin.drop_matching(&caller, "user", what, &of(&user, Some(protocol))).await,
        false => Json(Dropped::default()),
    };
    Ok(Json(Switched { enabled: wish.enabled, kept: registry.keeps(), dropped }))
}

/// Drops a user's sessions.
#[utoipa::path(delete, path = "/users/{name}/sessions", operation_id = "drop_sessions_of_user", params(("name" = String, Path, description = "A user's name")),
    responses((status = 200, body = Dropped), (status = "4XX", body = Refusal)))]
pub(super) async fn drop_sessions(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Dropped>, Refusal> {
    let user = admin.user(&name)?;
    Ok(admin.drop_matching(&caller, "user", user.name(), &of(&user, None)).await)
}

/// Forgets where the user lives: the next login asks the directory.
#[utoipa::path(delete, path = "/users/{name}/route", operation_id = "forget_route", params(("name" = String, Path, description = "A user's name")),
    responses((status = 200, body = Forgotten), (status = "4XX", body = Refusal)))]
pub(super) async fn forget_route(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Forgotten>, Refusal> {
    let user = admin.user(&name)?;
    let forgotten = admin.parts.directory.forget(&user);
    tracing::info!(by = &*caller.name, from = %caller.peer, act = "forget_route", what = user.name(), forgotten, "administrator");
    Ok(Json(Forgotten { forgotten }))
}
