//! One user: protocols and their switches, addresses, failures, sessions.

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;
use serde::Deserialize;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, OWN_MEMORY, Trouble, shown};
use super::rows::Row;
use super::words::{Time, called, sessions};
use crate::admin::refusal::Query;
use crate::nodes::Remembered;
use crate::proto::Protocol;
use crate::roster::{Filter, Visit};

#[derive(Deserialize)]
pub(super) struct Who {
    name: String,
}

#[derive(Template)]
#[template(path = "user.html")]
struct Detail {
    frame: Frame,
    user: String,
    switches: Vec<Switch>,
    /// Whether a restart leaves the switches as they are.
    kept: bool,
    /// Whether what is shown of the user's logins outlives the gateway.
    outlives: bool,
    addresses: Vec<(String, &'static str, Time)>,
    failures: u64,
    last_failure: Option<(Time, String)>,
    rows: Vec<Row>,
    shows_user: bool,
    has_others: bool,
    total: usize,
    found: String,
}

struct Switch {
    protocol: &'static str,
    label: &'static str,
    enabled: bool,
    last: Option<Time>,
}

pub(super) async fn show(
    State(page): State<Page>,
    Extension(asker): Extension<Asker>,
    Query(who): Query<Who>,
) -> Result<Response, Trouble> {
    let user = page.admin.user(who.name.trim())?;
    let parts = &page.admin.parts;
    let Remembered { known, is_partial } = parts.nodes.known(user.name()).await;
    let off = parts.registry.switched_off(user.name());
    let last = |protocol: Protocol| known.last.iter().find(|(of, _)| *of == protocol).map(|(_, at)| Time::of(*at));
    let switch = |protocol: Protocol| Switch {
        protocol: protocol.name(),
        label: called(protocol),
        enabled: !off.contains(protocol),
        last: last(protocol),
    };
    let address = |visit: &Visit| (visit.address.to_string(), called(visit.protocol), Time::of(visit.at));
    let view = parts.nodes.others().await;
    let (rows, total) = page.rows_of(&view, Filter { user: Some(user.shared_name()), ..Filter::default() }).await;
    let mut frame = Frame::around_all(&page, &asker, view.is_partial);
    frame.warnings.extend(is_partial.then_some(OWN_MEMORY.into()));
    Ok(shown(&Detail {
        frame,
        user: user.name().to_owned(),
        switches: page.offered.iter().copied().filter(|protocol| protocol.login() == *protocol).map(switch).collect(),
        kept: parts.registry.keeps(),
        outlives: parts.registry.is_shared() && !is_partial,
        addresses: known.addresses.iter().rev().map(address).collect(),
        failures: known.failures,
        last_failure: known.last_failure.map(|(at, address)| (Time::of(at), address.to_string())),
        rows,
        shows_user: false,
        has_others: view.has_others(),
        total,
        found: sessions(total),
    }))
}
