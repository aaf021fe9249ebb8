//! As much BER as LDAP uses (RFC 4511 §5.1): definite lengths, one-octet tags, few levels.
//!
//! It stands apart, pure, because it reads what nobody has checked yet: no recursion, no allocation that the input
//! can size, no index that is not known to exist.

/// What a server may not say. The words are for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("not LDAP")]
    NotLdap,
    #[error("indefinite length")]
    Indefinite,
    #[error("message longer than 1 MiB")]
    TooLong,
    #[error("tag of more than one octet")]
    LongTag,
    #[error("element longer than what holds it")]
    Overrun,
    #[error("more than 16 levels")]
    TooDeep,
    #[error("more than 4096 elements in a message")]
    TooMany,
    #[error("malformed {0}")]
    Malformed(&'static str),
    #[error("answer to no question")]
    UnknownId,
    #[error("answer of the wrong kind")]
    WrongKind,
    #[error("more than 64 entries and references")]
    Flood,
    #[error("notice of disconnection")]
    Disconnection,
    #[error("bytes behind the StartTLS answer")]
    Injected,
}

/// Tag octets, the constructed bit included.
pub(super) mod tag {
    pub(in super::super) const BOOLEAN: u8 = 0x01;
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const OCTETS: u8 = 0x04;
    pub(in super::super) const ENUMERATED: u8 = 0x0a;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    pub(in super::super) const SET: u8 = 0x31;
}

/// The length of the message at the head of `heard`; `None` when it has not come whole.
///
/// # Errors
/// [`Violation`], as early as it can be told: garbage is refused at its first octet.
pub(super) fn frame(heard: &[u8]) -> Result<Option<usize>, Violation> {
    if heard.first().is_some_and(|first| *first != tag::SEQUENCE) {
        return Err(Violation::NotLdap);
    }
    let Some(header) = header(heard)? else { return Ok(None) };
    let length = header.length + header.content;
    if length > MESSAGE_MAX {
        return Err(Violation::TooLong);
    }
    Ok((heard.len() >= length).then_some(length))
}

/// Every element of a message fits into what holds it, and there are not too many, nor too deep.
pub(super) fn check_nesting(message: &[u8]) -> Result<(), Violation> {
    let mut ends = vec![message.len()];
    let mut at = 0;
    let mut elements = 0;
    while let Some(end) = ends.last().copied() {
        if at == end {
            ends.pop();
            continue;
        }
        elements += 1;
        let header = message.get(at..end).map_or(Ok(None), header)?.ok_or(Violation::Overrun)?;
        at += header.length;
        if header.content > end - at {
            return Err(Violation::Overrun);
        }
        if elements > ELEMENTS_MAX {
            return Err(Violation::TooMany);
        }
        if header.tag & CONSTRUCTED == 0 {
            at += header.content;
        } else if ends.len() > DEPTH_MAX {
            return Err(Violation::TooDeep);
        } else {
            ends.push(at + header.content);
        }
    }
    Ok(())
}

/// Elements one behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(content: &'a [u8]) -> Self {
        Self(content)
    }

    /// The next element; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, Violation> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let header = header(self.0)?.ok_or(Violation::Overrun)?;
        let (_, rest) = self.0.split_at_checked(header.length).ok_or(Violation::Overrun)?;
        let (content, rest) = rest.split_at_checked(header.content).ok_or(Violation::Overrun)?;
        self.0 = rest;
        Ok(Some(Element { tag: header.tag, content }))
    }

    /// The content of the next element, which must bear this tag.
    pub(super) fn expect(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], Violation> {
        match self.next()? {
            Some(element) if element.tag == tag => Ok(element.content),
            _ => Err(Violation::Malformed(what)),
        }
    }

    /// Nothing may be left.
    pub(super) const fn end(&self, what: &'static str) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation::Malformed(what)) }
    }
}

