//! One address: who logged in from there, and the sessions from there.

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;
use serde::Deserialize;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, Trouble, shown};
use super::rows::{MOST, Row};
use super::words::{Tag, Time, sessions};
use crate::admin::named;
use crate::admin::refusal::Query;
use crate::roster::Filter;

#[derive(Deserialize)]
pub(super) struct Which {
    ip: String,
}

#[derive(Template)]
#[template(path = "address.html")]
struct Detail {
    frame: Frame,
    address: String,
    visitors: Vec<(String, Tag, Time)>,
    rows: Vec<Row>,
    shows_user: bool,
    has_others: bool,
    total: usize,
    found: String,
}

pub(super) async fn show(
    State(page): State<Page>,
    Extension(asker): Extension<Asker>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    let address = named::address(which.ip.trim())?;
    let visitors = page.admin.parts.roster.visitors(address, MOST).into_iter();
    let view = page.admin.parts.nodes.others().await;
    let (rows, total) = page.rows_of(&view, Filter { client: Some(address), ..Filter::default() }).await;
    Ok(shown(&Detail {
        frame: Frame::around_all(&page, &asker, view.is_partial),
        address: address.to_string(),
        visitors: visitors
            .map(|(user, visit)| (user.to_string(), Tag::of(visit.protocol), Time::of(visit.at)))
            .collect(),
        rows,
        shows_user: true,
        has_others: view.has_others(),
        total,
        found: sessions(total),
    }))
}
