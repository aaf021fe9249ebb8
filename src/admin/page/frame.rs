//! What every page shows around its own matter, and what is shown when there is none.

use std::borrow::Cow;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::Page;
use super::asker::Asker;
use crate::admin::refusal::Refusal;
use crate::directory::{DirectoryState, Reach, utc};

/// The frame of a page of who may read.
pub(super) struct Frame {
    pub hostname: String,
    pub version: &'static str,
    /// Who has signed in; `None` = nobody needs to.
    pub name: Option<String>,
    pub may_act: bool,
    /// What forms carry.
    pub csrf: String,
    /// Where forms come back to.
    pub here: String,
    pub notice: Option<String>,
    /// What an operator should know before anything else.
    pub warnings: Vec<Cow<'static, str>>,
}

impl Frame {
    pub(super) fn around(page: &Page, asker: &Asker) -> Self {
        let parts = &page.admin.parts;
        let (key, csrf) = asker.visit.clone().unzip();
        let warnings = [
            (page.admin.drain.is_stopping(), "The gateway is stopping: it takes no new sessions."),
            (parts.metrics.registry_up.get() == 0, STORE_AWAY),
        ];
        let warnings = warnings.into_iter().filter(|(holds, _)| *holds).map(|(_, warning)| warning.into());
        let directory = directory(&parts.directory.state(), page.admin.from_memory.users);
        Self {
            hostname: parts.hostname.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            name: key.is_some().then(|| asker.caller.name.to_string()),
            may_act: asker.may_act,
            csrf: csrf.unwrap_or_default().to_string(),
            here: asker.here.clone(),
            notice: key.filter(|_| !asker.is_poll).and_then(|key| page.visits.hear(&key)),
            warnings: directory.map(Cow::from).into_iter().chain(warnings).collect(),
        }
    }

    /// Of a page with what other gateways have: who reads it is told when that is missing.
    pub(super) fn around_all(page: &Page, asker: &Asker, is_partial: bool) -> Self {
        let mut frame = Self::around(page, asker);
        if is_partial {
            frame.warnings.retain(|warning| *warning != STORE_AWAY);
            frame.warnings.push(ALONE.into());
        }
        frame
    }
}

/// What is wrong with the directory; `from_memory`: the users whom it remembers can log in without it.
fn directory(state: &DirectoryState, from_memory: bool) -> Option<String> {
    let remembered = if from_memory { state.remembered_users } else { 0 };
    let who = match (remembered, state.first_answers()) {
        (0, false) => "nobody can log in".to_owned(),
        (0, true) => "some users cannot log in".to_owned(),
        (1, _) => "1 remembered user can log in, others may not".to_owned(),
        (count, _) => format!("{count} remembered users can log in, others may not"),
    };
    match state.reach() {
        Reach::Answers => None,
        Reach::Away { since, why } => Some(format!("The directory is away since {}: {who}. {why}.", utc(since))),
        Reach::NeverAnswered { why: None } => Some(format!("The directory has not answered yet: {who}.")),
        Reach::NeverAnswered { why: Some(why) } => {
            Some(format!("The directory has not answered since the gateway started: {who}. {why}."))
        }
    }
}

/// A page, or the reason why there is none.
pub(super) fn shown(template: &impl Template) -> Response {
    shown_with(StatusCode::OK, template)
}

pub(super) fn shown_with(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// To a path of ours, by GET.
pub(super) fn elsewhere(path: &str) -> Response {
    let path = HeaderValue::try_from(ours(path)).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

/// The path, if a browser cannot take it for a page of somebody else.
pub(super) fn ours(path: &str) -> &str {
    let is_ours = path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_ours && !path.contains('\\') { path } else { "/" }
}

/// What went wrong, as a page.
pub(super) struct Trouble(pub Refusal);

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage<'t> {
    heading: &'t str,
    detail: &'t str,
}

/// A path that no page has.
pub(super) fn page_not_found() -> Response {
    shown_with(StatusCode::NOT_FOUND, &TroublePage { heading: "Page not found", detail: "There is no such page." })
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let heading = match self.0.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => "This is not allowed",
            StatusCode::SERVICE_UNAVAILABLE => "This cannot be done now",
            _ => "This did not work",
        };
        shown_with(self.0.status, &TroublePage { heading, detail: &self.0.detail })
    }
}

const STORE_AWAY: &str = "The registry's store is away.";
const ALONE: &str = "The registry's store is away: other gateways' sessions are not shown.";
/// Of a user's page.
pub(super) const OWN_MEMORY: &str =
    "The registry's store does not tell what other gateways know: logins and failures are this one's, since its start.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_a_page_of_somebody_else() {
        assert_eq!(ours("/user?name=a%40b"), "/user?name=a%40b");
        for path in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: b", "/a b"] {
            assert_eq!(ours(path), "/", "{path:?}");
        }
    }
}
