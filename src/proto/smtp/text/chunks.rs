//! The text of a message that comes in chunks (BDAT, RFC 3030): its length is told, and so it is only looked at.
//!
//! It is held to the same rule as other text all the same: the back-end may store it, and pass it on, in lines.

/// One message's chunks, all of them.
#[derive(Debug, Default)]
pub struct Chunks {
    is_behind_cr: bool,
    fault: Option<&'static str>,
}

impl Chunks {
    /// Looks at the next bytes; a CR at their end waits for what comes.
    pub fn see(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.is_behind_cr) {
            match bytes.strip_prefix(b"\n") {
                Some(rest) => bytes = rest,
                None => self.blame("bare_cr"),
            }
        }
        while self.fault.is_none()
            && let Some(rest) = memchr::memchr3(b'\r', b'\n', 0, bytes).and_then(|here| bytes.get(here..))
        {
            match rest {
                [b'\r', b'\n', rest @ ..] => bytes = rest,
                [b'\r'] => {
                    self.is_behind_cr = true;
                    return;
                }
                [b'\r', ..] => self.blame("bare_cr"),
                [b'\n', ..] => self.blame("bare_lf"),
                _ => self.blame("nul"),
            }
        }
    }

    /// The last chunk is over: nothing comes that a CR could wait for.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.is_behind_cr) {
            self.blame("bare_cr");
        }
    }

    /// As [`Text::fault`](super::Text::fault).
    #[must_use]
    pub const fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    fn blame(&mut self, fault: &'static str) {
        self.fault = self.fault.or(Some(fault));
    }
}
