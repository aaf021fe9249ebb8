//! Mail servers behind port 25 that refuse, fall silent, hang up or talk nonsense: what the client is told, and that the
//! next message is like any other.
//!
//! B and I numbers are those of the catalogue of hostile input that the project started from.

use crate::support::client::Client;
use crate::support::fake::{Fake, Fault, Step, say};
use crate::support::gateway::Gateway;
use crate::support::smtp::{open, plan_before_one};

/// Where a conversation with the client stops being as usual, and with which answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Recipient(&'static str),
    Data(&'static str),
    End(&'static str),
}

struct Case {
    sender: &'static str,
    /// The verb that is answered so by the server.
    verb: &'static str,
    then: Vec<Step>,
    heard: At,
}

fn case(sender: &'static str, verb: &'static str, then: Vec<Step>, heard: At) -> Case {
    Case { sender, verb, then, heard }
}

const AWAY: &str = "451 4.3.0 The mail server is not available now";
const SILLY: &str = "451 4.3.0 The mail server gave no usable answer";
const OURS: &str = "451 4.3.5 ";

/// Its own words, where they are about the message.
fn refusals() -> Vec<Case> {
    vec![
        case("no-mail@", "MAIL", vec![say("550 5.7.1 not from you\r\n")], At::Recipient("550 5.7.1 not from you")),
        case("slow-mail@", "MAIL", vec![say("450 4.7.1 greylisted\r\n")], At::Recipient("450 4.7.1 greylisted")),
        case("no-rcpt@", "RCPT", vec![say("550 5.1.1 nobody\r\n")], At::Recipient("550 5.1.1 nobody")),
        case("no-data@", "DATA", vec![say("451 4.7.0 later\r\n")], At::Data("451 4.7.0 later")),
        case("no-end@", ".", vec![say("554 5.7.1 spam\r\n")], At::End("554 5.7.1 spam")),
        case("auth@", "MAIL", vec![say("530 5.7.0 log in\r\n")], At::Recipient(OURS)),
        case("unknown@", "RCPT", vec![say("500 5.5.2 what?\r\n")], At::Recipient(OURS)),
        // For the log and for the terminal of whoever reads it.
        case("escape@", "RCPT", vec![say("550 5.1.1 \x1b[2J\u{9b}31m\r\n")], At::Recipient("550 5.1.1 ?[2J??31m")),
    ]
}

/// 421 is for us: the client's session goes on. So it does when the server goes without a word.
fn departures() -> Vec<Case> {
    let mut cases = Vec::new();
    for (verb, heard, names) in [
        ("EHLO", At::Recipient(AWAY), ["", "", ""]),
        ("MAIL", At::Recipient(AWAY), ["421-mail@", "fin-mail@", "rst-mail@"]),
        ("RCPT", At::Recipient(AWAY), ["421-rcpt@", "fin-rcpt@", "rst-rcpt@"]),
        ("DATA", At::Data(AWAY), ["421-data@", "fin-data@", "rst-data@"]),
        ("TEXT", At::End(AWAY), ["421-text@", "fin-text@", "rst-text@"]),
        (".", At::End(AWAY), ["421-end@", "fin-end@", "rst-end@"]),
    ] {
        let goodbye = vec![say("421 4.3.2 going down\r\n"), Step::Close];
        for (name, then) in names.into_iter().zip([goodbye, vec![Step::Close], vec![Step::Reset]]) {
            // Before MAIL nobody has said which message it is about; see below.
            if !name.is_empty() {
                cases.push(case(name, verb, then, heard));
            }
        }
    }
    cases
}

/// What no server should say.
fn nonsense() -> Vec<Case> {
    let garbage = || vec![say("hello\r\n")];
    let binary = || vec![Step::Say(vec![0, 0xff, b'\n', 0x1b])];
    let huge = || vec![Step::Flood(b"250-more\r\n".to_vec(), 100_000)];
    let line = || vec![Step::Say([&b"250 "[..], &vec![b'x'; 1_000_000]].concat())];
    let twice = || vec![say("250 2.0.0 yes\r\n250 2.0.0 yes\r\n")];
    vec![
        case("garbage-mail@", "MAIL", garbage(), At::Recipient(AWAY)),
        case("garbage-rcpt@", "RCPT", binary(), At::Recipient(AWAY)),
        case("garbage-data@", "DATA", garbage(), At::Data(AWAY)),
        case("garbage-end@", ".", binary(), At::End(AWAY)),
        case("huge-rcpt@", "RCPT", huge(), At::Recipient(AWAY)),
        case("huge-end@", ".", line(), At::End(AWAY)),
        case("half@", "RCPT", vec![say("250-2.1.5 so\r\n25"), Step::Close], At::Recipient(AWAY)),
        case("two-codes@", "RCPT", vec![say("250-yes\r\n550 no\r\n")], At::Recipient(AWAY)),
        case("two-mails@", "MAIL", twice(), At::Recipient(AWAY)),
        case("two-rcpts@", "RCPT", twice(), At::Data(AWAY)),
        // A yes before the end is no yes to the message.
        case("early-data@", "DATA", vec![say("354 go on\r\n250 2.0.0 queued\r\n")], At::Data(AWAY)),
        case("early-text@", "TEXT", vec![say("250 2.0.0 queued\r\n")], At::End(AWAY)),
        case("yes-to-data@", "DATA", vec![say("250 2.0.0 queued\r\n")], At::Data(AWAY)),
        case("go-to-rcpt@", "RCPT", vec![say("354 go on\r\n")], At::Recipient("451 4.3.0 ")),
        case("go-to-end@", ".", vec![say("354 go on\r\n")], At::End("451 4.3.0 ")),
        case("odd@", "RCPT", vec![say("299 2.0.0 odd\r\n")], At::Recipient(SILLY)),
        // Two answers to one command: nobody can say which is which.
        case("early-no@", "DATA", vec![say("354 go on\r\n552 5.3.4 too large\r\n")], At::Data(AWAY)),
        // B62: a no before the end is its word; the client hears it in its time.
        case("552-text@", "TEXT", vec![say("552 5.3.4 too large\r\n"), Step::Close], At::End("552 5.3.4 too large")),
        case("552-on@", "TEXT", vec![say("552 5.3.4 too large\r\n")], At::End("552 5.3.4 too large")),
        // Slow is not wrong.
        case(
            "drip@",
            "RCPT",
            vec![Step::Drip(b"550-5.1.1 no\r\n550 5.1.1 body\r\n".to_vec())],
            At::Recipient("550-5.1.1 no"),
        ),
    ]
}

/// A message to alice, up to the answer that is not as usual; gives that, or the one at the end.
#[track_caller]
fn send(client: &mut Client, sender: &str, expected: Option<At>) -> String {
    let is_last = |answer: &str| !answer.starts_with("250") && !answer.starts_with("354");
    client.ask_for(&format!("MAIL FROM:<{sender}elsewhere.example.net>"), "250 2.1.0 ");
    let answer = client.ask("RCPT TO:<alice@example.org>");
    if is_last(&answer) {
        assert!(matches!(expected, Some(At::Recipient(_))), "{sender}: {answer}");
        return answer;
    }
    let answer = client.ask("DATA");
    if is_last(&answer) {
        assert!(matches!(expected, Some(At::Data(_))), "{sender}: {answer}");
        return answer;
    }
    // In several pieces, the end in one of its own: the server has time to hear the first.
    client.send(format!("Subject: {sender}\r\n\r\nHello.\r\n"));
    client.send("x".repeat(100_000));
    let answer = client.ask("\r\n.");
    assert!(matches!(expected, Some(At::End(_)) | None), "{sender}: {answer}");
    answer
}

/// Each case on one session, and a good message behind it.
fn try_all(cases: Vec<Case>) {
    assert!(cases.len() > 5);
    let fault = |case: &Case| Fault { sender: case.sender, at: case.verb, then: case.then.clone() };
    let fake = Fake::start(vec![Step::Deliver(cases.iter().map(fault).collect())]);
    let gateway = Gateway::start(&plan_before_one(fake.port));
    let mut client = open(&gateway);
    for case in &cases {
        let answer = send(&mut client, case.sender, Some(case.heard));
        let (At::Recipient(expected) | At::Data(expected) | At::End(expected)) = case.heard;
        assert!(answer.starts_with(expected), "{}: {answer}", case.sender);
        if answer.as_bytes()[3] == b'-' {
            client.lines_to(&format!("{} ", &answer[..3]));
        }
        client.ask_for("RSET", "250 ");
        assert_eq!(send(&mut client, "good@", None), "250 2.0.0 done", "behind {}", case.sender);
    }
    client.ask_for("QUIT", "221 ");
    // Nobody was told that a message was taken which was not, and nothing else was written down.
    gateway.metric_becomes("transactions_total", &["accepted"], cases.len() as f64);
    for line in gateway.log().lines().filter(|line| line.contains("message settled") && !line.contains("good@")) {
        assert!(!line.contains("answer=\"2"), "{line}");
    }
    assert!(!gateway.log().contains(['\x1b', '\0', '\u{9b}']));
    gateway.is_calm();
}

#[test]
fn a_servers_refusal_is_the_clients_where_it_is_about_the_message() {
    try_all(refusals());
}

#[test]
fn a_server_that_leaves_is_a_reason_to_come_back_at_every_step() {
    try_all(departures());
}

#[test]
fn nonsense_is_never_a_yes() {
    try_all(nonsense());
}

#[test]
fn a_server_that_is_of_no_use_before_mail_costs_one_recipient_an_answer() {
    for (script, answer) in [
        (vec![say("421 4.3.2 full\r\n"), Step::Close], AWAY),
        (vec![say("554 5.3.2 not here\r\n")], "451 4.3."),
        (vec![Step::Close], AWAY),
        (vec![Step::Reset], AWAY),
        (vec![say("* OK IMAP\r\n")], "451 4.3."),
        (vec![Step::Flood(b"220-more\r\n".to_vec(), 100_000)], "451 4.3."),
        // It is not told who the client is: F44.
        (vec![Step::Deliver(vec![Fault { sender: "", at: "XCLIENT", then: vec![say("550 5.7.0 no\r\n")] }])], OURS),
        // I03: it never greets.
        (vec![], AWAY),
    ] {
        let fake = Fake::start(script);
        let gateway = Gateway::start(&plan_before_one(fake.port).set("backends.stores.login_timeout", "1s"));
        let mut client = open(&gateway);
        client.ask_for("MAIL FROM:<a@elsewhere.example.net>", "250 ");
        for _ in 0..2 {
            client.ask_for("RCPT TO:<alice@example.org>", answer);
        }
        client.ask_for("DATA", "554 5.5.1 ");
        client.ask_for("QUIT", "221 ");
        assert!(!fake.heard().contains("MAIL"), "{}", fake.heard());
        gateway.is_calm();
    }
}

#[test]
fn who_leaves_while_a_server_thinks_about_a_recipient_frees_it_at_once() {
    let fake = Fake::start(vec![Step::Deliver(vec![Fault { sender: "think@", at: "RCPT", then: vec![] }])]);
    let gateway = Gateway::start(&plan_before_one(fake.port));
    let mut client = open(&gateway);
    client.ask_for("MAIL FROM:<think@elsewhere.example.net>", "250 ");
    client.send("RCPT TO:<alice@example.org>\r\n");
    gateway.metric_becomes("backend_connections", &[], 1.0);
    client.reset();
    gateway.is_calm();
}
