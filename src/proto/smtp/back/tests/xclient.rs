//! Telling a back-end who the client is, and whom the gateway vouches for.

use super::*;

const ALL: &str = "250-mx\r\n250-XCLIENT NAME ADDR PORT HELO PROTO LOGIN\r\n250 AUTH PLAIN LOGIN\r\n";

fn identified(client: &str) -> LoginPlan {
    LoginPlan { identity: identity(client), ..plan() }
}

fn trusted() -> LoginPlan {
    LoginPlan { credential: Credential::Trusted, ..identified("192.0.2.1:1024") }
}

#[test]
fn the_client_is_told_where_xclient_is_offered_and_only_what_is_offered() {
    let told = "HELO=client.example.org PROTO=ESMTP PORT=1024 NAME=[UNAVAILABLE]";
    for (client, address) in [
        ("192.0.2.1:1024", "ADDR=192.0.2.1"),
        ("[2001:db8::1]:1024", "ADDR=IPV6:2001:db8::1"),
        ("[::ffff:192.0.2.1]:1024", "ADDR=192.0.2.1"),
        ("[fe80::1%3]:1024", "ADDR=IPV6:fe80::1"),
    ] {
        // LOGIN is offered, but a user who is told so could not AUTH any more.
        assert_eq!(
            talk(&identified(client), &[GREETING, ALL, "220 mx\r\n", OFFERS, YES]),
            format!("EHLO\nXCLIENT {told} {address}\nEHLO client.example.org\n{PLAIN}{GRANTED}")
        );
    }
    for (offered, said) in
        [("ADDR", "ADDR=192.0.2.1"), ("proto port", "PROTO=ESMTP PORT=1024"), ("NAME", "NAME=[UNAVAILABLE]")]
    {
        let offers = format!("250-mx\r\n250-XCLIENT {offered}\r\n250 AUTH PLAIN\r\n");
        let transcript = talk(&identified("192.0.2.1:1024"), &[GREETING, &offers]);
        assert_eq!(transcript, format!("EHLO\nXCLIENT {said}\n"));
    }
    for offers in [OFFERS, "250-mx\r\n250-XCLIENT\r\n250 AUTH PLAIN\r\n", "250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n"] {
        assert_eq!(talk(&identified("192.0.2.1:1"), &[GREETING, offers]), format!("EHLO\n{PLAIN}"), "{offers}");
    }
    assert_eq!(talk(&plan(), &[GREETING, ALL]), format!("EHLO\n{PLAIN}"), "nothing when it is not wanted");
}

#[test]
fn what_was_offered_before_xclient_is_forgotten() {
    let rounds = [GREETING, ALL, "220 mx\r\n", "250-mx\r\n250 AUTH LOGIN\r\n"];
    assert!(talk(&identified("192.0.2.1:1"), &rounds).ends_with("EHLO client.example.org\nAUTH LOGIN\n"));
    let rounds = [GREETING, ALL, "220 mx\r\n", "250 mx\r\n"];
    assert!(talk(&identified("192.0.2.1:1"), &rounds).contains("EHLO client.example.org\n(refused Misconfigured: "));
}

#[test]
fn where_xclient_is_refused_no_credential_is_told() {
    for (answer, denial) in [
        ("550 insufficient authorization\r\n", "Misconfigured"),
        ("501 bad\r\n", "Misconfigured"),
        ("250 ok\r\n", "Misconfigured"),
        ("421 later\r\n", "Unavailable"),
    ] {
        for plan in [identified("192.0.2.1:1"), trusted()] {
            let transcript = talk(&plan, &[GREETING, ALL, answer, OFFERS, YES]);
            assert!(transcript.contains(&format!("(refused {denial}: the back-end refused XCLIENT")), "{transcript}");
            assert!(!transcript.contains("AUTH"), "{transcript}");
        }
    }
    let transcript = talk(&identified("192.0.2.1:1"), &[GREETING, ALL, "220 mx\r\n", "550 no\r\n"]);
    assert!(transcript.ends_with("(refused Unavailable: the back-end refused EHLO after XCLIENT: no)\n"));
}

