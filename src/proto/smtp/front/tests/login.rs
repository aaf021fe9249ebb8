//! The greeting, what may be said before a login, and what becomes of one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn the_greeting_is_one_line() {
    let mut say = Vec::new();
    SmtpFront::new(config()).greet(&mut say);
    assert_eq!(say, b"220 mail.example.com ESMTP ready\r\n");
}

#[test]
fn what_is_pipelined_behind_a_login_stays_for_the_back_end() {
    assert_eq!(
        talk(&config(), &[&format!("AUTH PLAIN {ALICE}\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")]),
        format!(
            "(login plain alice password secret helo client)\n{GRANTED}\
             (rest \"MAIL FROM:<a@b>\\r\\nRCPT TO:<c@d>\\r\\n\")\n"
        )
    );
    assert_eq!(
        talk(&config(), &["AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\nMAIL FROM:<a@b>\r\n"]),
        format!(
            "334 VXNlcm5hbWU6\n334 UGFzc3dvcmQ6\n(login login alice password secret helo client)\n{GRANTED}\
             (rest \"MAIL FROM:<a@b>\\r\\n\")\n"
        )
    );
}

#[test]
fn what_is_pipelined_behind_a_denied_login_is_answered_here() {
    assert_eq!(
        talk(&config(), &[&format!("AUTH PLAIN {WRONG}\r\nMAIL FROM:<a@b>\r\nDATA\r\n"), "QUIT\r\n"]),
        format!(
            "(login plain alice password wrong helo client)\n{BAD}{FIRST}{FIRST}221 2.0.0 Bye.\n(close LoggedOut)\n"
        )
    );
}

#[test]
fn a_denied_login_may_be_tried_again() {
    let transcript = talk(&config(), &[&format!("AUTH PLAIN {WRONG}\r\n"), &format!("AUTH PLAIN {ALICE}\r\n")]);
    assert!(transcript.contains(BAD) && transcript.ends_with(GRANTED), "{transcript}");
}

#[test]
fn every_denial_has_the_words_of_smtp() {
    for (user, words) in [
        ("mallory", "535 5.7.8 "),
        ("busy", "454 4.7.0 "),
        ("down", "454 4.7.0 "),
        ("barred", "535 5.7.1 "),
        ("broken", "454 4.7.0 "),
    ] {
        let response = STANDARD.encode(format!("\0{user}\0x"));
        let transcript = talk(&config(), &[&format!("AUTH PLAIN {response}\r\n")]);
        let answer = transcript.lines().last().expect("an answer");
        assert!(answer.starts_with(words), "{user}: {answer}");
    }
}

#[test]
fn nothing_is_sent_before_a_login() {
    for line in ["MAIL FROM:<a@b>", "MAIL FROM:<a@b> AUTH=<>", "RCPT TO:<c@d>", "DATA", "BDAT 0 LAST"] {
        assert_eq!(talk(&config(), &[&format!("{line}\r\n"), "NOOP\r\n"]), format!("{FIRST}{OK}"), "{line}");
        if line == "DATA" {
            continue;
        }
        let often = talk(&config(), &[&format!("{line}\r\n").repeat(10)]);
        assert!(often.ends_with("421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n"), "{often}");
    }
    assert_eq!(bare(&config(), &["MAIL FROM:<a@b>\r\n"]), "503 5.5.1 EHLO comes first.\n");
}

#[test]
fn the_bytes_of_a_refused_chunk_are_no_commands() {
    let chunk = format!("AUTH PLAIN {ALICE}\r\n\0\r\n.\r\nQUIT\r\n");
    assert_eq!(
        talk(&config(), &[&format!("BDAT {} LAST\r\n{chunk}NOOP\r\n", chunk.len())]),
        format!("{FIRST}{OK}"),
        "answered behind the chunk"
    );
    assert_eq!(talk(&config(), &["BDAT 18446744073709551615\r\n", "NOOP\r\n", "QUIT\r\n"]), "");
    for bad in ["BDAT", "BDAT x", "BDAT -1", "BDAT 99999999999999999999"] {
        assert_eq!(
            talk(&config(), &[&format!("{bad}\r\nAUTH PLAIN {ALICE}\r\n")]),
            "501 5.5.4 BDAT takes a size and LAST.\n(close Violation(\"bad_chunk\"))\n"
        );
    }
    let big = [&b"EHLO x\r\nBDAT 3000000\r\n"[..], &vec![b'x'; 3_000_000], b"NOOP\r\n"].concat();
    assert!(flood(&config(), &[&big]).ends_with(&format!("{FIRST}{OK}")));
}

#[test]
fn small_talk_is_answered() {
    assert_eq!(
        bare(&config(), &["NOOP\r\nRSET\r\nNOOP hello you\r\nVRFY root\r\nHELP\r\nhelp me\r\n"]),
        format!(
            "{}252 2.5.0 Send some mail, and see.\n{}",
            OK.repeat(3),
            "214 2.0.0 EHLO STARTTLS AUTH NOOP RSET QUIT\n".repeat(2)
        )
    );
}

#[test]
fn quit_says_goodbye_and_nothing_behind_it_is_read() {
    assert_eq!(talk(&config(), &["QUIT\r\nNOOP\r\n"]), "221 2.0.0 Bye.\n(close LoggedOut)\n");
}
