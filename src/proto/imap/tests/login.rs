//! Logins at the client-facing half: mechanisms, denials, what comes behind them.

use super::front::*;
use crate::proto::imap::front::ImapFront;
use crate::proto::{Front, FrontConfig, Mechanism, Tls};

#[test]
fn failed_logins_are_counted_wherever_they_failed() {
    let last = "* BYE Too many failed logins.\n(close TooManyFailedLogins)\n";
    let wrong = "(login plain alice password no)\na NO [AUTHENTICATIONFAILED] Authentication failed.\n";
    let said = talk(&b"a LOGIN alice no\r\n".repeat(4));
    assert_eq!(said, format!("{wrong}{wrong}{wrong}{last}"));
    let said = talk(b"a LOGIN alice \"\"\r\na AUTHENTICATE PLAIN =\r\na AUTHENTICATE PLAIN AGFsaWNlAA==\r\na NOOP\r\n");
    assert_eq!(said, format!("{FAILED}{FAILED}{FAILED}{last}"));
    let said = talk_on(&config(Tls::Offered), &[&b"a LOGIN alice pw\r\n".repeat(4)]);
    assert_eq!(said.lines().filter(|line| line.starts_with("a NO [PRIVACYREQUIRED]")).count(), 3);
    assert!(said.ends_with(last));
    // What is not the client's fault is not counted.
    assert!(!talk(&b"a LOGIN down pw\r\n".repeat(9)).contains("BYE"));
}

#[test]
fn each_denial_has_its_words_and_a_denied_login_may_be_tried_again() {
    for (user, code) in
        [("down", "UNAVAILABLE"), ("full", "LIMIT"), ("mallory", "AUTHORIZATIONFAILED"), ("broken", "SERVERBUG")]
    {
        let said = talk(format!("a LOGIN {user} pw\r\na LOGIN alice pw\r\n").as_bytes());
        assert!(said.starts_with(&format!("(login plain {user} password pw)\na NO [{code}] ")), "{said}");
        assert!(said.ends_with(ALICE), "{said}");
    }
}

#[test]
fn commands_behind_a_login_stay_heard_if_it_is_granted_and_are_ours_if_not() {
    let said = talk(b"a LOGIN alice pw\r\nb SELECT INBOX\r\nc LOG");
    assert_eq!(said, format!("{ALICE}(rest \"b SELECT INBOX\\r\\nc LOG\")\n"));
    let said = talk(b"a LOGIN alice no\r\nb SELECT INBOX\r\nc NOOP\r\n");
    assert!(said.ends_with("b BAD Unknown command, or not before the login.\nc OK NOOP completed.\n"), "{said}");
    let said = talk(b"a LOGIN alice no\r\na LOGIN alice pw\r\n");
    assert_eq!(said, format!("(login plain alice password no)\n{FAILED}{ALICE}"));
}

#[test]
fn a_login_in_flight_is_the_last_thing_that_is_read() {
    let mut front = ImapFront::new(config(Tls::Active));
    let mut heard = bytes::BytesMut::from(&b"a LOGIN alice pw\r\nb NOOP\r\n"[..]);
    let mut say = Vec::new();
    assert!(matches!(front.step(&mut heard, &mut say), crate::proto::Need::Login(_)));
    assert!(matches!(front.step(&mut heard, &mut say), crate::proto::Need::Input));
    assert_eq!((&heard[..], say.len()), (&b"b NOOP\r\n"[..], 0));
}

