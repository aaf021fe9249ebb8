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
use super::acts::Whose;
use super::guard::{self, Caller};
use super::named::{address, protocol};
use super::refusal::Refusal;

mod addresses;
mod backends;
mod sessions;
mod status;
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
#[derive(Serialize, ToSchema)]
struct Dropped {
    /// How many sessions were asked to end.
    dropped: usize,
}

/// More than any body that is asked for.
const BODY_MAX: usize = 16 * 1024;
