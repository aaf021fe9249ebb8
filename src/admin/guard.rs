//! Who may ask: the Host header against DNS rebinding, then the token, before any path is looked at.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::Admin;
use super::refusal::Refusal;
use crate::config::{May, Token};

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub SocketAddr);

/// Who asks, for the log.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub name: Arc<str>,
    pub peer: SocketAddr,
}

/// In front of every path of the API, those that do not exist included.
pub(super) async fn guard(State(admin): State<Admin>, mut request: Request, next: Next) -> Response {
    match admit(&admin, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn admit(admin: &Admin, request: &Request) -> Result<Caller, Refusal> {
    let peer = admin.peer(request)?;
    let acts = !matches!(*request.method(), Method::GET | Method::HEAD);
    if admin.tokens.is_empty() {
        return loopback(peer, acts);
    }
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = given.and_then(|(_, secret)| known(&admin.tokens, secret.trim()));
    let token = token.ok_or_else(|| {
        Refusal::new(StatusCode::UNAUTHORIZED, "needs `Authorization: Bearer TOKEN`, with one of `admin.tokens`")
    })?;
    if acts && token.may == May::Read {
        return Err(Refusal::new(StatusCode::FORBIDDEN, MAY_NOT_ACT));
    }
    Ok(Caller { name: token.name.as_str().into(), peer })
}

/// Who asks where no token is configured.
pub(super) fn loopback(peer: SocketAddr, acts: bool) -> Result<Caller, Refusal> {
    match (peer.ip().to_canonical().is_loopback(), acts) {
        (true, false) => Ok(Caller { name: "loopback".into(), peer }),
        (true, true) => Err(Refusal::new(StatusCode::FORBIDDEN, "without `admin.tokens` nobody may act")),
        (false, _) => Err(Refusal::new(StatusCode::FORBIDDEN, "without `admin.tokens` only loopback may read")),
    }
}

/// All of them are compared, each in the same time whatever is wrong.
pub(super) fn known<'t>(tokens: &'t [Token], given: &str) -> Option<&'t Token> {
    tokens.iter().fold(None, |found, token| {
        let is_it: bool = token.secret.current().expose().as_bytes().ct_eq(given.as_bytes()).into();
        if is_it { Some(token) } else { found }
    })
}

impl Admin {
    /// Where a request comes from, when it calls the gateway by one of its names.
    pub(super) fn peer(&self, request: &Request) -> Result<SocketAddr, Refusal> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
        if !host.is_some_and(|host| self.is_called(host)) {
            let detail = "this is not a name of the gateway; `admin.hosts` in its configuration has more";
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        let peer = request.extensions().get().map(|Peer(peer)| *peer);
        peer.ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "nobody knows where this comes from"))
    }

    /// Whether this may be what the gateway is called: a page of the world whose name was made to point here is not.
    fn is_called(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let is_own = |own: &str| own.eq_ignore_ascii_case(name);
        name.parse::<IpAddr>().is_ok()
            || is_own("localhost")
            || is_own(&self.parts.hostname)
            || self.hosts.iter().any(|own| is_own(own))
    }
}

/// To who has a token that may read.
pub(super) const MAY_NOT_ACT: &str = "this token may read, and not act";
