//! Where lines end, for commands and replies of every protocol here, and how much of a line is borne.
//!
//! It stands apart because "find the border under a limit, then parse" is the one rule that keeps a parser's memory
//! bounded in every state. The rules, for both directions:
//!
//! - A line ends with LF; one CR before it belongs to the line end. RFC 3501 and RFC 1939 ask for CRLF, but scripts
//!   and people at a terminal send LF, every server takes it, and before the login nothing can be smuggled by it:
//!   we write each command to a back-end anew.
//! - A CR elsewhere, or a NUL anywhere, makes the line wrong ([`Line::is_clean`]); it is answered as one wrong command.
//! - A limit counts the text without its line end. More than that without a line end is over the limit.

use std::ops::Deref;

use bytes::{Buf, BytesMut};
use zeroize::Zeroize;

/// Where a line's text ends, and where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border {
    /// How long the text is, without CRLF or LF.
    pub text: usize,
    /// How long the line is, with CRLF or LF.
    pub end: usize,
}

/// The line is longer than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line too long")]
pub struct TooLong;

/// Finds the first line in `heard`; `None` when its end has not come yet.
///
/// # Errors
/// [`TooLong`] when the text is, or is bound to become, longer than `limit` bytes.
pub fn find(heard: &[u8], limit: usize) -> Result<Option<Border>, TooLong> {
    let window = heard.get(..limit.saturating_add(2)).unwrap_or(heard);
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() < limit.saturating_add(2) { Ok(None) } else { Err(TooLong) };
    };
    let line = window.get(..end).unwrap_or_default();
    let text = line.strip_suffix(b"\r").unwrap_or(line).len();
    if text > limit { Err(TooLong) } else { Ok(Some(Border { text, end: end + 1 })) }
}

/// Takes the first line out of `heard`; `None` when its end has not come yet.
///
/// # Errors
/// [`TooLong`] as [`find`]; nothing is taken then.
pub fn take(heard: &mut BytesMut, limit: usize) -> Result<Option<Line>, TooLong> {
    Ok(find(heard, limit)?.map(|border| Line::split(heard, border)))
}

/// One line, or one whole command, without its line end; wiped on drop, since a password may be in it.
#[derive(Debug)]
pub struct Line {
    bytes: BytesMut,
    text: usize,
}

impl Line {
    /// Takes what lies before `border` out of `heard`. The border must come from `heard` as it is now.
    #[must_use]
    pub fn split(heard: &mut BytesMut, border: Border) -> Self {
        let bytes = heard.split_to(border.end.min(heard.len()));
        let text = border.text.min(bytes.len());
        Self { bytes, text }
    }

    /// Whether it is free of NUL and of a CR that is not part of a line end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        memchr::memchr2(b'\r', 0, self).is_none()
    }
}

impl Deref for Line {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.text).unwrap_or_default()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bytes.as_mut().zeroize();
    }
}

/// Says what a peer is when its first line shows that it speaks no mail protocol at all; the word is a metric label.
///
/// A TLS record shows itself in two bytes, the rest in a whole line; so the answer is the same for every cut.
#[must_use]
pub fn stranger(heard: &[u8]) -> Option<&'static str> {
    if heard.starts_with(&[0x16, 0x03]) {
        return Some("tls_without_starttls");
    }
    let line = heard.get(..memchr::memchr(b'\n', heard)?)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let (first, second) = (words.next()?, words.next()?);
    if HTTP_METHODS.contains(&first) && words.next_back().is_some_and(|last| last.starts_with(b"HTTP/")) {
        return Some("http");
    }
    (first == b"PROXY" && matches!(second, b"TCP4" | b"TCP6" | b"UNKNOWN")).then_some("proxy_header")
}

/// RFC 9110 §9, PATCH, and the first line of an HTTP/2 connection.
const HTTP_METHODS: [&[u8]; 10] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"];

/// Makes a peer's words fit for a log or another peer: what is not printable ASCII becomes `?`, at most `max` bytes.
#[must_use]
pub fn printable(text: &[u8], max: usize) -> String {
    text.iter().take(max).map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' }).collect()
}

/// The longest line of a back-end's reply before it has let the user in.
pub const REPLY_MAX: usize = 4 * 1024;
/// How many lines a back-end may say before it has let the user in.
pub const REPLY_LINES: usize = 128;
/// How many bytes a back-end may say before it has let the user in.
pub const REPLY_BYTES: usize = 64 * 1024;

