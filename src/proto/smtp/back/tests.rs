//! Conversations with back-ends: the good, the broken and the hostile.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::proto::{Identity, Mechanism, cut};
use crate::secret::Secret;

mod hostile;
mod nobody;
mod xclient;

fn secret(text: &str) -> Secret {
    Secret::new(text).expect("a secret")
}

fn plan() -> LoginPlan {
    LoginPlan {
        hostname: "gw.example.com".into(),
        user: "alice".to_owned(),
        credential: Credential::Password(secret("secret")),
        starttls: false,
        identity: None,
    }
}

fn identity(client: &str) -> Option<Identity> {
    Some(Identity {
        client: client.parse().expect(client),
        gateway: SocketAddr::from(([192, 0, 2, 9], 587)),
        session: "a1b2-3".to_owned(),
        ttl: 4,
        helo: Some("client.example.org".to_owned()),
    })
}

/// Under every cut; `EHLO` stands for the gateway's own.
fn talk(plan: &LoginPlan, rounds: &[&str]) -> String {
    let rounds: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
    cut::back(|| Box::new(SmtpBack::new(plan.clone())), &rounds).replace("EHLO gw.example.com", "EHLO")
}

/// Without cuts, for what a cut makes another thing: bytes that come early. Answers what was said, and the last ask.
fn at_once(plan: &LoginPlan, rounds: &[&[u8]]) -> (String, Ask) {
    let (mut back, mut heard, mut say) = (SmtpBack::new(plan.clone()), BytesMut::new(), Vec::new());
    let mut ask = back.step(&mut heard, &mut say);
    for round in rounds {
        heard.extend_from_slice(round);
        ask = back.step(&mut heard, &mut say);
    }
    (String::from_utf8(say).expect("UTF-8").replace("EHLO gw.example.com", "EHLO"), ask)
}

fn refusal(ask: Ask) -> Refused {
    match ask {
        Ask::Refused(refused) => refused,
        other => panic!("{other:?}"),
    }
}

const GREETING: &str = "220 mx ESMTP\r\n";
const OFFERS: &str = "250-mx\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n";
const YES: &str = "235 2.7.0 in\r\n";
/// NUL alice NUL secret
const PLAIN: &str = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\n";
const GRANTED: &str = "(granted [\"SIZE 1000\", \"AUTH PLAIN LOGIN\"] 2.7.0 in)\n";

#[test]
fn auth_plain_logs_in() {
    assert_eq!(talk(&plan(), &[GREETING, OFFERS, YES]), format!("EHLO\n{PLAIN}{GRANTED}"));
    let long = "220-mx\r\n220-has much to say\r\n220 ESMTP\r\n";
    assert_eq!(talk(&plan(), &[long, OFFERS, "235\n"]).lines().count(), 3);
}

#[test]
fn what_the_back_end_says_after_yes_is_the_client_s() {
    let transcript = talk(&plan(), &[GREETING, OFFERS, "235 in\r\n421 bye\r\n"]);
    assert!(transcript.ends_with(" in)\n(rest \"421 bye\\r\\n\")\n"), "{transcript}");
}

#[test]
fn login_is_spoken_where_there_is_no_plain() {
    assert_eq!(
        talk(&plan(), &[GREETING, "250-mx\r\n250 AUTH=LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 x\r\n", YES]),
        "EHLO\nAUTH LOGIN\nYWxpY2U=\nc2VjcmV0\n(granted [\"AUTH=LOGIN\"] 2.7.0 in)\n"
    );
}

#[test]
fn a_master_logs_in_for_the_user() {
    let credential = Credential::Master { name: "gate".to_owned(), password: secret("key") };
    let plan = LoginPlan { credential, ..plan() };
    let transcript = talk(&plan, &[GREETING, OFFERS, YES]);
    // alice NUL gate NUL key
    assert_eq!(transcript, format!("EHLO\nAUTH PLAIN YWxpY2UAZ2F0ZQBrZXk=\n{GRANTED}"));
    let transcript = talk(&plan, &[GREETING, OFFERS, "535 5.7.8 no\r\n"]);
    assert!(transcript.contains("(refused Misconfigured: "), "the client gave no wrong password: {transcript}");
}

#[test]
fn a_token_is_presented_by_its_mechanism() {
    for (mechanism, said, answer) in [
        (Mechanism::XOAuth2, "AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0b2tlbgEB\n", ""),
        (Mechanism::OAuthBearer, "AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB0b2tlbgEB\n", "AQ=="),
    ] {
        let plan = LoginPlan { credential: Credential::Token(mechanism, secret("token")), ..plan() };
        let offers = "250-mx\r\n250 AUTH PLAIN XOAUTH2 OAUTHBEARER\r\n";
        assert!(talk(&plan, &[GREETING, offers, YES]).starts_with(&format!("EHLO\n{said}(granted ")));
        // The error challenge is answered before the no.
        let transcript = talk(&plan, &[GREETING, offers, "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n", "535 no\r\n"]);
        let end = format!("{said}{answer}\n(refused BadCredentials: the back-end said 535: no)\n");
        assert!(transcript.ends_with(&end), "{transcript}");
    }
}

