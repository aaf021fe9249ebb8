//! XCLIENT, as Postfix has it: the commands that tell a back-end who the client is.
//!
//! It stands apart because it is pure rendering with three rules of its own: only names that are offered, values in
//! xtext (RFC 3461 §4), and commands of at most 512 bytes.

use std::net::IpAddr;

use super::COMMAND_LINE;
use super::opening::misconfigured;
use super::reply::Offers;
use super::xtext;
use crate::proto::{Credential, LoginPlan, Refused};

/// The commands, with their line ends; none where there is nothing to tell, or nobody who listens.
pub(super) fn commands(plan: &LoginPlan, offers: &Offers) -> Result<Vec<String>, Refused> {
    let offered = |name: &str| offers.has_with("XCLIENT", name);
    let mut attributes = Vec::new();
    if let Credential::Trusted = plan.credential {
        if !offered("LOGIN") {
            return Err(misconfigured("does not take our word for who the user is (no XCLIENT LOGIN)", b""));
        }
        let login = attribute("LOGIN", &plan.user);
        attributes.push(login.ok_or_else(|| misconfigured("cannot be told this user's name", b""))?);
    }
    if let Some(identity) = &plan.identity {
        let told = [
            // A longer name cannot be told, and is worth little.
            ("HELO", identity.helo.as_deref().and_then(|name| attribute("HELO", name))),
            ("PROTO", Some("PROTO=ESMTP".to_owned())),
            ("PORT", Some(format!("PORT={}", identity.client.port()))),
            // Or else Postfix would take the client for a host of the name that belongs to our own address.
            ("NAME", Some("NAME=[UNAVAILABLE]".to_owned())),
            // Last: with another address the right to say more may be gone.
            ("ADDR", Some(format!("ADDR={}", address(identity.client.ip())))),
        ];
        attributes.extend(told.into_iter().filter(|(name, _)| offered(name)).filter_map(|(_, attribute)| attribute));
    }
    Ok(packed(&attributes))
}

/// An IPv4 client on an IPv6 socket is told as IPv4.
fn address(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("IPV6:{ip}"),
    }
}

/// `None` when it does not fit into one command, or is longer than Postfix takes.
fn attribute(name: &str, value: &str) -> Option<String> {
    let fits = (1..=VALUE_MAX).contains(&value.len());
    let attribute = format!("{name}={}", xtext::encode(value));
    (fits && START.len() + 1 + attribute.len() + END.len() <= COMMAND_LINE).then_some(attribute)
}

fn packed(attributes: &[String]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for attribute in attributes {
        match commands.last_mut() {
            Some(command) if command.len() + 1 + attribute.len() + END.len() <= COMMAND_LINE => {
                command.push(' ');
                command.push_str(attribute);
            }
            _ => commands.push(format!("{START} {attribute}")),
        }
    }
    commands.iter_mut().for_each(|command| command.push_str(END));
    commands
}

const START: &str = "XCLIENT";
const END: &str = "\r\n";
/// Postfix refuses values that are longer, as they are before they are written in xtext.
const VALUE_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_at_most_512_bytes() {
        let attributes: Vec<_> = [200, 200, 83, 1, 502].map(|length| "x".repeat(length)).to_vec();
        let lengths: Vec<_> = packed(&attributes).iter().map(String::len).collect();
        // XCLIENT + 200 + 200, 83 and 1; then 502; each with CRLF.
        assert_eq!(lengths, [7 + 201 + 201 + 84 + 2 + 2, 512]);
        assert!(packed(&[]).is_empty());
        assert_eq!(attribute("A", &"x".repeat(255)).map(|text| text.len()), Some(257));
        assert_eq!(attribute("A", &"x".repeat(256)), None);
        assert_eq!(attribute("A", &"ü".repeat(127)), None);
        assert_eq!(attribute("A", ""), None);
    }
}
