//! The text of a message, from DATA's 354 to its end.

/// What becomes of a line of a message that does not end with CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BareNewline {
    /// The message is refused, once all of it has come.
    #[default]
    Reject,
    /// A bare CR or LF is rewritten to CRLF.
    Normalize,
}