#[test]
fn a_trusted_user_is_logged_in_by_our_word() {
    let told = "XCLIENT LOGIN=alice HELO=client.example.org PROTO=ESMTP PORT=1024 NAME=[UNAVAILABLE] ADDR=192.0.2.1\n";
    assert_eq!(
        talk(&trusted(), &[GREETING, ALL, "220 mx\r\n", "250-mx\r\n250 DSN\r\n"]),
        format!("EHLO\n{told}EHLO client.example.org\n(granted [\"DSN\"] )\n")
    );
    let nameless = LoginPlan { identity: None, ..trusted() };
    let transcript = talk(&nameless, &[GREETING, ALL, "220 mx\r\n", "250 mx\r\n"]);
    assert_eq!(transcript, "EHLO\nXCLIENT LOGIN=alice\nEHLO\n(granted )\n");
    for offers in [OFFERS, "250-mx\r\n250-XCLIENT ADDR PORT\r\n250 AUTH PLAIN\r\n", "250 mx\r\n"] {
        let transcript = talk(&trusted(), &[GREETING, offers]);
        assert!(transcript.starts_with("EHLO\n(refused Misconfigured: the back-end does not take our word"));
    }
}

#[test]
fn values_are_told_in_xtext_and_never_raw() {
    for (user, told) in [("a b", "a+20b"), ("a+b", "a+2Bb"), ("a=b", "a+3Db"), ("ü", "+C3+BC")] {
        let plan = LoginPlan { user: user.to_owned(), identity: None, ..trusted() };
        assert_eq!(talk(&plan, &[GREETING, ALL]), format!("EHLO\nXCLIENT LOGIN={told}\n"));
    }
    let identity =
        identity("192.0.2.1:1").map(|identity| Identity { helo: Some("a\r\nQUIT b".to_owned()), ..identity });
    let transcript = talk(&LoginPlan { identity, ..plan() }, &[GREETING, ALL]);
    assert!(
        transcript.ends_with("XCLIENT HELO=a+0D+0AQUIT+20b PROTO=ESMTP PORT=1 NAME=[UNAVAILABLE] ADDR=192.0.2.1\n"),
        "{transcript}"
    );
}

#[test]
fn a_command_is_split_before_it_is_too_long() {
    let named = |length, user: &str| LoginPlan {
        user: user.to_owned(),
        identity: identity("192.0.2.1:1").map(|identity| Identity { helo: Some("x".repeat(length)), ..identity }),
        ..trusted()
    };
    let said = |plan: &LoginPlan| at_once(plan, &[GREETING.as_bytes(), ALL.as_bytes()]);
    let (text, _) = said(&named(200, "alice"));
    assert_eq!(text.lines().filter(|line| line.starts_with("XCLIENT")).count(), 1);
    let rounds = [GREETING, ALL, "220 mx\r\n", "220 mx\r\n", "250 mx\r\n"];
    let transcript = talk(&named(255, &"u".repeat(255)), &rounds);
    let lines: Vec<_> = transcript.lines().filter(|line| line.starts_with("XCLIENT")).collect();
    assert_eq!(lines.len(), 2, "{transcript}");
    assert!(lines.iter().all(|line| line.len() + 2 <= 512), "{transcript}");
    assert!(lines[1].ends_with("ADDR=192.0.2.1") && transcript.ends_with("x\n(granted )\n"), "{transcript}");
    // A user who cannot be told is not let in as somebody else; a name of the client's is left out.
    let (_, ask) = said(&named(1, &"ü".repeat(127)));
    assert_eq!(refusal(ask).denial, Denial::Misconfigured);
    let (text, _) = said(&named(300, "alice"));
    assert!(text.contains("XCLIENT LOGIN=alice PROTO=ESMTP "), "{text}");
}
