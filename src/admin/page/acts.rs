//! The forms that act. What they do is what the API does; many sessions at once are dropped only when asked twice.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Page;
use super::asker::{Act, Asker};
use super::frame::{Frame, Trouble, elsewhere, ours, shown};
use super::words::{called, sessions};
use crate::admin::acted_on::ActedOn;
use crate::admin::acts::{Ended, ForgottenRoute, Whose, Wish};
use crate::admin::directory::Doubt;
use crate::admin::named;
use crate::admin::refusal::Refusal;
use crate::nodes::Told;

#[derive(Deserialize)]
pub(super) struct Drop {
    of: String,
    what: String,
    back: String,
    /// Asked twice.
    #[serde(default)]
    sure: String,
}

#[derive(Deserialize)]
pub(super) struct Switch {
    user: String,
    protocol: String,
    /// `on` or `off`.
    to: String,
    /// The sessions that are on, too.
    #[serde(default)]
    now: String,
    back: String,
    #[serde(default)]
    sure: String,
    /// Asked although the directory does not say whether there is such a user.
    #[serde(default)]
    force: String,
}

#[derive(Deserialize)]
pub(super) struct Forget {
    user: String,
    back: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'t> {
    frame: Frame,
    question: String,
    detail: &'t str,
    yes: String,
    action: &'t str,
    fields: &'t [(&'t str, &'t str)],
    cancel: &'t str,
}

pub(super) async fn drop_sessions(State(page): State<Page>, Act(asker, asked): Act<Drop>) -> Result<Response, Trouble> {
    let mut of = None;
    let whose = match &*asked.of {
        "session" => Whose::session(&asked.what)?,
        "user" => {
            let (user, answer) = page.admin.look_up(&asked.what).await?;
            of = Some(ActedOn::looked_up(&asked.what, &user, &answer));
            Whose::user(&user, None)
        }
        "address" => Whose::address(&asked.what)?,
        "backend" => Whose::backend(&page.admin, &asked.what)?,
        _ => return Err(Refusal::bad("of: session, user, address or backend").into()),
    };
    let fields = [("of", &*asked.of), ("what", &*asked.what), ("back", &*asked.back)];
    if let Some(question) = page.question(&asker, &whose, &asked.sure, "/drop", &fields, &asked.back).await {
        return Ok(question);
    }
    let words = match page.admin.drop_sessions(&asker.caller, &whose).await {
        Ok(ended) => dropped(&ended),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => "This session had already ended.".to_owned(),
        Err(refusal) => return Err(refusal.into()),
    };
    let note = of.as_ref().map(note).unwrap_or_default();
    Ok(page.done(&asker, &asked.back, format!("{words}{note}")))
}

pub(super) async fn switch(State(page): State<Page>, Act(asker, asked): Act<Switch>) -> Result<Response, Trouble> {
    let protocol = named::switch(&asked.protocol)?;
    let (user, answer) = page.admin.look_up_for_act(&asked.user).await?;
    let enabled = match &*asked.to {
        "on" => true,
        "off" => false,
        _ => return Err(Refusal::bad("to: on or off").into()),
    };
    let now = asked.now == "yes" && !enabled;
    let fields = [
        ("user", &*asked.user),
        ("protocol", &*asked.protocol),
        ("to", &*asked.to),
        ("now", &*asked.now),
        ("back", &*asked.back),
        ("force", &*asked.force),
    ];
    let whose = Whose::user(&user, Some(protocol));
    if now && let Some(question) = page.question(&asker, &whose, &asked.sure, "/switch", &fields, &asked.back).await {
        return Ok(question);
    }
    let force = asked.force == "yes";
    let of = ActedOn::switched(&asked.user, &user, &answer, (!enabled).then_some(protocol));
    if !force && let Some(doubt @ Doubt::Unavailable(_)) = page.admin.doubt(&user, &answer) {
        return Ok(page.all_the_same(&asker, &asked, &of, &doubt.about(&user)));
    }
    let done = page.admin.switch(&asker.caller, &user, Some(&answer), Wish { protocol, enabled, now, force }).await?;
    let word = if enabled { "enabled" } else { "disabled" };
    let kept = if done.kept { "" } else { ", until the gateway restarts" };
    let dropped = if now { format!(" {}", dropped(&done.dropped)) } else { String::new() };
    let (protocol, note) = (called(protocol), note(&of));
    Ok(page.done(&asker, &asked.back, format!("{protocol} is {word} for {of}{kept}.{dropped}{note}")))
}

