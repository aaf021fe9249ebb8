//! The list of who is on.

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, Trouble, shown};
use super::order::{Column, Order, Search};
use super::rows::{MOST, Row};
use super::words::{called, sessions};
use crate::admin::named;
use crate::admin::refusal::Query;
use crate::nodes::One;
use crate::proto::Protocol;

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    page: Option<usize>,
}

/// A part of the list, and links to the others.
#[derive(Clone)]
struct View {
    protocol: Option<Protocol>,
    search: String,
    order: Order,
    page: usize,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions {
    frame: Frame,
    tabs: Vec<Tab>,
    headings: Vec<Heading>,
    orders: Vec<(String, String, bool)>,
    rows: Vec<Row>,
    shows_user: bool,
    has_others: bool,
    /// For the form that searches.
    protocol: &'static str,
    search: String,
    /// How many are on, and how many are meant.
    on: usize,
    found: String,
    range: String,
    previous: Option<String>,
    next: Option<String>,
}

struct Tab {
    label: &'static str,
    count: usize,
    link: String,
    is_here: bool,
}

/// Of a column.
struct Heading {
    text: &'static str,
    link: String,
    /// As `aria-sort` has it.
    sorted: &'static str,
    is_number: bool,
    title: &'static str,
}

pub(super) async fn show(
    State(page): State<Page>,
    Extension(asker): Extension<Asker>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Trouble> {
    let protocol = Some(&wanted.protocol).filter(|name| !name.is_empty()).map(|name| named::protocol(name));
    let view = View {
        protocol: protocol.transpose()?,
        search: wanted.q,
        order: Order::read(&wanted.sort),
        page: wanted.page.unwrap_or(1).max(1),
    };
    let (search, skip) = (Search::new(&view.search), (view.page - 1).saturating_mul(MOST));
    let nodes = &page.admin.parts.nodes;
    let others = nodes.others().await;
    let (counts, has_others) = (nodes.counts(&others), others.has_others());
    let (protocol, order) = (view.protocol, view.order);
    let is_meant = move |one: One<'_>| search.finds(protocol, one);
    let list = nodes.sorted(&others, is_meant, move |one| order.key(one), (skip, MOST)).await;
    let total = list.total;
    let end = skip.saturating_add(list.sessions.len());
    Ok(shown(&Sessions {
        frame: Frame::around_all(&page, &asker, others.is_partial),
        tabs: tabs(&page, &view, &counts),
        headings: Column::shown(has_others).map(|column| heading(&view, column)).collect(),
        orders: orders(&view, has_others),
        rows: Row::all_of(list),
        shows_user: true,
        has_others,
        protocol: view.protocol.map_or("", Protocol::name),
        on: counts.iter().map(|(_, count)| count).sum(),
        found: sessions(total),
        range: if total > MOST { format!("{} to {end} of ", skip.saturating_add(1).min(end)) } else { String::new() },
        previous: (view.page > 1).then(|| View { page: view.page - 1, ..view.clone() }.link()),
        next: (end < total).then(|| View { page: view.page + 1, ..view.clone() }.link()),
        search: view.search,
    }))
}

fn tabs(page: &Page, view: &View, counts: &[(Protocol, usize)]) -> Vec<Tab> {
    let tab = |protocol: Option<Protocol>| Tab {
        label: protocol.map_or("All", called),
        count: counts
            .iter()
            .filter(|(of, _)| protocol.is_none_or(|wanted| wanted == *of))
            .map(|(_, count)| count)
            .sum(),
        link: View { protocol, page: 1, ..view.clone() }.link(),
        is_here: protocol == view.protocol,
    };
    std::iter::once(None).chain(page.offered.iter().copied().map(Some)).map(tab).collect()
}

fn heading(view: &View, column: Column) -> Heading {
    let sorted = match (view.order.column == column, view.order.is_reversed) {
        (false, _) => "none",
        (true, false) => "ascending",
        (true, true) => "descending",
    };
    let title = match column {
        Column::Up => "Bytes from the client",
        Column::Down => "Bytes to the client",
        _ => "",
    };
    let link = View { order: view.order.toggled(column), page: 1, ..view.clone() }.link();
    Heading { text: column.heading(), link, sorted, is_number: column.is_number(), title }
}

/// What a narrow screen has in place of headings.
fn orders(view: &View, has_others: bool) -> Vec<(String, String, bool)> {
    let both = |column| [false, true].map(|is_reversed| Order { column, is_reversed });
    let arrow = |order: Order| if order.is_reversed { "↓" } else { "↑" };
    let option =
        |order: Order| (order.written(), format!("{} {}", order.column.heading(), arrow(order)), order == view.order);
    Column::shown(has_others).flat_map(both).map(option).collect()
}

impl View {
    fn link(&self) -> String {
        let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let usual = Order::read("");
        let parts = [
            self.protocol.map(|protocol| format!("protocol={}", protocol.name())),
            (!self.search.is_empty()).then(|| format!("q={}", part(&self.search))),
            (self.order != usual).then(|| format!("sort={}", self.order.written())),
            (self.page > 1).then(|| format!("page={}", self.page)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "/sessions".to_owned() } else { format!("/sessions?{}", parts.join("&")) }
    }
}
