//! stub
use super::Config;
use std::path::{Path, PathBuf};

/// One thing wrong with the configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    /// Such as `listeners[2].address`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Reads and checks a file.
pub fn load(_file: &Path) -> Result<Config, Vec<Problem>> {
    Err(vec![])
}

/// Checks a text; relative paths are relative to `file`'s folder.
pub fn parse(_text: &str, _file: &Path) -> Result<Config, Vec<Problem>> {
    Err(vec![])
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
