//! One line of a back-end's reply before the login: what kind it is, and the parts that decide something.
//!
//! It stands apart because a back-end is a peer like any other: what it says is sorted here, and nothing else of it
//! is believed. All that fits no kind is [`Reply::Garbage`].

use super::border::announced;
use crate::proto::line::printable;

/// A line, sorted (RFC 3501 §7).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    /// `* OK`
    Ok(Words<'a>),
    /// `* BYE`
    Bye(Words<'a>),
    /// `* PREAUTH`
    Preauth,
    /// `* CAPABILITY`
    Capability(Capabilities),
    /// Any other untagged line, a warning or data that nobody asked for.
    Untagged,
    /// `+`; some servers leave out the space and the words.
    Continue,
    /// `tag OK`, `tag NO`, `tag BAD`
    Tagged(&'a [u8], Condition, Words<'a>),
    /// None of these, or data with a literal, which would hide the next line's border.
    Garbage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Ok,
    No,
    Bad,
}

/// What stands behind OK, NO, BAD or BYE: a response code perhaps, and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words<'a>(&'a [u8]);

pub(super) fn parse(line: &[u8]) -> Reply<'_> {
    let (first, rest) = split(line);
    match first {
        b"*" => untagged(rest),
        b"+" => Reply::Continue,
        tag if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) => Reply::Garbage,
        tag => {
            let (word, rest) = split(rest);
            match condition(word) {
                Some(condition) => Reply::Tagged(tag, condition, Words(rest)),
                None => Reply::Garbage,
            }
        }
    }
}

fn untagged(rest: &[u8]) -> Reply<'_> {
    let (word, words) = split(rest);
    match condition(word) {
        Some(Condition::Ok) => return Reply::Ok(Words(words)),
        Some(Condition::No | Condition::Bad) => return Reply::Untagged,
        None => {}
    }
    if word.eq_ignore_ascii_case(b"BYE") {
        Reply::Bye(Words(words))
    } else if word.eq_ignore_ascii_case(b"PREAUTH") {
        Reply::Preauth
    } else if word.is_empty() || announced(rest).is_some() {
        Reply::Garbage
    } else if word.eq_ignore_ascii_case(b"CAPABILITY") {
        Reply::Capability(Capabilities::new(words))
    } else {
        Reply::Untagged
    }
}

fn condition(word: &[u8]) -> Option<Condition> {
    [(&b"OK"[..], Condition::Ok), (b"NO", Condition::No), (b"BAD", Condition::Bad)]
        .into_iter()
        .find_map(|(name, condition)| word.eq_ignore_ascii_case(name).then_some(condition))
}

/// The first word, and what stands behind one space.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, b""));
    (word, rest.strip_prefix(b" ").unwrap_or(rest))
}

impl<'a> Words<'a> {
    /// The name and the arguments of the response code (RFC 3501 §7.1), if there is one.
    fn code(self) -> Option<(&'a [u8], &'a [u8])> {
        let code = self.0.strip_prefix(b"[")?;
        code.get(..memchr::memchr(b']', code)?).map(split)
    }

    /// The name of the response code, in capitals.
    pub(super) fn code_name(self) -> Option<String> {
        self.code().map(|(name, _)| printable(name, 32).to_ascii_uppercase())
    }

    /// The list of a CAPABILITY response code.
    pub(super) fn capabilities(self) -> Option<Capabilities> {
        let (name, list) = self.code()?;
        name.eq_ignore_ascii_case(b"CAPABILITY").then(|| Capabilities::new(list))
    }

    /// The text without any response code: printable, at most `max` bytes.
    pub(super) fn text(self, max: usize) -> String {
        let mut text = self.0;
        while let Some(code) = text.strip_prefix(b"[") {
            let end = memchr::memchr(b']', code).map_or(code.len(), |end| end + 1);
            text = code.get(end..).unwrap_or_default().trim_ascii_start();
        }
        printable(text, max)
    }

