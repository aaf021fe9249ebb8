//! The state of the directory, as operators see it: it answers, it is away, or it has never answered.
//!
//! It stands apart because `status`, the API, the page, a metric and `/readyz` must all say the same. Searches and probes
//! decide it, password checks do not: a server may refuse our own searches and still check its users' passwords.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use prometheus::IntGauge;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;

use super::Unavailable;

/// Whether a source answers, or the directory as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The last question was answered.
    Answers,
    /// Questions were answered once, and are not any more.
    Away {
        /// When the first question failed.
        since: SystemTime,
        /// Why the last one did.
        why: Unavailable,
    },
    /// No question was answered since the gateway started.
    NeverAnswered {
        /// Why the last one was not; `None` while the first one is under way.
        why: Option<Unavailable>,
    },
}

/// One source, and whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// What it is and where: `ldap ldap://ldap1.example.com:389`.
    pub name: String,
    /// Users files and pools always answer.
    pub reach: Reach,
}

/// The directory as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryState {
    /// In the order in which they are asked; never empty.
    pub sources: Vec<SourceState>,
    /// Users who can be served from memory while a source is away.
    pub remembered_users: usize,
    /// Recipients of mail, likewise.
    pub remembered_recipients: usize,
}

impl DirectoryState {
    /// The worst of its sources: one that does not answer ends the question, whatever stands behind it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let reaches = || self.sources.iter().map(|source| &source.reach);
        let never = reaches().find(|reach| matches!(reach, Reach::NeverAnswered { .. }));
        let away = reaches().filter_map(|reach| Some((reach.since()?, reach))).min_by_key(|(since, _)| *since);
        never.or(away.map(|(_, reach)| reach)).cloned().unwrap_or(Reach::Answers)
    }

    /// Whether every source answers.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.reach() == Reach::Answers
    }

    /// Whether users of the first source can be found, whatever is remembered: it is asked before all others.
    #[must_use]
    pub fn first_answers(&self) -> bool {
        self.sources.first().is_some_and(|source| source.reach == Reach::Answers)
    }
}

/// `answers`, `away since 2026-11-21T16:02:03Z, serving 12 remembered users: …`, or `never answered: …`.
impl fmt::Display for DirectoryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reach() {
            Reach::Answers => f.write_str("answers"),
            Reach::Away { since, why } => {
                write!(f, "away since {}, serving {}: {why}", utc(since), remembered(self.remembered_users, "user"))?;
                match self.remembered_recipients {
                    0 => Ok(()),
                    count => write!(f, "; {} of mail", remembered(count, "recipient")),
                }
            }
            Reach::NeverAnswered { why: Some(why) } => write!(f, "never answered: {why}"),
            Reach::NeverAnswered { why: None } => f.write_str("never answered: the first question is under way"),
        }
    }
}

fn remembered(count: usize, noun: &str) -> String {
    format!("{count} remembered {noun}{}", if count == 1 { "" } else { "s" })
}

/// To the second, as RFC 3339 writes it.
#[must_use]
pub fn utc(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

impl Reach {
    /// `answers`, `away` or `never_answered`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Away { .. } => "away",
            Self::NeverAnswered { .. } => "never_answered",
        }
    }

    /// Since when it is away.
    #[must_use]
    pub const fn since(&self) -> Option<SystemTime> {
        match self {
            Self::Away { since, .. } => Some(*since),
            Self::Answers | Self::NeverAnswered { .. } => None,
        }
    }

    /// Why it does not answer.
    #[must_use]
    pub const fn why(&self) -> Option<&Unavailable> {
        match self {
            Self::Away { why, .. } => Some(why),
            Self::NeverAnswered { why } => why.as_ref(),
            Self::Answers => None,
        }
    }
}

/// Keeps the state of one source that can be away.
pub(super) struct Watched {
    name: String,
    reach: Mutex<Reach>,
    /// 1 while it answers.
    up: IntGauge,
    /// Somebody has reason to doubt the state: a probe is due.
    doubt: Notify,
    /// Since the last answer the log has heard that a server refuses; it may have been down before.
    has_told_refusal: AtomicBool,
}

impl Watched {
    pub(super) fn new(name: String, up: IntGauge) -> Self {
        up.set(0);
        Self {
            name,
            reach: Mutex::new(Reach::NeverAnswered { why: None }),
            up,
            doubt: Notify::new(),
            has_told_refusal: AtomicBool::new(false),
        }
    }

