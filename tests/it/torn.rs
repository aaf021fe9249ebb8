//! Connections that end, or creep, where they should not: a FIN without `close_notify`, handshakes that never come to
//! an end, and versions of TLS that nobody should speak any more.
//!
//! A and I numbers are those of the catalogue of hostile input that the project started from.

use std::time::{Duration, Instant};

use crate::machine::cpu;
use crate::support::client::{Client, End};
use crate::support::fake::{Fake, Step, answer, hear, say};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::plan::Plan;
use crate::support::replies;

fn plan(fake: &Fake) -> Plan {
    Plan::before_one(fake.port, fake.port)
}

/// A message of a megabyte, in lines that are all different.
fn message() -> String {
    (0..10_000).map(|number| format!("{number:08} {}\r\n", "x".repeat(90))).collect()
}

/// The script of a back-end that has just that message.
fn librarian(mail: Mail) -> Vec<Step> {
    let mut script = vec![say(replies::greeting(mail))];
    let message = message();
    match mail {
        Mail::Imap => script.extend([
            hear(" id ("),
            answer("{tag} OK\r\n"),
            hear("l login"),
            answer("{tag} OK [CAPABILITY IMAP4rev1] in\r\n"),
            hear("fetch"),
            say(&format!("* 1 FETCH (BODY[] {{{}}}\r\n{message})\r\nf OK done\r\n", message.len())),
        ]),
        Mail::Pop3 => script.extend([
            hear("user"),
            answer("+OK\r\n"),
            hear("pass"),
            answer("+OK in\r\n"),
            hear("retr"),
            say(&format!("+OK here it comes\r\n{message}.\r\n")),
        ]),
    }
    script
}

#[test]
fn who_is_cut_off_while_a_message_comes_still_gets_all_of_it_i16() {
    for mail in BOTH {
        let fake = Fake::start(librarian(mail));
        let gateway = Gateway::start(&plan(&fake));
        let mut client = mail.session(&gateway, "alice");
        let (command, first, last) = match mail {
            Mail::Imap => ("f FETCH 1 BODY.PEEK[]", "* 1 FETCH ", vec![")", "f OK done"]),
            Mail::Pop3 => ("RETR 1", "+OK here", vec!["."]),
        };
        client.ask_for(command, first);
        client.tear();
        let mut lines = client.lines_to(last[last.len() - 1]);
        assert_eq!(lines.split_off(lines.len() - last.len()), last, "{mail:?}");
        assert!(lines.join("\r\n") + "\r\n" == message(), "{mail:?}: {} lines came, not as they were", lines.len());
        assert_eq!(client.closed(), "");
        gateway.is_calm();
    }
}

/// What is said before the line breaks; the last word of each could be taken for a whole one.
const UNFINISHED: [(Mail, &str); 11] = [
    (Mail::Imap, "a LOGIN ali"),
    (Mail::Imap, "a LOGIN alice alice-secret"),
    (Mail::Imap, "a LOGIN alice alice-secret\r"),
    (Mail::Imap, "a LOGIN alice {12}\r\nalice-sec"),
    (Mail::Imap, "a LOGIN alice {12+}\r\nalice-secret"),
    (Mail::Imap, "a AUTHENTICATE PLAIN\r\nAGFsaWNlAGFsaWNl"),
    (Mail::Imap, "a AUTHENTICATE PLAIN\r\nAGFsaWNlAGFsaWNlLXNlY3JldA=="),
    (Mail::Pop3, "USER alice\r\nPASS alice-secret"),
    (Mail::Pop3, "USER alice\r\nPASS alice-secret\r"),
    (Mail::Pop3, "AUTH PLAIN\r\nAGFsaWNlAGFsaWNlLXNlY3JldA=="),
    (Mail::Pop3, "AUTH LOGIN\r\nYWxpY2U=\r\nYWxpY2Ut"),
];

