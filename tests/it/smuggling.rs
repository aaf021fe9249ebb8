//! Smuggling: a message that would end twice, sent through the gateway to a real Postfix that would believe it.
//!
//! B numbers are those of the catalogue of hostile input that the project started from. What is passed on of each is
//! known from the tests of the text itself; here only the outcome counts, which is what Postfix has in the end.

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::postfix::{Ports, Postfix};
use crate::support::site;
use crate::support::smtp::{begin, hello, open, open_with_tls, plan};
use crate::support::wait;

/// Between `x` and the message that must not be one; then whether a gateway that mends takes it.
const SEQUENCES: &[(&str, bool)] = &[
    ("\n.\n", true),         // B01
    ("\n.\r\n", true),       // B02
    ("\n.\r", true),         // B03
    ("\r.\r", true),         // B04
    ("\r.\n", true),         // B05
    ("\r.\r\n", true),       // B06
    ("\r\n.\n", true),       // B07
    ("\r\n.\r", true),       // B08
    ("\r\n\0.\r\n", false),  // B09
    ("\r\n.\0\r\n", false),  // B10
    ("\r\n.\r\r\n", true),   // B11
    ("\r\r\n.\r\r\n", true), // B12
    ("\r\n.\r\r\r\n", true), // B12
    ("\n\r.\n\r", true),
    ("\n\n.\n\n", true),
];

/// Texts without a message in them: what is between 354 and the end, whether it is taken as it is, and by one who mends.
const TEXTS: &[(&[u8], bool, bool)] = &[
    (b"x\r", false, true),    // B13
    (b"x\r\n..", true, true), // B14
    (b"x\r\n...", true, true),
    (b"x\r\n.x", true, true),
    (b"x\r\n. ", true, true), // B17
    (b"x\r\n.\t", true, true),
    (b"x\r\n .", true, true),
    (b"x\x85.\x85MAIL FROM:<smuggled@e>\x85", true, true), // B18
    (b"x\xc2\x85.\xc2\x85MAIL FROM:<smuggled@e>", true, true),
    (b"x\xe2\x80\xa8.\xe2\x80\xa8MAIL FROM:<smuggled@e>", true, true),
    (b"x\x0b.\x0bMAIL FROM:<smuggled@e>", true, true),
    (b"x\x0c.\x0cMAIL FROM:<smuggled@e>", true, true),
];

/// What lies behind a sequence: to a server that takes that for an end, the next message.
const SMUGGLED: &str = "MAIL FROM:<smuggled@elsewhere.example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n\
                        From: s@e\r\n\r\nSMUGGLED\r\n.\r\n";

/// What was sent to one Postfix, and what it should have of it.
struct Tried<'p> {
    postfix: &'p Postfix,
    cases: usize,
    accepted: Vec<String>,
}

impl Tried<'_> {
    /// Sends a text, its end included, in pieces of so many bytes; exactly one answer must come, and the session go on.
    fn send(&mut self, client: &mut Client, name: &str, text: &[u8], piece: usize, is_taken: bool) {
        self.cases += 1;
        let mark = format!("case-{}-", self.cases);
        begin(client, &mark, "alice");
        client.ask_for("DATA", "354 ");
        let text = [format!("Subject: {mark}\r\n\r\n").as_bytes(), text].concat();
        text.chunks(piece).for_each(|piece| client.send(piece));
        let answer = client.line();
        if is_taken {
            assert!(answer.starts_with("250 2.0.0 Ok: queued as "), "{name}: {answer}");
            self.accepted.push(mark);
        } else {
            assert!(answer.starts_with("550 5.5.2 "), "{name}: {answer}");
        }
        // One answer, and no more: the next is this command's.
        let next = client.ask("VRFY x");
        assert!(next.starts_with("252 "), "{name}: {next}");
    }

    /// Each message that was accepted is there, once, and nothing else is.
    fn is_all_there_is(&self) {
        wait::until_true("Postfix to have delivered everything", wait::SOON, || {
            self.postfix.queued() == 0 && self.postfix.messages("").len() >= self.accepted.len()
        });
        let messages = self.postfix.messages("");
        assert_eq!(messages.len(), self.accepted.len(), "messages at Postfix, and those that were accepted");
        for mark in &self.accepted {
            let found: Vec<_> =
                messages.iter().filter(|message| message.contains(&format!("Subject: {mark}\n"))).collect();
            assert_eq!(found.len(), 1, "{mark}");
            assert!(found[0].starts_with(&format!("Return-Path: <{mark}@elsewhere.example.net>\n")), "{}", found[0]);
        }
        assert!(!self.postfix.log().contains("from=<smuggled"), "{}", self.postfix.log());
    }
}

