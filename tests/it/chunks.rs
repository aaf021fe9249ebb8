//! Messages in chunks (BDAT, RFC 3030), and messages that are never finished, at a real Postfix.
//!
//! B numbers are those of the catalogue of hostile input that the project started from.

use crate::port25::{arrives, delivered};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::postfix::shared;
use crate::support::site;
use crate::support::smtp::{begin, hello, open, open_with_tls, plan, start_and_learn};
use crate::support::wait;

fn gateway() -> Gateway {
    start_and_learn(&plan(site::shared(), shared().ports), "CHUNKING")
}

/// One that lets a text come together with DATA.
fn lenient() -> Gateway {
    let plan = plan(site::shared(), shared().ports).set("services.smtp.unauthorized_pipelining", "allow");
    start_and_learn(&plan, "CHUNKING")
}

/// One chunk with its command.
fn chunk(bytes: &[u8], last: &str) -> Vec<u8> {
    [format!("BDAT {}{last}\r\n", bytes.len()).as_bytes(), bytes].concat()
}

/// A message of all that could be taken for something else, B53 among it; and its lines as Postfix stores them.
fn message(subject: &str) -> (Vec<u8>, String) {
    let mut text = format!("Subject: {subject}\r\n\r\n.\r\n..\r\n\r\n.\r\nMAIL FROM:<smuggled@e>\r\nQUIT\r\n");
    (0..2000).for_each(|number| text += &format!("{number} \u{fc} BDAT 3 LAST\r\n"));
    // Behind Subject it adds headers of its own.
    let stored = text.replace("\r\n", "\n").replacen(&format!("Subject: {subject}"), "", 1);
    (text.into_bytes(), stored)
}

#[test]
fn a_message_in_chunks_arrives_byte_for_byte() {
    let gateway = gateway();
    for (open, name) in [(open as fn(&Gateway) -> Client, "plain"), (open_with_tls, "tls")] {
        let mut client = open(&gateway);
        assert!(hello(&mut client).iter().any(|line| line.ends_with("CHUNKING")), "Postfix offers it");
        for (size, pipelined) in [(usize::MAX, true), (7, true), (1000, false), (40_000, true)] {
            let subject = format!("chunks-{name}-{size}-{pipelined}");
            let (text, stored) = message(&subject);
            // Small chunks are not borne for long, so only the beginning is cut into them.
            let (start, rest) = text.split_at(200);
            let mut chunks: Vec<_> =
                start.chunks(size).chain(rest.chunks(size.max(512))).map(|bytes| chunk(bytes, "")).collect();
            chunks.push(chunk(b"", " LAST"));
            begin(&mut client, "chunks", "alice");
            if pipelined {
                client.send(chunks.concat());
                chunks.iter().for_each(|_| drop(client.expect("250 ")));
            } else {
                chunks.iter().for_each(|chunk| {
                    client.send(chunk);
                    client.expect("250 ");
                });
            }
            assert!(shared().one.message(&format!("Subject: {subject}\n")).ends_with(&stored), "{subject}");
        }
        // B54: what is behind the last byte is a command.
        begin(&mut client, "chunks", "alice");
        client.send([&chunk(b"Subject: chunk-and-quit\r\n\r\nHELLO\r\n", " LAST")[..], b"QUIT\r\n"].concat());
        client.expect("250 2.0.0 ");
        client.expect("221 ");
    }
    wait::until_true("both", wait::SOON, || delivered(&shared().one, "chunk-and-quit").len() == 2);
    assert!(!shared().one.log().contains("from=<smuggled@e>"));
    gateway.is_calm();
}

#[test]
fn chunks_that_are_wrong_bring_no_message() {
    let gateway = gateway();
    // B51, B58: where the next command would be nobody knows, or it is too far away.
    for (line, answer) in [
        ("BDAT", "501 5.5.4 "),
        ("BDAT -1", "501 5.5.4 "),
        ("BDAT 5 LAST x", "501 5.5.4 "),
        ("BDAT 99999999999999999999", "501 5.5.4 "),
        ("BDAT 4294967296 LAST", "552 5.3.4 "),
    ] {
        let mut client = open(&gateway);
        begin(&mut client, "wrong-chunk", "alice");
        client.send(format!("{line}\r\nSubject: wrong-chunk\r\n\r\nx\r\n"));
        client.expect(answer);
        assert_eq!(client.closed(), "", "{line}");
    }
    let mut client = open(&gateway);
    // Lines are held to what they are held to behind DATA, across chunks too.
    for chunks in [&["x\ny\r\n"][..], &["x\r", "y\r\n"], &["x\0\r\n"], &["x\r"]] {
        begin(&mut client, "wrong-chunk", "alice");
        client.send(chunk(b"Subject: wrong-chunk\r\n\r\n", ""));
        client.expect("250 ");
        client.send([&chunk(chunks.concat().as_bytes(), " LAST")[..], b"VRFY x\r\n"].concat());
        client.expect("550 5.5.2 ");
        client.expect("252 ");
    }
    // B52, B56.
    begin(&mut client, "wrong-chunk", "alice");
    client.ask_for("BDAT 0", "551 5.5.4 ");
    client.send(chunk(b"Subject: wrong-chunk\r\n\r\n", ""));
    client.expect("250 ");
    client.ask_for("DATA", "503 5.5.1 ");
    client.ask_for("RSET", "250 ");
    begin(&mut client, "right", "alice");
    client.send(chunk(b"Subject: right-chunk\r\n\r\n", " LAST"));
    client.expect("250 2.0.0 Ok: ");
    client.ask_for("QUIT", "221 ");
    arrives(&shared().one, "right-chunk", &["alice"]);
    assert!(delivered(&shared().one, "wrong-chunk").is_empty());
    gateway.is_calm();
}

