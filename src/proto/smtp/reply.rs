//! The replies of a back-end before the login: a code of three digits, on one line or on several.

use bytes::BytesMut;

use crate::proto::line::{Line, Replies, printable};

/// One whole reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// 200 to 599.
    pub(super) code: u16,
    /// The text behind the code, of each line; at least one.
    pub(super) lines: Vec<Vec<u8>>,
}

impl Reply {
    /// The last line's text, for the log.
    pub(super) fn text(&self) -> &[u8] {
        self.lines.last().map(Vec::as_slice).unwrap_or_default()
    }
}

/// What is wrong with a back-end that sends such a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Garbled {
    #[error("said too much before the login")]
    TooMuch,
    #[error("did not answer in SMTP")]
    NotSmtp,
}

/// Puts the lines of a reply together, and counts what the back-end has said in all.
#[derive(Debug, Default)]
pub(super) struct Reader {
    replies: Replies,
    begun: Option<Reply>,
}

impl Reader {
    /// Takes the next whole reply out of `heard`; `None` when its end has not come yet.
    pub(super) fn next(&mut self, heard: &mut BytesMut) -> Result<Option<Reply>, Garbled> {
        while let Some(line) = self.replies.next(heard).map_err(|_| Garbled::TooMuch)? {
            let (code, is_last, text) = parse(&line).ok_or(Garbled::NotSmtp)?;
            let mut reply = self.begun.take().unwrap_or(Reply { code, lines: Vec::new() });
            // RFC 5321 §4.2.1: every line has the same code.
            if reply.code != code {
                return Err(Garbled::NotSmtp);
            }
            reply.lines.push(text.to_vec());
            if is_last {
                return Ok(Some(reply));
            }
            self.begun = Some(reply);
        }
        Ok(None)
    }
}

/// `250-text`, `250 text`, `250`.
fn parse(line: &Line) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_first_chunk::<3>().filter(|_| line.is_clean())?;
    let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = code else { return None };
    let code = code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Some((code, true, &[])),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// What a back-end offers in its answer to EHLO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offers(Vec<String>);

impl Offers {
    /// From the lines behind the first, which is the back-end's name.
    pub(super) fn of(reply: &Reply) -> Self {
        let lines = reply.lines.iter().skip(1).filter(|line| !line.is_empty());
        Self(lines.map(|line| printable(line, LINE_MAX)).collect())
    }

    /// From such lines again.
    pub(super) const fn from(lines: Vec<String>) -> Self {
        Self(lines)
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.0.iter().any(|line| line.split(' ').next().is_some_and(|name| name.eq_ignore_ascii_case(keyword)))
    }

    /// Whether `keyword` has this parameter: `AUTH PLAIN`, `XCLIENT ADDR`.
    pub(super) fn has_with(&self, keyword: &str, parameter: &str) -> bool {
        self.0.iter().any(|line| {
            // `AUTH=PLAIN` is how it was written before RFC 2554, and still is beside the other for old clients.
            let mut words = line.split([' ', '=']);
            words.next().is_some_and(|name| name.eq_ignore_ascii_case(keyword))
                && words.any(|word| word.eq_ignore_ascii_case(parameter))
        })
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.0
    }
}

/// An extension's line is as long as a reply's may be (RFC 5321 §4.5.3.1.5).
const LINE_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(heard: &str) -> Result<Option<Reply>, Garbled> {
        Reader::default().next(&mut BytesMut::from(heard))
    }

    fn reply(code: u16, lines: &[&str]) -> Result<Option<Reply>, Garbled> {
        Ok(Some(Reply { code, lines: lines.iter().map(|line| line.as_bytes().to_vec()).collect() }))
    }

    #[test]
    fn a_reply_is_a_code_and_lines() {
        assert_eq!(read("250 ok\r\n"), reply(250, &["ok"]));
        assert_eq!(read("250\r\n"), reply(250, &[""]));
        assert_eq!(read("250-a\r\n250-b c\n250 \r\n250 x\r\n"), reply(250, &["a", "b c", ""]));
        for part in ["", "2", "250-a\r\n", "250-a\r\n250 b"] {
            assert_eq!(read(part), Ok(None), "{part}");
        }
    }

    #[test]
    fn what_is_not_smtp_is_refused() {
        for bad in ["", "25 ok", "2500 ok", "250ok", "250\tok", "x50 ok", "150 ok", "650 ok", "* OK", "+OK", "250 \0"] {
            assert_eq!(read(&format!("{bad}\r\n")), Err(Garbled::NotSmtp), "{bad}");
        }
        assert_eq!(read("250-a\r\n550 b\r\n"), Err(Garbled::NotSmtp));
        assert_eq!(read("250-a\r\n250\rb\r\n"), Err(Garbled::NotSmtp));
    }

    #[test]
    fn a_reply_has_an_end() {
        assert_eq!(read(&"250-x\r\n".repeat(129)), Err(Garbled::TooMuch));
        assert_eq!(read(&format!("250 {}\r\n", "x".repeat(5000))), Err(Garbled::TooMuch));
        let most = "250-x\r\n".repeat(127) + "250 x\r\n";
        assert!(read(&most).is_ok_and(|reply| reply.is_some_and(|reply| reply.lines.len() == 128)));
    }

    #[test]
    fn offers_are_read_by_their_first_word() {
        let Ok(Some(reply)) = read("250-STARTTLS says\r\n250-pipelining\r\n250-AUTH=LOGIN\r\n250 auth PLAIN x\r\n")
        else {
            panic!("a reply");
        };
        let offers = Offers::of(&reply);
        assert!(offers.has("PIPELINING") && !offers.has("STARTTLS"), "the first line is a name");
        assert!(offers.has_with("AUTH", "plain") && offers.has_with("AUTH", "LOGIN"));
        assert!(!offers.has_with("AUTH", "AUTH") && !offers.has_with("PIPELINING", "PLAIN"));
    }
}
