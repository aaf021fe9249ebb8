//! Conversations with back-ends: the good, the broken and the hostile.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::proto::{Mechanism, cut};

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
        gateway: SocketAddr::from(([192, 0, 2, 9], 110)),
        session: "a1b2-3".to_owned(),
        ttl: 4,
        helo: None,
    })
}

/// Under every cut.
fn talk(plan: &LoginPlan, rounds: &[&str]) -> String {
    let rounds: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
    cut::back(|| Box::new(Pop3Back::new(plan.clone())), &rounds)
}

/// Without cuts, for what a cut makes another thing: bytes that come early. Answers what was said, and the last ask.
fn at_once(plan: &LoginPlan, rounds: &[&[u8]]) -> (String, Ask) {
    let (mut back, mut heard, mut say) = (Pop3Back::new(plan.clone()), BytesMut::new(), Vec::new());
    let mut ask = back.step(&mut heard, &mut say);
    for round in rounds {
        heard.extend_from_slice(round);
        ask = back.step(&mut heard, &mut say);
    }
    (String::from_utf8(say).expect("UTF-8"), ask)
}

fn refusal(ask: Ask) -> Refused {
    match ask {
        Ask::Refused(refused) => refused,
        other => panic!("{other:?}"),
    }
}

const GREETING: &str = "+OK POP3 ready\r\n";
const YES: &str = "+OK\r\n";

#[test]
fn user_and_pass_log_in() {
    assert_eq!(
        talk(&plan(), &[GREETING, YES, "+OK [X] Logged in, 2 messages.\r\n"]),
        "USER alice\nPASS secret\n(granted Logged in, 2 messages.)\n"
    );
    assert_eq!(talk(&plan(), &["+OK\n", "+OK\n", "+OK\n"]), "USER alice\nPASS secret\n(granted )\n");
}

#[test]
fn a_password_is_told_as_it_is_with_its_control_characters() {
    let odd = LoginPlan { credential: Credential::Password(secret("p\tw \x1b\x7f")), ..plan() };
    assert_eq!(talk(&odd, &[GREETING, YES]), "USER alice\nPASS p\tw \x1b\x7f\n");
}

#[test]
fn what_the_back_end_says_after_yes_is_the_client_s() {
    let transcript = talk(&plan(), &[GREETING, YES, "+OK\r\n+OK 2 320\r\nx"]);
    assert!(transcript.ends_with("(granted )\n(rest \"+OK 2 320\\r\\nx\")\n"), "{transcript}");
}

