//! One user: what is known of them, their switches, their sessions, their route.

use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::{LIMIT_MAX, Sessions, matching};
use super::{Admin, Caller, Dropped, Refusal, State, Whose};
use crate::admin::acted_on::ActedOn;
use crate::admin::acts::ForgottenRoute;
use crate::admin::directory::{DirectoryAnswer, Verdict};
use crate::admin::refusal::{Body, Path};
use crate::admin::{acts, failures, named};
use crate::config::Standing;
use crate::nodes::Remembered;
use crate::proto::Protocol;
use crate::roster::{self, Filter, Visit};

/// A user, as far as the gateways that share the registry's store have heard of them. Times are seconds since 1970.
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
    /// The last logins that this gateway refused, the latest first; 8 at most.
    refused_logins: Vec<RefusedLogin>,
    directory: Directory,
    /// The first 1000 of them.
    #[serde(flatten)]
    sessions: Sessions,
}

#[derive(Serialize, ToSchema)]
struct Switch {
    protocol: &'static str,
    /// Whether it is not switched off here; the directory may say no all the same.
    enabled: bool,
    /// Whether the directory allows it, to a login by the name that was asked for; absent when the directory does not answer.
    allowed: Option<bool>,
    last_login: Option<u64>,
}

/// What the directory says of the user: what the next login would hear.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryAnswer)]
struct Directory {
    /// `known`; `unknown`: there is no such user; `unusable`: the user's entry cannot be used; `unavailable`: the
    /// directory does not answer.
    answer: &'static str,
    /// Why it is unusable or unavailable; or why a login by the name that was asked for is refused all the same: its domain
    /// is not one of `directory.domains`.
    problem: Option<String>,
    /// The server or pool where the user's mailbox is.
    server: Option<String>,
    /// The user's name there; absent = as the client gives it.
    user: Option<String>,
    /// `active`, `deny` or `unavailable`, as `status` of the configuration has it.
    status: Option<&'static str>,
    /// When the directory was asked; absent when the answer is not remembered.
    since: Option<u64>,
    /// The answer is older than `directory.cache.ttl`, and serves only because the directory is away.
    stale: bool,
}

/// A login that was refused.
#[derive(Serialize, ToSchema)]
struct RefusedLogin {
    at: u64,
    protocol: &'static str,
    client: String,
    /// As in logs and metrics, such as `bad_credentials`.
    denial: &'static str,
    /// The log's reason.
    detail: String,
}

#[derive(Serialize, ToSchema)]
struct Address {
    address: String,
    at: u64,
    protocol: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Failures {
    /// About so many, where several gateways share the registry's store: what it did not confirm in time is told again.
    /// Not fewer than are in `refused_logins`, which has those of unknown names too.
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
    /// Do it even when the directory does not answer, so that nobody can say whether there is such a user. To enable: for
    /// exactly this name, and the directory is not asked.
    #[serde(default)]
    force: bool,
}

/// What it is now.
#[derive(Serialize, ToSchema)]
pub(super) struct Switched {
    #[serde(flatten)]
    of: ActedOn,
    enabled: bool,
    /// Whether a restart leaves it so: with `registry.store: memory` it does not.
    kept: bool,
    #[serde(flatten)]
    dropped: Dropped,
}

/// What became of a user's sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct DroppedOfUser {
    #[serde(flatten)]
    of: ActedOn,
    #[serde(flatten)]
    dropped: Dropped,
}

/// What was forgotten.
#[derive(Serialize, ToSchema)]
pub(super) struct Forgotten {
    #[serde(flatten)]
    of: ActedOn,
    /// Whether there was something to forget here.
    forgotten: bool,
    /// Other gateways that were told; they forget it within a second or so.
    nodes_told: usize,
    /// The registry's store is away, or was a moment ago: the other gateways may not have been told.
    partial: bool,
}

/// A user's detail.
#[utoipa::path(get, path = "/users/{name}", operation_id = "user", params(("name" = String, Path, description = "A user's name")),
    responses((status = 200, body = Detail), (status = "4XX", body = Refusal)))]
pub(super) async fn one(State(admin): State<Admin>, Path(name): Path<String>) -> Result<Json<Detail>, Refusal> {
    let (user, answer) = admin.look_up(&name).await?;
    let Remembered { known, is_partial } = admin.parts.nodes.known(user.name()).await;
    let off = admin.parts.registry.switched_off(user.name());
    let last = |protocol| known.last.iter().find(|(of, _)| *of == protocol).map(|(_, at)| *at);
    let switch = |protocol: Protocol| Switch {
        protocol: protocol.name(),
        enabled: !off.contains(protocol),
        allowed: answer.allows(protocol),
        last_login: last(protocol),
    };
    let address =
        |visit: &Visit| Address { address: visit.address.to_string(), at: visit.at, protocol: visit.protocol.name() };
    let filter = Filter { user: Some(user.shared_name()), ..Filter::default() };
    let refused = admin.parts.roster.refused_logins(user.name());
    let mut sessions = matching(&admin, &filter, None, LIMIT_MAX).await?;
    sessions.partial |= is_partial;
    Ok(Json(Detail {
        user: user.name().to_owned(),
        protocols: Protocol::ALL.into_iter().filter(|protocol| protocol.login() == *protocol).map(switch).collect(),
        last_address: known.addresses.last().map(|visit| visit.address.to_string()),
        addresses: known.addresses.iter().rev().map(address).collect(),
        failed_logins: failures::Failures::of(&known, &refused).into(),
        refused_logins: refused.into_iter().map(RefusedLogin::from).collect(),
        directory: answer.into(),
        sessions,
    }))
}

