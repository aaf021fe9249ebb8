//! What an SMTP server says, in bytes; nothing that a client said is ever among it.

/// One line, its code first.
pub(super) fn say_line(say: &mut Vec<u8>, line: &str) {
    put(say, &[line, "\r\n"]);
}

/// `250`, of one line or several (RFC 5321 §4.2.1).
pub(super) fn say_list(say: &mut Vec<u8>, lines: &[String]) {
    let Some((last, rest)) = lines.split_last() else { return };
    rest.iter().for_each(|line| put(say, &["250-", line, "\r\n"]));
    put(say, &["250 ", last, "\r\n"]);
}

/// Words as they are.
pub(super) fn put(say: &mut Vec<u8>, words: &[&str]) {
    words.iter().for_each(|words| say.extend_from_slice(words.as_bytes()));
}