    pub(super) fn state(&self) -> SourceState {
        SourceState { name: self.name.clone(), reach: self.reach().clone() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn answers(&self) -> bool {
        *self.reach() == Reach::Answers
    }

    pub(super) fn answered(&self) {
        let mut reach = self.reach();
        match *reach {
            Reach::Answers => return,
            Reach::Away { .. } => tracing::info!(source = self.name, "the directory answers again"),
            Reach::NeverAnswered { .. } => tracing::info!(source = self.name, "the directory answers"),
        }
        *reach = Reach::Answers;
        self.has_told_refusal.store(false, Ordering::Relaxed);
        self.up.set(1);
    }

    /// A search or a probe was not answered. One line of the log tells of it, and one more if a server refuses after it was
    /// down: an administrator must do something about that. The state has the latest reason.
    pub(super) fn failed(&self, problem: &Unavailable) {
        let mut reach = self.reach();
        let why = problem.clone();
        let (next, is_new) = match &*reach {
            Reach::Answers => (Reach::Away { since: SystemTime::now(), why }, true),
            Reach::Away { since, .. } => (Reach::Away { since: *since, why }, false),
            Reach::NeverAnswered { why: before } => (Reach::NeverAnswered { why: Some(why) }, before.is_none()),
        };
        *reach = next;
        drop(reach);
        self.up.set(0);
        let refuses = matches!(problem, Unavailable::Refused { .. } | Unavailable::Base { .. });
        if (refuses && !self.has_told_refusal.swap(true, Ordering::Relaxed)) || is_new {
            tracing::warn!(source = self.name, %problem, "the directory does not answer");
            self.doubt.notify_one();
        }
    }

    /// Something other than a search was not answered: a probe is to find out.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    fn reach(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn source(reach: Reach) -> SourceState {
        SourceState { name: "ldap".to_owned(), reach }
    }

    fn directory(reaches: Vec<Reach>) -> DirectoryState {
        let sources = reaches.into_iter().map(source).collect();
        DirectoryState { sources, remembered_users: 12, remembered_recipients: 0 }
    }

    fn away(seconds: u64) -> Reach {
        Reach::Away { since: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), why: Unavailable::Lost }
    }

    #[test]
    fn the_worst_source_is_the_state_of_the_directory() {
        let never = || Reach::NeverAnswered { why: None };
        assert_eq!(directory(vec![Reach::Answers, Reach::Answers]).to_string(), "answers");
        assert_eq!(directory(vec![Reach::Answers, away(7), away(5)]).reach(), away(5));
        assert_eq!(directory(vec![away(5), never()]).reach(), never());
        assert!(!directory(vec![away(5), Reach::Answers]).first_answers());
        assert!(directory(vec![Reach::Answers, away(5)]).first_answers());
    }

    #[test]
    fn it_is_said_in_one_line_with_the_reason() {
        let text = directory(vec![away(1_000_000_000)]).to_string();
        assert_eq!(
            text,
            "away since 2001-09-09T01:46:40Z, serving 12 remembered users: question to the directory lost"
        );
        let why = Some(Unavailable::Down("ldap://h:389: refused".to_owned()));
        let text = directory(vec![Reach::NeverAnswered { why }]).to_string();
        assert_eq!(text, "never answered: directory down: ldap://h:389: refused");
    }

    #[test]
    fn a_source_has_never_answered_until_it_has_and_is_away_since_it_first_failed() {
        let up = IntGauge::new("up", "Up.").expect("a gauge");
        let watched = Watched::new("ldap".to_owned(), up.clone());
        assert_eq!(watched.state().reach, Reach::NeverAnswered { why: None });
        watched.failed(&Unavailable::Lost);
        assert_eq!(watched.state().reach, Reach::NeverAnswered { why: Some(Unavailable::Lost) });
        watched.answered();
        assert_eq!((watched.state().reach, up.get()), (Reach::Answers, 1));
        watched.failed(&Unavailable::Lost);
        let since = watched.state().reach.since().expect("away");
        watched.failed(&Unavailable::Ambiguous);
        assert_eq!(watched.state().reach, Reach::Away { since, why: Unavailable::Ambiguous });
        assert_eq!(up.get(), 0);
    }
}