#[test]
fn what_postfix_has_is_what_was_accepted() {
    let ports = Ports::free();
    let postfix = Postfix::start(&site::shared().one, ports);
    let mut tried = Tried { postfix: &postfix, cases: 0, accepted: Vec::new() };
    for mends in [false, true] {
        let mode = if mends { "normalize" } else { "reject" };
        let gateway = Gateway::start(&plan(site::shared(), ports).set("services.smtp.bare_newline", mode));
        let before = tried.cases;
        for (open, tls) in [(open as fn(&Gateway) -> Client, "plain"), (open_with_tls, "TLS")] {
            let mut client = open(&gateway);
            for piece in [usize::MAX, 1] {
                let name =
                    |text: &[u8]| format!("{:?} {mode} {tls} in pieces of {piece}", String::from_utf8_lossy(text));
                for (sequence, mendable) in SEQUENCES {
                    let text = format!("x{sequence}{SMUGGLED}");
                    tried.send(&mut client, &name(sequence.as_bytes()), text.as_bytes(), piece, mends && *mendable);
                }
                for (text, taken, mended) in TEXTS {
                    let is_taken = if mends { *mended } else { *taken };
                    tried.send(&mut client, &name(text), &[text, END].concat(), piece, is_taken);
                }
            }
            client.ask_for("QUIT", "221 ");
        }
        gateway.metric_becomes("transactions_total", &[], (tried.cases - before) as f64);
        gateway.is_calm();
    }
    assert_eq!(tried.cases, 2 * 2 * 2 * (SEQUENCES.len() + TEXTS.len()));
    assert!(SEQUENCES.len() > 10 && tried.accepted.len() > tried.cases / 3, "{}", tried.accepted.len());
    tried.is_all_there_is();
    // What was stuffed arrives as it was meant.
    let stuffed = SEQUENCES.len() + 2;
    for (number, text) in (stuffed..).zip(["\nx\n.\n", "\nx\n..\n", "\nx\nx\n"]) {
        let message = postfix.message(&format!("Subject: case-{number}-\n"));
        assert!(message.ends_with(text), "{message}");
    }
    this_postfix_would_have_believed_it(&postfix);
}

/// Without the gateway two messages are made of one, or the test above has shown nothing.
fn this_postfix_would_have_believed_it(postfix: &Postfix) {
    let mut client = Client::connect(postfix.port_25());
    client.expect("220 ");
    hello(&mut client);
    begin(&mut client, "control", "alice");
    client.ask_for("DATA", "354 ");
    client.send(format!("Subject: control\r\n\r\nx\n.\r\n{SMUGGLED}"));
    for answer in ["250 ", "250 ", "250 ", "354 ", "250 "] {
        client.expect(answer);
    }
    wait::until_true("the smuggled message", wait::SOON, || postfix.log().contains("from=<smuggled@"));
}

#[test]
fn the_end_is_found_wherever_it_is_cut_and_whatever_lies_behind_it() {
    let ports = Ports::free();
    let postfix = Postfix::start(&site::shared().one, ports);
    let plan = plan(site::shared(), ports).set("services.smtp.unauthorized_pipelining", "allow");
    let gateway = Gateway::start(&plan);
    let mut client = open(&gateway);
    let mut tried = Tried { postfix: &postfix, cases: 0, accepted: Vec::new() };
    // B19: so much is read at once.
    for length in BUFFER - 6..BUFFER + 6 {
        let head = "Subject: case-99-\r\n\r\n".len();
        let text = [&vec![b'x'; length - head][..], END].concat();
        tried.send(&mut client, &format!("{length} bytes"), &text, usize::MAX, true);
    }
    // B16: each byte of the end is on its way alone, and another talks meanwhile.
    let mut other = open(&gateway);
    begin(&mut client, "slow", "alice");
    client.ask_for("DATA", "354 ");
    client.send("Subject: slow\r\n\r\nx");
    for byte in END.chunks(1) {
        client.send(byte);
        other.ask_for("NOOP", "250 ");
    }
    client.expect("250 2.0.0 Ok: queued as ");
    drop(other);
    // B36: the next transaction behind the end, in one segment: read as commands by nobody but the gateway.
    begin(&mut client, "first", "alice");
    client.ask_for("DATA", "354 ");
    let next = SMUGGLED.replace("smuggled@", "second@").replace("bob@", "alice@");
    client.send(format!("Subject: first\r\n\r\nx\r\n.\r\n{next}QUIT\r\nMAIL FROM:<smuggled@e>\r\n"));
    for answer in ["250 2.0.0 ", "250 2.1.0 ", "250 2.1.5 ", "354 ", "250 2.0.0 ", "221 "] {
        client.expect(answer);
    }
    assert_eq!(client.closed(), "", "behind QUIT nothing is answered");
    tried.accepted.extend(["slow", "first"].map(Into::into));
    assert!(postfix.message("SMUGGLED").contains("Return-Path: <second@"));
    wait::until_true("everything", wait::SOON, || postfix.messages("").len() == tried.accepted.len() + 1);
    let line = postfix.log().lines().filter(|line| line.contains("from=<smuggled@")).count();
    assert_eq!(line, 0);
    gateway.is_calm();
}

const END: &[u8] = b"\r\n.\r\n";
const BUFFER: usize = 32 * 1024;
