//! AUTH, in all its forms.

use super::*;

#[test]
fn bare_auth_lists_the_mechanisms() {
    assert_eq!(talk(&config(), &["AUTH\r\n"]), "+OK\nPLAIN\nLOGIN\nXOAUTH2\nOAUTHBEARER\n.\n");
}

#[test]
fn auth_logs_in_with_and_without_an_initial_response() {
    // NUL alice NUL secret.
    let (asked, granted) = ("(login plain alice password secret)\n", "+OK 2 messages\n");
    assert_eq!(talk(&config(), &["AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"]), format!("{asked}{granted}"));
    assert_eq!(talk(&config(), &["auth plain\r\n", "AGFsaWNlAHNlY3JldA==\r\n"]), format!("+ \n{asked}{granted}"));
    let asked = "(login login alice password secret)\n";
    assert_eq!(
        talk(&config(), &["AUTH LOGIN\r\n", "YWxpY2U=\r\n", "c2VjcmV0\r\n"]),
        format!("+ VXNlcm5hbWU6\n+ UGFzc3dvcmQ6\n{asked}{granted}")
    );
    assert_eq!(
        talk(&config(), &["AUTH LOGIN YWxpY2U=\r\nc2VjcmV0\r\nSTAT\r\n"]),
        format!("+ UGFzc3dvcmQ6\n{asked}{granted}(rest \"STAT\\r\\n\")\n")
    );
}

#[test]
fn a_token_logs_in() {
    // user=alice 01 auth=Bearer token 01 01
    assert_eq!(
        talk(&config(), &["AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0b2tlbgEB\r\n"]),
        "(login xoauth2 alice token xoauth2 token)\n+OK Logged in.\n"
    );
    // n,a=alice, 01 auth=Bearer token 01 01
    assert_eq!(
        talk(&config(), &["AUTH OAUTHBEARER\r\n", "bixhPWFsaWNlLAFhdXRoPUJlYXJlciB0b2tlbgEB\r\n"]),
        "+ \n(login oauthbearer alice token oauthbearer token)\n+OK Logged in.\n"
    );
}

#[test]
fn only_a_star_cancels() {
    assert_eq!(talk(&config(), &["AUTH PLAIN\r\n", "*\r\n", "NOOP\r\n"]), "+ \n-ERR Authentication cancelled.\n+OK\n");
    for other in ["*x", " *", "**", "* "] {
        assert_eq!(talk(&config(), &["AUTH PLAIN\r\n", &format!("{other}\r\n")]), "+ \n-ERR Invalid base64.\n");
    }
    assert_eq!(talk(&config(), &["AUTH PLAIN\r\n", "Kg==\r\n"]), format!("+ \n{BAD}"));
    assert_eq!(talk(&config(), &["AUTH PLAIN *\r\n"]), "-ERR Invalid base64.\n");
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
    assert_eq!(talk(&config(), &["AUTH PLAIN\r\n", "\r\n"]), format!("+ \n{BAD}"));
    // pw NUL x, and an empty name.
    assert_eq!(talk(&config(), &["AUTH LOGIN YWxpY2U=\r\ncHcAeA==\r\n"]), format!("+ UGFzc3dvcmQ6\n{BAD}"));
    assert_eq!(talk(&config(), &["AUTH LOGIN =\r\nc2VjcmV0\r\n"]), format!("+ UGFzc3dvcmQ6\n{BAD}"));
}

#[test]
fn nobody_acts_as_somebody_else() {
    // bob NUL alice NUL secret, then alice NUL alice NUL secret.
    assert_eq!(talk(&config(), &["AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldA==\r\n"]), "-ERR [AUTH] You may not log in here.\n");
    assert!(talk(&config(), &["AUTH PLAIN YWxpY2UAYWxpY2UAc2VjcmV0\r\n"]).ends_with("+OK 2 messages\n"));
}

#[test]
fn base64_is_strict() {
    for base64 in ["A", "AGFsaWNlAHNlY3JldA", "AGFsaWNlAHNlY3JldA===", "AGFs aWNl", "AGFsaWNlAHNlY3JldB==", "-_"] {
        let transcript = talk(&config(), &["AUTH PLAIN\r\n", &format!("{base64}\r\n")]);
        assert_eq!(transcript, "+ \n-ERR Invalid base64.\n", "{base64}");
    }
}

#[test]
fn mechanisms_that_are_not_offered_are_refused() {
    for mechanism in ["CRAM-MD5", "PLAIN\tx", "PLAI", "PLAINX", "EXTERNAL", &"X".repeat(5000)] {
        assert_eq!(
            flood(&config(), &[format!("AUTH {mechanism}\r\nNOOP\r\n").as_bytes()]),
            "-ERR Unsupported authentication mechanism.\n+OK\n"
        );
    }
    for line in ["AUTH ", "AUTH  PLAIN", "AUTH PLAIN ", "AUTH PLAIN = ="] {
        let transcript = talk(&config(), &[&format!("{line}\r\n")]);
        assert_eq!(transcript, "-ERR AUTH takes a mechanism and at most one response.\n", "{line:?}");
    }
}

#[test]
fn a_sasl_line_has_a_limit_of_its_own() {
    let too_long = "-ERR Line too long.\n(close Violation(\"line_too_long\"))\n";
    for (mechanism, max) in [("PLAIN", 12_288), ("XOAUTH2", 21_848)] {
        let (start, line) = (format!("AUTH {mechanism}\r\n"), format!("{}\r\n", "A".repeat(max)));
        assert_eq!(flood(&config(), &[start.as_bytes(), line.as_bytes()]), format!("+ \n{BAD}"));
        let line = format!("AAAA{line}");
        let transcript = flood(&config(), &[start.as_bytes(), line.as_bytes()]);
        assert!(transcript.starts_with(&format!("+ \n{too_long}")), "{mechanism}");
        let initial = |max| format!("AUTH {mechanism} {}\r\n", "A".repeat(max));
        assert_eq!(flood(&config(), &[initial(max).as_bytes()]), BAD);
        assert!(flood(&config(), &[initial(max + 4).as_bytes()]).starts_with(too_long));
    }
    const { assert!(AUTH_MAX + 2 < HEARD_MAX) };
}
