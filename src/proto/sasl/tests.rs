//! The exchanges of both sides, told as lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::proto::{Credential, Login};
use crate::secret::Secret;

fn b64(message: &[u8]) -> Vec<u8> {
    STANDARD.encode(message).into_bytes()
}

fn initial(mechanism: Mechanism, message: &[u8]) -> Result<Login, Fault> {
    finish(Exchange::new(mechanism).initial(&b64(message)))
}

fn finish(turn: Turn) -> Result<Login, Fault> {
    match turn {
        Turn::Done(login) => Ok(login),
        Turn::Failed(fault) => Err(fault),
        Turn::Challenge(exchange) => panic!("not finished: {exchange:?}"),
    }
}

fn go_on(turn: Turn) -> Exchange {
    match turn {
        Turn::Challenge(exchange) => exchange,
        turn @ (Turn::Done(_) | Turn::Failed(_)) => panic!("finished: {turn:?}"),
    }
}

fn proof(login: &Login) -> (&str, &str) {
    match &login.credential {
        Credential::Password(secret) | Credential::Token(_, secret) => (&login.user, secret.expose()),
        Credential::Master { .. } | Credential::Trusted | Credential::Nobody => {
            panic!("no client logs in as a master, or as nobody")
        }
    }
}

#[test]
fn every_mechanism_is_known_by_its_yaml_name_and_by_its_wire_name_in_any_case() {
    for mechanism in Mechanism::ALL {
        assert_eq!(mechanism.name().parse(), Ok(mechanism));
        assert_eq!(Mechanism::from_wire(mechanism.wire_name().as_bytes()), Some(mechanism));
        assert_eq!(Mechanism::from_wire(mechanism.name().as_bytes()), Some(mechanism));
    }
    for name in ["", "PLAIN", "cram-md5", "plain "] {
        assert_eq!(name.parse::<Mechanism>(), Err(UnknownMechanism));
    }
    assert_eq!(Mechanism::from_wire(b"PLAIN\tx"), None);
    assert_eq!(Mechanism::from_wire(&[b'A'; 5000]), None);
}

