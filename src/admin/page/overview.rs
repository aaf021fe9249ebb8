//! The first page: what is wrong, how the parts of the gateway are, and the last hour.

use std::borrow::Cow;
use std::time::{Instant, SystemTime};

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;
use time::OffsetDateTime;

use super::Page;
use super::asker::Asker;
use super::frame::{Frame, shown};
use super::plot::Plot;
use super::samples::{Counts, Hour};
use super::words::{Tag, Time, called, sessions};
use crate::admin::expiry::expiries;
use crate::backend::{self, Reached, Server};
use crate::directory::{Reach, utc};
use crate::nodes::View;
use crate::proto::Protocol;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    problems: Vec<Problem>,
    plots: Vec<Plot>,
    /// Sessions of all gateways, by protocol, each with a link to the list.
    counts: Vec<(Tag, usize, &'static str)>,
    parts: Vec<Part>,
    /// The gateways that share the store, where there are several: name and sessions.
    gateways: Vec<(String, String)>,
    started: Time,
}

/// One thing that is wrong, in one line.
struct Problem {
    text: String,
    /// Where more is said.
    link: Option<&'static str>,
}

/// How one part of the gateway is.
struct Part {
    id: &'static str,
    title: &'static str,
    link: Option<&'static str>,
    /// `up`, `down` or neither, as the page colours it.
    class: &'static str,
    state: String,
    details: Vec<String>,
}

/// When this gateway was started, near enough.
#[derive(Clone, Copy)]
pub(super) struct Started(Instant);

impl Started {
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    fn time(self) -> Time {
        let then = SystemTime::now().checked_sub(self.0.elapsed());
        let since = then.and_then(|then| then.duration_since(SystemTime::UNIX_EPOCH).ok());
        Time::of(since.map_or(0, |since| since.as_secs()))
    }
}

pub(super) async fn show(State(page): State<Page>, Extension(asker): Extension<Asker>) -> Response {
    let parts = &page.admin.parts;
    let view = parts.nodes.others().await;
    let mut frame = Frame::around_all(&page, &asker, view.is_partial);
    let hour = page.samples.hour(Counts::of(&parts.metrics));
    let counts = parts.nodes.counts(&view);
    let is_offered = |protocol: &Protocol| page.offered.contains(protocol);
    let all = counts.iter().map(|(_, count)| count).sum();
    shown(&Overview {
        problems: page.problems(std::mem::take(&mut frame.warnings), &hour),
        plots: plots(&hour, view.has_others().then_some(all)),
        counts: counts
            .into_iter()
            .filter(|(protocol, _)| is_offered(protocol))
            .map(|(protocol, count)| (Tag::of(protocol), count, protocol.name()))
            .collect(),
        parts: vec![page.directory(), page.store(), page.backends(), page.certificates(), page.workers()],
        gateways: page.gateways(&view),
        started: page.started.time(),
        frame,
    })
}

fn plots(hour: &Hour, at_all: Option<usize>) -> Vec<Plot> {
    let Hour { total, .. } = hour;
    let of_all = at_all.map_or_else(String::new, |all| format!("; {all} at all gateways"));
    let refusals = total.refused_logins + total.refused_connections;
    let kinds = format!("logins {}, connections {}", total.refused_logins, total.refused_connections);
    vec![
        Plot::new("logins", "Logins", total.logins, "in the last hour".to_owned(), &hour.logins),
        Plot::new("refusals", "Refusals", refusals, kinds, &hour.refusals),
        Plot::new("sessions", "Sessions", total.sessions, format!("now{of_all}"), &hour.sessions),
    ]
}

impl Page {
    /// The most important first; `warnings`: what every page says.
    fn problems(&self, warnings: Vec<Cow<'static, str>>, hour: &Hour) -> Vec<Problem> {
        let faults: Vec<String> =
            self.admin.parts.backends.servers().iter().flat_map(|server| faults(server)).collect();
        let more = faults.len().checked_sub(FAULTS_LISTED).filter(|more| *more > 0);
        let more = more.map(|more| format!("{more} more faults of back-ends."));
        let backends = faults.into_iter().take(FAULTS_LISTED).chain(more);
        let backends = backends.map(|text| Problem { text, link: Some("/backends") });
        let soon = self.expiries().into_iter().filter(|(_, left)| *left < EXPIRES_SOON);
        let soon = soon.map(|(file, left)| Problem {
            text: format!("The certificate {file} {}.", until_expiry(left)),
            link: None,
        });
        let of_the_hour = [
            (hour.total.panics, "sessions ended by a fault of the gateway itself (a panic); the log has it."),
            (hour.total.accept_errors, "connections could not be taken; the log says why (file descriptors?)."),
            (hour.total.failed_reloads, "reloads failed; the log says why, and what was there before stays in use."),
        ];
        let of_the_hour = of_the_hour.into_iter().filter(|(count, _)| *count > 0);
        let of_the_hour =
            of_the_hour.map(|(count, what)| Problem { text: format!("In the last hour {count} {what}"), link: None });
        let warnings = warnings.into_iter().map(|text| Problem { text: text.into_owned(), link: None });
        warnings.chain(backends).chain(soon).chain(of_the_hour).collect()
    }