#[test]
fn a_command_that_was_cut_off_is_none_a21() {
    for mail in BOTH {
        let fake = Fake::start(vec![Step::Serve(mail)]);
        let gateway = Gateway::start(&plan(&fake));
        for (_, said) in UNFINISHED.iter().filter(|(of, _)| *of == mail) {
            for mut client in [mail.open(&gateway), mail.open_starttls(&gateway)] {
                client.send(said);
                client.tear();
                let heard = client.closed();
                assert!(!heard.contains("OK done") && !heard.contains("a OK"), "{said:?}: {heard:?}");
            }
        }
        gateway.is_calm();
        assert_eq!((fake.connections(), fake.heard()), (0, String::new()));
        assert!(gateway.metric("logins_total", &[]) < 0.5, "nobody asked");
    }
}

/// A client in the middle of the handshake: it has asked by implicit TLS, or by STARTTLS.
fn about_to_shake_hands(gateway: &Gateway, mail: Mail) -> [Client; 2] {
    let mut upgrading = gateway.connect(mail.name());
    upgrading.expect(mail.ok());
    let (command, consent) = mail.start_tls();
    upgrading.ask_for(command, consent);
    [gateway.connect(mail.tls_name()), upgrading]
}

/// TLS 1.0, two cipher suites of its time, no extension.
fn old_hello() -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x14, 0, 0x35, 1, 0]);
    hello
}

#[test]
fn an_old_client_hello_gets_an_alert_and_never_a_word_in_the_clear_a16() {
    let gateway = Gateway::start(&plan(&Fake::start(vec![])));
    for mail in BOTH {
        for mut client in about_to_shake_hands(&gateway, mail) {
            client.send([old_hello(), format!("{}\r\n", mail.harmless().0).into_bytes()].concat());
            let heard = client.closed();
            // An alert, and a fatal one.
            assert!(heard.starts_with("\u{15}\u{3}") && heard.len() == 7, "{mail:?}: {heard:?}");
        }
    }
    gateway.is_calm();
}

#[test]
fn a_handshake_that_creeps_ends_at_the_login_deadline_a17() {
    let gateway = Gateway::start(&plan(&Fake::start(vec![])).service("timeouts", "{ login: 1s }"));
    for mail in BOTH {
        for mut client in about_to_shake_hands(&gateway, mail) {
            let start = Instant::now();
            // At this pace the old hello, too, would take a quarter of a minute.
            client.patience(Duration::from_millis(300));
            let ended = old_hello()
                .chunks(1)
                .any(|byte| client.try_send(byte).is_err() || client.try_line() != Err(End::Silence));
            assert!(ended && start.elapsed() < Duration::from_secs(6), "{mail:?}: {:?}", start.elapsed());
        }
    }
    gateway.is_calm();
}

/// rustls does not believe a farewell that nobody has signed; what counts is that it costs nothing.
#[test]
fn a_close_notify_in_place_of_a_hello_ends_with_its_fin_and_does_not_spin_a24() {
    let gateway = Gateway::start(&plan(&Fake::start(vec![])));
    let close_notify = [21, 3, 1, 0, 2, 1, 0];
    for mail in BOTH {
        let [mut implicit, mut upgrading] = about_to_shake_hands(&gateway, mail);
        let (spent, start) = (cpu(gateway.id()), Instant::now());
        implicit.send(close_notify);
        upgrading.send(close_notify);
        implicit.silent(Duration::from_secs(1));
        let spent = cpu(gateway.id()) - spent;
        assert!(spent < Duration::from_millis(300), "{mail:?}: it spins, {spent:?} in {:?}", start.elapsed());
        implicit.tear();
        // A dozen of them is too much even without an end.
        let _ = upgrading.try_send(close_notify.repeat(12));
        for mut client in [implicit, upgrading] {
            let start = Instant::now();
            let heard = client.closed();
            assert!(!heard.contains("OK"), "{heard:?}");
            assert!(start.elapsed() < Duration::from_secs(5), "{mail:?}: after {:?}", start.elapsed());
        }
    }
    gateway.is_calm();
}
