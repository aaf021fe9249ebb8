//! A client whose address the gateway vouches for, because its user logged in from there a moment ago.

use super::*;

fn trusting(user: &str) -> Terms {
    Terms { trusted: Some(user.into()), ..clear() }
}

const ASKED: &str = "(login plain alice trusted helo client)\n";

#[test]
fn a_mail_is_the_login_and_stays_for_the_back_end() {
    assert_eq!(
        talk(&trusting("alice"), &["MAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<c@d>\r\n"]),
        format!("{ASKED}(rest \"MAIL FROM:<a@b> BODY=8BITMIME\\r\\nRCPT TO:<c@d>\\r\\n\")\n")
    );
    let helo = bare(&trusting("alice"), &["HELO client\r\n", "mail from:<>\r\n"]);
    assert_eq!(helo, format!("250 mail.example.com\n{ASKED}(rest \"mail from:<>\\r\\n\")\n"));
}

#[test]
fn nothing_but_a_good_mail_after_a_hello_is_vouched_for() {
    assert_eq!(bare(&trusting("alice"), &["MAIL FROM:<a@b>\r\n"]), "503 5.5.1 EHLO comes first.\n");
    for line in ["RCPT TO:<c@d>", "DATA", "BDAT 0 LAST"] {
        assert_eq!(talk(&trusting("alice"), &[&format!("{line}\r\n")]), FIRST, "{line}");
    }
    for line in ["MAIL FROM:<a\0@b>", "MAIL\rRSET", "MAIL FROM:<a@b>\r"] {
        let transcript = talk(&trusting("alice"), &[&format!("{line}\r\n")]);
        assert_eq!(transcript, "500 5.5.2 A CR or NUL inside a line.\n", "{line:?}");
    }
    assert_eq!(talk(&trusting("alice"), &["MAIL\tFROM:<a@b>\r\n"]), UNKNOWN);
}

#[test]
fn a_mail_that_is_refused_is_answered_here_once() {
    for (user, code) in [
        ("mallory", "530 5.7.0 "),
        ("barred", "550 5.7.1 "),
        ("down", "451 4.3.0 "),
        ("busy", "451 4.7.0 "),
        ("broken", "451 4.3.5 "),
    ] {
        let transcript = talk(&trusting(user), &["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nNOOP\r\n"]);
        let lines: Vec<_> = transcript.lines().collect();
        assert_eq!(lines.len(), 4, "{transcript}");
        assert!(lines[1].starts_with(code) && transcript.ends_with(&format!("{FIRST}{OK}")), "{transcript}");
    }
}

#[test]
fn who_was_not_believed_is_not_asked_about_again() {
    let transcript = talk(&trusting("barred"), &["MAIL FROM:<a@b>\r\n", "MAIL FROM:<a@b>\r\n"]);
    assert_eq!(transcript.matches("(login").count(), 1, "{transcript}");
    assert!(transcript.ends_with(FIRST), "{transcript}");
    // What was our fault may be tried again, but not for ever.
    let transcript = talk(&trusting("down"), &[&"MAIL FROM:<a@b>\r\n".repeat(20)]);
    assert_eq!(transcript.matches("(login").count(), 10);
    assert!(transcript.ends_with("421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n"), "{transcript}");
}

#[test]
fn a_login_of_its_own_goes_before() {
    let terms = Terms { trusted: Some("bob".into()), ..terms() };
    let transcript = talk(&terms, &[&format!("AUTH PLAIN {ALICE}\r\nMAIL FROM:<a@b>\r\n")]);
    assert!(transcript.starts_with("(login plain alice password secret") && !transcript.contains("bob"));
}
