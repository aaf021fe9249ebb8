//! The text of a message, from DATA's 354 to its end: the only place that decides where a message ends.
//!
//! ```text
//!        ┌──────────────── LF ◀──────────────┐
//!        ▼                                   │
//! ──▶ Line ──other──▶ Middle ──CR──▶ Cr ─────┤
//!      │ ▲               ▲                   └─other──▶ a bare CR
//!      │ └──CR: Cr       └──other, the dot was stuffing──┐
//!      └──"."──▶ Dot ────────────────────────────────────┤
//!                 └──CR──▶ DotCr ──LF──▶ the end         │
//!                            └──other: a bare CR─────────┘
//! ```
//!
//! It stands apart because two servers that disagree about the end of a message let one be smuggled inside another.
//! So nothing of what is heard is passed on as it is: lines are written anew, CR and LF only together, a dot at their
//! start doubled, and the end by nobody but us. Only `CR LF . CR LF` is an end. (RFC 5321 §2.3.8, §4.1.1.4, §4.5.2)

use bytes::{Buf, BytesMut};

mod chunks;

pub use chunks::Chunks;

/// What becomes of a line of a message that does not end with CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BareNewline {
    /// The message is refused, once all of it has come.
    #[default]
    Reject,
    /// A bare CR or LF is rewritten to CRLF.
    Normalize,
}

/// One message's text on its way.
#[derive(Debug)]
pub struct Text {
    bare_newline: BareNewline,
    at: At,
    fault: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the start, or behind CRLF.
    Line,
    /// Behind a dot at the start of a line.
    Dot,
    /// Behind such a dot and CR.
    DotCr,
    /// Behind a bare newline that was rewritten: a line for who reads on, none for who wrote.
    Mended,
    Middle,
    /// Behind a CR.
    Cr,
}

impl Text {
    /// Behind 354.
    #[must_use]
    pub const fn new(bare_newline: BareNewline) -> Self {
        Self { bare_newline, at: At::Line, fault: None }
    }

    /// Moves from `heard` to `out` what there is of the text; `true` = its end was consumed, and what is left in
    /// `heard` is behind it. Not to be called again then.
    ///
    /// `out` gets canonical lines, their end included, and nothing from a fault on. Some bytes may be kept back.
    pub fn pass(&mut self, heard: &mut BytesMut, out: &mut Vec<u8>) -> bool {
        let mut rest: &[u8] = heard;
        let mut is_over = false;
        while !is_over {
            if matches!(self.at, At::Line | At::Mended | At::Middle) {
                rest = self.pass_plain(rest, out);
            }
            let Some((byte, behind)) = rest.split_first() else { break };
            rest = behind;
            is_over = self.pass_byte(*byte, out);
        }
        let left = rest.len();
        heard.advance(heard.len() - left);
        is_over
    }

    /// What was wrong first, once something was, as a word for logs and metrics: `bare_cr`, `bare_lf`, `nul`. The
    /// message is to be refused then, and a back-end that has a part of it must not get its end.
    #[must_use]
    pub const fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Passes on, at once, all that is plain, whole lines among it; what comes then needs a look.
    fn pass_plain<'a>(&mut self, text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        if self.at != At::Middle && text.first() == Some(&b'.') {
            return text;
        }
        let (plain, rest) = text.split_at_checked(plain(text)).unwrap_or((text, &[]));
        if !plain.is_empty() {
            self.write(plain, out);
            self.at = At::Middle;
        }
        rest
    }

    /// Takes one byte that needs a look; whether it was the last.
    fn pass_byte(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match (self.at, byte) {
            (At::DotCr, b'\n') => {
                self.write(b".\r\n", out);
                return true;
            }
            (At::Cr, b'\n') => self.end_line(At::Line, out),
            (At::Cr | At::DotCr, _) => {
                self.mend("bare_cr", out);
                // With the CR seen to, the byte is one like any other.
                return self.pass_byte(byte, out);
            }
            (At::Dot, b'\r') => self.at = At::DotCr,
            (At::Line | At::Mended | At::Middle, b'\r') => self.at = At::Cr,
            (_, b'\n') => self.mend("bare_lf", out),
            (_, 0) => {
                self.fault = self.fault.or(Some("nul"));
                self.at = At::Middle;
            }
            (At::Line, b'.') => self.at = At::Dot,
            (At::Mended | At::Dot, b'.') => self.go_on(b"..", out),
            // The dot before it was stuffing, also when it was not needed.
            (At::Dot | At::Line | At::Mended | At::Middle, other) => self.go_on(&[other], out),
        }
        false
    }

    fn go_on(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.write(text, out);
        self.at = At::Middle;
    }

    fn end_line(&mut self, at: At, out: &mut Vec<u8>) {
        self.write(b"\r\n", out);
        self.at = at;
    }

    /// A CR or LF without the other.
    fn mend(&mut self, fault: &'static str, out: &mut Vec<u8>) {
        match self.bare_newline {
            BareNewline::Normalize => self.end_line(At::Mended, out),
            BareNewline::Reject => {
                self.fault = self.fault.or(Some(fault));
                self.at = At::Middle;
            }
        }
    }

    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        if self.fault.is_none() {
            out.extend_from_slice(text);
        }
    }
}

/// How many bytes may be passed on as they are: up to a dot at the start of a line, to a CR or LF without the other,
/// to a NUL, and to a CR of which nobody can say yet.
fn plain(text: &[u8]) -> usize {
    let mut from = 0;
    while let Some(ahead) = text.get(from..) {
        let Some(here) = memchr::memchr3(b'\r', b'\n', 0, ahead) else { return text.len() };
        match ahead.get(here..) {
            Some([b'\r', b'\n', next, ..]) if *next != b'.' => from += here + 2,
            _ => return from + here,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
