//! Who asks for a page: the Host and Origin headers first, then the cookie, and for an act what our own forms carry.

use std::sync::Arc;
use std::time::Instant;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use super::frame::Trouble;
use super::{Page, sign};
use crate::admin::guard::{self, Caller};
use crate::admin::refusal::Refusal;
use crate::config::May;

/// Who may read, and perhaps act.
#[derive(Clone)]
pub(super) struct Asker {
    pub caller: Caller,
    pub may_act: bool,
    /// Who signed in: the cookie, and what forms carry.
    pub visit: Option<(String, Arc<str>)>,
    /// Path and query of the request.
    pub here: String,
    /// The script asks, and shows no notice.
    pub is_poll: bool,
}

/// In front of every page. Who has not signed in is shown how, whatever was asked for.
pub(super) async fn guard(State(page): State<Page>, mut request: Request, next: Next) -> Response {
    match admit(&page, &request) {
        Ok(Some(asker)) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Ok(None) if request.uri().path() == sign::PATH => next.run(request).await,
        Ok(None) => {
            let back = if request.method() == Method::GET { here(&request) } else { String::new() };
            sign::form(&page, StatusCode::UNAUTHORIZED, &back, None)
        }
        Err(refusal) => Trouble(refusal).into_response(),
    }
}

/// `None`: nobody knows yet who that is.
fn admit(page: &Page, request: &Request) -> Result<Option<Asker>, Refusal> {
    let peer = page.admin.peer(request)?;
    page.admin.refuse_other_sites(request, guard::Reads::Page)?;
    let acts = !matches!(*request.method(), Method::GET | Method::HEAD);
    if acts && !is_of_ours(request.headers()) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "this was sent by a page of somebody else"));
    }
    let is_poll = request.headers().contains_key("x-poll");
    let asker = |caller, may_act, visit| Some(Asker { caller, may_act, visit, here: here(request), is_poll });
    if page.admin.tokens.is_empty() {
        return guard::loopback(peer, acts).map(|caller| asker(caller, false, None));
    }
    let Some(key) = page.cookie(request.headers()) else { return Ok(None) };
    let Some(seen) = page.visits.seen(key, Instant::now()) else { return Ok(None) };
    let caller = Caller { name: seen.name, peer };
    Ok(asker(caller, seen.may == May::Admin, Some((key.to_owned(), seen.csrf))))
}

fn here(request: &Request) -> String {
    request.uri().path_and_query().map_or("/", |here| here.as_str()).to_owned()
}

/// A browser says of every form from where it is; the host behind the scheme is then the one that was asked.
fn is_of_ours(headers: &HeaderMap) -> bool {
    let said = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = said(header::HOST).unwrap_or_default();
    let origin = said(header::ORIGIN);
    origin.is_none_or(|origin| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)))
}

/// A form of ours, sent by who was shown it.
pub(super) struct Signed<T>(pub Asker, pub T);

/// The same, of who may act.
pub(super) struct Act<T>(pub Asker, pub T);

#[derive(Deserialize)]
struct Filled<T> {
    csrf: String,
    #[serde(flatten)]
    rest: T,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Signed<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        let asker = request.extensions().get::<Asker>().cloned();
        let forged = || Refusal::new(StatusCode::FORBIDDEN, "this form is none of ours, or of a visit that has ended");
        let Some((asker, csrf)) = asker.and_then(|asker| Some((asker.clone(), asker.visit?.1))) else {
            return Err(Trouble(forged()));
        };
        let Form(filled) = Form::<Filled<T>>::from_request(request, state).await.map_err(unreadable)?;
        if !bool::from(csrf.as_bytes().ct_eq(filled.csrf.as_bytes())) {
            return Err(Trouble(forged()));
        }
        Ok(Self(asker, filled.rest))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Act<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        let Signed(asker, rest) = Signed::from_request(request, state).await?;
        if !asker.may_act {
            return Err(Trouble(Refusal::new(StatusCode::FORBIDDEN, guard::MAY_NOT_ACT)));
        }
        Ok(Self(asker, rest))
    }
}

pub(super) fn unreadable(rejection: FormRejection) -> Trouble {
    Trouble(Refusal::new(rejection.status(), rejection.body_text()))
}
