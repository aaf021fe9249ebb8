//! Who may ask: the Host header against DNS rebinding, what the browser says of the site that asks, then the token,
//! before any path is looked at.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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
    admin.refuse_other_sites(request, Reads::Data)?;
    let acts = !matches!(*request.method(), Method::GET | Method::HEAD);
    if admin.tokens.is_empty() {
        return loopback(peer, acts);
    }
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, given)) = given else {
        let detail = "needs `Authorization: Bearer TOKEN`, with one of `admin.tokens`";
        return Err(admin.refused(RefusalReason::NoToken, StatusCode::UNAUTHORIZED, detail));
    };
    let token = admin.token(given.trim(), peer, "api")?;
    if acts && token.may == May::Read {
        return Err(admin.refused(RefusalReason::MayNotAct, StatusCode::FORBIDDEN, MAY_NOT_ACT));
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

/// Why the admin side refuses, for the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalReason {
    /// The Host header is not one of ours.
    UnknownHost,
    /// A page of another site has the browser ask.
    OtherSite,
    NoToken,
    WrongToken,
    TooManyWrongTokens,
    /// The token may only read.
    MayNotAct,
    /// The connection made room for another one.
    Evicted,
}

impl RefusalReason {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown_host",
            Self::OtherSite => "other_site",
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::TooManyWrongTokens => "too_many_wrong_tokens",
            Self::MayNotAct => "may_not_act",
            Self::Evicted => "evicted",
        }
    }
}

/// What a request reads, unless it acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// A page for people, to which other pages may link.
    Page,
    /// What programs read.
    Data,
}

impl Admin {
    /// A refusal, counted.
    pub(super) fn refused(&self, reason: RefusalReason, status: StatusCode, detail: &str) -> Refusal {
        self.parts.metrics.admin_refusals.with_label_values(&[reason.label()]).inc();
        Refusal::new(status, detail)
    }

    /// Where a request comes from, when it calls the gateway by one of its names.
    pub(super) fn peer(&self, request: &Request) -> Result<SocketAddr, Refusal> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
        if !host.is_some_and(|host| self.is_called(host)) {
            let detail = "this is not a name of the gateway; `admin.hosts` in its configuration has more";
            return Err(self.refused(RefusalReason::UnknownHost, StatusCode::MISDIRECTED_REQUEST, detail));
        }
        let peer = request.extensions().get().map(|Peer(peer)| *peer);
        peer.ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "nobody knows where this comes from"))
    }

    /// Refuses what a browser sends because a page of another site tells it to. A link to a page of ours may be followed.
    pub(super) fn refuse_other_sites(&self, request: &Request, reads: Reads) -> Result<(), Refusal> {
        let said = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
        // Fetch Metadata: `none` is a person who typed the address. Whatever is no browser says nothing.
        if matches!(said("sec-fetch-site"), None | Some("same-origin" | "none")) {
            return Ok(());
        }
        let is_link = (said("sec-fetch-mode"), said("sec-fetch-dest")) == (Some("navigate"), Some("document"));
        if reads == Reads::Page && *request.method() == Method::GET && is_link {
            return Ok(());
        }
        let detail = "this was sent by a page of another site";
        Err(self.refused(RefusalReason::OtherSite, StatusCode::FORBIDDEN, detail))
    }

    /// Whether this may be what the gateway is called: a page of the world whose name was made to point here is not.
    fn is_called(&self, host: &str) -> bool {
        let Some(name) = HostName::read(host) else { return false };
        match name {
            HostName::Address => true,
            HostName::Name(name) => {
                let is_own = |own: &str| own.eq_ignore_ascii_case(name);
                is_own("localhost") || is_own(&self.parts.hostname) || self.hosts.iter().any(|own| is_own(own))
            }
        }
    }
}

/// A Host header without its port.
#[derive(Debug, PartialEq, Eq)]
enum HostName<'h> {
    Address,
    Name(&'h str),
}

impl<'h> HostName<'h> {
    /// RFC 9110, section 7.2, and RFC 3986, section 3.2.2: an IPv6 address stands in brackets, and nothing but a port
    /// behind them.
    fn read(host: &'h str) -> Option<Self> {
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(rest) = host.strip_prefix('[') {
            let (address, behind) = rest.split_once(']')?;
            let is_whole = behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port);
            return (is_whole && address.parse::<Ipv6Addr>().is_ok()).then_some(Self::Address);
        }
        let name = match host.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return None,
            None => host,
        };
        Some(if name.parse::<Ipv4Addr>().is_ok() { Self::Address } else { Self::Name(name) })
    }
}

/// To who has a token that may read.
pub(super) const MAY_NOT_ACT: &str = "this token may read, and not act";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name_with_nothing_behind_but_a_port() {
        for address in ["127.0.0.1", "127.0.0.1:8025", "[::1]", "[::1]:8025", "[::ffff:192.0.2.1]:", "192.0.2.1:"] {
            assert_eq!(HostName::read(address), Some(HostName::Address), "{address}");
        }
        for (host, name) in [("localhost", "localhost"), ("a.example:8025", "a.example"), ("::1", ""), ("", "")] {
            let expected = if host == "::1" { None } else { Some(HostName::Name(name)) };
            assert_eq!(HostName::read(host), expected, "{host}");
        }
        for host in [
            "[::1]evil.example",
            "[::1]:1.evil.example",
            "[::1",
            "[evil.example]",
            "[127.0.0.1]",
            "::1]",
            "a:b",
            "a:1:2",
        ] {
            assert_eq!(HostName::read(host), None, "{host}");
        }
        let named = ["127.0.0.1.evil.example", "localhost.evil.example:80", "localhost@evil.example", "0x7f000001"];
        assert!(named.iter().all(|host| matches!(HostName::read(host), Some(HostName::Name(_)))));
    }
}
