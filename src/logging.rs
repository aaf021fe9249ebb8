//! Log lines: text for people, JSON for programs, on standard error.
//!
//! A writer thread of its own stands between sessions and the pipe: a blocked journal loses lines, never logins.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// One line of text, or of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Starts logging for the process; drop the guard last, it writes what is still waiting.
///
/// `filter` is a level, or levels by module (`info,portcullis::wire=trace`); one that cannot be read is `info`. At most
/// 64 Ki lines wait; more are dropped.
/// A second call changes nothing.
pub fn start(form: Form, filter: &str) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING).lossy(true).finish(std::io::stderr());
    let levels = filter.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let subscriber = tracing_subscriber::registry().with(levels);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false).with_ansi(false);
    let _ = match form {
        Form::Text => subscriber.with(lines).try_init(),
        Form::Json => subscriber.with(lines.json().flatten_event(true)).try_init(),
    };
    guard
}

const LINES_WAITING: usize = 64 * 1024;
