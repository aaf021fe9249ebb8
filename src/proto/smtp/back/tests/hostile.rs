//! Back-ends that strip, inject, garble, echo and flood.

use super::*;

fn starttls() -> LoginPlan {
    LoginPlan { starttls: true, identity: identity("192.0.2.1:1"), ..plan() }
}

const CLEAR: &str = "250-mx\r\n250-XCLIENT ADDR LOGIN\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n";

#[test]
fn where_starttls_is_stripped_or_refused_nothing_is_told() {
    let transcript = talk(&starttls(), &[GREETING, OFFERS]);
    assert_eq!(transcript, "EHLO\n(refused Unavailable: the back-end does not offer STARTTLS)\n");
    for answer in ["502 no", "454 no", "354 go on", "250 ok", "235 in", "* OK begin", "+OK", ""] {
        let transcript = talk(&starttls(), &[GREETING, CLEAR, &format!("{answer}\r\n"), OFFERS, YES]);
        assert!(transcript.starts_with("EHLO\nSTARTTLS\n(refused Unavailable: "), "{answer}: {transcript}");
        assert_eq!(transcript.lines().count(), 3, "{transcript}");
    }
}

#[test]
fn what_is_sent_behind_the_answer_to_starttls_is_never_read() {
    for injected in ["250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n", "250-AUTH=ANON", "\x16\x03\x03junk"] {
        assert_eq!(
            talk(&starttls(), &[GREETING, CLEAR, &format!("220 go\r\n{injected}")]),
            format!("EHLO\nSTARTTLS\n(starttls)\n(rest {injected:?})\n")
        );
    }
}

#[test]
fn a_refused_ehlo_is_the_end() {
    let codes = [220, 221, 354, 421, 500, 501, 502, 504, 530, 550];
    let bad = codes.iter().map(|code| format!("{code} x\r\n"));
    let garbled = ["250-a\r\n550 b\r\n", "25 a\r\n", "250x a\r\n", "250 a\0\r\n", "250 a\rb\r\n", "HELO\r\n"];
    for answer in bad.chain(garbled.map(str::to_owned)) {
        for plan in [plan(), starttls()] {
            let transcript = talk(&plan, &[GREETING, &answer, "250 ok\r\n", YES]);
            assert!(transcript.starts_with("EHLO\n(refused Unavailable: "), "{answer:?}: {transcript}");
            assert_eq!(transcript.lines().count(), 2, "no HELO instead: {transcript}");
        }
    }
}

#[test]
fn a_greeting_is_a_220() {
    for greeting in ["421 later", "554 no", "250 ok", "235 in", "* OK IMAP4rev1", "+OK POP3", "", "22 x", "220\tx"] {
        let transcript = talk(&plan(), &[&format!("{greeting}\r\n")]);
        assert!(transcript.starts_with("(refused Unavailable: "), "{greeting}: {transcript}");
    }
}

#[test]
fn bytes_that_come_before_we_have_spoken_are_no_answer() {
    let told = LoginPlan { identity: identity("192.0.2.1:1"), ..plan() };
    let xclient = "250-mx\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n";
    for (plan, rounds) in [
        (plan(), vec!["220 mx\r\n250 mx\r\n"]),
        (plan(), vec!["220 mx\r\nx"]),
        (plan(), vec![GREETING, "250-mx\r\n250 AUTH PLAIN\r\n235 in\r\n"]),
        (starttls(), vec![GREETING, "250-mx\r\n250 STARTTLS\r\n220 go\r\n"]),
        (told.clone(), vec![GREETING, "250-mx\r\n250 XCLIENT ADDR\r\n220 mx\r\n"]),
        (told.clone(), vec![GREETING, xclient, "220 mx\r\n250 mx\r\n"]),
        (told, vec![GREETING, xclient, "220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n235 in\r\n"]),
    ] {
        let bytes: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
        let (said, ask) = at_once(&plan, &bytes);
        assert_eq!(refusal(ask).detail, "the back-end spoke out of turn", "{rounds:?}");
        assert_eq!(said.lines().count(), rounds.len() - 1, "nothing more is said: {said}");
    }
    let master = Credential::Master { name: "gate".to_owned(), password: secret(&"k".repeat(400)) };
    let rounds = [GREETING.as_bytes(), OFFERS.as_bytes(), b"334 \r\n235 in\r\n"];
    let (said, ask) = at_once(&LoginPlan { credential: master, ..plan() }, &rounds);
    assert!(matches!(ask, Ask::Refused(_)) && said.ends_with("AUTH PLAIN\r\n"), "{said}");
}

