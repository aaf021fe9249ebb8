//! AUTH, in all its forms.

use super::*;

#[test]
fn auth_logs_in_with_and_without_an_initial_response() {
    let asked = "(login plain alice password secret helo client)\n";
    assert_eq!(talk(&config(), &[&format!("AUTH PLAIN {ALICE}\r\n")]), format!("{asked}{GRANTED}"));
    assert_eq!(talk(&config(), &["auth plain\r\n", &format!("{ALICE}\r\n")]), format!("334 \n{asked}{GRANTED}"));
    let asked = "(login login alice password secret helo client)\n";
    assert_eq!(
        talk(&config(), &["AUTH LOGIN\r\n", "YWxpY2U=\r\n", "c2VjcmV0\r\n"]),
        format!("334 VXNlcm5hbWU6\n334 UGFzc3dvcmQ6\n{asked}{GRANTED}")
    );
    assert_eq!(
        talk(&config(), &["AUTH LOGIN YWxpY2U=\r\nc2VjcmV0\r\n"]),
        format!("334 UGFzc3dvcmQ6\n{asked}{GRANTED}")
    );
}

#[test]
fn a_token_logs_in() {
    assert_eq!(
        talk(&config(), &["AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0b2tlbgEB\r\n"]),
        format!("(login xoauth2 alice token xoauth2 token helo client)\n{GRANTED}")
    );
    assert_eq!(
        talk(&config(), &["AUTH OAUTHBEARER\r\n", "bixhPWFsaWNlLAFhdXRoPUJlYXJlciB0b2tlbgEB\r\n"]),
        format!("334 \n(login oauthbearer alice token oauthbearer token helo client)\n{GRANTED}")
    );
}

#[test]
fn auth_wants_ehlo_first_and_helo_is_not_enough() {
    let first = "503 5.5.1 EHLO comes first.\n";
    assert_eq!(bare(&config(), &[&format!("AUTH PLAIN {ALICE}\r\n")]), first);
    let helo = bare(&config(), &["HELO client\r\n", &format!("AUTH PLAIN {ALICE}\r\n")]);
    assert_eq!(helo, format!("250 mail.example.com\n{first}"));
}

#[test]
fn only_a_star_cancels() {
    let cancelled = "334 \n501 5.7.0 Authentication cancelled.\n";
    assert_eq!(talk(&config(), &["AUTH PLAIN\r\n", "*\r\n", "NOOP\r\n"]), format!("{cancelled}{OK}"));
    for other in ["*x", " *", "**", "* "] {
        let transcript = talk(&config(), &["AUTH PLAIN\r\n", &format!("{other}\r\n")]);
        assert_eq!(transcript, "334 \n501 5.5.2 Invalid base64.\n");
    }
    assert_eq!(talk(&config(), &["AUTH PLAIN\r\n", "Kg==\r\n"]), format!("334 \n{BAD}"));
    assert_eq!(talk(&config(), &["AUTH PLAIN *\r\n"]), "501 5.5.2 Invalid base64.\n");
}

#[test]
fn what_cannot_be_credentials_fails_without_anybody_being_asked() {
    for base64 in [
        "=",                        // empty
        "AABwdw==",                 // NUL NUL pw
        "AGFsaWNlAA==",             // NUL alice NUL
        "YWxpY2U=",                 // alice
        "YWxpY2UAcHc=",             // alice NUL pw
        "AGFsaWNlAHB3AHg=",         // NUL alice NUL pw NUL x
        "AGFsDWljZQBwdw==",         // NUL al CR ice NUL pw
        "AGFsaWNlAHB3DQpERUxFIDE=", // NUL alice NUL pw CR LF DELE 1
    ] {
        assert_eq!(talk(&config(), &[&format!("AUTH PLAIN {base64}\r\n")]), BAD, "{base64}");
    }
    assert_eq!(talk(&config(), &["AUTH PLAIN\r\n", "\r\n"]), format!("334 \n{BAD}"));
    // pw NUL x, and an empty name.
    assert_eq!(talk(&config(), &["AUTH LOGIN YWxpY2U=\r\ncHcAeA==\r\n"]), format!("334 UGFzc3dvcmQ6\n{BAD}"));
    assert_eq!(talk(&config(), &["AUTH LOGIN =\r\nc2VjcmV0\r\n"]), format!("334 UGFzc3dvcmQ6\n{BAD}"));
}

#[test]
fn nobody_acts_as_somebody_else() {
    // bob NUL alice NUL secret, then alice NUL alice NUL secret.
    let bob = talk(&config(), &["AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldA==\r\n"]);
    assert_eq!(bob, "535 5.7.1 You may not log in here.\n");
    assert!(talk(&config(), &["AUTH PLAIN YWxpY2UAYWxpY2UAc2VjcmV0\r\n"]).ends_with(GRANTED));
}

#[test]
fn base64_is_strict() {
    for base64 in ["A", "AGFsaWNlAHNlY3JldA", "AGFsaWNlAHNlY3JldA===", "AGFs aWNl", "AGFsaWNlAHNlY3JldB==", "-_"] {
        let transcript = talk(&config(), &["AUTH PLAIN\r\n", &format!("{base64}\r\n")]);
        assert_eq!(transcript, "334 \n501 5.5.2 Invalid base64.\n", "{base64}");
    }
}

#[test]
fn mechanisms_that_are_not_offered_are_refused() {
    for mechanism in ["CRAM-MD5", "PLAIN\tx", "PLAI", "PLAINX", "EXTERNAL", &"X".repeat(5000)] {
        let lines = format!("EHLO x\r\nAUTH {mechanism}\r\nNOOP\r\n");
        let transcript = flood(&config(), &[lines.as_bytes()]);
        assert!(transcript.ends_with(&format!("504 5.5.4 Unsupported authentication mechanism.\n{OK}")));
    }
    for line in ["AUTH", "AUTH ", "AUTH  PLAIN", "AUTH PLAIN ", "AUTH PLAIN = ="] {
        let transcript = talk(&config(), &[&format!("{line}\r\n")]);
        assert_eq!(transcript, "501 5.5.4 AUTH takes a mechanism and at most one response.\n", "{line:?}");
    }
}

#[test]
fn a_sasl_line_has_a_limit_of_its_own() {
    let too_long = "500 5.5.2 Line too long.\n(close Violation(\"line_too_long\"))\n";
    for (mechanism, max) in [("PLAIN", 12_288), ("XOAUTH2", 21_848)] {
        let (start, line) = (format!("EHLO x\r\nAUTH {mechanism}\r\n"), format!("{}\r\n", "A".repeat(max)));
        assert!(flood(&config(), &[start.as_bytes(), line.as_bytes()]).ends_with(&format!("334 \n{BAD}")));
        let line = format!("AAAA{line}");
        assert!(flood(&config(), &[start.as_bytes(), line.as_bytes()]).ends_with(&format!("334 \n{too_long}")));
        let initial =
            |max| flood(&config(), &[format!("EHLO x\r\nAUTH {mechanism} {}\r\n", "A".repeat(max)).as_bytes()]);
        assert!(initial(max).ends_with(BAD));
        assert!(initial(max + 4).ends_with(too_long));
    }
    const { assert!(AUTH_MAX + 2 < HEARD_MAX) };
}

#[test]
fn a_failed_try_leaves_nothing_behind() {
    for failed in [format!("AUTH PLAIN {WRONG}\r\n"), "AUTH LOGIN YWxpY2U=\r\n*\r\n".into(), "AUTH X\r\n".into()] {
        assert!(talk(&config(), &[&failed, "MAIL FROM:<a@b>\r\n"]).ends_with(FIRST));
    }
}
