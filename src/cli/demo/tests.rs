//! What clients may say to the demo's stores.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::imap::Imap;
use super::mailboxes::Mailboxes;
use super::pop3::Pop3;
use super::store::{Conversation, Store};
use crate::proto::Protocol;

/// Alice's store, with a second message.
fn store() -> Arc<Store> {
    let mailboxes = Mailboxes::default();
    let store = Store::new("store1", "alice", "wonderland", mailboxes.clone());
    mailboxes.deliver(&["alice@example.com".to_owned()].into(), "Subject: Dots\r\n\r\n.\r\n.a\r\n").unwrap();
    store
}

fn ask(conversation: &mut impl Conversation, line: &str) -> String {
    let mut say = String::new();
    conversation.answer(line, &mut say);
    say
}

#[test]
fn imap_fetches_every_kind_of_set_and_refuses_what_is_none() {
    let mut imap = Imap::new(store());
    assert!(ask(&mut imap, "a FETCH 1 BODY[]").starts_with("a NO"));
    assert!(ask(&mut imap, "a LOGIN alice \"wonderland\"").starts_with("a OK"));
    assert!(ask(&mut imap, "a SELECT INBOX").starts_with("* 2 EXISTS\r\n"));
    for (command, fetched) in [
        ("FETCH 1 BODY[]", vec![1]),
        ("FETCH * BODY[]", vec![2]),
        ("UID FETCH 1:* (FLAGS)", vec![1, 2]),
        ("fetch 9:2 BODY[]", vec![2]),
        ("FETCH 9 BODY[]", vec![]),
    ] {
        let answer = ask(&mut imap, &format!("a {command}"));
        assert!(answer.ends_with("a OK Fetched\r\n"), "{command}: {answer}");
        for number in 1..=2 {
            assert_eq!(answer.contains(&format!("* {number} FETCH")), fetched.contains(&number), "{command}: {answer}");
        }
    }
    for command in
        ["FETCH", "UID", "UID FETCH", "FETCH x", "FETCH 99999999999999999999 BODY[]", "FETCH -1:* x", "", "X"]
    {
        assert!(ask(&mut imap, &format!("a {command}")).starts_with("a BAD"), "{command}");
    }
}

#[test]
fn pop3_lists_and_fetches_with_a_dot_in_front_of_a_dot() {
    let mut pop3 = Pop3::new(store());
    ask(&mut pop3, "USER alice");
    assert!(ask(&mut pop3, "PASS wonderland").starts_with("+OK"));
    assert_eq!(ask(&mut pop3, "LIST 2"), "+OK 2 24\r\n");
    assert_eq!(ask(&mut pop3, "UIDL"), "+OK\r\n1 message-1\r\n2 message-2\r\n.\r\n");
    assert_eq!(ask(&mut pop3, "RETR 2"), "+OK 24 octets\r\nSubject: Dots\r\n\r\n..\r\n..a\r\n.\r\n");
    for command in ["RETR", "RETR 0", "RETR 3", "RETR -1", "LIST x", "UIDL 99999999999999999999", "DELE 1", ""] {
        assert!(ask(&mut pop3, command).starts_with("-ERR"), "{command}");
    }
}

#[tokio::test]
async fn a_line_without_an_end_closes_the_connection_of_every_protocol() {
    for protocol in Protocol::ALL.into_iter().filter(|protocol| Store::speaks(*protocol)) {
        let port = store().serve(protocol, "127.0.0.1", 0).await.unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // Not a byte more: what the store has not read would make the close a reset.
        stream.write_all(&[b'x'; 8 * 1024]).await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard.lines().count(), 1, "the greeting alone: {heard}");
    }
}
