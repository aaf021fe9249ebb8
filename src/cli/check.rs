//! `portcullis check FILE`: every problem at once.

use std::path::Path;
use std::process::ExitCode;

use time::OffsetDateTime;

use super::say;
use crate::config::{self, Problem, Severity};
use crate::directory::Directory;

/// `strict`: a warning counts as an error.
pub(super) fn check(file: &Path, strict: bool) -> ExitCode {
    let problems: Vec<Problem> = match config::load(file) {
        Ok(config) => {
            let mut problems = config.warnings.at(OffsetDateTime::now_utc());
            problems.extend(Directory::check(&config.directory));
            problems
        }
        Err(problems) => problems,
    };
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let mut lines: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    let warnings = problems.len() - errors;
    if errors == 0 {
        let count = format!("{warnings} warning{}", if warnings == 1 { "" } else { "s" });
        let verdict = match (warnings, strict) {
            (0, _) => "good".to_owned(),
            (_, false) => format!("good, with {count}"),
            (_, true) => format!("not good enough for --strict: {count}"),
        };
        lines += &format!("{}: {verdict}\n", file.display());
    }
    let said = say(&lines);
    if errors > 0 || (strict && warnings > 0) {
        return ExitCode::FAILURE;
    }
    super::exit(said)
}
