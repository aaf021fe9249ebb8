//! What is told to a back-end, and what of its answers reaches a client.

use super::*;

const ALL: [&str; 6] = ["SIZE 1000", "8BITMIME", "DSN", "CHUNKING", "PIPELINING", "ENHANCEDSTATUSCODES"];

fn delivery(extensions: &[&str]) -> Delivery {
    Delivery::new(extensions.iter().map(|line| (*line).to_owned()).collect())
}

fn message() -> Mail {
    Mail {
        sender: "\"a b\"@example.net".into(),
        helo: "mx".into(),
        size: Some(7),
        eight_bit: true,
        ret: Some("HDRS"),
        envid: Some("x+2By".into()),
    }
}

fn bob() -> Recipient {
    Recipient { address: "bob+x@example.com".into(), notify: Some("NEVER".into()), orcpt: None }
}

fn put_by(command: impl FnOnce(&mut Vec<u8>) -> Result<(), Answer>) -> String {
    let mut say = Vec::new();
    match command(&mut say) {
        Ok(()) => String::from_utf8(say).expect("ASCII"),
        Err(answer) => {
            assert!(say.is_empty());
            format!("{} {}", answer.code(), answer.lines()[0])
        }
    }
}

fn mail(extensions: &[&str], mail: &Mail) -> String {
    put_by(|say| delivery(extensions).mail(mail, say))
}

fn recipient(extensions: &[&str], recipient: &Recipient, there: &str) -> String {
    put_by(|say| delivery(extensions).recipient(recipient, there, say))
}

#[test]
fn mail_says_only_what_the_back_end_understands() {
    let all = "MAIL FROM:<\"a b\"@example.net> SIZE=7 BODY=8BITMIME RET=HDRS ENVID=x+2By\r\n";
    assert_eq!(mail(&ALL, &message()), all);
    assert_eq!(mail(&["size", "8bitmime"], &message()), "MAIL FROM:<\"a b\"@example.net> SIZE=7 BODY=8BITMIME\r\n");
    let seven = Mail { eight_bit: false, ..message() };
    assert_eq!(mail(&[], &seven), "MAIL FROM:<\"a b\"@example.net>\r\n");
    let bounce = Mail { sender: String::new(), size: None, ret: None, envid: None, ..seven };
    assert_eq!(mail(&ALL, &bounce), "MAIL FROM:<>\r\n");
    assert!(mail(&["SIZE"], &message()).starts_with("554 5.6.3 "), "8 bits go to nobody who takes 7");
}

#[test]
fn a_recipient_is_told_by_the_address_there() {
    let same = bob().address;
    assert_eq!(recipient(&ALL, &bob(), &same), "RCPT TO:<bob+x@example.com> NOTIFY=NEVER\r\n");
    assert_eq!(
        recipient(&ALL, &bob(), "b1@store.example"),
        "RCPT TO:<b1@store.example> NOTIFY=NEVER ORCPT=rfc822;bob+2Bx@example.com\r\n"
    );
    let known = Recipient { orcpt: Some("rfc822;old@x".into()), ..bob() };
    assert!(recipient(&ALL, &known, "b1@store.example").ends_with(" ORCPT=rfc822;old@x\r\n"));
    assert_eq!(recipient(&["SIZE"], &known, "b1@store.example"), "RCPT TO:<b1@store.example>\r\n");
}

#[test]
fn what_a_directory_holds_opens_no_command() {
    for there in ["", "b", "b@c> NOTIFY=NEVER", "b@c\r\nQUIT", "<b@c>", "b@c>", "@x:b@c", "b\u{fc}@c", "b@c\0"] {
        assert!(recipient(&ALL, &bob(), there).starts_with("451 4.3.5 "), "{there:?}");
    }
    let broken = Mail { sender: "a@b>\r\nQUIT".into(), ..message() };
    assert!(mail(&ALL, &broken).starts_with("451 4.3.5 "));
}

#[test]
fn the_other_commands_are_as_they_are() {
    let target = delivery(&ALL);
    let mut say = Vec::new();
    target.data(&mut say);
    target.chunk(5, false, &mut say).expect("chunks are taken");
    target.chunk(0, true, &mut say).expect("chunks are taken");
    target.quit(&mut say);
    assert_eq!(say, b"DATA\r\nBDAT 5\r\nBDAT 0 LAST\r\nQUIT\r\n");
    assert!(put_by(|say| delivery(&["SIZE"]).chunk(5, true, say)).starts_with("451 4.3.5 "));
}