    fn directory(&self) -> Part {
        let directory = self.admin.parts.directory.state();
        let (state, class) = match directory.reach() {
            Reach::Answers => ("Answers".to_owned(), "up"),
            Reach::Away { since, .. } => (format!("Away since {}", utc(since)), "down"),
            Reach::NeverAnswered { why: None } => ("Not asked yet".to_owned(), "none"),
            Reach::NeverAnswered { why: Some(_) } => ("Never answered".to_owned(), "down"),
        };
        let away = directory.sources.iter().filter(|source| source.reach != Reach::Answers);
        let users = Some(format!("{} users remembered", directory.remembered_users));
        let takes_mail = self.offered.contains(&Protocol::Smtp);
        let recipients = takes_mail.then(|| format!("{} recipients remembered", directory.remembered_recipients));
        // Which one it is goes without saying where there is but one.
        let away = away.map(|source| source.name.clone()).filter(|_| directory.sources.len() > 1);
        Part {
            id: "directory",
            title: "Directory",
            link: None,
            class,
            state,
            details: away.take(SOURCES_LISTED).chain(users).chain(recipients).collect(),
        }
    }

    fn store(&self) -> Part {
        let (registry, metrics) = (&self.admin.parts.registry, &self.admin.parts.metrics);
        let (state, class) =
            if metrics.registry_up.get() == 0 { ("Does not answer", "down") } else { ("Answers", "up") };
        let kind = match (registry.keeps(), registry.is_shared()) {
            (false, _) => "in memory: a restart forgets",
            (true, false) => "in a file of this gateway",
            (true, true) => "on a server that gateways share",
        };
        let details = vec![kind.to_owned(), format!("{} addresses vouched for", metrics.windows.get())];
        Part { id: "store", title: "Store", link: None, class, state: state.to_owned(), details }
    }

    fn backends(&self) -> Part {
        let servers = self.admin.parts.backends.servers();
        let (mut up, mut down, mut not_tried, mut partly) = (0_usize, 0_usize, 0_usize, 0_usize);
        for server in &servers {
            *match server.state() {
                backend::State::Up => &mut up,
                backend::State::Down | backend::State::Degraded => &mut down,
                backend::State::PartlyTried => &mut partly,
                backend::State::Unknown => &mut not_tried,
            } += 1;
        }
        let rest = [(up, "up"), (partly, "not tried by every protocol yet"), (not_tried, "not tried yet")];
        let rest = rest.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let (state, class) = match (servers.len(), down, partly + not_tried) {
            (0, ..) => ("None known yet".to_owned(), "none"),
            (all, 0, _) if all == not_tried => ("Not tried yet".to_owned(), "none"),
            (_, 0, 0) => (format!("{up} up"), "up"),
            (_, 0, _) => (rest.collect::<Vec<_>>().join(", "), "none"),
            (all, down, _) => (format!("{down} of {all} down"), "down"),
        };
        let details = vec![format!("{} connections", self.admin.parts.metrics.backend_open.get())];
        Part { id: "back-ends", title: "Back-ends", link: Some("/backends"), class, state, details }
    }

    /// The files of the certificates that clients are shown, and the seconds until each of them expires.
    fn expiries(&self) -> Vec<(String, i64)> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let all = expiries(&self.admin.parts.metrics).into_iter();
        all.map(|(file, expires)| (file, expires.saturating_sub(now))).collect()
    }

    fn certificates(&self) -> Part {
        let expiries = self.expiries();
        let first = expiries.iter().map(|(_, left)| *left).min();
        let class = match first {
            None => "none",
            Some(left) if left < EXPIRES_SOON => "down",
            Some(_) => "up",
        };
        let state = match expiries.len() {
            0 => "None".to_owned(),
            1 => "1 certificate".to_owned(),
            count => format!("{count} certificates"),
        };
        let details = first.map(|left| format!("the first {}", until_expiry(left))).into_iter().collect();
        Part { id: "certificates", title: "Certificates", link: None, class, state, details }
    }

    fn workers(&self) -> Part {
        let workers = self.admin.parts.metrics.workers.get();
        let open: i64 =
            self.offered.iter().map(|of| self.admin.parts.metrics.open.with_label_values(&[of.name()]).get()).sum();
        let state = format!("{workers} running");
        let class = if workers > 0 { "up" } else { "down" };
        let details = vec![format!("{open} client connections")];
        Part { id: "workers", title: "Workers", link: None, class, state, details }
    }

    /// This one first; none where it is alone.
    fn gateways(&self, view: &View) -> Vec<(String, String)> {
        if !view.has_others() {
            return Vec::new();
        }
        let own = self.admin.parts.roster.counts().iter().map(|(_, count)| count).sum();
        let own = (format!("{} (this one)", self.admin.parts.nodes.name()), sessions(own));
        let others = view.others.iter();
        let others = others.map(|other| (other.name.to_string(), sessions(other.counts.iter().sum())));
        std::iter::once(own).chain(others.take(GATEWAYS_LISTED)).collect()
    }
}

/// What is wrong with a back-end, by each protocol by which it does not answer.
fn faults(server: &Server) -> Vec<String> {
    let of = |one: Reached| {
        let why = one.problem()?;
        let (name, pool, protocol) = (server.name(), server.pool(), called(one.protocol));
        Some(format!("The back-end {name} (pool {pool}) does not answer by {protocol}: {why}."))
    };
    server.reached().into_iter().filter_map(of).collect()
}

fn until_expiry(seconds: i64) -> String {
    match seconds / DAY {
        _ if seconds < 0 => "has expired".to_owned(),
        0 => "expires within a day".to_owned(),
        1 => "expires in 1 day".to_owned(),
        days => format!("expires in {days} days"),
    }
}

/// In seconds.
const DAY: i64 = 86_400;
/// A certificate with less time left is a problem, as `check` has it.
const EXPIRES_SOON: i64 = 14 * DAY;
/// Back-ends that do not answer, each protocol in a line of its own.
const FAULTS_LISTED: usize = 10;
const GATEWAYS_LISTED: usize = 50;
/// Sources of the directory that do not answer.
const SOURCES_LISTED: usize = 5;
