//! Text, written in place or as `{ file: path }` or `{ env: NAME }`, and what is made of it: secrets and paths.
//!
//! It stands apart because of one rule: what came from a file or from the environment, and what is meant to be a
//! secret, is never quoted in a message.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::item::Item;
use super::suggest;
use crate::config::ReloadableSecret;
use crate::config::raw::Value;
use crate::config::reloadable::contents;
use crate::secret::Secret;

/// A text; its `Display` is how a message speaks of it.
pub(super) struct Text {
    text: Zeroizing<String>,
    /// It stands in the file itself.
    pub(super) is_inline: bool,
    /// The file that it stands in otherwise, if it is none of the environment's.
    file: Option<PathBuf>,
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `ldap://user:password@host` is a common mistake.
        let may_hold_secret = self.text.contains("://") && self.text.contains('@');
        if self.is_inline && !may_hold_secret {
            f.write_str(&suggest::quoted(&self.text))
        } else {
            f.write_str("the value")
        }
    }
}

impl Item<'_> {
    /// The text that it is, or that it points to.
    pub(super) fn text(&self) -> Option<Text> {
        match &self.node.value {
            Value::Scalar(text) => Some(Text { text: text.clone(), is_inline: true, file: None }),
            Value::Map(_) => self.text_elsewhere(),
            Value::Null => {
                self.fault("is empty");
                None
            }
            Value::List(_) => {
                self.fault("is a list, but one value belongs here");
                None
            }
        }
    }

    fn text_elsewhere(&self) -> Option<Text> {
        let mut fields = self.fields()?;
        let (text, file) = match (fields.take("file"), fields.take("env")) {
            (Some(file), None) => {
                let path = file.path()?;
                (file.contents(&path)?, Some(path))
            }
            (None, Some(name)) => (name.variable()?, None),
            (Some(_), Some(_)) => {
                self.fault("has both `file` and `env`; one of them belongs here");
                return None;
            }
            (None, None) => {
                self.fault("is a map, but a value, `{ file: path }` or `{ env: NAME }` belongs here");
                fields.forget();
                return None;
            }
        };
        Some(Text { text, is_inline: false, file })
    }

    fn contents(&self, path: &Path) -> Option<Zeroizing<String>> {
        let fault = |error: std::io::Error| self.fault(format!("{} cannot be read: {error}", path.display()));
        contents(path).map_err(fault).ok()
    }

    fn variable(&self) -> Option<Zeroizing<String>> {
        let name = self.text()?;
        match std::env::var(name.as_str()) {
            Ok(text) => Some(Zeroizing::new(text)),
            Err(std::env::VarError::NotPresent) => {
                self.fault(format!("{name} is not set in the environment"));
                None
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                self.fault(format!("{name} in the environment is not UTF-8"));
                None
            }
        }
    }

    /// A secret, not empty.
    pub(super) fn secret(&self) -> Option<Secret> {
        self.secret_and_file().map(|(secret, _)| secret)
    }

    /// A secret that a reload reads again where it is a file, and then takes only if it `fits`. The caller sees to it that
    /// the first one does.
    pub(super) fn reloadable_secret(&self, fits: fn(&Secret) -> bool) -> Option<ReloadableSecret> {
        let (secret, file) = self.secret_and_file()?;
        Some(ReloadableSecret::new(secret, file, fits))
    }

    fn secret_and_file(&self) -> Option<(Secret, Option<PathBuf>)> {
        let text = self.text()?;
        if text.is_inline || text.file.is_some() {
            self.sheet.watch_secret(&self.place, text.file.as_deref());
        }
        match Secret::new(text.as_str()) {
            Ok(secret) if secret.is_empty() => self.fault("is empty"),
            Ok(secret) => return Some((secret, text.file)),
            Err(error) => self.fault(error.to_string()),
        }
        None
    }

    /// A path, from the configuration file's folder.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = self.read(|text| match text {
            "" => Err("is not a path".to_owned()),
            text => Ok(text.to_owned()),
        })?;
        Some(self.sheet.beside(&path))
    }
}