#[test]
fn authenticate_works_with_and_without_an_initial_response() {
    let plain = b64(b"\0alice\0pw");
    assert_eq!(talk(format!("a AUTHENTICATE PLAIN {plain}\r\n").as_bytes()), ALICE);
    assert_eq!(talk(format!("a authenticate plain\r\n{plain}\r\n").as_bytes()), format!("+ \n{ALICE}"));
    let (user, password) = (b64(b"alice"), b64(b"pw"));
    let login = format!("(login login alice password pw)\n{GRANTED}");
    assert_eq!(
        talk(format!("a AUTHENTICATE LOGIN\r\n{user}\r\n{password}\r\nb X").as_bytes()),
        format!("+ VXNlcm5hbWU6\n+ UGFzc3dvcmQ6\n{login}(rest \"b X\")\n")
    );
    assert_eq!(
        talk(format!("a AUTHENTICATE LOGIN {user}\r\n{password}\r\n").as_bytes()),
        format!("+ UGFzc3dvcmQ6\n{login}")
    );
    let token = b64(b"user=alice\x01auth=Bearer pw\x01\x01");
    assert_eq!(
        talk(format!("a AUTHENTICATE XOAUTH2 {token}\r\n").as_bytes()),
        format!("(login xoauth2 alice token xoauth2 pw)\n{GRANTED}")
    );
    let token = b64(b"n,a=alice,\x01auth=Bearer pw\x01\x01");
    assert_eq!(
        talk(format!("a AUTHENTICATE OAUTHBEARER\r\n{token}\r\n").as_bytes()),
        format!("+ \n(login oauthbearer alice token oauthbearer pw)\n{GRANTED}")
    );
}

#[test]
fn a_token_of_16_kib_fits_into_the_command() {
    let token = b64(&[&b"user=alice\x01auth=Bearer "[..], &[b't'; 16_384 - 27 + 2], b"\x01\x01"].concat());
    let said = talk_uncut(&config(Tls::Active), format!("a AUTHENTICATE XOAUTH2 {token}\r\n").as_bytes());
    assert!(said.starts_with("(login xoauth2 alice token xoauth2 ttt"), "{}", &said[..80]);
}

#[test]
fn an_exchange_that_fails_leaves_the_session_usable() {
    for (exchange, answer) in [
        ("*", "a BAD Authentication cancelled."),
        ("*x", "a BAD Invalid base64."),
        (" *", "a BAD Invalid base64."),
        ("=", "a BAD Invalid base64."),
        ("", "a NO [AUTHENTICATIONFAILED] Authentication failed."),
        ("YWxpY2U=", "a NO [AUTHENTICATIONFAILED] Authentication failed."),
        ("Ym9iAGFsaWNlAHB3", "a NO [AUTHORIZATIONFAILED] Not permitted."),
    ] {
        let said = talk(format!("a AUTHENTICATE PLAIN\r\n{exchange}\r\na LOGIN alice pw\r\n").as_bytes());
        assert_eq!(said, format!("+ \n{answer}\n{ALICE}"), "{exchange:?}");
    }
}

#[test]
fn a_mechanism_that_is_not_offered_is_refused() {
    let plain = FrontConfig { mechanisms: [Mechanism::Plain].into(), ..config(Tls::Active) };
    let refused = "a NO [CANNOT] Unsupported authentication mechanism.\n";
    for name in ["LOGIN", "XOAUTH2 x", "CRAM-MD5", "PLAIN-CLIENTTOKEN", &"X".repeat(5000)] {
        assert_eq!(talk_uncut(&plain, format!("a AUTHENTICATE {name}\r\n").as_bytes()), refused, "{name}");
    }
    let tokens = FrontConfig { mechanisms: [Mechanism::XOAuth2].into(), ..config(Tls::Active) };
    assert_eq!(talk_on(&tokens, &[b"a LOGIN alice pw\r\n"]), refused);
    assert_eq!(talk_on(&tokens, &[b"a LOGIN {5}\r\n"]), refused);
}

#[test]
fn a_password_in_the_clear_is_refused_until_tls_is_active() {
    let private = "NO [PRIVACYREQUIRED] Logging in is disabled on this connection without TLS.\n";
    let clear =
        [&b"a LOGIN alice pw\r\nb AUTHENTICATE PLAIN AGFsaWNlAHB3\r\nc STARTTLS\r\n"[..], b"a LOGIN alice pw\r\n"];
    assert_eq!(
        talk_on(&config(Tls::Offered), &clear),
        format!("a {private}b {private}c OK Begin TLS negotiation now.\n(starttls)\n{ALICE}")
    );
    let open = FrontConfig { cleartext: true, ..config(Tls::Offered) };
    assert_eq!(talk_on(&open, &[b"a LOGIN alice pw\r\n"]), ALICE);
}
