//! `portcullis check FILE`: every problem at once.

use std::path::Path;
use std::process::ExitCode;

use super::say;
use crate::config;
use crate::directory::Directory;

pub(super) fn check(file: &Path) -> ExitCode {
    let problems: Vec<String> = match config::load(file) {
        Ok(config) => {
            Directory::check(&config.directory).err().into_iter().map(|problem| problem.to_string()).collect()
        }
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    if problems.is_empty() {
        return super::exit(say(&format!("{}: good\n", file.display())));
    }
    let _ = say(&problems.iter().map(|problem| format!("{problem}\n")).collect::<String>());
    ExitCode::FAILURE
}
