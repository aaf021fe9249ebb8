//! The back-ends and their state.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, shown};
use super::words::called;
use crate::backend::Server;

#[derive(Template)]
#[template(path = "backends.html")]
struct Backends {
    frame: Frame,
    /// Each with the protocols by which it was tried.
    servers: Vec<(Arc<Server>, Vec<Tried>)>,
}

/// A protocol, and what is wrong with it, if anything is.
type Tried = (&'static str, Option<Arc<str>>);

pub(super) async fn show(State(page): State<Page>, Extension(asker): Extension<Asker>) -> Response {
    let reached =
        |server: &Server| server.reached().into_iter().map(|one| (called(one.protocol), one.problem)).collect();
    let servers = page.admin.parts.backends.servers().into_iter().map(|server| (server.clone(), reached(&server)));
    let servers = servers.collect();
    shown(&Backends { frame: Frame::around(&page, &asker), servers })
}
