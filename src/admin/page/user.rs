//! One user: what the directory says, protocols and their switches, addresses, refused logins, sessions.

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;
use serde::Deserialize;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, OWN_MEMORY, Trouble, shown};
use super::rows::Row;
use super::words::{Tag, Time, sessions};
use crate::admin::directory::{DirectoryAnswer, Verdict};
use crate::admin::failures::Failures;
use crate::admin::refusal::Query;
use crate::config::Standing;
use crate::nodes::Remembered;
use crate::proto::Protocol;
use crate::roster::{Filter, RefusedLogin, Visit};

#[derive(Deserialize)]
pub(super) struct Who {
    name: String,
}

#[derive(Template)]
#[template(path = "user.html")]
struct Detail {
    frame: Frame,
    user: String,
    answer: Answer,
    switches: Vec<Switch>,
    /// Whether a restart leaves the switches as they are.
    kept: bool,
    /// Whether what is shown of the user's logins outlives the gateway.
    outlives: bool,
    addresses: Vec<(String, Tag, Time)>,
    failures: u64,
    last_failure: Option<(Time, String)>,
    refused: Vec<(Time, Tag, RefusedLogin)>,
    rows: Vec<Row>,
    shows_user: bool,
    has_others: bool,
    total: usize,
    found: String,
}

/// What the directory says of the user.
struct Answer {
    state: &'static str,
    /// `up`, `down` or neither, as the page colours it.
    class: &'static str,
    /// Names and values below it.
    facts: Vec<(&'static str, String)>,
    since: Option<Time>,
    is_stale: bool,
}

struct Switch {
    tag: Tag,
    protocol: &'static str,
    enabled: bool,
    /// Whether it can be switched: not for a name that nobody has.
    is_offered: bool,
    state: &'static str,
    class: &'static str,
    title: &'static str,
    last: Option<Time>,
}

pub(super) async fn show(
    State(page): State<Page>,
    Extension(asker): Extension<Asker>,
    Query(who): Query<Who>,
) -> Result<Response, Trouble> {
    let (user, answer) = page.admin.look_up(who.name.trim()).await?;
    let parts = &page.admin.parts;
    let Remembered { known, is_partial } = parts.nodes.known(user.name()).await;
    let off = parts.registry.switched_off(user.name());
    let last = |protocol: Protocol| known.last.iter().find(|(of, _)| *of == protocol).map(|(_, at)| Time::of(*at));
    let switch = |protocol: Protocol| Switch {
        last: last(protocol),
        ..Switch::of(protocol, !off.contains(protocol), !off.is_empty(), &answer)
    };
    let switches = page.offered.iter().copied().filter(|protocol| protocol.login() == *protocol).map(switch).collect();
    let address = |visit: &Visit| (visit.address.to_string(), Tag::of(visit.protocol), Time::of(visit.at));
    let refused = |refused: RefusedLogin| (Time::of(refused.at), Tag::of(refused.protocol), refused);
    let listed = parts.roster.refused_logins(user.name());
    let failures = Failures::of(&known, &listed);
    let view = parts.nodes.others().await;
    let (rows, total) = page.rows_of(&view, Filter { user: Some(user.shared_name()), ..Filter::default() }).await;
    let mut frame = Frame::around_all(&page, &asker, view.is_partial);
    frame.warnings.extend(is_partial.then_some(OWN_MEMORY.into()));
    Ok(shown(&Detail {
        frame,
        user: user.name().to_owned(),
        answer: answer.into(),
        switches,
        kept: parts.registry.keeps(),
        outlives: parts.registry.is_shared() && !is_partial,
        addresses: known.addresses.iter().rev().map(address).collect(),
        failures: failures.count,
        last_failure: failures.last.map(|(at, address)| (Time::of(at), address.to_string())),
        refused: listed.into_iter().map(refused).collect(),
        rows,
        shows_user: false,
        has_others: view.has_others(),
        total,
        found: sessions(total),
    }))
}

impl Switch {
    fn of(protocol: Protocol, enabled: bool, has_switches: bool, answer: &DirectoryAnswer) -> Self {
        let (state, class, title) = match (enabled, &answer.verdict, answer.allows(protocol)) {
            (false, ..) => ("disabled", "down", "An administrator has switched it off"),
            (true, Verdict::Unknown, _) => ("no such user", "none", "The directory does not know this name"),
            (true, ..) if answer.foreign.is_some() => {
                ("not by this name", "down", "The domain of this name is not one of directory.domains")
            }
            (true, _, Some(true)) => ("enabled", "up", "The directory allows it"),
            (true, _, Some(false)) => ("not allowed", "down", "The directory does not allow it"),
            (true, _, None) => ("enabled", "none", "The directory does not answer"),
        };
        Self {
            tag: Tag::of(protocol),
            protocol: protocol.name(),
            enabled,
            is_offered: has_switches || !matches!(answer.verdict, Verdict::Unknown),
            state,
            class,
            title,
            last: None,
        }
    }
}

impl From<DirectoryAnswer> for Answer {
    fn from(answer: DirectoryAnswer) -> Self {
        let foreign = answer.foreign().map(|why| ("Logins", why));
        let DirectoryAnswer { verdict, since, is_stale, foreign: _ } = answer;
        let (state, class, mut facts) = match verdict {
            Verdict::Known(route) => {
                let status = match route.standing {
                    Standing::Active => "active",
                    Standing::Deny => "may not log in",
                    Standing::Unavailable => "unavailable for now",
                };
                let server = [
                    ("Server", route.host.clone().unwrap_or_else(|| "none".to_owned())),
                    ("Status", status.to_owned()),
                ];
                let facts = server.into_iter().chain(route.user.clone().map(|name| ("Name there", name)));
                ("Known", "up", facts.collect())
            }
            Verdict::Unknown => ("No such user", "down", Vec::new()),
            Verdict::Unusable(why) => ("The entry cannot be used", "down", vec![("Reason", why)]),
            Verdict::Unavailable(why) => ("The directory does not answer", "down", vec![("Reason", why)]),
        };
        facts.extend(foreign);
        Self { state, class, facts, since: since.map(Time::of), is_stale }
    }
}
