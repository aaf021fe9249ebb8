//! The back-ends and their state.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, shown};
use crate::backend::Server;

#[derive(Template)]
#[template(path = "backends.html")]
struct Backends {
    frame: Frame,
    servers: Vec<Arc<Server>>,
}

pub(super) async fn show(State(page): State<Page>, Extension(asker): Extension<Asker>) -> Response {
    let servers = page.admin.parts.backends.servers();
    shown(&Backends { frame: Frame::around(&page, &asker), servers })
}