impl From<DirectoryAnswer> for Directory {
    fn from(answer: DirectoryAnswer) -> Self {
        let foreign = answer.foreign();
        let DirectoryAnswer { verdict, since, is_stale, foreign: _ } = answer;
        let (answer, route, problem) = match verdict {
            Verdict::Known(route) => ("known", Some(route), foreign),
            Verdict::Unknown => ("unknown", None, foreign),
            Verdict::Unusable(why) => ("unusable", None, Some(why)),
            Verdict::Unavailable(why) => ("unavailable", None, Some(why)),
        };
        Self {
            answer,
            problem,
            server: route.as_ref().and_then(|route| route.host.clone()),
            user: route.as_ref().and_then(|route| route.user.clone()),
            status: route.as_ref().map(|route| status(route.standing)),
            since,
            stale: is_stale,
        }
    }
}

const fn status(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Deny => "deny",
        Standing::Unavailable => "unavailable",
    }
}

impl From<failures::Failures> for Failures {
    fn from(failures::Failures { count, last }: failures::Failures) -> Self {
        Self { count, last_at: last.map(|(at, _)| at), last_address: last.map(|(_, address)| address.to_string()) }
    }
}

impl From<roster::RefusedLogin> for RefusedLogin {
    fn from(refused: roster::RefusedLogin) -> Self {
        Self {
            at: refused.at,
            protocol: refused.protocol.name(),
            client: refused.client.to_string(),
            denial: refused.denial,
            detail: refused.detail.into(),
        }
    }
}

/// Switches a protocol off or on for a user, from the next login on. 404: the directory does not know the user, and
/// nothing is switched off for that name. To enable with `force` takes a switch back from exactly this name, such as one of
/// `/switches` that is nobody's: the directory is not asked.
#[utoipa::path(put, path = "/users/{name}/protocols/{protocol}", operation_id = "switch_protocol", request_body = Wish,
    params(("name" = String, Path, description = "A user's name"), ("protocol" = String, Path, pattern = "^(imap|pop3|submission)$")),
    responses((status = 200, body = Switched), (status = "4XX", body = Refusal), (status = 503, body = Refusal), (status = 507, body = Refusal)))]
pub(super) async fn switch(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path((name, protocol_name)): Path<(String, String)>,
    Body(wish): Body<Wish>,
) -> Result<Json<Switched>, Refusal> {
    let protocol = named::switch(&protocol_name)?;
    let Wish { enabled, now, force } = wish;
    let wish = acts::Wish { protocol, enabled, now, force };
    let (of, done) = if enabled && force {
        let user = admin.parts.directory.named(&name).map_err(Refusal::bad)?;
        let was_off = admin.parts.registry.switched_off(user.name()).contains(protocol);
        (ActedOn::exactly(&name, &user, was_off), admin.switch(&caller, &user, None, wish).await?)
    } else {
        let (user, answer) = admin.look_up_for_act(&name).await?;
        let of = ActedOn::switched(&name, &user, &answer, (!enabled).then_some(protocol));
        (of, admin.switch(&caller, &user, Some(&answer), wish).await?)
    };
    Ok(Json(Switched { of, enabled, kept: done.kept, dropped: done.dropped.into() }))
}

/// Drops a user's sessions.
#[utoipa::path(delete, path = "/users/{name}/sessions", operation_id = "drop_sessions_of_user", params(("name" = String, Path, description = "A user's name")),
    responses((status = 200, body = DroppedOfUser), (status = "4XX", body = Refusal)))]
pub(super) async fn drop_sessions(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<DroppedOfUser>, Refusal> {
    let (user, answer) = admin.look_up(&name).await?;
    let dropped = admin.drop_sessions(&caller, &Whose::user(&user, None)).await?.into();
    Ok(Json(DroppedOfUser { of: ActedOn::looked_up(&name, &user, &answer), dropped }))
}

/// Forgets where the user lives, at all gateways that share the registry's store: the next login asks the directory.
#[utoipa::path(delete, path = "/users/{name}/route", operation_id = "forget_route", params(("name" = String, Path, description = "A user's name")),
    responses((status = 200, body = Forgotten), (status = "4XX", body = Refusal)))]
pub(super) async fn forget_route(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Forgotten>, Refusal> {
    let ForgottenRoute { forgotten, told, of } = admin.forget_route(&caller, &name).await?;
    let nodes_told = if told.is_partial { 0 } else { told.nodes };
    Ok(Json(Forgotten { of, forgotten, nodes_told, partial: told.is_partial }))
}
