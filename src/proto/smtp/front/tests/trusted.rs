//! A client whose address may vouch for it, because its user logged in from there a moment ago.

use super::*;

fn vouching() -> FrontConfig {
    FrontConfig { vouching: true, ..clear() }
}

/// After EHLO with this name, whose answer is left out.
fn sent(name: &str, rounds: &[&str]) -> String {
    let transcript = bare(&vouching(), &[&[&*format!("EHLO {name}\r\n")], rounds].concat());
    let answer = transcript.lines().take_while(|line| line.starts_with("250-")).count();
    transcript.lines().skip(answer + 1).fold(String::new(), |text, line| text + line + "\n")
}

const ASKED: &str = "(login plain  trusted helo client)\n";

#[test]
fn a_mail_is_the_login_and_stays_for_the_back_end() {
    assert_eq!(
        sent("client", &["MAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<c@d>\r\n"]),
        format!("{ASKED}(rest \"MAIL FROM:<a@b> BODY=8BITMIME\\r\\nRCPT TO:<c@d>\\r\\n\")\n")
    );
    let helo = bare(&vouching(), &["HELO client\r\n", "mail from:<>\r\n"]);
    assert_eq!(helo, format!("250 mail.example.com\n{ASKED}(rest \"mail from:<>\\r\\n\")\n"));
}

#[test]
fn nobody_is_asked_where_no_address_vouches() {
    assert_eq!(talk(&clear(), &["MAIL FROM:<a@b>\r\n"]), FIRST);
}

#[test]
fn nothing_but_a_good_mail_after_a_hello_is_vouched_for() {
    assert_eq!(bare(&vouching(), &["MAIL FROM:<a@b>\r\n"]), "503 5.5.1 EHLO comes first.\n");
    for line in ["RCPT TO:<c@d>", "DATA", "BDAT 0 LAST"] {
        assert_eq!(sent("client", &[&format!("{line}\r\n")]), FIRST, "{line}");
    }
    for line in ["MAIL FROM:<a\0@b>", "MAIL\rRSET", "MAIL FROM:<a@b>\r"] {
        let transcript = sent("client", &[&format!("{line}\r\n")]);
        assert_eq!(transcript, "500 5.5.2 A CR or NUL inside a line.\n", "{line:?}");
    }
    assert_eq!(sent("client", &["MAIL\tFROM:<a@b>\r\n"]), UNKNOWN);
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
        let transcript = sent(user, &["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nNOOP\r\n"]);
        let lines: Vec<_> = transcript.lines().collect();
        assert_eq!(lines.len(), 4, "{transcript}");
        assert!(lines[1].starts_with(code) && transcript.ends_with(&format!("{FIRST}{OK}")), "{transcript}");
    }
}

#[test]
fn who_was_refused_is_asked_about_again_but_not_for_ever() {
    for user in ["mallory", "down"] {
        let once = sent(user, &["MAIL FROM:<a@b>\r\n", "EHLO client\r\n", "MAIL FROM:<a@b>\r\n"]);
        assert!(once.ends_with(&format!("{ASKED}(rest \"MAIL FROM:<a@b>\\r\\n\")\n")), "{once}");
        let transcript = sent(user, &[&"MAIL FROM:<a@b>\r\n".repeat(20)]);
        assert_eq!(transcript.matches("(login").count(), 10);
        assert!(transcript.ends_with("421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n"), "{transcript}");
    }
}

#[test]
fn a_login_of_its_own_goes_before() {
    let transcript =
        talk(&FrontConfig { vouching: true, ..config() }, &[&format!("AUTH PLAIN {ALICE}\r\nMAIL FROM:<a@b>\r\n")]);
    assert!(transcript.starts_with("(login plain alice password secret") && !transcript.contains("trusted"));
}
