//! What the front says: greeting, capabilities, refusals. The words of a refusal are one table for all its causes.
//!
//! It stands apart because it is all there is to read when a client's author asks "what does it answer?".

use crate::proto::{Denial, FrontConfig, Granted, Mechanism, Tls};

/// Whether a password, or a token, may come now.
pub(super) fn may_log_in(config: &FrontConfig) -> bool {
    config.cleartext || config.tls == Tls::Active
}

/// Whether the LOGIN command works here at all: it is PLAIN in other words.
pub(super) fn takes_login(config: &FrontConfig) -> bool {
    config.mechanisms.iter().any(|mechanism| mechanism.carries_password())
}

/// What works here and now, and nothing else. LITERAL+ holds for literals up to `LITERAL_MAX`.
pub(super) fn capabilities(config: &FrontConfig) -> String {
    let mut words = String::with_capacity(128);
    words.push_str("IMAP4rev1 SASL-IR LITERAL+ ID ENABLE");
    if config.tls == Tls::Offered {
        words.push_str(" STARTTLS");
    }
    if may_log_in(config) {
        for mechanism in config.mechanisms.iter() {
            words.push_str(" AUTH=");
            words.push_str(mechanism.wire_name());
        }
    }
    if !may_log_in(config) || !takes_login(config) {
        words.push_str(" LOGINDISABLED");
    }
    words
}

/// The first line (RFC 3501 §7.1.1).
pub(super) fn greet(config: &FrontConfig, say: &mut Vec<u8>) {
    for words in ["* OK [CAPABILITY ", &capabilities(config), "] ", &config.hostname, " ", &config.greeting, "\r\n"] {
        put(say, words);
    }
}

/// A yes, with the back-end's words and its capabilities: they replace ours, which the client has heard before.
pub(super) fn granted(tag: &str, granted: &Granted) -> String {
    let text = if granted.text.is_empty() { "Logged in." } else { &granted.text };
    match &granted.capabilities {
        Some(capabilities) => format!("{tag} OK [CAPABILITY {capabilities}] {text}\r\n"),
        None => format!("{tag} OK {text}\r\n"),
    }
}

/// A no (RFC 5530). The back-end's own words are never among them: they say which users exist.
pub(super) const fn denied(denial: Denial) -> &'static str {
    match denial {
        Denial::BadCredentials | Denial::Unvouched => "NO [AUTHENTICATIONFAILED] Authentication failed.",
        Denial::Unavailable => "NO [UNAVAILABLE] Account is temporarily unavailable.",
        Denial::Limit => "NO [LIMIT] Too many sessions, try again later.",
        Denial::Policy => "NO [AUTHORIZATIONFAILED] Not permitted.",
        Denial::Misconfigured => "NO [SERVERBUG] Account is temporarily unavailable.",
    }
}

/// A password, or the wish to send one, where anybody could read it.
pub(super) const NOT_PRIVATE: &str = "NO [PRIVACYREQUIRED] Logging in is disabled on this connection without TLS.";

/// A mechanism, or LOGIN, that is not offered.
pub(super) const NOT_OFFERED: &str = "NO [CANNOT] Unsupported authentication mechanism.";

/// RFC 2971.
pub(super) const ID: &str = "* ID (\"name\" \"Portcullis\")\r\n";

/// Whether the configuration offers the mechanism.
pub(super) fn offers(config: &FrontConfig, mechanism: Mechanism) -> bool {
    config.mechanisms.contains(&mechanism)
}

pub(super) fn put(say: &mut Vec<u8>, words: &str) {
    say.extend_from_slice(words.as_bytes());
}
