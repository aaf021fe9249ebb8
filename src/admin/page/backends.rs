//! The back-ends and their state.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, shown};
use super::words::called;
use crate::backend::{LastAttempt, Reached, Server};
use crate::directory::utc;

#[derive(Template)]
#[template(path = "backends.html")]
struct Backends {
    frame: Frame,
    /// Each with its protocols.
    servers: Vec<(Arc<Server>, Vec<Shown>)>,
}

/// How a server is by one protocol.
struct Shown {
    protocol: &'static str,
    /// `up`, `down` or neither, as the page colours it.
    class: &'static str,
    state: &'static str,
    title: String,
}

impl Shown {
    fn of(reached: &Reached) -> Self {
        let (class, state, title) = match &reached.last {
            LastAttempt::NotTried => {
                ("none", "not tried yet", "Nobody has tried it since the gateway started".to_owned())
            }
            LastAttempt::Answered => ("up", "up", "It answered the last attempt".to_owned()),
            LastAttempt::Failed { since, why } => ("down", "down", format!("Since {}: {why}", utc(*since))),
        };
        Self { protocol: called(reached.protocol), class, state, title }
    }
}

pub(super) async fn show(State(page): State<Page>, Extension(asker): Extension<Asker>) -> Response {
    let reached = |server: &Server| server.reached().iter().map(Shown::of).collect();
    let servers = page.admin.parts.backends.servers().into_iter().map(|server| (server.clone(), reached(&server)));
    let servers = servers.collect();
    shown(&Backends { frame: Frame::around(&page, &asker), servers })
}
