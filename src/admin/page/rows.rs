//! Sessions as rows of a table; the list and the details of a user and an address show them alike.

use std::sync::Arc;

use super::Page;
use super::order::{Column, Order};
use super::words::{Size, Time, called};
use crate::roster::{Entry, Filter};
use crate::wire::Watched;

/// One session.
pub(super) struct Row {
    pub id: String,
    pub user: String,
    pub protocol: &'static str,
    pub ip: String,
    pub port: u16,
    pub tls: Option<(String, &'static str)>,
    pub backend: String,
    pub since: Time,
    pub moved: Time,
    pub up: Size,
    pub down: Size,
}

impl Row {
    pub(super) fn of(entry: &Arc<Entry>) -> Self {
        let (up, down) = entry.pulse().bytes();
        let version = |version: &str| version.replacen("TLSv", "TLS ", 1).replace('_', ".");
        Self {
            id: entry.id(),
            user: entry.user.as_deref().unwrap_or_default().to_owned(),
            protocol: called(entry.protocol),
            ip: entry.client.ip().to_canonical().to_string(),
            port: entry.client.port(),
            tls: entry.tls.as_ref().map(|tls| (version(tls.version()), tls.cipher())),
            backend: entry.backend.as_deref().unwrap_or_default().to_owned(),
            since: Time::of(entry.since()),
            moved: Time::of(entry.moved()),
            up: Size::of(up),
            down: Size::of(down),
        }
    }
}

impl Page {
    /// The rows of a user or an address, at most [`MOST`], and how many there are in all.
    pub(super) fn rows_of(&self, filter: &Filter) -> (Vec<Row>, usize) {
        let order = Order { column: Column::Since, is_reversed: true };
        let (entries, total) =
            self.admin.parts.roster.sorted(|entry| filter.matches(entry), |entry| order.key(entry), (0, MOST));
        (entries.iter().map(Row::of).collect(), total)
    }
}

/// On one page.
pub(super) const MOST: usize = 200;
