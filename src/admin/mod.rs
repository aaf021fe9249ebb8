//! The HTTP side: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever restarts or routes.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::drain::Drain;
use crate::session::Parts;

#[derive(Clone)]
struct Admin {
    parts: Arc<Parts>,
    drain: Drain,
}

/// Serves while it is polled: during a drain too, when `/readyz` says so and `/metrics` shows who is left.
///
/// # Errors
/// Those of the listening socket.
pub async fn serve(listener: TcpListener, parts: Arc<Parts>, drain: Drain) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Admin { parts, drain });
    axum::serve(listener, routes).await
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.parts.metrics.render() {
        Ok(page) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether new logins have a chance: not while stopping, not while every directory source is away.
async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.drain.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if !admin.parts.directory.answers() {
        (StatusCode::SERVICE_UNAVAILABLE, "the directory does not answer\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}
