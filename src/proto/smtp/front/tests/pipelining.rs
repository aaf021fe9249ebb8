//! Commands that come before their turn: together, where every cut that leaves them visible gives the same, and later.

use super::reception::{clerk, port_25};
use super::*;
use crate::proto::Answer;
use crate::proto::smtp::pipelining::UnauthorizedPipelining;

fn strict() -> FrontConfig {
    FrontConfig { unauthorized_pipelining: UnauthorizedPipelining::Reject, ..port_25() }
}

fn front(config: FrontConfig) -> impl Fn() -> Box<dyn Front> {
    move || Box::new(SmtpFront::taking_mail(config.clone()))
}

/// `first` in one flight with `behind`, and after `rounds`; under every cut but the one between the two.
fn together(config: FrontConfig, clerk: impl Fn(&str) -> Answer, rounds: &[&str], first: &str, behind: &str) -> String {
    let flight = format!("{first}{behind}");
    let all: Vec<_> = [rounds, &[&*flight]].concat().iter().map(|round| round.as_bytes()).collect();
    let before: usize = rounds.iter().map(|round| round.len()).sum();
    cut::mail_front_but(front(config), clerk, &[before + first.len()], &all)
}

fn later(config: FrontConfig, clerk: impl Fn(&str) -> Answer, rounds: &[&str]) -> String {
    let all: Vec<_> = rounds.iter().map(|round| round.as_bytes()).collect();
    cut::mail_front(front(config), judge, clerk, &all)
}

const HELLO: &str = "EHLO mx.example.net\r\n";
const MAIL: &str = "MAIL FROM:<a@b>\r\n";
const BOB: &str = "RCPT TO:<bob@c>\r\n";
/// The text of a message whose sender wants another message sent.
const TEXT: &str = "MAIL FROM:<smuggled@e>\r\nRCPT TO:<v@e>\r\nDATA\r\nx\r\n.\r\n";
const CLOSED: &str = "554 5.5.0 SMTP synchronization error: commands were sent before their turn.\n\
                      (close Violation(\"unauthorized_pipelining\"))\n";
const REFUSED: &str = "(close Violation(\"text_behind_refused_data\"))\n";

#[test]
fn what_has_to_be_last_is_last() {
    for first in ["EHLO x\r\n", "HELO x\r\n", "NOOP\r\n", "VRFY x\r\n", "HELP\r\n", "FOO\r\n", "MAIL\0\r\n", "RSET\n"] {
        let transcript = together(strict(), clerk, &[HELLO], first, MAIL);
        assert!(transcript.ends_with(CLOSED), "{first:?}: {transcript}");
        assert_eq!(transcript.matches("250").count(), 7, "only EHLO is answered: {transcript}");
    }
    // Before EHLO, and behind HELO, nothing was offered.
    assert_eq!(together(strict(), clerk, &[], "EHLO x\r\n", MAIL), CLOSED);
    assert_eq!(together(strict(), clerk, &[], "RSET\r\n", HELLO), CLOSED);
    let helo = together(strict(), clerk, &["HELO x\r\n"], MAIL, BOB);
    assert_eq!(helo, format!("250 mail.example.com\n{CLOSED}"));
    let starttls = together(strict(), clerk, &[HELLO], "STARTTLS\r\n", MAIL);
    assert!(starttls.ends_with("(close Violation(\"starttls_plaintext_pipelined\"))\n"), "{starttls}");
    assert!(!starttls.contains("220"), "{starttls}");
}

#[test]
fn behind_data_nothing_is_said_until_it_is_answered() {
    let begun = [HELLO, MAIL, BOB];
    let transcript = together(strict(), clerk, &begun, "DATA\r\n", TEXT);
    assert!(transcript.ends_with(CLOSED) && !transcript.contains("(data)"), "{transcript}");
    // Where that is allowed, it is the message, once there is a go-ahead.
    let transcript = together(port_25(), clerk, &begun, "DATA\r\n", "x\r\n.\r\nQUIT\r\n");
    assert!(transcript.contains("(text \"x\\r\\n.\\r\\n\")\n250 2.0.0 Taken.\n221 "), "{transcript}");
}

#[test]
fn what_rfc_2920_allows_passes_under_every_cut() {
    let message = format!("RSET\r\n{MAIL}{BOB}RCPT TO:<nobody@c>\r\nDATA\r\n");
    let transcript = later(strict(), clerk, &[HELLO, &message, &format!("x\r\n.\r\n{message}"), "y\r\n.\r\nQUIT\r\n"]);
    assert_eq!(transcript.matches("250 2.0.0 Taken.\n").count(), 2, "{transcript}");
    assert!(transcript.ends_with("221 2.0.0 Bye.\n(close LoggedOut)\n"), "{transcript}");
    let chunks = format!("{MAIL}{BOB}BDAT 6\r\nQUIT\r\nBDAT 4 LAST\r\nspam{MAIL}{BOB}BDAT 0 LAST\r\nQUIT\r\n");
    let transcript = later(strict(), clerk, &[HELLO, &chunks]);
    assert!(transcript.contains("(chunk \"spam\" last)\n554 5.7.1 Spam.\n250 2.1.0 OK.\n"), "{transcript}");
    assert!(transcript.ends_with("221 2.0.0 Bye.\n(close LoggedOut)\n"), "{transcript}");
}