#[test]
fn plain_gives_user_and_password() {
    // The example of RFC 4616 §4.
    let login = initial(Mechanism::Plain, b"\0tim\0tanstaaftanstaaf").expect("a login");
    assert_eq!(proof(&login), ("tim", "tanstaaftanstaaf"));
    assert_eq!(login.mechanism, Mechanism::Plain);
    let exchange = Exchange::new(Mechanism::Plain);
    assert_eq!(exchange.challenge(), "");
    let login = finish(exchange.answer(b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm")).expect("a login");
    assert_eq!(proof(&login), ("tim", "tanstaaftanstaaf"));
}

#[test]
fn a_password_may_hold_any_character_but_cr_lf_and_nul() {
    for char in (1..0x20).chain([0x7f, 0x85]).filter_map(char::from_u32).chain(['\u{a0}', '\u{2028}', '\u{feff}']) {
        let password = format!("p{char}w");
        let exchange = go_on(Exchange::new(Mechanism::Login).answer(&b64(b"alice")));
        let by_login = finish(exchange.answer(&b64(password.as_bytes())));
        for login in [initial(Mechanism::Plain, format!("\0alice\0{password}").as_bytes()), by_login] {
            match login {
                Ok(login) => assert_eq!(proof(&login), ("alice", &*password)),
                Err(fault) => assert!(matches!(char, '\r' | '\n') && fault == Fault::Credentials, "{char:?}: {fault}"),
            }
        }
    }
    // A name may hold none: it becomes a part of filters, log lines and commands.
    for name in ["a\tb", "a\x1bb", "a\x7fb", "a\u{85}b"] {
        let message = format!("\0{name}\0pw");
        assert_eq!(initial(Mechanism::Plain, message.as_bytes()).err(), Some(Fault::Credentials), "{name:?}");
    }
}

#[test]
fn plain_wants_exactly_two_nuls_and_no_empty_field() {
    for message in [
        &b"alice\0pw"[..],
        b"\0alice\0pw\0x",
        b"\0\0pw",
        b"\0alice\0",
        b"alice",
        b"",
        b"\0\0",
        b"\0\0\0",
        b"alice\0alice\0pw\0",
    ] {
        assert_eq!(initial(Mechanism::Plain, message).err(), Some(Fault::Credentials), "{message:?}");
    }
}

#[test]
fn an_authorization_identity_is_the_user_itself_or_refused() {
    let login = initial(Mechanism::Plain, b"alice\0alice\0pw").expect("a login");
    assert_eq!(proof(&login), ("alice", "pw"));
    for message in [&b"bob\0alice\0alicepw"[..], b"Alice\0alice\0pw", b"\xff\0alice\0pw"] {
        assert_eq!(initial(Mechanism::Plain, message).err(), Some(Fault::Authorization), "{message:?}");
    }
}

#[test]
fn login_asks_for_the_name_and_then_for_the_password() {
    let exchange = Exchange::new(Mechanism::Login);
    assert_eq!(STANDARD.decode(exchange.challenge()).expect("base64"), b"Username:");
    let exchange = go_on(exchange.answer(&b64(b"alice")));
    assert_eq!(STANDARD.decode(exchange.challenge()).expect("base64"), b"Password:");
    let login = finish(exchange.answer(&b64(b"s p"))).expect("a login");
    assert_eq!(proof(&login), ("alice", "s p"));
    // The name may come with the command.
    let login = finish(go_on(Exchange::new(Mechanism::Login).initial(&b64(b"bob"))).answer(&b64(b"pw")));
    assert_eq!(proof(&login.expect("a login")), ("bob", "pw"));
}

#[test]
fn login_refuses_what_is_empty_or_cannot_be_a_line() {
    for (user, password) in
        [(&b""[..], &b"pw"[..]), (b"alice", b""), (b"alice", b"pw\0x"), (&[b'u'; 10_000][..8000], b"pw")]
    {
        let exchange = go_on(Exchange::new(Mechanism::Login).answer(&b64(user)));
        assert_eq!(finish(exchange.answer(&b64(password))).err(), Some(Fault::Credentials));
    }
}

#[test]
fn only_a_lone_star_cancels() {
    assert_eq!(finish(Exchange::new(Mechanism::Plain).answer(b"*")).err(), Some(Fault::Cancelled));
    let exchange = go_on(Exchange::new(Mechanism::Login).answer(&b64(b"alice")));
    assert_eq!(finish(exchange.answer(b"*")).err(), Some(Fault::Cancelled));
    for line in [&b"*x"[..], b" *", b"**"] {
        assert_eq!(finish(Exchange::new(Mechanism::Plain).answer(line)).err(), Some(Fault::Syntax), "{line:?}");
    }
    assert_eq!(finish(Exchange::new(Mechanism::Plain).answer(&b64(b"*"))).err(), Some(Fault::Credentials));
    // It is an answer; as an initial response it is only wrong.
    assert_eq!(finish(Exchange::new(Mechanism::Plain).initial(b"*")).err(), Some(Fault::Syntax));
}

#[test]
fn an_equals_sign_is_the_empty_initial_response_and_nothing_later() {
    for mechanism in [Mechanism::Plain, Mechanism::XOAuth2, Mechanism::OAuthBearer] {
        assert_eq!(finish(Exchange::new(mechanism).initial(b"=")).err(), Some(Fault::Credentials));
    }
    assert_eq!(finish(Exchange::new(Mechanism::Plain).answer(b"=")).err(), Some(Fault::Syntax));
}

#[test]
fn base64_is_strict() {
    // Missing padding, trailing bits, too much padding, white space, the URL alphabet, and bytes of no alphabet.
    for line in
        [&b"AGEAYg"[..], b"AGEAYh==", b"AGEAYg===", b"AGEA Yg==", b"AGEAYg==\r", b"AGE-Yg==", b"AGE\0Yg==", b"\xff"]
    {
        assert_eq!(finish(Exchange::new(Mechanism::Plain).answer(line)).err(), Some(Fault::Syntax), "{line:?}");
    }
    assert!(finish(Exchange::new(Mechanism::Plain).answer(b"AGEAYg==")).is_ok());
}

#[test]
fn a_response_at_the_limit_passes_and_one_over_it_does_not() {
    let message = [&b"\0alice\0"[..], &[b'p'; 9216 - 7][..]].concat();
    assert_eq!(b64(&message).len(), 12_288);
    assert!(initial(Mechanism::Plain, &message).is_ok());
    let longer = [&message[..], b"p"].concat();
    assert_eq!(initial(Mechanism::Plain, &longer).err(), Some(Fault::TooLong));
    let token = |length: usize| [&b"user=alice\x01auth=Bearer "[..], &vec![b't'; length - 25], b"\x01\x01"].concat();
    assert_eq!(token(16_384).len(), 16_384);
    assert!(initial(Mechanism::XOAuth2, &token(16_384)).is_ok());
    assert_eq!(initial(Mechanism::XOAuth2, &token(16_387)).err(), Some(Fault::TooLong));
}

#[test]
fn a_user_name_is_utf_8_without_control_characters_of_at_most_255_bytes() {
    let of = |user: &[u8]| password_login(Mechanism::Plain, user, b"pw").map(|login| login.user);
    assert_eq!(of("jürgen@例え.jp".as_bytes()).as_deref(), Ok("jürgen@例え.jp"));
    assert_eq!(of(b"${jndi:x}%u{0}").as_deref(), Ok("${jndi:x}%u{0}"));
    assert!(of(&[b'u'; 255]).is_ok());
    for user in
        [&[b'u'; 256][..], b"", b"a\tb", b"a\r\nb", b"a\x7f", b"a\0", b"\xff", b"\xf1\x80", "a\u{85}".as_bytes()]
    {
        assert_eq!(of(user), Err(Fault::Credentials), "{user:?}");
    }
}

#[test]
fn a_password_is_utf_8_without_line_ends_and_never_empty() {
    for password in [&b""[..], b"\xff", b"a\nb", b"a\rb", b"a\0"] {
        assert!(password_login(Mechanism::Plain, b"alice", password).is_err(), "{password:?}");
    }
    let login = password_login(Mechanism::Plain, b"alice", " pä ss\t".as_bytes()).expect("a login");
    assert_eq!(proof(&login), ("alice", " pä ss\t"));
}

#[test]
fn xoauth2_gives_user_and_token() {
    let login =
        initial(Mechanism::XOAuth2, b"user=a@example.org\x01auth=Bearer ya29.vF9-x~+/==\x01\x01").expect("a login");
    assert_eq!(proof(&login), ("a@example.org", "ya29.vF9-x~+/=="));
    assert!(matches!(login.credential, Credential::Token(Mechanism::XOAuth2, _)));
}

#[test]
fn oauthbearer_gives_user_and_token() {
    // The example of RFC 7628 §4.1.
    let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
    let login = initial(Mechanism::OAuthBearer, message).expect("a login");
    assert_eq!(proof(&login), ("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="));
    let login = initial(Mechanism::OAuthBearer, b"y,a=a=2Cb=3Dc,\x01auth=bearer t\x01\x01").expect("a login");
    assert_eq!(proof(&login), ("a,b=c", "t"));
}

#[test]
fn a_token_message_with_anything_amiss_is_a_failed_login() {
    for message in [
        &b""[..],
        b"user=\x01auth=Bearer t\x01\x01",
        b"user=a\x01auth=Bearer t\x01",
        b"user=a\x01auth=Bearer \x01\x01",
        b"user=a\x01auth=Basic t\x01\x01",
        b"user=a\x01auth=Bearer t t\x01\x01",
        b"user=a\x01auth=Bearer t\r\n\x01\x01",
        b"user=a\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
        b"user=a\x01\x01",
        b"user=a",
    ] {
        assert_eq!(initial(Mechanism::XOAuth2, message).err(), Some(Fault::Credentials), "{message:?}");
    }
    for header in [
        &b"n,,"[..],
        b"n,a=,",
        b"p=tls-unique,a=u,",
        b"n,a=u",
        b"n,a=u,x=1,",
        b"n,a=a=2c,",
        b"n,a=a=,",
        b"n,a=a,b,",
        b"x,a=u,",
    ] {
        let message = [header, b"\x01auth=Bearer t\x01\x01"].concat();
        assert_eq!(initial(Mechanism::OAuthBearer, &message).err(), Some(Fault::Credentials), "{header:?}");
    }
}

#[test]
fn what_a_back_half_says_is_what_a_front_half_understands() {
    let secret = |text: &str| Secret::new(text).expect("no line end");
    for credential in [
        Credential::Password(secret("p=ä, \"x\"")),
        Credential::Token(Mechanism::XOAuth2, secret("t-1")),
        Credential::Token(Mechanism::OAuthBearer, secret("t-2")),
    ] {
        for mechanism in candidates(&credential) {
            let said = responses(*mechanism, "a=b,ü", &credential).expect("it can carry it");
            let login = match Exchange::new(*mechanism).initial(said[0].as_bytes()) {
                Turn::Challenge(exchange) => finish(exchange.answer(said[1].as_bytes())),
                turn @ (Turn::Done(_) | Turn::Failed(_)) => finish(turn),
            };
            let login = login.expect("a login");
            let (Credential::Password(wanted) | Credential::Token(_, wanted)) = &credential else { unreachable!() };
            assert_eq!(proof(&login), ("a=b,ü", wanted.expose()));
        }
    }
}

#[test]
fn a_master_logs_in_for_the_user_by_plain_alone() {
    let master = Credential::Master { name: "proxy".to_owned(), password: Secret::new("pw").expect("no line end") };
    assert_eq!(candidates(&master), [Mechanism::Plain]);
    let said = responses(Mechanism::Plain, "alice", &master).expect("it can carry it");
    assert_eq!(STANDARD.decode(said[0].as_bytes()).expect("base64"), b"alice\0proxy\0pw");
    assert!(responses(Mechanism::Login, "alice", &master).is_none());
}
