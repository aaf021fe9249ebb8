//! Signing in with a token, and out.

use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Page;
use super::asker::{Signed, unreadable};
use super::frame::{Trouble, elsewhere, shown_with};
use super::tries::WINDOW;
use crate::admin::guard::{self, Peer};
use crate::admin::refusal::Refusal;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'t> {
    hostname: &'t str,
    back: &'t str,
    problem: Option<&'t str>,
}

#[derive(Deserialize)]
pub(super) struct Given {
    token: String,
    #[serde(default)]
    back: String,
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

/// How one signs in.
pub(super) fn form(page: &Page, status: StatusCode, back: &str, problem: Option<&str>) -> Response {
    shown_with(status, &SignIn { hostname: &page.admin.parts.hostname, back, problem })
}

pub(super) async fn show(State(page): State<Page>) -> Response {
    if page.admin.tokens.is_empty() { elsewhere("/") } else { form(&page, StatusCode::OK, "/", None) }
}

pub(super) async fn sign_in(
    State(page): State<Page>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    given: Result<Form<Given>, FormRejection>,
) -> Result<Response, Trouble> {
    let Form(given) = given.map_err(unreadable)?;
    if !page.tries.take(peer.ip(), Instant::now()) {
        let words = "Too many wrong tokens came from your address. Wait a minute.";
        let mut response = form(&page, StatusCode::TOO_MANY_REQUESTS, &given.back, Some(words));
        response.headers_mut().insert(header::RETRY_AFTER, WINDOW.as_secs().into());
        return Ok(response);
    }
    let Some(token) = guard::known(&page.admin.tokens, given.token.trim()) else {
        tracing::info!(from = %peer, "sign-in refused: none of admin.tokens");
        let words = "Unknown token.";
        return Ok(form(&page, StatusCode::UNAUTHORIZED, &given.back, Some(words)));
    };
    page.tries.forget(peer.ip());
    // Who knew the old cookie knows nothing of the new visit.
    page.cookie(&headers).into_iter().for_each(|old| page.visits.end(old));
    let failed = |error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no random numbers: {error}"));
    let key = page.visits.begin(&token.name, token.may, Instant::now()).map_err(failed)?;
    tracing::info!(by = token.name, from = %peer, act = "sign_in", "administrator");
    Ok(with_cookie(elsewhere(&given.back), &page, &key, ""))
}

pub(super) async fn sign_out(State(page): State<Page>, Signed(asker, _): Signed<Nothing>) -> Response {
    if let Some((key, _)) = &asker.visit {
        page.visits.end(key);
    }
    tracing::info!(by = &*asker.caller.name, from = %asker.caller.peer, act = "sign_out", "administrator");
    with_cookie(elsewhere(PATH), &page, "", "; Max-Age=0")
}

/// Not `Secure`: the admin side speaks plain HTTP, on loopback or behind a tunnel.
fn with_cookie(mut response: Response, page: &Page, key: &str, more: &str) -> Response {
    let cookie = format!("{}={key}; Path=/; HttpOnly; SameSite=Strict{more}", page.cookie_name);
    match HeaderValue::try_from(cookie) {
        Ok(cookie) => {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

pub(super) const PATH: &str = "/sign-in";
