//! Which LDAP messages may reach the client library, and which not.
//!
//! The library (ldap3 0.12) panics on answers whose shape it does not expect, takes an answer for whatever question
//! bears its id, and recurses without a limit. So everything it indexes, unwraps or converts is checked here first:
//! the id is that of a question which was asked, the operation answers that question, and the shape is RFC 4511's.

use std::collections::HashMap;

use super::ber::{Reader, Violation, check_nesting, tag};

/// The questions whose answers may come.
#[derive(Debug, Default)]
pub(super) struct Questions(HashMap<i32, Question>);

#[derive(Debug, Clone, Copy)]
enum Question {
    Bind,
    Search { answers: usize },
    Extended,
}

impl Questions {
    /// Takes note of a message to the server.
    pub(super) fn sent(&mut self, message: &[u8]) -> Result<(), Violation> {
        let message = Message::read(message)?;
        let question = match message.operation {
            operation::BIND_REQUEST => Question::Bind,
            operation::SEARCH_REQUEST => Question::Search { answers: 0 },
            operation::EXTENDED_REQUEST => Question::Extended,
            operation::UNBIND_REQUEST | operation::ABANDON_REQUEST => return Ok(()),
            _ => return Err(Violation::WrongKind),
        };
        self.0.insert(message.id, question);
        Ok(())
    }

    /// Decides about a message from the server. After an error nothing that follows can be trusted.
    pub(super) fn received(&mut self, message: &[u8]) -> Result<(), Violation> {
        let message = Message::read(message)?;
        if message.id == 0 && message.operation == operation::EXTENDED_RESPONSE {
            return Err(Violation::Disconnection);
        }
        let question = self.0.get_mut(&message.id).ok_or(Violation::UnknownId)?;
        let is_last = match (question, message.operation) {
            (Question::Bind, operation::BIND_RESPONSE) => result(message.content).map(|()| true),
            (Question::Extended, operation::EXTENDED_RESPONSE) => result(message.content).map(|()| true),
            (Question::Search { .. }, operation::SEARCH_DONE) => result(message.content).map(|()| true),
            (Question::Search { answers }, operation::SEARCH_ENTRY | operation::SEARCH_REFERENCE) => {
                *answers += 1;
                if *answers > ANSWERS_MAX {
                    return Err(Violation::Flood);
                }
                let check = if message.operation == operation::SEARCH_ENTRY { entry } else { addresses };
                check(message.content).map(|()| false)
            }
            _ => Err(Violation::WrongKind),
        }?;
        controls(message.controls)?;
        if is_last {
            self.0.remove(&message.id);
        }
        Ok(())
    }
}

/// The answer to a StartTLS request with message id 1; whether the server is willing.
pub(super) fn starttls_granted(message: &[u8]) -> Result<bool, Violation> {
    let message = Message::read(message)?;
    if message.id != 1 {
        return Err(Violation::UnknownId);
    }
    if message.operation != operation::EXTENDED_RESPONSE {
        return Err(Violation::WrongKind);
    }
    result(message.content)?;
    let code = Reader::new(message.content).expect(tag::ENUMERATED, "result")?;
    Ok(code.iter().all(|octet| *octet == 0))
}

/// RFC 4511 §4.1.1.
struct Message<'a> {
    id: i32,
    operation: u8,
    content: &'a [u8],
    /// Empty when there are none.
    controls: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Violation> {
        check_nesting(message)?;
        let mut outer = Reader::new(message);
        let mut inner = Reader::new(outer.expect(tag::SEQUENCE, "message")?);
        outer.end("message")?;
        let id = id(inner.expect(tag::INTEGER, "message id")?)?;
        let operation = inner.next()?.ok_or(Violation::Malformed("message"))?;
        let controls = match inner.next()? {
            None => &[],
            Some(element) if element.tag == CONTROLS => element.content,
            Some(_) => return Err(Violation::Malformed("message")),
        };
        inner.end("message")?;
        Ok(Self { id, operation: operation.tag, content: operation.content, controls })
    }
}

/// 0 to 2³¹ − 1.
fn id(octets: &[u8]) -> Result<i32, Violation> {
    if !(1..=4).contains(&octets.len()) {
        return Err(Violation::Malformed("message id"));
    }
    let id = octets.iter().fold(0_u32, |id, octet| (id << 8) | u32::from(*octet));
    i32::try_from(id).map_err(|_| Violation::Malformed("message id"))
}

