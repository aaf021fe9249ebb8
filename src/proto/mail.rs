//! The words of a message that is taken here and passed on: who sends it, to whom, how its bytes are marked off, and
//! what the client is told of it.
//!
//! They stand apart because a session with recipients (SMTP on port 25) passes them between its two halves, and
//! because all of them were read and checked: a back-end is told these, never a client's line.

use std::fmt;
use std::sync::Arc;

use super::Denial;
use super::line::printable;
use super::smtp::refusal_of_mail;

/// What a front needs that takes messages by itself.
///
/// Each is answered by [`Front::answer`](super::Front::answer), once; but [`MailRequest::Data`] once more at the message's end,
/// and [`MailRequest::GiveUp`] never. A transaction is over with its last answer: with any answer to [`MailRequest::Data`] but 354,
/// with the one at the message's end, and with any answer to [`MailRequest::Chunk`] but 250 to one that is not the last; and
/// with [`Need::Close`](super::Need::Close). The front says nothing more of it then, and whatever a back-end knows of it
/// is to be dropped.
///
/// An answer that fits nowhere (354 to a recipient, 250 to DATA) is told as a 451 of our own.
#[derive(Debug)]
pub enum MailRequest {
    /// RCPT: may this recipient have the message? The `Arc` is the same for all recipients of one transaction.
    Recipient(Arc<Mail>, Recipient),
    /// DATA, behind at least one accepted recipient. Answered first with 354, or a refusal; after 354 the text in
    /// `heard` is the driver's to read ([`Text`](super::smtp::text::Text)), and its end is answered by a second call.
    Data,
    /// BDAT, behind at least one accepted recipient: so many bytes in `heard` are the driver's to read before it
    /// answers, whatever it answers.
    Chunk {
        /// How many.
        size: u64,
        /// Whether they are the message's last.
        last: bool,
    },
    /// The transaction is over without a message (RSET, EHLO, HELO, STARTTLS, QUIT, a chunk that makes it too large), and
    /// somebody was asked for a recipient of it; the command's own answer comes with the next step.
    GiveUp,
}

/// MAIL: who sends, and what is said of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The reverse path without its brackets and source route; empty = nobody (a bounce). Printable ASCII.
    pub sender: String,
    /// What the client called itself in EHLO or HELO; printable ASCII without spaces, at most 255 bytes.
    pub helo: String,
    /// `SIZE=` (RFC 1870), at most what was shown.
    pub size: Option<u64>,
    /// `BODY=8BITMIME` (RFC 6152); `false` = 7BIT, or nothing said.
    pub eight_bit: bool,
    /// `RET=` (RFC 3461): `FULL` or `HDRS`.
    pub ret: Option<&'static str>,
    /// `ENVID=` (RFC 3461), as checked: xtext without encoded controls, at most 100 bytes.
    pub envid: Option<String>,
}

/// RCPT: one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// `local@domain`, or `postmaster` alone, without brackets and source route; printable ASCII, as the client wrote it.
    pub address: String,
    /// `NOTIFY=` (RFC 3461): `NEVER`, or what there is of `SUCCESS,FAILURE,DELAY` in this order.
    pub notify: Option<String>,
    /// `ORCPT=` (RFC 3461), as checked: a type, `;`, and xtext without encoded controls; at most 500 bytes.
    pub orcpt: Option<String>,
}

/// A reply as the client is told: our own words, or a back-end's made fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    code: u16,
    /// Behind the code; at least one, each printable ASCII.
    lines: Vec<String>,
}

impl Answer {
    /// Our own words: `250 2.1.5 OK.`; what does not begin with a code is a mistake of ours, and told as one.
    #[must_use]
    pub fn ours(line: &'static str) -> Self {
        let split = line.split_once(' ').and_then(|(code, text)| Some((code.parse().ok()?, text)));
        let (code, text) =
            split.filter(|(code, _)| (200..600).contains(code)).unwrap_or((451, "4.3.0 Try again later."));
        Self { code, lines: vec![text.to_owned()] }
    }

    /// Why there is no server to take it.
    #[must_use]
    pub fn denied(denial: Denial) -> Self {
        Self::ours(refusal_of_mail(denial))
    }

    /// A back-end's words, made fit: printable, of lines that every client takes (RFC 5321 §4.5.3.1.5), and not many.
    pub(super) fn theirs(code: u16, lines: &[Vec<u8>]) -> Self {
        let mut lines: Vec<_> = lines.iter().take(LINES_MAX).map(|line| printable(line, TEXT_MAX)).collect();
        if lines.is_empty() {
            lines.push(String::new());
        }
        Self { code, lines }
    }

    /// 200 to 599.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Whether it says yes (2xx).
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether it wants the message's text (RFC 5321 §4.1.1.4).
    #[must_use]
    pub const fn is_go_ahead(&self) -> bool {
        self.code == 354
    }

    /// Whether it says no, for now or for ever (4xx, 5xx).
    #[must_use]
    pub const fn is_no(&self) -> bool {
        self.code >= 400
    }

    /// The texts behind the code; at least one.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// As it is written to the client (RFC 5321 §4.2.1).
    pub(super) fn put(&self, say: &mut Vec<u8>) {
        for (index, line) in self.lines.iter().enumerate() {
            let border = if index + 1 == self.lines.len() { ' ' } else { '-' };
            say.extend_from_slice(format!("{}{border}{line}\r\n", self.code).as_bytes());
        }
    }
}

/// For the log, on one line.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.join(" "))
    }
}

/// Of a back-end's reply.
const LINES_MAX: usize = 10;
/// 512 bytes without the code, what is behind it, and CRLF.
const TEXT_MAX: usize = 506;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answer: &Answer) -> String {
        let mut say = Vec::new();
        answer.put(&mut say);
        String::from_utf8(say).expect("ASCII")
    }

    #[test]
    fn our_own_words_are_one_line_with_a_code() {
        assert_eq!(said(&Answer::ours("250 2.1.5 OK.")), "250 2.1.5 OK.\r\n");
        assert!(Answer::ours("250 x").is_yes() && !Answer::ours("354 x").is_yes() && !Answer::ours("550 x").is_yes());
        for mistake in ["", "x", "250", "100 x", "600 x", "70000 x"] {
            assert_eq!(said(&Answer::ours(mistake)), "451 4.3.0 Try again later.\r\n", "{mistake}");
        }
    }

    #[test]
    fn a_back_end_s_words_are_made_fit() {
        let theirs = |lines: &[&[u8]]| Answer::theirs(550, &lines.iter().map(|line| line.to_vec()).collect::<Vec<_>>());
        assert_eq!(said(&theirs(&[b"5.1.1 no", b"such \x1b[2J\xc3"])), "550-5.1.1 no\r\n550 such ?[2J?\r\n");
        assert_eq!(said(&theirs(&[])), "550 \r\n");
        let long = said(&theirs(&[&[b'x'; 4096]]));
        assert_eq!(long.len(), 512);
        assert_eq!(said(&theirs(&[&b"x"[..]; 128])).lines().count(), 10);
        assert!(said(&theirs(&[&b"x"[..]; 128])).ends_with("550 x\r\n"));
    }
}
