//! What a client may say to the demo store's submission, and what becomes of it.

use super::*;
use crate::cli::demo::mailboxes::Mailboxes;

fn open() -> (Submission, Mailboxes) {
    let mailboxes = Mailboxes::default();
    let alice = Store::new("store1", "alice", "wonderland", mailboxes.clone());
    Store::new("store2", "bob", "builder", mailboxes.clone());
    (Submission::new(alice), mailboxes)
}

/// The first three digits of the reply; nothing where there is none.
fn ask(submission: &mut Submission, line: &str) -> String {
    let mut say = String::new();
    submission.answer(line, &mut say);
    assert!(say.is_empty() || say.ends_with("\r\n"), "{say:?}");
    say.chars().take(3).collect()
}

#[track_caller]
fn conversation(lines: &[(&str, &str)]) -> Mailboxes {
    let (mut submission, mailboxes) = open();
    for (line, reply) in lines {
        assert_eq!(ask(&mut submission, line), *reply, "{line}");
    }
    mailboxes
}

const BEGIN: [(&str, &str); 6] = [
    ("EHLO gateway", "250"),
    ("XCLIENT LOGIN=alice ADDR=192.0.2.7", "220"),
    ("EHLO client", "250"),
    ("MAIL FROM:<alice@example.com> SIZE=100", "250"),
    ("RCPT TO:<Bob@example.com>", "250"),
    ("DATA", "354"),
];

#[test]
fn a_message_of_a_user_that_the_gateway_vouches_for_is_in_the_recipients_mailbox() {
    let mut lines = BEGIN.to_vec();
    lines.extend([
        ("Subject: Dots", ""),
        ("", ""),
        ("..", ""),
        ("..a", ""),
        (".", "250"),
        ("DATA", "503"),
        ("QUIT", "221"),
    ]);
    let messages = conversation(&lines).messages("bob@example.com");
    let expected = "X-Demo: alice sent this from 192.0.2.7 through store1\r\nSubject: Dots\r\n\r\n.\r\n.a\r\n";
    assert_eq!(&*messages[1], expected);
}

#[test]
fn nobody_sends_without_a_login_and_nothing_breaks_the_order() {
    conversation(&[
        ("MAIL FROM:<alice@example.com>", "530"),
        ("XCLIENT LOGIN=bob", "550"),
        ("XCLIENT NAME=x", "501"),
        ("AUTH PLAIN AGFsaWNlAHdyb25n", "535"),
        ("AUTH PLAIN =====", "535"),
        ("AUTH LOGIN", "504"),
        ("DATA", "530"),
        ("AUTH PLAIN", "334"),
        ("AGFsaWNlAHdvbmRlcmxhbmQ=", "235"),
        ("XCLIENT LOGIN=alice", "503"),
        ("RCPT TO:<bob@example.com>", "503"),
        ("MAIL FRO\u{fc}:<alice@example.com>", "501"),
        ("MAIL", "501"),
        ("MAIL FROM:<>", "250"),
        ("MAIL FROM:<>", "503"),
        ("RCPT TO:<carol@example.com>", "550"),
        ("RCPT TO:bob@example.com", "501"),
        ("DATA", "503"),
        ("RCPT TO:<bob@example.com>", "250"),
        ("RSET", "250"),
        ("DATA", "503"),
        ("NOOP", "250"),
        ("", "500"),
        ("VRFY alice", "500"),
    ]);
}

#[test]
fn a_message_that_is_too_long_is_read_to_its_end_and_not_kept() {
    let (mut submission, mailboxes) = open();
    let line = "x".repeat(998);
    for (count, reply) in
        [(MESSAGE_MAX / 1000, "250"), (MESSAGE_MAX / 1000 + 1, "552"), (10 * MESSAGE_MAX / 1000, "552")]
    {
        for (line, reply) in BEGIN.iter().skip(if submission.logged_in { 3 } else { 0 }) {
            assert_eq!(ask(&mut submission, line), *reply, "{line}");
        }
        assert!((0..count).all(|_| ask(&mut submission, &line).is_empty()));
        assert_eq!(ask(&mut submission, "."), reply, "{count} lines");
    }
    assert_eq!(mailboxes.messages("bob@example.com").len(), 2);
}
