//! Times and sizes as people read them, exact where the pointer rests.

use std::time::SystemTime;

use askama::Template;
use askama::filters::HtmlSafe;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::proto::Protocol;

/// A moment: `3 min` as text, the moment itself as the title.
#[derive(Template)]
#[template(source = r#"<time datetime="{{ exact }}" title="{{ exact }}">{{ ago }}</time>"#, ext = "html")]
pub(super) struct Time {
    exact: String,
    ago: String,
}

impl HtmlSafe for Time {}

impl Time {
    /// Of seconds since 1970.
    pub(super) fn of(then: u64) -> Self {
        let exact = i64::try_from(then).ok().and_then(|then| OffsetDateTime::from_unix_timestamp(then).ok());
        let exact = exact.and_then(|then| then.format(&Rfc3339).ok()).unwrap_or_default();
        Self { exact, ago: ago(now().saturating_sub(then)) }
    }
}

/// An amount of bytes: `3.4 kB` as text, all its digits as the title.
#[derive(Template)]
#[template(source = r#"<data value="{{ exact }}" title="{{ exact }} bytes">{{ short }}</data>"#, ext = "html")]
pub(super) struct Size {
    exact: u64,
    short: String,
}

impl HtmlSafe for Size {}

impl Size {
    pub(super) fn of(exact: u64) -> Self {
        Self { exact, short: short(exact) }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn short(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 999.95 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// A protocol: its name in its colour.
#[derive(Clone, Copy, Template)]
#[template(source = r#"<span class="tag {{ class }}">{{ name }}</span>"#, ext = "html")]
pub(super) struct Tag {
    pub class: &'static str,
    pub name: &'static str,
}

impl HtmlSafe for Tag {}

impl Tag {
    pub(super) const fn of(protocol: Protocol) -> Self {
        Self { class: protocol.name(), name: called(protocol) }
    }
}

/// As people call a protocol.
pub(super) const fn called(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
        Protocol::Submission => "Submission",
        Protocol::Smtp => "SMTP (port 25)",
    }
}

/// `1 session`, `3 sessions`.
pub(super) fn sessions(count: usize) -> String {
    format!("{count} session{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short_and_their_titles_exact() {
        assert_eq!([5, 60, 3700, 90_000].map(ago), ["5 s", "1 min", "1 h 01 min", "1 d 1 h"]);
        assert_eq!(
            [0, 999, 1000, 3400, 999_960, 5_600_000_000_000].map(short),
            ["0 B", "999 B", "1.0 kB", "3.4 kB", "1.0 MB", "5.6 TB"]
        );
        let time = Time::of(1_795_231_021).to_string();
        assert!(time.starts_with(r#"<time datetime="2026-11-21T"#), "{time}");
        assert_eq!(Size::of(3400).to_string(), r#"<data value="3400" title="3400 bytes">3.4 kB</data>"#);
    }
}
