//! The HTTP side: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever restarts or routes, the API, and the page.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::config;
use crate::drain::Drain;
use crate::proto::Protocol;
use crate::session::Parts;
use crate::wire::slots::{ConnectionSlot, ConnectionSlots};

mod acted_on;
mod acts;
mod api;
mod directory;
mod expiry;
mod failures;
mod guard;
mod named;
mod page;
mod ready;
mod refusal;
mod tries;

pub use ready::FromMemory;

use guard::{Peer, Reads, RefusalReason};
use refusal::Refusal;

#[derive(Clone)]
struct Admin {
    parts: Arc<Parts>,
    drain: Drain,
    tokens: Arc<[config::Token]>,
    hosts: Arc<[String]>,
    from_memory: FromMemory,
    ready: config::Ready,
    tries: Arc<tries::Tries>,
}

/// `offered`: the protocols that have a listener; `from_memory`: what they can do while the directory is away. Serves while it is polled: during a drain too, when `/readyz` says so and `/metrics` shows who is left.
///
/// # Errors
/// None that ends it; the type is what a chore returns.
pub async fn serve(
    listener: TcpListener,
    asked: config::Admin,
    offered: Vec<Protocol>,
    from_memory: FromMemory,
    parts: Arc<Parts>,
    drain: Drain,
) -> io::Result<()> {
    let metrics = parts.metrics.clone();
    let config::Admin { tokens, hosts, ready, .. } = asked;
    let tries = Arc::default();
    let routes = routes(Admin { parts, drain, tokens, hosts, from_memory, ready, tries }, offered);
    let slots = ConnectionSlots::new(CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (slot, evicts) = slots.take();
                if evicts {
                    metrics.admin_refusals.with_label_values(&[RefusalReason::Evicted.label()]).inc();
                }
                tokio::spawn(connection(stream, Peer(peer), routes.clone(), slot));
            }
            // EMFILE and its like would come back at once, for ever.
            Err(error) => {
                tracing::warn!(%error, "accept failed on the admin side");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn routes(admin: Admin, offered: Vec<Protocol>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready::ready))
        .with_state(admin.clone())
        .nest("/api/v1", api::routes(admin.clone()))
        .merge(page::routes(admin, offered))
}

async fn connection(stream: TcpStream, peer: Peer, routes: Router, slot: ConnectionSlot) {
    let slot = Arc::new(slot);
    tokio::select! {
        () = slot.evicted() => {}
        () = talk(stream, peer, routes, &slot) => {}
    }
}

async fn talk(stream: TcpStream, peer: Peer, routes: Router, slot: &Arc<ConnectionSlot>) {
    // Until then it costs a socket and nothing else.
    let Ok(Ok(1..)) = timeout(FIRST_BYTE, stream.peek(&mut [0])).await else { return };
    let slot = slot.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        slot.set_asking();
        request.extensions_mut().insert(peer);
        let answer = hyper::service::Service::call(&TowerToHyperService::new(routes.clone()), request);
        let slot = slot.clone();
        async move {
            let answer = in_time(answer).await;
            slot.set_answered();
            Ok::<Response, Infallible>(answer)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_MAX);
    // How a client breaks is its own affair.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn in_time(answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match timeout(ANSWER, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => Refusal::new(StatusCode::REQUEST_TIMEOUT, "this took too long").into_response(),
    }
}

async fn metrics(State(admin): State<Admin>, request: Request) -> impl IntoResponse {
    if let Err(refusal) = admin.peer(&request).and_then(|_| admin.refuse_other_sites(&request, Reads::Data)) {
        return refusal.into_response();
    }
    match admin.parts.metrics.render() {
        Ok(page) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// At the same time; one more evicts another.
const CONNECTIONS: usize = 256;
/// For a connection's first byte to come.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// For a request's head to arrive, and for the next one on a connection.
const HEAD: Duration = Duration::from_secs(30);
const HEAD_MAX: usize = 16 * 1024;
/// For a body to arrive and the answer to be made.
const ANSWER: Duration = Duration::from_secs(20);
const BREATH: Duration = Duration::from_millis(100);