/// Reads a back-end's lines and counts what it has said in all.
#[derive(Debug, Default)]
pub struct Replies {
    lines: usize,
    bytes: usize,
}

impl Replies {
    /// Takes the next line out of `heard`; `None` when its end has not come yet.
    ///
    /// # Errors
    /// [`TooLong`] when the line is over [`REPLY_MAX`], or all lines are over [`REPLY_LINES`] or [`REPLY_BYTES`].
    pub fn next(&mut self, heard: &mut BytesMut) -> Result<Option<Line>, TooLong> {
        let Some(border) = find(heard, REPLY_MAX)? else { return Ok(None) };
        self.lines += 1;
        self.bytes += border.end;
        if self.lines > REPLY_LINES || self.bytes > REPLY_BYTES {
            return Err(TooLong);
        }
        Ok(Some(Line::split(heard, border)))
    }
}

/// Wipes and drops all that was heard: after a violation nothing of it may be read.
pub fn forget(heard: &mut BytesMut) {
    heard.as_mut().zeroize();
    heard.advance(heard.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_crlf_or_lf_and_the_rest_stays() {
        for (heard, text, rest) in [
            (&b"NOOP\r\nQUIT\r\n"[..], &b"NOOP"[..], &b"QUIT\r\n"[..]),
            (b"NOOP\nx", b"NOOP", b"x"),
            (b"\r\n", b"", b""),
            (b"\n\n", b"", b"\n"),
            (b"a\r\r\n", b"a\r", b""),
        ] {
            let mut heard = BytesMut::from(heard);
            let line = take(&mut heard, 10).expect("short").expect("whole");
            assert_eq!((&line[..], &heard[..]), (text, rest));
        }
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(find(b"12345\r\n", 5), Ok(Some(Border { text: 5, end: 7 })));
        assert_eq!(find(b"12345\n", 5), Ok(Some(Border { text: 5, end: 6 })));
        assert_eq!(find(b"123456\n", 5), Err(TooLong));
        assert_eq!(find(b"123456\r\n", 5), Err(TooLong));
        assert_eq!(find(b"12345\r", 5), Ok(None));
        assert_eq!(find(b"1234567", 5), Err(TooLong));
    }

    #[test]
    fn a_bare_cr_or_a_nul_makes_a_line_unclean() {
        for (heard, clean) in [(&b"ab\r\n"[..], true), (b"a\rb\r\n", false), (b"a\0b\r\n", false), (b"a\r\r\n", false)]
        {
            let line = take(&mut BytesMut::from(heard), 10).expect("short").expect("whole");
            assert_eq!(line.is_clean(), clean, "{heard:?}");
        }
    }

    #[test]
    fn a_stranger_is_known_by_its_first_line() {
        assert_eq!(stranger(b"\x16\x03\x01\x02\x00"), Some("tls_without_starttls"));
        assert_eq!(stranger(b"GET / HTTP/1.1\r\nHost: x\r\n"), Some("http"));
        assert_eq!(stranger(b"CONNECT mail:25 HTTP/1.1\n"), Some("http"));
        assert_eq!(stranger(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), Some("proxy_header"));
        assert_eq!(stranger(b"PROXY UNKNOWN\r\n"), Some("proxy_header"));
        for friend in [&b"GET / HTTP/1.1"[..], b"GET NOOP\r\n", b"a LOGIN HTTP/1.1 x\r\n", b"\x16", b"\r\n", b""] {
            assert_eq!(stranger(friend), None, "{friend:?}");
        }
    }

    #[test]
    fn words_for_a_log_are_printable_and_short() {
        assert_eq!(printable(b"a\x1b[31m\xc3\xa4\r\n", 99), "a?[31m????");
        assert_eq!(printable(&[b'x'; 99], 10).len(), 10);
    }

    #[test]
    fn a_back_end_may_say_128_lines_of_4_kib_and_64_kib_in_all() {
        let count = |line: &[u8]| {
            let (mut replies, mut lines) = (Replies::default(), 0);
            while matches!(replies.next(&mut BytesMut::from(line)), Ok(Some(_))) {
                lines += 1;
            }
            lines
        };
        assert_eq!(count(b"* x\r\n"), 128);
        assert_eq!(count(&[&[b'x'; 4096][..], b"\r\n"].concat()), 15);
        assert_eq!(count(&[&[b'x'; 4094][..], b"\r\n"].concat()), 16);
        assert_eq!(count(&[&[b'x'; 4097][..], b"\r\n"].concat()), 0);
    }
}
