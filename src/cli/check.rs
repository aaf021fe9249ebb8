//! `portcullis check FILE`: every problem at once.

use std::path::Path;
use std::process::ExitCode;

use crate::config;

pub(super) fn check(file: &Path) -> ExitCode {
    match config::load(file) {
        Ok(_) => {
            println!("{}: good", file.display());
            ExitCode::SUCCESS
        }
        Err(problems) => {
            problems.iter().for_each(|problem| println!("{problem}"));
            ExitCode::FAILURE
        }
    }
}
