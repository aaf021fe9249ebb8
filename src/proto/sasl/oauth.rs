//! The messages of the two bearer-token mechanisms: XOAUTH2 (Google's and Microsoft's) and OAUTHBEARER (RFC 7628).
//!
//! They stand apart for their grammar: fields between bytes of 0x01, and a GS2 header (RFC 5801 §4) with escapes. A
//! refused token is answered with the protocol's plain NO: the error challenge of RFC 7628 §3.2.2 would need facts
//! about the site's authorization server that a gateway does not have.

use super::exchange::{Fault, user_name};
use crate::proto::{Credential, Login, Mechanism};
use crate::secret::Secret;

/// A user and the token that speaks for them.
#[derive(Debug)]
pub(super) struct Proof {
    user: String,
    token: Secret,
}

impl Proof {
    pub(super) fn login(self, mechanism: Mechanism) -> Result<Login, Fault> {
        let Self { user, token } = self;
        Ok(Login { user, credential: Credential::Token(mechanism, token), mechanism, ttl: None, helo: None })
    }
}

/// `user=NAME 0x01 auth=Bearer TOKEN 0x01 0x01`.
pub(super) fn xoauth2(message: &[u8]) -> Result<Proof, Fault> {
    let message = message.strip_prefix(b"user=").ok_or(Fault::Credentials)?;
    let (user, fields) = split_once(message, SEPARATOR).ok_or(Fault::Credentials)?;
    Ok(Proof { user: user_name(user)?, token: token(fields)? })
}

/// `n,a=NAME, 0x01 … auth=Bearer TOKEN 0x01 0x01` (RFC 7628 §3.1).
///
/// The name is optional there, for a server that reads it from the token; we must know it to find the mailbox.
pub(super) fn oauthbearer(message: &[u8]) -> Result<Proof, Fault> {
    let (header, fields) = split_once(message, SEPARATOR).ok_or(Fault::Credentials)?;
    let header = header.strip_suffix(b",").ok_or(Fault::Credentials)?;
    let (flag, name) = split_once(header, b',').ok_or(Fault::Credentials)?;
    // "p=" would ask for channel binding, which neither mechanism has.
    if !matches!(flag, b"n" | b"y") {
        return Err(Fault::Credentials);
    }
    let name = unescape(name.strip_prefix(b"a=").ok_or(Fault::Credentials)?).ok_or(Fault::Credentials)?;
    Ok(Proof { user: user_name(&name)?, token: token(fields)? })
}

/// The token among `KEY=VALUE 0x01 … 0x01`; other keys are ignored (RFC 7628 §3.1), a second `auth` is not.
fn token(fields: &[u8]) -> Result<Secret, Fault> {
    let fields = fields.strip_suffix(&[SEPARATOR, SEPARATOR]).ok_or(Fault::Credentials)?;
    let mut tokens = fields.split(|byte| *byte == SEPARATOR).filter_map(|field| field.strip_prefix(b"auth="));
    let (Some(value), None) = (tokens.next(), tokens.next()) else { return Err(Fault::Credentials) };
    match split_once(value, b' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer") && is_b64token(token) => {
            Secret::from_bytes(token).map_err(|_| Fault::Credentials)
        }
        Some(_) | None => Err(Fault::Credentials),
    }
}

/// RFC 6750 §2.1.
pub(super) fn is_b64token(token: &[u8]) -> bool {
    !token.is_empty()
        && token
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'='))
}

/// GS2's saslname: `=2C` is a comma, `=3D` an equals sign, and nothing else is written so (RFC 5801 §4).
fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'=', [b'2', b'C', after @ ..]) => (b',', after),
            (b'=', [b'3', b'D', after @ ..]) => (b'=', after),
            (b'=' | b',', _) => return None,
            (byte, after) => (*byte, after),
        };
        plain.push(byte);
        rest = after;
    }
    Some(plain)
}

/// The other way.
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, bytes)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

const SEPARATOR: u8 = 1;
