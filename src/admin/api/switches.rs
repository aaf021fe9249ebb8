//! What administrators have switched off, and for whom.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Refusal, State};

/// For whom something is switched off.
#[derive(Serialize, ToSchema)]
#[schema(as = SwitchedOff)]
pub(super) struct Switches {
    /// By name; gateways with one Valkey have the same list.
    users: Vec<Switched>,
    /// Whether a restart leaves it so: with `registry.store: memory` it does not.
    kept: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SwitchedOffUser)]
struct Switched {
    /// The name that the switches are for.
    user: String,
    /// What is off.
    protocols: Vec<&'static str>,
    /// The user whom the directory knew by this name when it was asked last, where that is another one: these switches
    /// have no effect then.
    alias_of: Option<String>,
}

/// Everybody for whom a protocol is switched off.
#[utoipa::path(get, path = "/switches", operation_id = "switches", responses((status = 200, body = Switches), (status = "4XX", body = Refusal)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<Switches> {
    let registry = &admin.parts.registry;
    let users = registry.all_switched_off().into_iter().map(|(user, protocols)| Switched {
        protocols: protocols.iter().map(|protocol| protocol.name()).collect(),
        alias_of: alias_of(&admin, &user),
        user: user.to_string(),
    });
    Json(Switches { users: users.collect(), kept: registry.keeps() })
}

/// Nobody is asked.
fn alias_of(admin: &Admin, name: &str) -> Option<String> {
    let directory = &admin.parts.directory;
    let user = directory.remembered(&directory.named(name).ok()?);
    (user.name() != name).then(|| user.name().to_owned())
}
