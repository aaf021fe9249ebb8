//! Conversations with clients: the good, the hasty and the hostile; each under every cut.

use super::*;
use crate::proto::{Credential, HEARD_MAX, cut};

mod auth;
mod hostile;
mod login;
mod offers;

fn config() -> FrontConfig {
    FrontConfig {
        hostname: "mail.example.com".into(),
        greeting: "ready".into(),
        mechanisms: [Mechanism::Plain, Mechanism::Login, Mechanism::XOAuth2, Mechanism::OAuthBearer].into(),
        tls: Tls::Active,
        cleartext: false,
        bad_commands: 10,
        failed_logins: 3,
        extensions: std::sync::Arc::default(),
        bare_newline: crate::proto::smtp::text::BareNewline::Reject,
        unauthorized_pipelining: crate::proto::smtp::pipelining::UnauthorizedPipelining::Allow,
        vouching: false,
    }
}

fn clear() -> FrontConfig {
    FrontConfig { tls: Tls::Offered, ..config() }
}

/// Alice's password is `secret`, and every token is good; whoever is at a limit, or where it does not work, is told.
fn judge(login: &Login) -> Result<Granted, Denial> {
    match (&login.credential, login.user.as_str()) {
        (_, "busy") => Err(Denial::Limit),
        (_, "down") => Err(Denial::Unavailable),
        (_, "barred") => Err(Denial::Policy),
        (_, "broken") => Err(Denial::Misconfigured),
        (Credential::Password(password), "alice") if password.expose() == "secret" => {
            Ok(Granted { text: "2 messages".to_owned(), capabilities: None, ..Granted::default() })
        }
        (Credential::Token(..), _) => Ok(Granted::default()),
        _ => Err(Denial::BadCredentials),
    }
}

fn talk(config: &FrontConfig, rounds: &[&str]) -> String {
    let rounds: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
    cut::front(|| Box::new(Pop3Front::new(config.clone())), judge, &rounds)
}

/// Without cuts: for what is too long for all of them.
fn flood(config: &FrontConfig, rounds: &[&[u8]]) -> String {
    cut::front_uncut(|| Box::new(Pop3Front::new(config.clone())), judge, rounds)
}

const BAD: &str = "-ERR [AUTH] Authentication failed.\n";
