//! A value that must never be seen: passwords, tokens, bind passwords.
//!
//! It stands apart so that "where do secrets go?" has a one-word answer: `grep 'expose()'`.

use std::fmt;

use zeroize::Zeroizing;

/// UTF-8 text that is wiped on drop, never printed, and free of CR, LF and NUL.
///
/// The three bytes are refused when the secret is built because every protocol that carries it is made of lines:
/// a password with a line end in it would be a second command. Other control characters are the back-end's business.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// The text held CR, LF or NUL, or was not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret may not hold CR, LF or NUL, and must be UTF-8")]
pub struct Unprintable;

impl Secret {
    /// Takes the text over.
    ///
    /// # Errors
    /// [`Unprintable`] when it holds CR, LF or NUL; the text is wiped all the same.
    pub fn new(text: impl Into<String>) -> Result<Self, Unprintable> {
        let text = Zeroizing::new(text.into());
        if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(Unprintable);
        }
        Ok(Self(text))
    }

    /// The same from bytes as a peer sent them.
    ///
    /// # Errors
    /// [`Unprintable`] when they are not UTF-8 or hold CR, LF or NUL.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unprintable> {
        std::str::from_utf8(bytes).map_err(|_| Unprintable).and_then(Self::new)
    }

    /// The text itself, for the one place that must send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// An LDAP bind with an empty password succeeds as anonymous (RFC 4513 §5.1.2): refuse such a one before asking.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_or_nul_is_refused() {
        for text in ["a\rb", "a\nb", "a\0b", "\r\n"] {
            assert!(Secret::new(text).is_err(), "{text:?}");
        }
        assert!(Secret::from_bytes(b"\xff").is_err());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2").expect("plain text");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }
}