#[test]
fn a_response_that_is_too_long_for_a_command_waits_to_be_asked() {
    let plan = |length| LoginPlan { credential: Credential::Password(secret(&"x".repeat(length))), ..plan() };
    // AUTH PLAIN, a space, base64 of 7 + 366 bytes, CRLF: 11 + 500 + 2; three less is 509.
    let (said, _) = at_once(&plan(363), &[GREETING.as_bytes(), OFFERS.as_bytes()]);
    assert_eq!(said.lines().last().map(|line| line.len() + 2), Some(509));
    let (said, _) = at_once(&plan(366), &[GREETING.as_bytes(), OFFERS.as_bytes()]);
    assert_eq!(said, "EHLO\r\nAUTH PLAIN\r\n");
    let (said, ask) = at_once(&plan(366), &[GREETING.as_bytes(), OFFERS.as_bytes(), b"334 \r\n", YES.as_bytes()]);
    assert!(said.lines().count() == 3 && matches!(ask, Ask::Granted(_)), "{said}");
}

#[test]
fn where_no_mechanism_fits_nothing_is_told() {
    for offers in ["250 mx\r\n", "250-mx\r\n250 AUTH CRAM-MD5\r\n", "250-mx AUTH PLAIN\r\n250 AUTH\r\n", "250 \r\n"] {
        let transcript = talk(&plan(), &[GREETING, offers]);
        assert!(transcript.starts_with("EHLO\n(refused Misconfigured: the back-end offers no mechanism"), "{offers}");
    }
    let token = LoginPlan { credential: Credential::Token(Mechanism::XOAuth2, secret("token")), ..plan() };
    assert!(talk(&token, &[GREETING, OFFERS]).starts_with("EHLO\n(refused Misconfigured: "));
}

#[test]
fn a_refused_password_is_mapped_by_its_code() {
    for (code, denial) in [
        (535, "BadCredentials"),
        (501, "BadCredentials"),
        (550, "BadCredentials"),
        (554, "BadCredentials"),
        (454, "Unavailable"),
        (421, "Unavailable"),
        (432, "Unavailable"),
        (250, "Unavailable"),
        (354, "Unavailable"),
        (500, "Misconfigured"),
        (502, "Misconfigured"),
        (503, "Misconfigured"),
        (504, "Misconfigured"),
        (530, "Misconfigured"),
        (534, "Misconfigured"),
        (538, "Misconfigured"),
    ] {
        let transcript = talk(&plan(), &[GREETING, OFFERS, &format!("{code}-5.7.8 a\r\n{code} 5.7.8 b\r\n")]);
        let end = format!("(refused {denial}: the back-end said {code}: 5.7.8 b)\n");
        assert!(transcript.ends_with(&end), "{transcript}");
    }
}

#[test]
fn starttls_comes_before_anything_is_told_and_what_was_offered_in_clear_is_forgotten() {
    let plan = LoginPlan { starttls: true, identity: identity("192.0.2.1:1024"), ..plan() };
    let clear = "250-mx\r\n250-XCLIENT ADDR\r\n250-AUTH LOGIN\r\n250 STARTTLS\r\n";
    assert_eq!(
        talk(&plan, &[GREETING, clear, "220 go\r\n", OFFERS, YES]),
        format!("EHLO\nSTARTTLS\n(starttls)\nEHLO\n{PLAIN}{GRANTED}")
    );
    let again = "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n";
    let transcript = talk(&plan, &[GREETING, clear, "220 go\r\n", again]);
    assert!(transcript.ends_with(&format!("EHLO\n{PLAIN}")), "no TLS inside TLS: {transcript}");
}

#[test]
fn a_wait_is_named_by_what_it_waits_for() {
    let plan = LoginPlan { starttls: true, identity: identity("192.0.2.1:1"), ..plan() };
    let (mut back, mut heard, mut say) = (SmtpBack::new(plan), BytesMut::new(), Vec::new());
    let offers = &b"250-mx\r\n250-STARTTLS\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n"[..];
    for (round, stage) in [
        (&b""[..], Stage::Greeting),
        (b"220 mx\r\n", Stage::Ehlo),
        (offers, Stage::StartTls),
        (b"220 go\r\n", Stage::StartTls),
        (b"", Stage::Ehlo),
        (offers, Stage::Xclient),
        (b"220 mx\r\n", Stage::Xclient),
        (offers, Stage::Login),
    ] {
        heard.extend_from_slice(round);
        if let Ask::StartTls = back.step(&mut heard, &mut say) {
            assert_eq!(back.stage(), Stage::StartTls);
            back.secured();
            continue;
        }
        assert_eq!(back.stage(), stage);
    }
}