/// How DATA fails: what comes before it, and what it is.
const FAILURES: &[(&[&str], &str)] = &[
    (&[MAIL, BOB], "DATA\r\n"),
    (&[MAIL], "DATA\r\n"),
    (&[], "DATA\r\n"),
    (&[MAIL, BOB, "BDAT 1\r\nx"], "DATA\r\n"),
    (&[MAIL, BOB], "DATA now\r\n"),
    (&[MAIL, BOB], "data\n"),
    (&[MAIL, BOB], "DATA\0\r\n"),
];

/// What the server says to DATA: the last two are no answers to it.
const ANSWERS: &[&str] = &["554 5.7.1 No.", "451 4.7.1 Later.", "421 4.3.2 Going.", "250 2.0.0 OK.", "220 x"];

#[test]
fn the_text_of_a_refused_data_is_never_run_whenever_it_comes() {
    for answer in ANSWERS {
        let clerk = |what: &str| if what == "data" { Answer::ours(answer) } else { clerk(what) };
        for (before, data) in FAILURES {
            let rounds = [&[HELLO], *before].concat();
            let smuggled = |transcript: &str| transcript.contains("smuggled") || transcript.contains("v@e");
            // In the same flight, to whoever else allows that.
            let transcript = together(port_25(), clerk, &rounds, data, TEXT);
            assert!(transcript.ends_with(REFUSED) && !smuggled(&transcript), "{data:?} {answer}: {transcript}");
            // In a later one a text begins with its head, and mail that looks like SMTP with what is no command.
            for text in
                ["Subject: x\r\n\r\n", "Help me\r\n", "RCPT TO:<v@e>\r\n", "DATA\r\n", "RSET\n", "\r\n", "BDAT 1\r\n"]
            {
                for config in [port_25(), strict()] {
                    let text = format!("{text}{TEXT}");
                    let rounds = [&rounds[..], &[*data, &*text]].concat();
                    let transcript = later(config, clerk, &rounds);
                    assert!(transcript.contains("text_behind_refused_data"), "{data:?} {text:?}: {transcript}");
                    assert!(!smuggled(&transcript), "{data:?} {text:?}: {transcript}");
                }
            }
        }
    }
}

#[test]
fn a_client_that_has_read_that_its_data_was_refused_may_go_on() {
    let clerk = |what: &str| if what == "data" { Answer::ours("451 4.7.1 Later.") } else { clerk(what) };
    for next in ["RSET\r\n", "NOOP\r\n", "EHLO x\r\n", "HELO x\r\n", MAIL, "QUIT\r\n"] {
        let transcript = later(strict(), clerk, &[HELLO, MAIL, BOB, "DATA\r\n", next]);
        assert!(transcript.contains("(data)\n451 4.7.1 Later.\n2"), "{next:?}: {transcript}");
    }
    let again = format!("RSET\r\n{MAIL}{BOB}DATA\r\n");
    let transcript = later(strict(), clerk, &[HELLO, &again, &again, &again]);
    assert_eq!(transcript.matches("(data)\n451 ").count(), 3, "{transcript}");
}

#[test]
fn before_a_login_the_text_of_a_refused_data_is_not_run_either() {
    let make = || -> Box<dyn Front> { Box::new(SmtpFront::new(config())) };
    let auth = format!("AUTH PLAIN {ALICE}\r\n");
    let flight = format!("{HELLO}DATA\r\n{auth}");
    let border = flight.len() - auth.len();
    let transcript = cut::mail_front_but(make, clerk, &[border], &[flight.as_bytes()]);
    assert!(transcript.ends_with(&format!("{FIRST}{REFUSED}")), "{transcript}");
    let transcript = talk(&config(), &["DATA\r\n", "Subject: x\r\n", &auth]);
    assert!(transcript.starts_with(FIRST) && transcript.ends_with(REFUSED), "{transcript}");
    // It was told to log in.
    assert!(talk(&config(), &["DATA\r\n", &auth]).ends_with(GRANTED));
}

/// BDAT in its ways to fail: before it, its arguments' end, and how much comes behind.
#[test]
fn the_bytes_of_a_refused_chunk_are_passed_over_in_every_way_to_refuse_it() {
    let refuse = |answer: &'static str| {
        move |what: &str| if what.starts_with("chunk") { Answer::ours(answer) } else { clerk(what) }
    };
    let chunk = format!("BDAT {} LAST\r\n{TEXT}", TEXT.len());
    let first = format!("BDAT {}\r\n{TEXT}", TEXT.len());
    for answer in ["554 5.7.1 No.", "451 4.7.1 Later.", "421 4.3.2 Going.", "354 x"] {
        for before in [&[MAIL, BOB][..], &[MAIL], &[]] {
            let flight = format!("{first}{chunk}{chunk}RSET\r\n");
            let rounds = [&[HELLO], before, &[&*flight]].concat();
            let transcript = later(strict(), refuse(answer), &rounds);
            assert!(!transcript.contains("from smuggled") && !transcript.contains("(recipient v"), "{transcript}");
            assert!(transcript.ends_with(OK), "{answer} {before:?}: {transcript}");
        }
    }
}