#[test]
fn a_flood_is_cut_off() {
    let flood = "250-x\r\n".repeat(1_500_000);
    let (said, ask) = at_once(&plan(), &[GREETING.as_bytes(), flood.as_bytes()]);
    assert_eq!((said.as_str(), refusal(ask).denial), ("EHLO\r\n", Denial::Unavailable));
    let (_, ask) = at_once(&plan(), &[&vec![b'2'; 5000]]);
    assert_eq!(refusal(ask).denial, Denial::Unavailable);
}

#[test]
fn more_is_not_told_than_the_mechanism_has() {
    let transcript = talk(&plan(), &[GREETING, OFFERS, "334 \r\n"]);
    assert!(transcript.ends_with("(refused Unavailable: the back-end asks for more than the mechanism has)\n"));
}

#[test]
fn a_name_that_would_be_another_is_never_sent() {
    for user in ["", "alice\r\nQUIT", "alice\n", "al\0ice", "\x1b"] {
        for credential in [plan().credential, Credential::Trusted] {
            let plan = LoginPlan { user: user.to_owned(), credential, ..plan() };
            let offers = b"250-mx\r\n250-XCLIENT LOGIN\r\n250 AUTH PLAIN\r\n";
            let (said, ask) = at_once(&plan, &[GREETING.as_bytes(), offers]);
            assert_eq!((said.as_str(), refusal(ask).denial), ("EHLO\r\n", Denial::Misconfigured), "{user:?}");
        }
    }
}

#[test]
fn the_log_is_told_little_and_nothing_that_is_secret() {
    let long = format!("535 {}\r\n", "x\x1b".repeat(2000));
    let (_, ask) = at_once(&plan(), &[GREETING.as_bytes(), OFFERS.as_bytes(), long.as_bytes()]);
    let detail = refusal(ask).detail;
    assert!(detail.len() <= 256 && !detail.contains('\x1b'), "{detail}");
    for echo in ["500 unknown: AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "535-secret\r\n535 no\r\n", "421 secret\r\n"] {
        let transcript = talk(&plan(), &[GREETING, OFFERS, echo]);
        assert!(transcript.ends_with(", and repeated the credential)\n"), "{transcript}");
        assert_eq!(transcript.matches("secret").count(), 0, "{transcript}");
    }
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
    fn a_secret_is_said_after_a_greeting_and_an_offer_only(
        rounds in prop::collection::vec(
            prop::sample::select(vec![
                "220 mx\r\n", OFFERS, CLEAR, "250 mx\r\n", "235 in\r\n", "334 \r\n", "220-mx\r\n", "535 no\r\n", "2",
            ]),
            1..8,
        ),
        starttls in any::<bool>(),
        told in any::<bool>(),
    ) {
        let identity = identity("192.0.2.1:1").filter(|_| told);
        let bytes: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
        let (said, ask) = at_once(&LoginPlan { starttls, identity, ..plan() }, &bytes);
        let told = said.contains("AGFsaWNlAHNlY3JldA==");
        let granted = matches!(ask, Ask::Granted(_));
        prop_assert!(!told || (rounds.len() >= 2 && !starttls && rounds.contains(&"220 mx\r\n")));
        prop_assert!(!granted || (told && rounds.last() == Some(&"235 in\r\n")), "{said}");
    }
}