pub(super) async fn forget_route(
    State(page): State<Page>,
    Act(asker, asked): Act<Forget>,
) -> Result<Response, Trouble> {
    let ForgottenRoute { forgotten, told, of } = page.admin.forget_route(&asker.caller, &asked.user).await?;
    let here = if forgotten {
        format!("The route of {of} is forgotten: the next login asks the directory.")
    } else {
        format!("No route of {of} was remembered: the next login asks the directory anyway.")
    };
    let elsewhere = match told {
        Told { is_partial: true, .. } => " The other gateways may not have been told.",
        Told { nodes: 0, .. } => "",
        Told { .. } => " So it does at the other gateways.",
    };
    Ok(page.done(&asker, &asked.back, format!("{here}{elsewhere}{}", note(&of))))
}

/// What an operator must know besides, as a sentence behind others.
fn note(of: &ActedOn) -> String {
    of.note().map(|note| format!(" Note: {note}.")).unwrap_or_default()
}

/// Said of sessions that are about to end.
const COME_BACK: &str = "The clients see their connection close; most come back by themselves.";

/// What became of sessions that were to end.
fn dropped(ended: &Ended) -> String {
    let here = sessions(ended.here);
    match ended.told {
        Some(told) if told.is_partial => format!("{here} dropped here; the other gateways may not have been told."),
        Some(told) if (ended.here, told.sessions) == (0, 1) => "1 session dropped at another gateway.".to_owned(),
        Some(told) if told.nodes > 0 => format!("{here} dropped here, about {} elsewhere.", told.sessions),
        Some(_) | None => format!("{here} dropped."),
    }
}

impl Page {
    /// What is asked before more than one session is dropped, if it was not asked yet.
    async fn question(
        &self,
        asker: &Asker,
        whose: &Whose,
        sure: &str,
        action: &str,
        fields: &[(&str, &str)],
        back: &str,
    ) -> Option<Response> {
        let Whose::All(by, what, filter) = whose else { return None };
        if sure == "yes" {
            return None;
        }
        let count = self.admin.parts.nodes.page(filter, None, 0).await?.total;
        if count <= 1 {
            return None;
        }
        let of = match *by {
            "address" => "from",
            "backend" => "at",
            _ => "of",
        };
        let kind = filter.protocol.map_or_else(String::new, |protocol| format!("{} ", called(protocol)));
        let question = format!("Drop {count} {kind}sessions {of} {what}?");
        let yes = format!("Drop {}", sessions(count));
        let frame = Frame::around(self, asker);
        Some(shown(&Confirm { frame, question, detail: COME_BACK, yes, action, fields, cancel: ours(back) }))
    }

    /// Asked before a switch for a name that may be a typo.
    fn all_the_same(&self, asker: &Asker, asked: &Switch, of: &ActedOn, doubt: &str) -> Response {
        let verb = if asked.to == "on" { "Enable" } else { "Disable" };
        shown(&Confirm {
            frame: Frame::around(self, asker),
            question: format!("{verb} {} for {of} all the same?", asked.protocol),
            detail: doubt,
            yes: format!("{verb} all the same"),
            action: "/switch",
            fields: &[
                ("user", &asked.user),
                ("protocol", &asked.protocol),
                ("to", &asked.to),
                ("now", &asked.now),
                ("back", &asked.back),
                ("force", "yes"),
            ],
            cancel: ours(&asked.back),
        })
    }

    /// Back to where the form was, with a word about what it did.
    fn done(&self, asker: &Asker, back: &str, words: String) -> Response {
        if let Some((key, _)) = &asker.visit {
            self.visits.tell(key, words);
        }
        elsewhere(back)
    }
}
