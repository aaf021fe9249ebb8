//! The API under `/api/v1`: JSON, one file a subject; `/api/v1/openapi.json` is made from the same code.
//!
//! GET reads; every other method acts, and leaves a line in the log that says who did what.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Json, Router, middleware};
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Admin;
use super::acts::{Ended, Whose};
use super::guard::{self, Caller};
use super::named::{address, protocol};
use super::refusal::Refusal;
use crate::nodes::Told;

mod addresses;
mod backends;
mod sessions;
mod status;
mod switches;
mod users;

#[derive(OpenApi)]
#[openapi(
    info(title = "Portcullis", description = "Who is on, from where, on which back-end; and a hand to act."),
    servers((url = "/api/v1")),
    security(("token" = [])),
    modifiers(&Tokens)
)]
struct Document;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", bearer);
    }
}

pub(super) fn routes(admin: Admin) -> Router {
    let (routes, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::status))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::drop_one))
        .routes(routes!(users::one))
        .routes(routes!(users::switch))
        .routes(routes!(users::drop_sessions))
        .routes(routes!(users::forget_route))
        .routes(routes!(switches::list))
        .routes(routes!(addresses::one))
        .routes(routes!(addresses::drop_sessions))
        .routes(routes!(backends::list))
        .routes(routes!(backends::drop_sessions))
        .with_state::<()>(admin.clone())
        .split_for_parts();
    routes
        .route("/openapi.json", axum::routing::get(move || async move { Json(document) }))
        .fallback(|| async { Refusal::not_found("there is no such path") })
        .method_not_allowed_fallback(|| async { Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "not by this method") })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(admin, guard::guard))
        .layer(middleware::map_response(never_kept))
}

/// Who is on is nobody else's affair, and out of date a moment later.
async fn never_kept<B: Send>(response: axum::http::Response<B>) -> impl IntoResponse
where
    axum::http::Response<B>: IntoResponse,
{
    ([(axum::http::header::CACHE_CONTROL, "no-store")], response)
}

/// What an act did.
#[derive(Default, Serialize, ToSchema)]
struct Dropped {
    /// How many sessions were asked to end here.
    dropped: usize,
    #[serde(flatten)]
    elsewhere: Elsewhere,
}

/// What other gateways do, where several share the registry's store.
#[derive(Default, Serialize, ToSchema)]
struct Elsewhere {
    /// Other gateways that were told; they act within a second or so.
    nodes_told: usize,
    /// About so many sessions end there.
    dropped_elsewhere: usize,
    /// The registry's store is away, or was a moment ago: the other gateways may not have been told.
    partial: bool,
}

impl From<Told> for Elsewhere {
    fn from(told: Told) -> Self {
        let is_told = !told.is_partial;
        Self {
            nodes_told: if is_told { told.nodes } else { 0 },
            dropped_elsewhere: if is_told { told.sessions } else { 0 },
            partial: told.is_partial,
        }
    }
}

impl From<Ended> for Dropped {
    fn from(ended: Ended) -> Self {
        Self { dropped: ended.here, elsewhere: ended.told.map(Elsewhere::from).unwrap_or_default() }
    }
}

/// More than any body that is asked for.
const BODY_MAX: usize = 16 * 1024;
