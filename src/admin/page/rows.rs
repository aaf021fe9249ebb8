//! Sessions as rows of a table; the list and the details of a user and an address show them alike.

use std::sync::Arc;

use super::Page;
use super::order::{Column, Order};
use super::words::{Size, Tag, Time};
use crate::nodes::{List, Seen, View};
use crate::roster::Filter;

/// One session.
pub(super) struct Row {
    pub id: String,
    pub user: String,
    pub protocol: Tag,
    pub ip: String,
    pub port: u16,
    pub tls: Option<(String, String)>,
    pub backend: String,
    pub since: Time,
    pub moved: Time,
    pub up: Size,
    pub down: Size,
    /// The name of its gateway, where there are several.
    pub gateway: Option<Arc<str>>,
}

impl Row {
    pub(super) fn all_of(list: List) -> Vec<Self> {
        list.sessions.into_iter().map(|(gateway, seen)| Self::of(seen, gateway)).collect()
    }

    fn of(seen: Seen, gateway: Option<Arc<str>>) -> Self {
        let version = |version: &str| version.replacen("TLSv", "TLS ", 1).replace('_', ".");
        Self {
            id: seen.id,
            user: seen.user,
            protocol: Tag::of(seen.protocol),
            ip: seen.client.ip().to_canonical().to_string(),
            port: seen.client.port(),
            tls: seen.tls.map(|(of, cipher)| (version(&of), cipher)),
            backend: seen.backend,
            since: Time::of(seen.since),
            moved: Time::of(seen.moved),
            up: Size::of(seen.up),
            down: Size::of(seen.down),
            gateway,
        }
    }
}

impl Page {
    /// The rows of a user or an address, at most [`MOST`], and how many there are in all.
    pub(super) async fn rows_of(&self, view: &Arc<View>, filter: Filter) -> (Vec<Row>, usize) {
        let order = Order { column: Column::Since, is_reversed: true };
        let nodes = &self.admin.parts.nodes;
        let list = nodes.sorted(view, move |one| one.fits(&filter), move |one| order.key(one), (0, MOST)).await;
        let total = list.total;
        (Row::all_of(list), total)
    }
}

/// On one page.
pub(super) const MOST: usize = 200;
