//! The client's side of a SASL exchange: the lines with which a back half proves who the user is.
//!
//! It stands apart because it is pure rendering: which mechanisms may carry a credential, and the base64 of each turn.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Mechanism, oauth};
use crate::proto::Credential;

/// The mechanisms that can carry the credential, best first.
#[must_use]
pub const fn candidates(credential: &Credential) -> &'static [Mechanism] {
    match credential {
        Credential::Password(_) => &[Mechanism::Plain, Mechanism::Login],
        Credential::Master { .. } => &[Mechanism::Plain],
        Credential::Token(Mechanism::XOAuth2, _) => &[Mechanism::XOAuth2],
        Credential::Token(Mechanism::OAuthBearer, _) => &[Mechanism::OAuthBearer],
        // No such token is ever built: a token comes by a mechanism for tokens.
        Credential::Token(Mechanism::Plain | Mechanism::Login, _) | Credential::Trusted | Credential::Nobody => &[],
    }
}

/// What to say at each `+` of the server, in order, as base64 without line ends; the first may go as the initial
/// response, and is never empty. `None` when the mechanism cannot carry the credential.
///
/// A token's second line is for the case of failure only: it answers the server's error challenge, after which the
/// server says NO (RFC 7628 §3.2.3; XOAUTH2 wants an empty line).
#[must_use]
pub fn responses(mechanism: Mechanism, user: &str, credential: &Credential) -> Option<Vec<Zeroizing<String>>> {
    match (mechanism, credential) {
        (Mechanism::Plain, Credential::Password(password)) => {
            Some(vec![base64(&["\0", user, "\0", password.expose()])])
        }
        (Mechanism::Plain, Credential::Master { name, password }) => {
            Some(vec![base64(&[user, "\0", name, "\0", password.expose()])])
        }
        (Mechanism::Login, Credential::Password(password)) => Some(vec![base64(&[user]), base64(&[password.expose()])]),
        (Mechanism::XOAuth2, Credential::Token(Mechanism::XOAuth2, token)) => {
            let message = base64(&["user=", user, "\x01auth=Bearer ", token.expose(), "\x01\x01"]);
            Some(vec![message, Zeroizing::new(String::new())])
        }
        (Mechanism::OAuthBearer, Credential::Token(Mechanism::OAuthBearer, token)) => {
            let name = oauth::escape(user);
            let message = base64(&["n,a=", &name, ",\x01auth=Bearer ", token.expose(), "\x01\x01"]);
            Some(vec![message, Zeroizing::new("AQ==".to_owned())])
        }
        (
            _,
            Credential::Password(_)
            | Credential::Master { .. }
            | Credential::Token(..)
            | Credential::Trusted
            | Credential::Nobody,
        ) => None,
    }
}

/// Whether a server's words hold the credential, in whatever form it was told: there are servers that say the line
/// again that they did not understand.
#[must_use]
pub fn is_repeated_in(text: &[u8], user: &str, credential: &Credential) -> bool {
    let holds = |secret: &str| !secret.is_empty() && memchr::memmem::find(text, secret.as_bytes()).is_some();
    let encoded = candidates(credential).iter().filter_map(|mechanism| responses(*mechanism, user, credential));
    encoded.flatten().any(|line| holds(&line)) || credential.secret().is_some_and(|secret| holds(secret.expose()))
}

fn base64(fields: &[&str]) -> Zeroizing<String> {
    // One allocation of the right size: a string that grows leaves copies that nobody wipes.
    let mut message = Zeroizing::new(String::with_capacity(fields.iter().map(|field| field.len()).sum()));
    for field in fields {
        message.push_str(field);
    }
    Zeroizing::new(STANDARD.encode(message.as_bytes()))
}
