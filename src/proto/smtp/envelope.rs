//! The arguments of MAIL and RCPT: a path in brackets, and parameters behind it (RFC 5321 §4.1.1.2, RFC 1870, 6152,
//! 3461, 4954).
//!
//! They stand apart from the other commands because what is read here is told to another server: nothing passes that
//! is not understood, and what passes can end no command and open no other.

use super::path;
use super::xtext;
use crate::proto::{Mail, Recipient};

/// `FROM:<alice@example.com> SIZE=1000`; `helo` is what the client calls itself.
pub(super) fn mail(arguments: &[u8], helo: &str) -> Result<Mail, &'static str> {
    let (sender, parameters) = split(arguments, "FROM:", path::reverse, BAD_SENDER)?;
    let mut mail = Mail { sender, helo: helo.to_owned(), size: None, eight_bit: false, ret: None, envid: None };
    let mut seen = Vec::new();
    for parameter in words(parameters) {
        let (name, value) = parameter_of(parameter, &mut seen)?;
        match (name.as_str(), value) {
            ("SIZE", Some(size)) => mail.size = Some(number(size).ok_or(BAD_PARAMETER)?),
            ("BODY", Some(body)) => mail.eight_bit = is_eight_bit(body)?,
            ("RET", Some(ret)) => mail.ret = Some(one_of(ret, &["FULL", "HDRS"]).ok_or(BAD_PARAMETER)?),
            ("ENVID", Some(id)) if id.len() <= ENVID_MAX && xtext::is_text(id) => mail.envid = Some(id.to_owned()),
            // Whom a stranger calls the author is worth nothing, and is told to nobody (RFC 4954 §5).
            ("AUTH", Some(author)) if author == "<>" || xtext::is_text(author) => {}
            ("SIZE" | "BODY" | "RET" | "ENVID" | "AUTH", _) => return Err(BAD_PARAMETER),
            _ => return Err(UNKNOWN_PARAMETER),
        }
    }
    Ok(mail)
}

/// `TO:<bob@example.com> NOTIFY=NEVER`.
pub(super) fn recipient(arguments: &[u8]) -> Result<Recipient, &'static str> {
    let (address, parameters) = split(arguments, "TO:", path::forward, BAD_RECIPIENT)?;
    let mut recipient = Recipient { address, notify: None, orcpt: None };
    let mut seen = Vec::new();
    for parameter in words(parameters) {
        let (name, value) = parameter_of(parameter, &mut seen)?;
        match (name.as_str(), value) {
            ("NOTIFY", Some(when)) => recipient.notify = Some(notify(when).ok_or(BAD_PARAMETER)?),
            ("ORCPT", Some(address)) if is_original(address) => recipient.orcpt = Some(address.to_owned()),
            ("NOTIFY" | "ORCPT", _) => return Err(BAD_PARAMETER),
            _ => return Err(UNKNOWN_PARAMETER),
        }
    }
    Ok(recipient)
}

/// The path, and the parameters behind it. Spaces before it are borne: many clients send one.
fn split<'a>(
    arguments: &'a [u8],
    keyword: &str,
    read: impl Fn(&'a str) -> Option<(String, &'a str)>,
    bad: &'static str,
) -> Result<(String, &'a str), &'static str> {
    // No SMTPUTF8, no bytes above 0x7F.
    let text = std::str::from_utf8(arguments).ok().filter(|text| text.is_ascii()).ok_or(bad)?;
    let is_keyword = text.get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword));
    let behind = text.get(keyword.len()..).filter(|_| is_keyword).ok_or(bad)?;
    let (path, parameters) = read(behind.trim_start_matches(' ')).ok_or(bad)?;
    let is_apart = parameters.is_empty() || parameters.starts_with(' ');
    if is_apart { Ok((path, parameters)) } else { Err(BAD_PARAMETER) }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// A parameter's name in upper case, and its value; none comes twice.
fn parameter_of<'a>(word: &'a str, seen: &mut Vec<String>) -> Result<(String, Option<&'a str>), &'static str> {
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_value = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=');
    let name = name.to_ascii_uppercase();
    if !is_name || !value.is_none_or(is_value) || seen.contains(&name) {
        return Err(BAD_PARAMETER);
    }
    seen.push(name.clone());
    Ok((name, value))
}

/// RFC 1870 §3: up to 20 digits, of which no more make sense than we can count.
fn number(text: &str) -> Option<u64> {
    let is_number = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn is_eight_bit(body: &str) -> Result<bool, &'static str> {
    match one_of(body, &["7BIT", "8BITMIME", "BINARYMIME"]) {
        Some("7BIT") => Ok(false),
        Some("8BITMIME") => Ok(true),
        Some(_) => Err(UNKNOWN_PARAMETER),
        None => Err(BAD_PARAMETER),
    }
}

fn one_of(word: &str, known: &[&'static str]) -> Option<&'static str> {
    known.iter().find(|known| known.eq_ignore_ascii_case(word)).copied()
}

/// RFC 3461 §4.1: `NEVER`, or a list of the others, each once; in an order of ours.
fn notify(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("NEVER") {
        return Some("NEVER".to_owned());
    }
    let mut wanted = Vec::new();
    for word in text.split(',') {
        let word = one_of(word, &OCCASIONS).filter(|word| !wanted.contains(word))?;
        wanted.push(word);
    }
    let ordered: Vec<_> = OCCASIONS.into_iter().filter(|occasion| wanted.contains(occasion)).collect();
    Some(ordered.join(","))
}

const OCCASIONS: [&str; 3] = ["SUCCESS", "FAILURE", "DELAY"];

/// RFC 3461 §4.2: an address's type, `;`, and the address in xtext.
fn is_original(text: &str) -> bool {
    text.len() <= ORCPT_MAX
        && text.split_once(';').is_some_and(|(kind, address)| {
            let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            is_kind && xtext::is_text(address)
        })
}

const BAD_SENDER: &str = "501 5.1.7 MAIL takes FROM: and an address with its domain, in brackets.";
const BAD_RECIPIENT: &str = "501 5.1.3 RCPT takes TO: and an address with its domain, in brackets.";
const BAD_PARAMETER: &str = "501 5.5.4 A parameter that cannot be read, or comes twice.";
const UNKNOWN_PARAMETER: &str = "555 5.5.4 A parameter that is not supported.";
/// RFC 3461 §4.4 and §4.2.
const ENVID_MAX: usize = 100;
pub(super) const ORCPT_MAX: usize = 500;

#[cfg(test)]
mod tests;