#[test]
fn where_newlines_are_mended_there_are_no_chunks() {
    let plan = plan(site::shared(), shared().ports).set("services.smtp.bare_newline", "normalize");
    let gateway = start_and_learn(&plan, "SIZE");
    let mut client = open(&gateway);
    assert!(!hello(&mut client).iter().any(|line| line.contains("CHUNKING")));
    begin(&mut client, "chunks", "alice");
    client.send(chunk(b"QUIT\r\n", " LAST"));
    client.expect("502 5.5.1 ");
    client.ask_for("QUIT", "221 ");
    gateway.is_calm();
}

/// What a client says of a message behind RCPT before it goes away.
const UNFINISHED: &[&str] = &[
    "DATA\r\n",
    "DATA\r\nSubject: unfinished\r\n\r\nx",
    "DATA\r\nSubject: unfinished\r\n\r\nx\r\n.",
    "DATA\r\nSubject: unfinished\r\n\r\nx\r\n.\r",
    "DATA\r\nSubject: unfinished\r\n\r\nx\n.\n",
    "BDAT 100\r\nSubject: unfinished\r\n\r\nx\r\n.\r\n",
    "BDAT 100 LAST\r\nSubject: unfinished\r\n\r\nx\r\n",
    "BDAT 25\r\nSubject: unfinished\r\n\r\nx\r\n",
    "BDAT 24\r\nSubject: unfinished\r\n\r\nxBDAT 3 LAST\r\n\r\n",
];

#[test]
fn who_leaves_inside_a_message_leaves_none_b61() {
    let gateway = lenient();
    let mut left = 0;
    for open in [open as fn(&Gateway) -> Client, open_with_tls] {
        for text in UNFINISHED {
            for leave in [Client::reset, drop, |mut client: Client| client.half_close()] {
                let mut client = open(&gateway);
                begin(&mut client, "unfinished", "alice");
                client.send(text);
                leave(client);
                left += 1;
            }
        }
    }
    assert!(left > 50);
    gateway.metric_becomes("transactions_total", &["abandoned"], f64::from(left));
    gateway.is_calm();
    let mut client = open(&gateway);
    begin(&mut client, "finished", "alice");
    client.ask_for("DATA", "354 ");
    client.send("Subject: finished\r\n\r\nx\r\n.\r\n");
    client.expect("250 ");
    arrives(&shared().one, "finished", &["alice"]);
    // Neither in a mailbox nor in the queue.
    let log = shared().one.log();
    assert!(log.contains("from=<finished@") && !log.contains("from=<unfinished@"), "{log}");
}

#[test]
fn behind_the_end_of_tls_a_chunk_does_not_go_on_b59() {
    let gateway = lenient();
    for start in ["BDAT 30\r\nSubject: broken-out\r\n\r\n", "DATA\r\nSubject: broken-out\r\n\r\n"] {
        let mut client = open_with_tls(&gateway);
        begin(&mut client, "broken-out", "alice");
        client.send(start);
        client.break_out(b"x\r\n.\r\nBDAT 0 LAST\r\nMAIL FROM:<broken-out@e>\r\n");
        assert!(!client.closed().contains("250"));
    }
    gateway.metric_becomes("transactions_total", &["abandoned"], 2.0);
    gateway.is_calm();
    assert!(!shared().one.log().contains("from=<broken-out@"));
}

#[test]
fn a_gateway_that_is_told_to_stop_lets_a_message_be_finished_but_does_not_wait_for_ever() {
    let plan = plan(site::shared(), shared().ports).set("shutdown.grace", "3s");
    let mut gateway = start_and_learn(&plan, "CHUNKING");
    let [mut quick, mut slow] = [open(&gateway), open(&gateway)];
    for client in [&mut quick, &mut slow] {
        begin(client, "stopping", "alice");
        client.ask_for("DATA", "354 ");
        client.send("Subject: stopping\r\n\r\n");
    }
    gateway.terminate();
    gateway.logged(&["stopping"]);
    quick.send("x\r\n.\r\n");
    quick.expect("250 2.0.0 Ok: ");
    quick.expect("421 ");
    assert!(gateway.wait(wait::SOON).success());
    assert!(!slow.closed().contains("250"));
    arrives(&shared().one, "stopping", &["alice"]);
}

#[test]
fn the_servers_word_is_in_the_log_when_nobody_is_left_to_hear_it() {
    let gateway = gateway();
    for (open, name) in [(open as fn(&Gateway) -> Client, "plain"), (open_with_tls, "tls")] {
        let subject = format!("heard-by-nobody-{name}");
        let mut client = open(&gateway);
        begin(&mut client, &subject, "alice");
        client.ask_for("DATA", "354 ");
        client.send(format!("Subject: {subject}\r\n\r\nx\r\n.\r\n"));
        drop(client);
        gateway.logged(&["message settled", &subject, "recipients=1", "answer=\"250 2.0.0 Ok: queued as "]);
        arrives(&shared().one, &subject, &["alice"]);
    }
    gateway.is_calm();
}
