//! What a back-end is told of a message that was taken here, and what of its answers a client is told.
//!
//! It stands apart because it is the wall between the two: a command is written from what was read and checked, and
//! says only what the back-end offers to understand; a reply is passed on only where it is about the message, and not
//! about us.

use bytes::BytesMut;

use super::envelope::ORCPT_MAX;
use super::reply::{Garbled, Offers, Reader, Reply};
use super::{path, xtext};
use crate::proto::line::printable;
use crate::proto::{Answer, Mail, Recipient};

/// One back-end that takes messages, from its answer to EHLO on.
///
/// Commands are whole lines, put behind what `say` holds; where one is refused, nothing is put there, and the error is
/// what the client is to be told. Each wants one reply, in order.
#[derive(Debug)]
pub struct Delivery {
    offers: Offers,
    reader: Reader,
}

/// What a back-end said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// Its code, 200 to 599.
    pub code: u16,
    /// What the client may be told in its place.
    pub answer: Answer,
    /// Its code and its last line, for the log: printable ASCII, at most 256 bytes.
    pub text: String,
}

impl Delivery {
    /// With [`Granted::extensions`](crate::proto::Granted::extensions).
    #[must_use]
    pub fn new(extensions: Vec<String>) -> Self {
        Self { offers: Offers::from(extensions), reader: Reader::default() }
    }

    /// MAIL, with the parameters that the back-end offers (a message may be relayed without its wishes for reports,
    /// RFC 3461 §5.2).
    ///
    /// # Errors
    /// A message of 8-bit lines goes to nobody who did not offer to take it (RFC 6152 §3).
    pub fn mail(&self, mail: &Mail, say: &mut Vec<u8>) -> Result<(), Answer> {
        let mut line = format!("MAIL FROM:<{}>", mail.sender);
        if let Some(size) = mail.size.filter(|_| self.offers.has("SIZE")) {
            line += &format!(" SIZE={size}");
        }
        match (mail.eight_bit, self.offers.has("8BITMIME")) {
            (true, true) => line += " BODY=8BITMIME",
            (true, false) => return Err(Answer::ours("554 5.6.3 The mail server takes messages of 7 bits only.")),
            (false, _) => {}
        }
        if self.offers.has("DSN") {
            line += &parameter("RET", mail.ret);
            line += &parameter("ENVID", mail.envid.as_deref());
        }
        put(&line, say)
    }

    /// RCPT, with the address that the recipient has `there`. Who reads a report later is told the address as it was
    /// (RFC 3461 §4.2).
    ///
    /// # Errors
    /// `there` is no address.
    pub fn recipient(&self, recipient: &Recipient, there: &str, say: &mut Vec<u8>) -> Result<(), Answer> {
        let path = format!("<{there}>");
        // It comes from a directory, which may hold anything.
        path::forward(&path).filter(|(address, rest)| address == there && rest.is_empty()).ok_or_else(misconfigured)?;
        let mut line = format!("RCPT TO:{path}");
        if self.offers.has("DSN") {
            let original = (there != recipient.address)
                .then(|| format!("rfc822;{}", xtext::encode(&recipient.address)))
                .filter(|original| original.len() <= ORCPT_MAX);
            line += &parameter("NOTIFY", recipient.notify.as_deref());
            line += &parameter("ORCPT", recipient.orcpt.as_deref().or(original.as_deref()));
        }
        put(&line, say)
    }

    /// DATA; behind 354 the text follows, its end included.
    pub fn data(&self, say: &mut Vec<u8>) {
        say.extend_from_slice(b"DATA\r\n");
    }

    /// BDAT; so many bytes follow at once.
    ///
    /// # Errors
    /// The back-end takes no chunks.
    pub fn chunk(&self, size: u64, last: bool, say: &mut Vec<u8>) -> Result<(), Answer> {
        if !self.offers.has("CHUNKING") {
            return Err(misconfigured());
        }
        put(&format!("BDAT {size}{}", if last { " LAST" } else { "" }), say)
    }

    /// QUIT.
    pub fn quit(&self, say: &mut Vec<u8>) {
        say.extend_from_slice(b"QUIT\r\n");
    }

    /// Takes the next whole reply out of `heard`; `None` when its end has not come yet. Each is bounded as those before
    /// a login are: lines of 4 KiB, 128 of them, 64 KiB in all.
    ///
    /// # Errors
    /// For the log. Nothing that comes from there may be read any more.
    pub fn reply(&mut self, heard: &mut BytesMut) -> Result<Option<Said>, String> {
        let reply = self.reader.next(heard).map_err(|garbled| match garbled {
            Garbled::TooMuch => "the back-end said too much".to_owned(),
            Garbled::NotSmtp => format!("the back-end {garbled}"),
        })?;
        if reply.is_some() {
            self.reader = Reader::default();
        }
        Ok(reply.map(|reply| Said::from(&reply)))
    }
}

impl From<&Reply> for Said {
    fn from(reply: &Reply) -> Self {
        let answer = match reply.code {
            // About the message, or its recipient.
            250..=252 | 354 | 400..=420 | 422..=453 | 455..=499 => Answer::theirs(reply.code, &reply.lines),
            // It goes, or cannot do something that no client asked for.
            421 | 454 => Answer::ours("451 4.3.0 The mail server is not available now, please try again later."),
            // Not understood, not now, not here, not without a login or TLS: that is about us.
            500 | 502..=504 | 521 | 523..=525 | 530 | 534 | 535 | 538 => misconfigured(),
            501 | 505..=599 => Answer::theirs(reply.code, &reply.lines),
            _ => Answer::ours("451 4.3.0 The mail server gave no usable answer, please try again later."),
        };
        let text = format!("{} {}", reply.code, printable(reply.text(), LOGGED_MAX));
        Self { code: reply.code, answer, text }
    }
}

/// The whole of a command, if it is one line.
fn put(line: &str, say: &mut Vec<u8>) -> Result<(), Answer> {
    // All of it was checked when it was read; a second look costs little.
    if !line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(misconfigured());
    }
    say.extend_from_slice(line.as_bytes());
    say.extend_from_slice(b"\r\n");
    Ok(())
}

fn parameter(name: &str, value: Option<&str>) -> String {
    value.map_or(String::new(), |value| format!(" {name}={value}"))
}

fn misconfigured() -> Answer {
    Answer::ours("451 4.3.5 The mail server cannot take this message now, please try again later.")
}

/// With the code it is below the 256 bytes of [`Said::text`].
const LOGGED_MAX: usize = 250;

#[cfg(test)]
mod tests;