/// §4.1.9, and what BindResponse and ExtendedResponse add to it.
fn result(content: &[u8]) -> Result<(), Violation> {
    let mut parts = Reader::new(content);
    let code = parts.expect(tag::ENUMERATED, "result code")?;
    if !(1..=4).contains(&code.len()) {
        return Err(Violation::Malformed("result code"));
    }
    text(parts.expect(tag::OCTETS, "result")?)?;
    text(parts.expect(tag::OCTETS, "result")?)?;
    while let Some(part) = parts.next()? {
        match part.tag {
            REFERRAL => addresses(part.content)?,
            EXTENDED_NAME => text(part.content)?,
            SASL_CREDENTIALS | EXTENDED_VALUE => {}
            _ => return Err(Violation::Malformed("result")),
        }
    }
    Ok(())
}

/// §4.5.2.
fn entry(content: &[u8]) -> Result<(), Violation> {
    let mut parts = Reader::new(content);
    parts.expect(tag::OCTETS, "entry")?;
    let mut attributes = Reader::new(parts.expect(tag::SEQUENCE, "entry")?);
    parts.end("entry")?;
    while let Some(attribute) = attributes.next()? {
        if attribute.tag != tag::SEQUENCE {
            return Err(Violation::Malformed("attribute"));
        }
        let mut attribute = Reader::new(attribute.content);
        attribute.expect(tag::OCTETS, "attribute")?;
        let values = attribute.expect(tag::SET, "attribute")?;
        attribute.end("attribute")?;
        octet_strings(values, |_| Ok(()))?;
    }
    Ok(())
}

/// URIs, of a referral or a reference.
fn addresses(content: &[u8]) -> Result<(), Violation> {
    octet_strings(content, text)
}

fn octet_strings(content: &[u8], check: impl Fn(&[u8]) -> Result<(), Violation>) -> Result<(), Violation> {
    let mut values = Reader::new(content);
    while let Some(value) = values.next()? {
        if value.tag != tag::OCTETS {
            return Err(Violation::Malformed("values"));
        }
        check(value.content)?;
    }
    Ok(())
}

/// §4.1.11.
fn controls(content: &[u8]) -> Result<(), Violation> {
    let mut controls = Reader::new(content);
    while let Some(control) = controls.next()? {
        if control.tag != tag::SEQUENCE {
            return Err(Violation::Malformed("control"));
        }
        let mut parts = Reader::new(control.content);
        text(parts.expect(tag::OCTETS, "control")?)?;
        let mut part = parts.next()?;
        if let Some(criticality) = part.filter(|part| part.tag == tag::BOOLEAN) {
            if criticality.content.len() != 1 {
                return Err(Violation::Malformed("control"));
            }
            part = parts.next()?;
        }
        if part.is_some_and(|value| value.tag != tag::OCTETS) {
            return Err(Violation::Malformed("control"));
        }
        parts.end("control")?;
    }
    Ok(())
}

fn text(octets: &[u8]) -> Result<(), Violation> {
    std::str::from_utf8(octets).map(drop).map_err(|_| Violation::Malformed("text"))
}

/// Application tags, RFC 4511 appendix B.
mod operation {
    pub(super) const BIND_REQUEST: u8 = 0x60;
    pub(super) const BIND_RESPONSE: u8 = 0x61;
    pub(super) const UNBIND_REQUEST: u8 = 0x42;
    pub(super) const SEARCH_REQUEST: u8 = 0x63;
    pub(super) const SEARCH_ENTRY: u8 = 0x64;
    pub(super) const SEARCH_DONE: u8 = 0x65;
    pub(super) const SEARCH_REFERENCE: u8 = 0x73;
    pub(super) const ABANDON_REQUEST: u8 = 0x50;
    pub(super) const EXTENDED_REQUEST: u8 = 0x77;
    pub(super) const EXTENDED_RESPONSE: u8 = 0x78;
}

const CONTROLS: u8 = 0xa0;
const REFERRAL: u8 = 0xa3;
const SASL_CREDENTIALS: u8 = 0x87;
const EXTENDED_NAME: u8 = 0x8a;
const EXTENDED_VALUE: u8 = 0x8b;
/// Entries and references of one search. We ask for two entries; a root of Active Directory adds three references.
const ANSWERS_MAX: usize = 64;

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