fn said(heard: &str) -> Said {
    let mut heard = BytesMut::from(heard);
    delivery(&ALL).reply(&mut heard).expect("SMTP").expect("a whole reply")
}

#[test]
fn what_is_about_the_message_is_passed_on() {
    for (reply, lines) in [
        ("250 2.0.0 Queued as 42\r\n", &["2.0.0 Queued as 42"][..]),
        ("251 forwarded\r\n", &["forwarded"]),
        ("354 go\r\n", &["go"]),
        ("452-4.2.2 Mailbox\r\n452 4.2.2 is full\r\n", &["4.2.2 Mailbox", "4.2.2 is full"]),
        ("550 5.1.1 no \x1b[2Jsuch\r\n", &["5.1.1 no ?[2Jsuch"]),
        ("501 5.1.3 bad\r\n", &["5.1.3 bad"]),
        ("552 large\r\n", &["large"]),
        ("250\r\n", &[""]),
    ] {
        let said = said(reply);
        assert_eq!(
            (said.answer.code(), said.answer.lines()),
            (said.code, &lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()[..])
        );
    }
    assert_eq!(said("550-5.1.1 x\r\n550 5.1.1 y\r\n").text, "550 5.1.1 y");
    assert!(said(&format!("550 {}\r\n", "x".repeat(4000))).text.len() <= 256);
}

#[test]
fn what_is_about_us_is_said_in_our_own_words_and_may_be_tried_again() {
    for (code, expected) in [
        (421, "4.3.0 "),
        (454, "4.3.0 "),
        (500, "4.3.5 "),
        (502, "4.3.5 "),
        (503, "4.3.5 "),
        (504, "4.3.5 "),
        (521, "4.3.5 "),
        (530, "4.3.5 "),
        (534, "4.3.5 "),
        (535, "4.3.5 "),
        (538, "4.3.5 "),
        (220, "4.3.0 "),
        (235, "4.3.0 "),
        (334, "4.3.0 "),
    ] {
        let said = said(&format!("{code} 5.7.0 secret\r\n"));
        assert_eq!((said.code, said.answer.code(), said.answer.lines().len()), (code, 451, 1));
        let told = &said.answer.lines()[0];
        assert!(told.starts_with(expected) && !told.contains("secret"), "{code}: {told}");
        assert_eq!(said.text, format!("{code} 5.7.0 secret"));
    }
}

#[test]
fn replies_come_one_by_one_and_each_is_bounded() {
    let mut delivery = delivery(&ALL);
    let mut heard = BytesMut::from("250 a\r\n550-b\r\n");
    assert_eq!(delivery.reply(&mut heard).expect("SMTP").map(|said| said.code), Some(250));
    assert_eq!(delivery.reply(&mut heard), Ok(None));
    heard.extend_from_slice(b"550 c\r\n");
    assert_eq!(delivery.reply(&mut heard).expect("SMTP").map(|said| said.code), Some(550));
    for _ in 0..300 {
        heard.extend_from_slice(b"250-x\r\n250 y\r\n");
        assert!(delivery.reply(&mut heard).is_ok_and(|said| said.is_some()), "the bounds are one reply's");
    }
    for (bad, what) in [("250-x\r\n".repeat(129), "said too much"), ("hello\r\n".into(), "did not answer in SMTP")] {
        let problem = super::tests::delivery(&ALL).reply(&mut BytesMut::from(&*bad)).expect_err("garbled");
        assert!(problem.contains(what), "{problem}");
    }
}

#[test]
fn a_reply_is_the_same_under_every_cut() {
    let whole = "550-5.1.1 no\r\n550 5.1.1 such user\r\n";
    for at in 0..whole.len() {
        let (mut delivery, mut heard) = (delivery(&ALL), BytesMut::from(&whole[..at]));
        assert_eq!(delivery.reply(&mut heard), Ok(None), "{at}");
        heard.extend_from_slice(&whole.as_bytes()[at..]);
        assert_eq!(delivery.reply(&mut heard), Ok(Some(said(whole))), "{at}");
    }
}
