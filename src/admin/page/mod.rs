//! The page at `/`: how the gateway is, who is on, and a hand to act, for a browser. One file a view; the templates are in `templates/`.
//!
//! Made on the gateway and complete without a script; the script only asks again every two seconds and puts what has
//! changed into the page. Everything is in the binary, and nothing comes from elsewhere.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};

use super::Admin;
use super::refusal::Refusal;
use crate::proto::Protocol;

mod acts;
mod address;
mod asker;
mod backends;
mod frame;
mod order;
mod overview;
mod plot;
mod rows;
mod samples;
mod sessions;
mod sign;
mod tries;
mod user;
mod visits;
mod words;

use frame::Trouble;
use overview::Started;
use samples::Samples;

#[derive(Clone)]
struct Page {
    admin: Admin,
    /// The protocols that have a listener.
    offered: Arc<[Protocol]>,
    visits: Arc<visits::Visits>,
    tries: Arc<tries::Tries>,
    cookie_name: Arc<str>,
    samples: Arc<Samples>,
    started: Started,
}

pub(super) fn routes(admin: Admin, offered: Vec<Protocol>) -> Router {
    // Cookies know no ports: two gateways behind tunnels on one host keep theirs apart by name.
    let cookie_name = format!("portcullis-{}", admin.parts.hostname).into();
    let page = Page {
        samples: Samples::start(admin.parts.metrics.clone()),
        started: Started::now(),
        admin,
        offered: offered.into(),
        visits: Arc::default(),
        tries: Arc::default(),
        cookie_name,
    };
    Router::new()
        .route("/", get(overview::show))
        .route("/sessions", get(sessions::show))
        .route("/user", get(user::show))
        .route("/address", get(address::show))
        .route("/backends", get(backends::show))
        .route("/drop", post(acts::drop_sessions))
        .route("/switch", post(acts::switch))
        .route("/forget", post(acts::forget_route))
        .route(sign::PATH, get(sign::show).post(sign::sign_in))
        .route("/sign-out", post(sign::sign_out))
        .fallback(|| async { frame::page_not_found() })
        .method_not_allowed_fallback(|| async {
            Trouble(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "not by this method"))
        })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(page.clone(), asker::guard))
        .route("/page.css", get(|| asset("text/css; charset=utf-8", include_str!("../../../templates/page.css"))))
        .route("/page.js", get(|| asset("text/javascript; charset=utf-8", include_str!("../../../templates/page.js"))))
        .route("/page.svg", get(|| asset("image/svg+xml", include_str!("../../../templates/page.svg"))))
        .layer(middleware::map_response(locked_in))
        .with_state(page)
}

async fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

/// What a browser may do with a page of ours: nothing but show it, to who asked, now.
async fn locked_in(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

impl Page {
    fn cookie<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == &*self.cookie_name).map(|(_, value)| value)
    }
}

/// `same-origin`, not `no-referrer`: with that a browser would not say from where a form is.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];
/// More than any form of ours.
const BODY_MAX: usize = 16 * 1024;
