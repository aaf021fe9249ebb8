//! A secret that can be read again while the gateway runs, if the configuration has it as `{ file: path }`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::secret::{Secret, Unprintable};

/// A secret of the configuration. Clones are the same secret: what one reads again, all have.
#[derive(Debug, Clone)]
pub struct ReloadableSecret(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    current: ArcSwap<Secret>,
    file: Option<PathBuf>,
    fits: fn(&Secret) -> bool,
}

/// What reading again came to.
#[derive(Debug)]
pub enum Reread {
    /// The file holds this secret, which is another than before.
    Changed(Secret),
    /// The file holds the same secret.
    Unchanged,
    /// The secret is not a file.
    NotAFile,
}

/// Why the old secret stays.
#[derive(Debug, thiserror::Error)]
pub enum RereadProblem {
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// The secret's file.
        file: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file holds nothing.
    #[error("{}: is empty", .0.display())]
    Empty(PathBuf),
    /// The file holds something that no secret may hold.
    #[error("{}: {why}", file.display())]
    Unprintable {
        /// The secret's file.
        file: PathBuf,
        /// What is wrong, as `check` says it.
        why: Unprintable,
    },
    /// The file holds something that was refused at a start, too. It is never quoted.
    #[error("{}: does not hold a secret that could be used here", .0.display())]
    Unusable(PathBuf),
}

impl ReloadableSecret {
    /// `file`: where it was read from. `fits`: what else must be true of it, besides that it is not empty.
    #[must_use]
    pub fn new(secret: Secret, file: Option<PathBuf>, fits: fn(&Secret) -> bool) -> Self {
        Self(Arc::new(Inner { current: ArcSwap::from_pointee(secret), file, fits }))
    }

    /// The secret as it is now.
    #[must_use]
    pub fn current(&self) -> Arc<Secret> {
        self.0.current.load_full()
    }

    /// Reads the file again, and uses what it holds from now on.
    ///
    /// # Errors
    /// [`RereadProblem`]; the old secret stays.
    pub fn read_again(&self) -> Result<Reread, RereadProblem> {
        let reread = self.look()?;
        if let Reread::Changed(secret) = &reread {
            self.replace(secret.clone());
        }
        Ok(reread)
    }

    /// Uses this secret from now on.
    pub fn replace(&self, secret: Secret) {
        self.0.current.store(Arc::new(secret));
    }

    /// Where it is read from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Reads the file again, and keeps using the old secret: a new one may have to be tried first.
    ///
    /// # Errors
    /// [`RereadProblem`].
    pub fn look(&self) -> Result<Reread, RereadProblem> {
        let Some(file) = &self.0.file else { return Ok(Reread::NotAFile) };
        let text = contents(file).map_err(|error| RereadProblem::Unreadable { file: file.clone(), error })?;
        let secret =
            Secret::new(text.as_str()).map_err(|why| RereadProblem::Unprintable { file: file.clone(), why })?;
        if secret.is_empty() {
            return Err(RereadProblem::Empty(file.clone()));
        }
        if !(self.0.fits)(&secret) {
            return Err(RereadProblem::Unusable(file.clone()));
        }
        if secret.expose() == self.current().expose() {
            return Ok(Reread::Unchanged);
        }
        Ok(Reread::Changed(secret))
    }
}

/// A secret that stands in the configuration itself.
impl From<Secret> for ReloadableSecret {
    fn from(secret: Secret) -> Self {
        Self::new(secret, None, |_| true)
    }
}

/// What a file holds, without the end of its last line.
pub(super) fn contents(file: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(file)?.take(CONTENTS_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > CONTENTS_MAX {
        return Err(io::Error::other(format!("longer than {CONTENTS_MAX} bytes")));
    }
    let end = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).len();
    text.truncate(end);
    Ok(text)
}

/// More than that is no value of ours.
const CONTENTS_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_and_all_clones_have_what_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        let old = Secret::new("old").expect("a secret");
        let secret = ReloadableSecret::new(old, Some(file.clone()), |secret| secret.expose().len() > 2);
        let clone = secret.clone();
        assert!(matches!(secret.read_again(), Err(RereadProblem::Unreadable { .. })));
        for (unusable, why) in [
            ("", "is empty"),
            ("\n", "is empty"),
            ("ab\n", "does not hold a secret that could be used here"),
            ("two\nlines\n", "a secret may not hold CR, LF or NUL, and must be UTF-8"),
        ] {
            std::fs::write(&file, unusable).expect("written");
            let problem = secret.read_again().expect_err("unusable");
            assert_eq!(problem.to_string(), format!("{}: {why}", file.display()), "{unusable:?}");
        }
        assert_eq!(clone.current().expose(), "old");
        std::fs::write(&file, "new\r\n").expect("written");
        assert!(matches!(secret.look().expect("read"), Reread::Changed(new) if new.expose() == "new"));
        assert_eq!(clone.current().expose(), "old", "it was only looked at");
        assert!(matches!(secret.read_again().expect("read"), Reread::Changed(_)));
        assert!(matches!(secret.read_again().expect("read"), Reread::Unchanged));
        assert_eq!(clone.current().expose(), "new");
    }

    #[test]
    fn a_secret_that_is_not_a_file_stays() {
        let secret = ReloadableSecret::from(Secret::new("old").expect("a secret"));
        assert!(matches!(secret.read_again().expect("nothing to read"), Reread::NotAFile));
    }
}