struct Header {
    tag: u8,
    /// Of the header itself.
    length: usize,
    /// Of the content.
    content: usize,
}

/// `None` when it has not come whole. Longer forms of a length than needed are allowed; Active Directory uses them.
fn header(bytes: &[u8]) -> Result<Option<Header>, Violation> {
    let Some(tag) = bytes.first().copied() else { return Ok(None) };
    if tag & LONG_TAG == LONG_TAG {
        return Err(Violation::LongTag);
    }
    let Some(first) = bytes.get(1).copied() else { return Ok(None) };
    let octets = match first {
        0..=0x7f => return Ok(Some(Header { tag, length: 2, content: usize::from(first) })),
        0x80 => return Err(Violation::Indefinite),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err(Violation::TooLong),
    };
    let Some(octets) = bytes.get(2..2 + octets) else { return Ok(None) };
    let content = octets.iter().fold(0, |length, octet| (length << 8) | usize::from(*octet));
    Ok(Some(Header { tag, length: 2 + octets.len(), content }))
}

const CONSTRUCTED: u8 = 0x20;
const LONG_TAG: u8 = 0x1f;
pub(super) const MESSAGE_MAX: usize = 1024 * 1024;
const ELEMENTS_MAX: usize = 4096;
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::fake::nested;
    use super::*;

    #[test]
    fn a_frame_is_found_under_every_cut() {
        for message in [&b"\x30\x03abc"[..], b"\x30\x81\x03abc", b"\x30\x84\0\0\0\x03abc"] {
            for cut in 0..message.len() {
                assert_eq!(frame(&message[..cut]), Ok(None), "{cut}");
            }
            assert_eq!(frame(message), Ok(Some(message.len())));
            assert_eq!(frame(&[message, b"\x30"].concat()), Ok(Some(message.len())));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_as_early_as_it_can_be() {
        assert_eq!(frame(b"H"), Err(Violation::NotLdap));
        assert_eq!(frame(b"\x04\x01A"), Err(Violation::NotLdap));
        assert_eq!(frame(b"\x30\x80"), Err(Violation::Indefinite));
        assert_eq!(frame(b"\x30\x85"), Err(Violation::TooLong));
        assert_eq!(frame(b"\x30\x84\x7f\xff\xff\xff"), Err(Violation::TooLong));
    }

    #[test]
    fn a_message_may_have_1_mib_and_not_one_octet_more() {
        let content = |length: usize| [&[0x30, 0x84][..], &u32::try_from(length).expect("u32").to_be_bytes()].concat();
        assert_eq!(frame(&content(MESSAGE_MAX - 6)), Ok(None));
        assert_eq!(frame(&content(MESSAGE_MAX - 5)), Err(Violation::TooLong));
    }

    #[test]
    fn sixteen_levels_are_allowed_and_two_hundred_thousand_do_no_harm() {
        assert_eq!(check_nesting(&nested(DEPTH_MAX)), Ok(()));
        for depth in [DEPTH_MAX + 1, 100, 8000, 200_000] {
            assert_eq!(check_nesting(&nested(depth)), Err(Violation::TooDeep), "{depth}");
        }
    }

    #[test]
    fn elements_must_fit_and_be_few() {
        assert_eq!(check_nesting(b"\x30\x03\x04\x02a"), Err(Violation::Overrun));
        assert_eq!(check_nesting(b"\x30\x01\x04"), Err(Violation::Overrun));
        assert_eq!(check_nesting(b"\x30\x05\x04\x01a\x1f\x00"), Err(Violation::LongTag));
        assert_eq!(check_nesting(&[&[0x30, 0x82, 0x1f, 0xfe][..], &[4, 0].repeat(4095)].concat()), Ok(()));
        assert_eq!(
            check_nesting(&[&[0x30, 0x82, 0x20, 0x00][..], &[4, 0].repeat(4096)].concat()),
            Err(Violation::TooMany)
        );
    }
}
