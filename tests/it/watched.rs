//! What an operator sees: two lines a session, numbers, and whether the gateway is well.

use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::site;

#[test]
fn a_session_is_two_lines_of_the_log_its_login_and_its_end() {
    let gateway = Gateway::start(&site::shared().plan());
    for mail in BOTH {
        let source = if mail == Mail::Imap { "127.0.0.61" } else { "127.0.0.62" };
        let mut client = mail.open_from(source, &gateway);
        mail.login(&mut client, "bob");
        drop(client);
        let line = gateway.logged(&["ending=", source, mail.name()]);
        for word in ["bob", "two.stores.example.org", "TLS"] {
            assert!(line.contains(word), "{word} is not in {line}");
        }
        assert_eq!(gateway.log().lines().filter(|line| line.contains(source)).count(), 2, "{}", gateway.log());
    }
}

#[test]
fn a_log_in_json_has_one_object_a_line() {
    let gateway = Gateway::start(&site::shared().plan().set("log", "{ format: json }"));
    drop(Mail::Imap.session(&gateway, "bob"));
    let line = gateway.logged(&["ending", "bob"]);
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    assert!(gateway.log().lines().all(|line| line.starts_with('{')), "{}", gateway.log());
}

#[test]
fn what_a_client_says_cannot_forge_a_line_of_the_log() {
    let gateway = Gateway::start(&site::shared().plan());
    let mut client = Mail::Imap.open(&gateway);
    client.send("a LOGIN \"x\u{1b}[31m user=root ending=fine\" y\r\n");
    client.lines_to("a ");
    client.send("\u{1b}[2J\u{7} NONSENSE\r\n");
    client.line();
    drop(client);
    gateway.logged(&["ending="]);
    assert!(!gateway.log().contains('\u{1b}') && !gateway.log().contains('\u{7}'), "{:?}", gateway.log());
}

#[test]
fn the_numbers_tell_what_has_happened() {
    let gateway = Gateway::start(&site::shared().plan());
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        mail.try_login(&mut client, "alice", "wrong");
        mail.login(&mut client, "alice");
        gateway.metric_becomes("sessions", &[mail.name()], 1.0);
        mail.server_of(&mut client);
        drop(client);
        gateway.metric_becomes("sessions", &[mail.name()], 0.0);
        gateway.metric_becomes("connections_total", &[mail.name()], 1.0);
        gateway.metric_becomes("logins_total", &[mail.name(), "bad_credentials"], 1.0);
        gateway.metric_becomes("logins_total", &[mail.name()], 2.0);
        gateway.metric_becomes("session_endings_total", &[mail.name()], 1.0);
        assert!(gateway.metric("relayed_bytes_total", &[mail.name()]) > 50.0);
    }
    assert!(gateway.metric("directory_answers_total", &[]) > 0.5);
    assert!(gateway.metric("workers", &[]) > 0.5);
    assert!(!gateway.http("/metrics").contains("alice"), "a user is never a label");
}

#[test]
fn it_says_that_it_is_well() {
    let gateway = Gateway::start(&site::shared().plan());
    for path in ["/healthz", "/readyz"] {
        assert!(gateway.http(path).starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(gateway.http("/nothing").starts_with("HTTP/1.1 404"));
}
