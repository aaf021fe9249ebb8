//! Conversations with clients: the good, the hasty and the hostile; each under every cut.

use super::border::AUTH_MAX;
use super::*;
use crate::proto::{Credential, HEARD_MAX, Mechanism, cut};

mod auth;
mod hostile;
mod login;
mod offers;
mod pipelining;
mod reception;
mod trusted;

fn config() -> FrontConfig {
    FrontConfig {
        hostname: "mail.example.com".into(),
        greeting: "ready".into(),
        mechanisms: [Mechanism::Plain, Mechanism::Login, Mechanism::XOAuth2, Mechanism::OAuthBearer].into(),
        tls: Tls::Active,
        cleartext: false,
        bad_commands: 10,
        failed_logins: 3,
        extensions: ["PIPELINING".into(), "SIZE 1000".into()].into(),
        bare_newline: crate::proto::smtp::text::BareNewline::Reject,
        unauthorized_pipelining: crate::proto::smtp::pipelining::UnauthorizedPipelining::Allow,
        vouching: false,
    }
}

fn clear() -> FrontConfig {
    FrontConfig { tls: Tls::Offered, ..config() }
}

/// Alice's password is `secret`, every token is good, and who is vouched for is who says EHLO; whoever is at a limit, or
/// where it does not work, is told.
fn judge(login: &Login) -> Result<Granted, Denial> {
    let user = match login.credential {
        Credential::Trusted => login.helo.as_deref().unwrap_or_default(),
        _ => login.user.as_str(),
    };
    match (&login.credential, user) {
        (_, "busy") => Err(Denial::Limit),
        (_, "down") => Err(Denial::Unavailable),
        (_, "barred") => Err(Denial::Policy),
        (_, "broken") => Err(Denial::Misconfigured),
        (_, "mallory") => Err(Denial::BadCredentials),
        (Credential::Password(password), "alice") if password.expose() == "secret" => Ok(Granted::default()),
        (Credential::Token(..) | Credential::Trusted, _) => Ok(Granted::default()),
        _ => Err(Denial::BadCredentials),
    }
}

/// After EHLO, whose answer is left out.
fn talk(config: &FrontConfig, rounds: &[&str]) -> String {
    let all = [&["EHLO client\r\n"], rounds].concat();
    let transcript = bare(config, &all);
    let answer = transcript.lines().take_while(|line| line.starts_with("250-")).count();
    transcript.lines().skip(answer + 1).fold(String::new(), |text, line| text + line + "\n")
}

/// From the first byte.
fn bare(config: &FrontConfig, rounds: &[&str]) -> String {
    let rounds: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
    cut::front(|| Box::new(SmtpFront::new(config.clone())), judge, &rounds)
}

/// Without cuts, from the first byte: for what is too long for all of them.
fn flood(config: &FrontConfig, rounds: &[&[u8]]) -> String {
    cut::front_uncut(|| Box::new(SmtpFront::new(config.clone())), judge, rounds)
}

const BAD: &str = "535 5.7.8 Authentication failed.\n";
const OK: &str = "250 2.0.0 OK.\n";
const FIRST: &str = "530 5.7.0 Authentication required.\n";
const UNKNOWN: &str = "500 5.5.2 Unknown command.\n";
const GRANTED: &str = "235 2.7.0 Authentication successful.\n";
/// NUL alice NUL secret, and NUL alice NUL wrong.
const ALICE: &str = "AGFsaWNlAHNlY3JldA==";
const WRONG: &str = "AGFsaWNlAHdyb25n";
