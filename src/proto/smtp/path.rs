//! Paths: addresses in brackets, as MAIL and RCPT have them (RFC 5321 §4.1.2).
//!
//! A source route is read and dropped (appendix C); whatever else is not of the grammar is no path.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `<alice@example.com>` or `<>`: the address, and what is behind the bracket.
pub(super) fn reverse(text: &str) -> Option<(String, &str)> {
    match text.strip_prefix("<>") {
        Some(rest) => Some((String::new(), rest)),
        None => bracketed(text, false),
    }
}

/// `<alice@example.com>` or `<postmaster>`: the address, and what is behind the bracket.
pub(super) fn forward(text: &str) -> Option<(String, &str)> {
    bracketed(text, true)
}

fn bracketed(text: &str, may_be_postmaster: bool) -> Option<(String, &str)> {
    let inside = text.strip_prefix('<')?;
    let inside = without_route(inside)?;
    let local = local_part(inside)?;
    let (name, behind) = inside.split_at_checked(local)?;
    if let Some(rest) = behind.strip_prefix('>') {
        return (may_be_postmaster && name.eq_ignore_ascii_case("postmaster")).then(|| (name.to_owned(), rest));
    }
    // No quotes are in a domain, so the first bracket is the path's.
    let (host, rest) = behind.strip_prefix('@')?.split_once('>')?;
    let address = format!("{name}@{host}");
    (is_host(host) && address.len() <= ADDRESS_MAX).then_some((address, rest))
}

/// Behind `@a,@b:`, if that comes first.
fn without_route(path: &str) -> Option<&str> {
    if !path.starts_with('@') {
        return Some(path);
    }
    // An address literal has colons of its own, and nobody ever routed by one.
    let (route, rest) = path.split_once(':')?;
    let is_hop = |hop: &str| hop.strip_prefix('@').is_some_and(is_domain);
    route.split(',').all(is_hop).then_some(rest)
}

/// How long the local part is at the start of `text`; `None` when there is none.
fn local_part(text: &str) -> Option<usize> {
    let length = if text.starts_with('"') { quoted(text)? } else { dotted(text)? };
    (length <= LOCAL_MAX).then_some(length)
}

fn dotted(text: &str) -> Option<usize> {
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let length = text.bytes().take_while(|byte| is_atom(*byte) || *byte == b'.').count();
    let name = text.get(..length)?;
    name.split('.').all(|atom| !atom.is_empty()).then_some(length)
}

/// With its quotes; an empty name is nobody's.
fn quoted(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return (index > 1).then_some(index + 1),
            b'\\' => bytes.next().filter(|(_, escaped)| matches!(escaped, b' '..=b'~')).map(drop)?,
            b' '..=b'~' => {}
            _ => return None,
        }
    }
    None
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|literal| literal.strip_suffix(']')) {
        Some(literal) => is_address(literal),
        None => is_domain(host),
    }
}

fn is_address(literal: &str) -> bool {
    match literal.split_at_checked("IPv6:".len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        _ => literal.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Letters, digits and hyphens, and the underscores that some hosts have.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= DOMAIN_MAX && domain.split('.').all(is_label)
}

/// RFC 5321 §4.5.3.1: a local part, a domain, and a path without its brackets.
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 255;
const ADDRESS_MAX: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(path: &str) -> Option<String> {
        forward(path).filter(|(_, rest)| rest.is_empty()).map(|(address, _)| address)
    }

    #[test]
    fn an_address_is_what_is_in_the_brackets() {
        for good in [
            "alice@example.com",
            "a.b+c@example.com",
            "a%b@c",
            "bang!path@example.com",
            "\"a b\"@example.com",
            "\"a\\\"b\"@c",
            "\"a>b\"@c",
            "\"a@b\"@c",
            "\"\\\\\"@c",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "a@my_host.example",
            "a@1.example",
            "Postmaster",
            "postmaster@example.com",
        ] {
            assert_eq!(address(&format!("<{good}>")).as_deref(), Some(good));
        }
    }

    #[test]
    fn a_source_route_is_dropped() {
        assert_eq!(address("<@a,@b:c@d>").as_deref(), Some("c@d"));
        assert_eq!(address("<@a.example:\"x y\"@d>").as_deref(), Some("\"x y\"@d"));
        for bad in ["<@a>", "<@a:>", "<@a,:c@d>", "<@a,b:c@d>", "<@a;@b:c@d>", "<@:c@d>", "<@a:@b:c@d>"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_of_the_grammar_is_no_address() {
        for bad in [
            "",
            "<",
            "<>",
            "alice@example.com",
            "<alice@example.com",
            "<<a@b>",
            "<a@b>>",
            "<a@b",
            "<alice>",
            "<@b>",
            "<a@>",
            "<a b@c>",
            "<.a@c>",
            "<a.@c>",
            "<a..b@c>",
            "<a@b@c>",
            "<a@-b>",
            "<a@b->",
            "<a@b..c>",
            "<a@b.>",
            "<a@.b>",
            "<\"\"@x>",
            "<\"@x>",
            "<\"a\\\"@x>",
            "<\"a\"b@x>",
            "<\"a\x07\"@x>",
            "<\"a\\\x07\"@x>",
            "<a\x07@x>",
            "<a@x\x07>",
            "<a(c)@x>",
            "<a@[300.1.1.1]>",
            "<a@[IPv6:zz]>",
            "<a@[x]>",
            "<a@[1.2.3.4>",
            "<a@b c>",
            "<\"postmaster\">",
        ] {
            assert_eq!(address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        let local = |length| address(&format!("<{}@example.com>", "x".repeat(length)));
        assert!(local(64).is_some() && local(65).is_none());
        let quoted = |length| address(&format!("<\"{}\"@example.com>", "x".repeat(length)));
        assert!(quoted(62).is_some() && quoted(63).is_none());
        let label = |length| address(&format!("<a@{}.com>", "x".repeat(length)));
        assert!(label(63).is_some() && label(64).is_none());
        let domain = |length| (1..=length).map(move |at| if at % 2 == 0 && at < length { '.' } else { 'x' });
        let whole = |length| address(&format!("<a@{}>", domain(length - 2).collect::<String>()));
        assert!(whole(254).is_some() && whole(255).is_none());
    }

    #[test]
    fn nobody_sends_bounces_but_nobody_gets_mail() {
        assert_eq!(reverse("<>"), Some((String::new(), "")));
        assert_eq!(reverse("<a@b> SIZE=1"), Some(("a@b".to_owned(), " SIZE=1")));
        assert_eq!(reverse("<postmaster>"), None);
        assert_eq!(forward("<>"), None);
    }
}
