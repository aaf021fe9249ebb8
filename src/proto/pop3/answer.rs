//! What a POP3 server says, in bytes.

/// `+OK`, with words or without.
pub(super) fn yes(say: &mut Vec<u8>, words: &str) {
    put(say, &["+OK", if words.is_empty() { "" } else { " " }, words, "\r\n"]);
}

/// `-ERR`; a client wants a reason.
pub(super) fn no(say: &mut Vec<u8>, words: &str) {
    put(say, &["-ERR ", words, "\r\n"]);
}

/// A multi-line answer (RFC 1939 §3); no entry begins with a dot, so that none is stuffed.
pub(super) fn list<'a>(say: &mut Vec<u8>, entries: impl Iterator<Item = &'a str>) {
    yes(say, "");
    entries.for_each(|entry| put(say, &[entry, "\r\n"]));
    put(say, &[".\r\n"]);
}

/// Words as they are.
pub(super) fn put(say: &mut Vec<u8>, words: &[&str]) {
    words.iter().for_each(|words| say.extend_from_slice(words.as_bytes()));
}
