//! What is wrong with a damaged file, in words that an operator understands.
//!
//! What the database itself says of it is for its developers, and stands behind in brackets.

use std::fmt;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    what: &'static str,
    /// The database's words: one line, bounded. Empty = it has said nothing.
    internal: String,
}

impl Damage {
    /// `internal`: the database's words.
    pub(super) fn new(what: &'static str, internal: &str) -> Self {
        // An assertion of two values has a line for each.
        let words = internal.split_whitespace().flat_map(|word| [" ", word]).skip(1).flat_map(str::chars);
        let internal = words.map(|c| if c.is_control() { '?' } else { c }).take(INTERNAL_MAX).collect();
        Self { what, internal }
    }

    /// Without the database's words.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// The database's words in brackets, for the end of a sentence; empty where there are none.
    #[must_use]
    pub fn internal(&self) -> String {
        if self.internal.is_empty() { String::new() } else { format!(" (internal reason: {})", self.internal) }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.what, self.internal())
    }
}

/// The file's first bytes are another program's.
pub(super) const FOREIGN: &str = "it does not begin as a registry's file does; another program may have written it";
/// Nothing is in it, but it is there.
pub(super) const EMPTY: &str =
    "it is empty, which the gateway never leaves it; a full disk or another program may have emptied it";
/// A page lies behind its end.
pub(super) const CUT: &str = "it was cut short: its end is missing";
/// Checksums, or the structure.
pub(super) const CHANGED: &str =
    "its content is not what the gateway wrote; a disk or another program may have changed it";
/// A file of the same database, but not of this version, or with other tables.
pub(super) const OTHER_FORMAT: &str =
    "its format is not that of this version; another version or another program may have written it";
/// The database was given up, because it panicked or was closed.
pub(super) const GIVEN_UP: &str =
    "an earlier access to it has failed, and it is not used again until the gateway is started anew";

const INTERNAL_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_own_words_are_one_short_line_in_brackets() {
        let damage = Damage::new(CHANGED, "assertion `left == right` failed\n  left: 3\n right: \u{7}4");
        let internal = " (internal reason: assertion `left == right` failed left: 3 right: ?4)";
        assert_eq!(damage.internal(), internal);
        assert_eq!(damage.to_string(), format!("{CHANGED}{internal}"));
        assert_eq!(Damage::new(CUT, "").to_string(), CUT);
        let long = Damage::new(CHANGED, &"x".repeat(10_000));
        assert_eq!(long.internal().len(), " (internal reason: )".len() + INTERNAL_MAX);
    }
}