#[test]
fn the_words_of_a_yes_are_made_printable_and_short() {
    let words = format!("+OK \x1b[31m{}\r\n", "ä".repeat(1000));
    let (_, ask) = at_once(&plan(), &[GREETING.as_bytes(), b"+OK\r\n", words.as_bytes()]);
    match ask {
        Ask::Granted(granted) => {
            assert_eq!(granted.text.len(), 512);
            assert!(granted.text.starts_with("?[31m??"), "{}", granted.text);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_spaces_of_a_password_are_kept() {
    let plan = LoginPlan { credential: Credential::Password(secret(" two  spaces ")), ..plan() };
    assert!(talk(&plan, &[GREETING, YES]).ends_with("PASS  two  spaces \n"));
}

#[test]
fn a_name_with_a_space_goes_by_auth_plain() {
    let plan = LoginPlan { user: "alice smith".to_owned(), ..plan() };
    assert_eq!(
        talk(&plan, &[GREETING, "+\r\n", YES]),
        // NUL alice smith NUL secret
        "AUTH PLAIN\nAGFsaWNlIHNtaXRoAHNlY3JldA==\n(granted )\n"
    );
}

#[test]
fn a_master_logs_in_for_the_user() {
    let credential = Credential::Master { name: "gate".to_owned(), password: secret("key") };
    assert_eq!(
        talk(&LoginPlan { credential, ..plan() }, &[GREETING, "+ \r\n", YES]),
        // alice NUL gate NUL key
        "AUTH PLAIN\nYWxpY2UAZ2F0ZQBrZXk=\n(granted )\n"
    );
}

#[test]
fn a_token_is_presented_by_its_mechanism() {
    for (mechanism, said) in [
        (Mechanism::XOAuth2, "AUTH XOAUTH2\ndXNlcj1hbGljZQFhdXRoPUJlYXJlciB0b2tlbgEB\n"),
        (Mechanism::OAuthBearer, "AUTH OAUTHBEARER\nbixhPWFsaWNlLAFhdXRoPUJlYXJlciB0b2tlbgEB\n"),
    ] {
        let plan = LoginPlan { credential: Credential::Token(mechanism, secret("token")), ..plan() };
        assert_eq!(talk(&plan, &[GREETING, "+ \r\n", YES]), format!("{said}(granted )\n"));
    }
}

#[test]
fn the_error_challenge_of_a_token_is_answered_before_the_no() {
    for (mechanism, answer) in [(Mechanism::XOAuth2, ""), (Mechanism::OAuthBearer, "AQ==")] {
        let plan = LoginPlan { credential: Credential::Token(mechanism, secret("token")), ..plan() };
        let transcript = talk(&plan, &[GREETING, "+ \r\n", "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n", "-ERR [AUTH] no\r\n"]);
        let end = format!("EB\n{answer}\n(refused BadCredentials: the back-end said no: [AUTH] no)\n");
        assert!(transcript.ends_with(&end), "{transcript}");
        let transcript = talk(&plan, &[GREETING, "+ \r\n", "+ \r\n", "+ \r\n"]);
        assert!(transcript.ends_with("(refused Unavailable: the back-end asks for more than the mechanism has)\n"));
    }
}

#[test]
fn stls_comes_before_anything_is_told() {
    let plan = LoginPlan { starttls: true, identity: identity("192.0.2.1:1024"), ..plan() };
    assert_eq!(
        talk(&plan, &["+OK [XCLIENT] ready\r\n", "+OK begin\r\n", "+OK\r\n+OK\r\n", YES]),
        "STLS\n(starttls)\nXCLIENT ADDR=192.0.2.1 PORT=1024 SESSION=a1b2-3 TTL=4\nUSER alice\nPASS secret\n(granted )\n"
    );
}

#[test]
fn where_stls_is_refused_nothing_is_told() {
    let plan = LoginPlan { starttls: true, ..plan() };
    for (answer, denial) in [
        ("-ERR unknown command", Denial::Unavailable),
        ("-ERR [AUTH] no", Denial::Unavailable),
        ("-ERR [SYS/PERM] no certificate", Denial::Misconfigured),
        ("+ go on", Denial::Unavailable),
        ("* OK begin", Denial::Unavailable),
        ("", Denial::Unavailable),
    ] {
        let transcript = talk(&plan, &[GREETING, &format!("{answer}\r\n")]);
        assert!(transcript.starts_with(&format!("STLS\n(refused {denial:?}: ")), "{transcript}");
    }
}

#[test]
fn what_is_sent_behind_the_answer_to_stls_is_never_read() {
    let plan = LoginPlan { starttls: true, ..plan() };
    for injected in ["+OK\r\n+OK logged in\r\n", "\x16\x03\x03junk", "+O"] {
        assert_eq!(
            talk(&plan, &[GREETING, &format!("+OK\r\n{injected}")]),
            format!("STLS\n(starttls)\n(rest {injected:?})\n")
        );
    }
}

#[test]
fn the_client_is_told_where_xclient_is_offered() {
    let plan = |client| LoginPlan { identity: identity(client), ..plan() };
    for (client, address) in [
        ("192.0.2.1:1024", "ADDR=192.0.2.1 PORT=1024"),
        ("[2001:db8::1]:1024", "ADDR=2001:db8::1 PORT=1024"),
        ("[::ffff:192.0.2.1]:1024", "ADDR=192.0.2.1 PORT=1024"),
        ("[fe80::1%3]:1", "ADDR=fe80::1 PORT=1"),
    ] {
        assert_eq!(
            talk(&plan(client), &["+OK [XCLIENT] ready\r\n", "+OK Updated\r\n", YES, YES]),
            format!("XCLIENT {address} SESSION=a1b2-3 TTL=4\nUSER alice\nPASS secret\n(granted )\n")
        );
    }
    assert_eq!(talk(&plan("192.0.2.1:1024"), &[GREETING]), "USER alice\n", "not where it is not offered");
}

#[test]
fn nothing_is_told_of_the_client_when_it_is_not_wanted() {
    assert_eq!(talk(&plan(), &["+OK [XCLIENT] ready\r\n"]), "USER alice\n");
}

#[test]
fn a_session_s_id_cannot_hold_a_second_command() {
    let identity =
        identity("192.0.2.1:1").map(|identity| Identity { session: "a b\r\nQUIT=\u{e4}".to_owned(), ..identity });
    let transcript = talk(&LoginPlan { identity, ..plan() }, &["+OK [XCLIENT] ready\r\n"]);
    assert_eq!(transcript, "XCLIENT ADDR=192.0.2.1 PORT=1 SESSION=abQUIT TTL=4\nUSER alice\n");
}

#[test]
fn where_xclient_is_refused_no_credential_is_told() {
    let identity = identity("192.0.2.1:1");
    for credential in [plan().credential, Credential::Token(Mechanism::XOAuth2, secret("secret"))] {
        let plan = LoginPlan { identity: identity.clone(), credential, ..plan() };
        let (said, ask) = at_once(&plan, &[b"+OK [XCLIENT] ready\r\n", b"-ERR not from you\r\n+OK\r\n"]);
        assert_eq!(
            refusal(ask),
            Refused { denial: Denial::Misconfigured, detail: "the back-end refused XCLIENT: not from you".to_owned() }
        );
        assert!(!said.contains("PASS") && said.lines().count() == 2, "{said}");
    }
}

#[test]
fn a_refused_password_is_mapped_by_its_code() {
    for (answer, denial) in [
        ("-ERR", "BadCredentials"),
        ("-ERR [AUTH] wrong", "BadCredentials"),
        ("-ERR wrong", "BadCredentials"),
        ("-ERR [IN-USE] locked", "Limit"),
        ("-ERR [LOGIN-DELAY] wait", "Unavailable"),
        ("-ERR [SYS/TEMP] wait", "Unavailable"),
        ("-ERR [SYS/PERM] broken", "Misconfigured"),
    ] {
        for rounds in [&[GREETING, YES, answer][..], &[GREETING, answer]] {
            let mut rounds = rounds.to_vec();
            let last = format!("{answer}\r\n");
            rounds.pop();
            rounds.push(&last);
            let transcript = talk(&plan(), &rounds);
            assert!(transcript.contains(&format!("(refused {denial}: the back-end said no")), "{transcript}");
        }
    }
}

#[test]
fn a_refusal_before_anybody_was_named_is_not_about_the_user() {
    assert!(talk(&plan(), &["-ERR [AUTH] go away\r\n"]).starts_with("(refused Unavailable: "));
    assert!(talk(&plan(), &["-ERR [SYS/PERM] broken\r\n"]).starts_with("(refused Misconfigured: "));
    let plan = LoginPlan { credential: Credential::Token(Mechanism::XOAuth2, secret("t")), ..plan() };
    let auth = |answer| talk(&plan, &[GREETING, answer]);
    assert!(auth("-ERR unknown\r\n").contains("(refused Misconfigured: the back-end refused the mechanism"));
    assert!(auth("-ERR [SYS/TEMP] wait\r\n").contains("(refused Unavailable: "));
    assert!(auth("+OK\r\n").contains("(refused Unavailable: "));
}

#[test]
fn the_log_is_told_little_and_nothing_that_is_secret() {
    let long = format!("-ERR {}\r\n", "x\x1b".repeat(2000));
    let (_, ask) = at_once(&plan(), &[GREETING.as_bytes(), YES.as_bytes(), long.as_bytes()]);
    let detail = refusal(ask).detail;
    assert!(detail.len() <= 256 && !detail.contains('\x1b'), "{detail}");
    for echo in ["-ERR unknown command: PASS secret\r\n", "-ERR AGFsaWNlAHNlY3JldA==\r\n"] {
        let transcript = talk(&plan(), &[GREETING, YES, echo]);
        assert!(transcript.ends_with("(refused BadCredentials: the back-end said no, and repeated the credential)\n"));
    }
}

#[test]
fn a_greeting_is_one_plain_ok() {
    for greeting in
        ["* OK IMAP4rev1 ready", "220 mail ESMTP", "+OKAY", "", "HTTP/1.1 400 Bad Request", "+ ready", "+OK\0", "+O\rK"]
    {
        let transcript = talk(&plan(), &[&format!("{greeting}\r\n")]);
        assert!(transcript.starts_with("(refused Unavailable: "), "{greeting}: {transcript}");
    }
    let longest = format!("+OK {}\r\n", "x".repeat(4092));
    let (said, _) = at_once(&plan(), &[longest.as_bytes()]);
    assert_eq!(said, "USER alice\r\n");
    let (said, ask) = at_once(&plan(), &[format!("+OK {}", "x".repeat(5000)).as_bytes()]);
    assert_eq!((said.as_str(), refusal(ask).denial), ("", Denial::Unavailable));
}

#[test]
fn bytes_that_come_before_we_have_spoken_are_no_answer() {
    let starttls = LoginPlan { starttls: true, ..plan() };
    let several = b"+OK 2 messages\r\n1 120\r\n2 200\r\n.\r\n";
    for rounds in [&[&several[..]][..], &[b"+OK ready\r\n+OK\r\n"], &[b"+OK ready\r\nx"]] {
        for plan in [plan(), starttls.clone()] {
            let (said, ask) = at_once(&plan, rounds);
            assert_eq!((said.as_str(), refusal(ask).denial), ("", Denial::Unavailable));
        }
    }
    let (said, ask) = at_once(&plan(), &[b"+OK ready\r\n", b"+OK\r\n+OK logged in\r\n"]);
    assert_eq!((said.as_str(), refusal(ask).denial), ("USER alice\r\n", Denial::Unavailable));
    let master = Credential::Master { name: "gate".to_owned(), password: secret("key") };
    let (said, ask) = at_once(&LoginPlan { credential: master, ..plan() }, &[b"+OK\r\n", b"+ \r\n+OK\r\n"]);
    assert_eq!((said.as_str(), refusal(ask).denial), ("AUTH PLAIN\r\n", Denial::Unavailable));
}

#[test]
fn a_challenge_is_answered_only_where_one_may_come() {
    for rounds in [&[GREETING, "+ \r\n"][..], &[GREETING, YES, "+ \r\n"]] {
        let transcript = talk(&plan(), rounds);
        assert!(transcript.contains("(refused Unavailable: "), "{transcript}");
    }
}

#[test]
fn a_name_that_would_be_a_command_is_never_sent() {
    for user in ["", "alice\r\nDELE 1", "alice\n", "al\0ice", "\x1b"] {
        let plan = LoginPlan { user: user.to_owned(), identity: identity("192.0.2.1:1"), ..plan() };
        let (said, ask) = at_once(&plan, &[b"+OK [XCLIENT] ready\r\n"]);
        assert_eq!((said.as_str(), refusal(ask).denial), ("", Denial::Misconfigured), "{user:?}");
    }
}

#[test]
fn our_word_alone_lets_nobody_in() {
    let plan = LoginPlan { credential: Credential::Trusted, identity: identity("192.0.2.1:1"), ..plan() };
    let (said, ask) = at_once(&plan, &[b"+OK [XCLIENT] ready\r\n"]);
    assert_eq!((said.as_str(), refusal(ask).denial), ("", Denial::Misconfigured));
}

#[test]
fn a_wait_is_named_by_what_it_waits_for() {
    let plan = LoginPlan { starttls: true, ..plan() };
    let (mut back, mut heard, mut say) = (Pop3Back::new(plan), BytesMut::new(), Vec::new());
    assert!(matches!(back.step(&mut heard, &mut say), Ask::Input));
    assert_eq!(back.stage(), Stage::Greeting);
    heard.extend_from_slice(b"+OK\r\n");
    assert!(matches!(back.step(&mut heard, &mut say), Ask::Input));
    assert_eq!(back.stage(), Stage::StartTls);
    heard.extend_from_slice(b"+OK\r\n");
    assert!(matches!(back.step(&mut heard, &mut say), Ask::StartTls));
    assert_eq!(back.stage(), Stage::StartTls);
    back.secured();
    assert!(matches!(back.step(&mut heard, &mut say), Ask::Input));
    assert_eq!(back.stage(), Stage::Login);
}

proptest! {
    #[test]
    fn random_bytes_are_never_a_yes(
        rounds in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5),
    ) {
        let rounds: Vec<_> = rounds.iter().map(Vec::as_slice).collect();
        let (said, ask) = at_once(&plan(), &rounds);
        let granted = matches!(ask, Ask::Granted(_));
        prop_assert!(said.is_empty() && !granted);
    }

    #[test]
    fn a_secret_is_said_after_two_yeses_only(
        rounds in prop::collection::vec(
            prop::sample::select(vec!["+OK\r\n", "-ERR\r\n", "+ \r\n", "+OK [XCLIENT]\r\n", "+OK", "\r\n", "x\r\n"]),
            1..6,
        ),
        starttls in any::<bool>(),
        told in any::<bool>(),
    ) {
        let identity = identity("192.0.2.1:1").filter(|_| told);
        let bytes: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
        let (said, _) = at_once(&LoginPlan { starttls, identity, ..plan() }, &bytes);
        let yeses = rounds.concat().lines().take_while(|line| line.starts_with("+OK")).count();
        prop_assert!(!said.contains("secret") || (yeses >= 2 && !starttls));
    }
}