    /// All of it, for the log: printable, at most `max` bytes.
    pub(super) fn all(self, max: usize) -> String {
        printable(self.0, max)
    }
}

/// A list of capabilities: printable words without brackets, one space between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Capabilities(String);

impl Capabilities {
    fn new(list: &[u8]) -> Self {
        let fit = |word: &&str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"[]".contains(&byte))
        };
        let mut words = String::with_capacity(list.len());
        let strings = list.split(|byte| *byte == b' ').filter_map(|word| std::str::from_utf8(word).ok());
        for word in strings.filter(fit) {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        Self(words)
    }

    /// Whether the word is among them, in any case.
    pub(super) fn has(&self, word: &str) -> bool {
        self.0.split(' ').any(|one| one.eq_ignore_ascii_case(word))
    }

    /// Whether authentication by this mechanism is.
    pub(super) fn has_auth(&self, mechanism: &str) -> bool {
        self.0
            .split(' ')
            .filter_map(|one| one.split_once('='))
            .any(|(key, name)| key.eq_ignore_ascii_case("AUTH") && name.eq_ignore_ascii_case(mechanism))
    }

    /// The list itself, if there is anything in it.
    pub(super) fn into_list(self) -> Option<String> {
        Some(self.0).filter(|list| !list.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_sorted_by_its_first_words() {
        assert_eq!(parse(b"* ok hello"), Reply::Ok(Words(b"hello")));
        assert_eq!(parse(b"* OK"), Reply::Ok(Words(b"")));
        assert_eq!(parse(b"* BYE bye"), Reply::Bye(Words(b"bye")));
        assert_eq!(parse(b"* PREAUTH x"), Reply::Preauth);
        assert_eq!(parse(b"* NO warning {5}"), Reply::Untagged);
        assert_eq!(parse(b"* 5 EXISTS"), Reply::Untagged);
        assert_eq!(parse(b"* LIST () \"/\" \"x\""), Reply::Untagged);
        assert_eq!(parse(b"+"), Reply::Continue);
        assert_eq!(parse(b"+ go on"), Reply::Continue);
        assert_eq!(parse(b"L NO [X] y"), Reply::Tagged(b"L", Condition::No, Words(b"[X] y")));
        assert_eq!(parse(b"L bad"), Reply::Tagged(b"L", Condition::Bad, Words(b"")));
    }

    #[test]
    fn what_fits_nowhere_is_garbage() {
        for line in
            [&b""[..], b" ", b"*", b"* ", b"*OK", b"L", b"L MAYBE", b"\0\x01\x02", b"220 x ESMTP", b"** OK", b"+x"]
        {
            assert_eq!(parse(line), Reply::Garbage, "{line:?}");
        }
        assert_eq!(parse(b"* 1 FETCH (BODY[] {10}"), Reply::Garbage);
        assert_eq!(parse(b"* CAPABILITY {10}"), Reply::Garbage);
    }

    #[test]
    fn a_code_and_its_text_are_told_apart() {
        let words = Words(b"[capability IMAP4rev1  IDLE\x01 \xff AUTH=plain x]y] [ALERT] call us");
        assert_eq!(words.code_name().as_deref(), Some("CAPABILITY"));
        let capabilities = words.capabilities().expect("a list");
        assert!(capabilities.has("imap4REV1") && capabilities.has_auth("PLAIN") && !capabilities.has("IDLE"));
        assert_eq!(capabilities.into_list().as_deref(), Some("IMAP4rev1 AUTH=plain x"));
        assert_eq!(Words(b"[A b] [ALERT] call\x07 us").text(512), "call? us");
        assert_eq!(Words(b"[A b").text(512), "");
        assert_eq!(Words(b"no code [here]").text(9), "no code [");
        assert_eq!(Words(b"no code [here]").code_name(), None);
        assert_eq!(Words(b"[A b").code_name(), None);
    }
}
