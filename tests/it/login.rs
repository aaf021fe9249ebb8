//! Everyday clients reach their own server, by every way in, and can do there what they do without a gateway.

use std::path::Path;

use crate::support::certs::certs;
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::program::{self, curl, python};
use crate::support::{keeper, site};

/// Users that live on different servers.
const HOMES: [(&str, &str); 2] = [("alice", "one"), ("bob", "two")];

fn gateway() -> Gateway {
    Gateway::start(&site::shared().plan())
}

#[test]
fn curl_reads_from_each_users_own_server_by_every_listener() {
    let gateway = gateway();
    let ways = [("imaps", "imaps"), ("imap", "imap"), ("pop3s", "pop3s"), ("pop3", "pop3")];
    for ((user, home), (scheme, listener)) in HOMES.into_iter().flat_map(|home| ways.map(|way| (home, way))) {
        let path = if scheme.starts_with("imap") { "INBOX;MAILINDEX=1;SECTION=TEXT" } else { "1" };
        let url = format!("{scheme}://mail.example.org:{}/{path}", gateway.port(listener));
        let text = curl(&url, &format!("{user}:{user}-secret"), &["--ssl-reqd"]).fine();
        assert!(text.contains(&format!("This is {home}.")), "{user} by {scheme}: {text}");
    }
}

#[test]
fn curl_logs_in_by_every_mechanism_with_and_without_an_initial_response() {
    let gateway = gateway();
    for (scheme, path) in [("imaps", "INBOX;MAILINDEX=1;SECTION=TEXT"), ("pop3s", "1")] {
        for mechanism in ["PLAIN", "LOGIN"] {
            for more in [&["--no-sasl-ir"][..], &["--sasl-ir"]] {
                let url = format!("{scheme}://mail.example.org:{}/{path}", gateway.port(scheme));
                let option = format!("AUTH={mechanism}");
                let arguments = [&["--login-options", &option], more].concat();
                let text = curl(&url, "bob:bob-secret", &arguments).fine();
                assert!(text.contains("This is two."), "{scheme} {arguments:?}: {text}");
            }
        }
    }
}

#[test]
fn imaplib_appends_and_fetches_a_long_message_by_both_kinds_of_tls() {
    let gateway = gateway();
    for (listener, tls) in [("imaps", "implicit"), ("imap", "starttls")] {
        for (user, home) in HOMES {
            let (port, ca) = (gateway.port(listener).to_string(), certs().ca_file.to_str().unwrap());
            let (secret, mailbox) = (format!("{user}-secret"), format!("python-{tls}"));
            let out = python("imap.py", &["localhost", &port, tls, ca, user, &secret, &mailbox]).fine();
            assert_eq!(out.trim(), format!("This is {home}."));
        }
    }
}

#[test]
fn poplib_retrieves_and_deletes_by_both_kinds_of_tls() {
    let gateway = gateway();
    for (listener, tls) in [("pop3s", "implicit"), ("pop3", "starttls")] {
        let subject = format!("for-poplib-{tls}");
        let mut imap = Mail::Imap.session(&gateway, "erin");
        append(&mut imap, &subject);
        let (port, ca) = (gateway.port(listener).to_string(), certs().ca_file.to_str().unwrap());
        let pop3 = || python("pop3.py", &["localhost", &port, tls, ca, "erin", "erin-secret", &subject]).fine();
        assert_eq!(pop3().lines().collect::<Vec<_>>(), ["This is two.", "1"]);
        assert_eq!(pop3().lines().collect::<Vec<_>>(), ["This is two.", "0"], "it was deleted");
    }
}

#[test]
fn mbsync_pushes_a_mailbox_and_pulls_it_again_by_both_kinds_of_tls() {
    let gateway = gateway();
    for (listener, tls) in [("imaps", "IMAPS"), ("imap", "STARTTLS")] {
        let folders = [keeper::folder("mbsync"), keeper::folder("mbsync")];
        let message = folders[0].join("mail/new/1.1.test");
        for folder in ["mail", "mail/cur", "mail/new", "mail/tmp"] {
            std::fs::create_dir(folders[0].join(folder)).unwrap();
        }
        std::fs::write(message, "Subject: mirrored\n\nThere and back again.\n").unwrap();
        for folder in &folders {
            let rc = mbsyncrc(folder, gateway.port(listener), tls);
            program::run("mbsync", "isync", &["-c", &rc, "mirror"]).fine();
        }
        let pulled = folders[1].join("mail/new").read_dir().unwrap().next().expect("a message").unwrap();
        assert!(std::fs::read_to_string(pulled.path()).unwrap().contains("There and back again."));
    }
}

fn mbsyncrc(folder: &Path, port: u16, tls: &str) -> String {
    let (path, ca, file) = (folder.display(), certs().ca_file.display(), folder.join("rc"));
    let text = format!(
        "IMAPAccount gateway\nHost localhost\nPort {port}\nUser alice\nPass alice-secret\nSSLType {tls}\n\
         CertificateFile {ca}\nTimeout 30\n\nIMAPStore far\nAccount gateway\n\nMaildirStore near\nPath {path}/\n\
         Inbox {path}/inbox\n\nChannel mirror\nFar :far:mirror-{tls}\nNear :near:mail\nCreate Both\nSyncState *\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn an_idle_session_hears_of_a_message_that_another_one_appends() {
    let gateway = gateway();
    let mut idle = Mail::Imap.session(&gateway, "frank");
    idle.send("s SELECT INBOX\r\n");
    idle.lines_to("s OK");
    idle.send("i IDLE\r\n");
    idle.lines_to("+ ");
    append(&mut Mail::Imap.session(&gateway, "frank"), "wake-up");
    let lines = idle.lines_to("* 2 EXISTS");
    assert!(lines.iter().all(|line| line.starts_with("* ")), "{lines:?}");
    idle.send("DONE\r\n");
    idle.lines_to("i OK");
}

#[test]
fn a_user_may_have_another_name_at_the_back_end_than_in_front() {
    let gateway = gateway();
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        mail.login(&mut client, "erin");
        assert_eq!(mail.server_of(&mut client), "two");
    }
    assert!(!site::shared().two.logins("user=<store-erin>").is_empty());
}

#[test]
fn a_user_may_be_named_bare_or_with_the_domain_and_in_any_case() {
    let gateway = gateway();
    for (mail, user) in
        BOTH.into_iter().flat_map(|mail| ["bob", "bob@example.org", "BOB@Example.ORG"].map(|u| (mail, u)))
    {
        let mut client = mail.open(&gateway);
        let answer = mail.try_login(&mut client, user, "bob-secret");
        assert!(mail.is_in(&answer), "{mail:?} {user}: {answer}");
        assert_eq!(mail.server_of(&mut client), "two");
    }
}

#[test]
fn commands_behind_a_granted_login_are_answered_by_the_back_end_once() {
    let gateway = gateway();
    let mut imap = Mail::Imap.open(&gateway);
    imap.send("a LOGIN alice alice-secret\r\nb EXAMINE INBOX\r\nc NOOP\r\n");
    imap.lines_to("a OK");
    assert!(imap.lines_to("b OK").iter().any(|line| line.ends_with(" EXISTS")));
    imap.expect("c OK");

    let mut pop3 = Mail::Pop3.open(&gateway);
    pop3.send("USER bob\r\nPASS bob-secret\r\nSTAT\r\nQUIT\r\n");
    pop3.expect("+OK");
    pop3.expect("+OK");
    pop3.expect("+OK 1 ");
    pop3.expect("+OK");
    assert_eq!(pop3.closed(), "");
}

#[test]
fn commands_behind_a_refused_login_never_reach_the_back_end() {
    let gateway = gateway();
    let mut imap = Mail::Imap.open(&gateway);
    imap.send("a LOGIN alice wrong\r\nb SELECT INBOX\r\nc NOOP\r\n");
    imap.expect("a NO [AUTHENTICATIONFAILED]");
    imap.expect("b BAD");
    imap.expect("c OK");

    let mut pop3 = Mail::Pop3.open(&gateway);
    pop3.send("USER alice\r\nPASS wrong\r\nSTAT\r\nNOOP\r\n");
    pop3.expect("+OK");
    pop3.expect("-ERR [AUTH]");
    pop3.expect("-ERR");
    pop3.expect("+OK");
}

#[test]
fn imap_takes_literals_for_name_and_password() {
    let gateway = gateway();
    let mut client = Mail::Imap.open(&gateway);
    client.ask_for("a LOGIN {3}", "+");
    client.ask_for("bob {10}", "+");
    client.send("bob-secret\r\n");
    client.lines_to("a OK");
    assert_eq!(Mail::Imap.server_of(&mut client), "two");

    let mut client = Mail::Imap.open(&gateway);
    client.send("a LOGIN {3+}\r\nbob {10+}\r\nbob-secret\r\n");
    client.lines_to("a OK");
    assert_eq!(Mail::Imap.server_of(&mut client), "two");
}

#[test]
fn what_is_offered_before_the_login_is_what_works_there() {
    let gateway = gateway();
    let capabilities = |client: &mut Client| {
        client.send("c CAPABILITY\r\n");
        client.lines_to("c OK").concat().to_uppercase()
    };
    let mut clear = gateway.connect("imap");
    clear.expect("* OK ");
    let offered = capabilities(&mut clear);
    assert!(offered.contains("STARTTLS") && offered.contains("LOGINDISABLED"), "{offered}");
    assert!(!offered.contains("AUTH="), "no password may come here: {offered}");

    let offered = capabilities(&mut Mail::Imap.open(&gateway));
    assert!(offered.contains("AUTH=PLAIN") && offered.contains("SASL-IR"), "{offered}");
    assert!(!offered.contains("STARTTLS") && !offered.contains("LOGINDISABLED"), "{offered}");

    let mut clear = gateway.connect("pop3");
    clear.expect("+OK");
    clear.send("CAPA\r\n");
    let offered = clear.lines_to(".");
    assert!(offered.contains(&"STLS".into()) && !offered.contains(&"USER".into()), "{offered:?}");

    let mut tls = Mail::Pop3.open(&gateway);
    tls.send("CAPA\r\n");
    let offered = tls.lines_to(".");
    assert!(!offered.contains(&"STLS".into()) && offered.contains(&"USER".into()), "{offered:?}");
    assert!(offered.iter().any(|line| line.starts_with("SASL ") && line.contains("PLAIN")), "{offered:?}");
}

#[test]
fn after_the_login_the_back_ends_own_capabilities_hold() {
    let gateway = gateway();
    let mut client = Mail::Imap.session(&gateway, "alice");
    client.send("c CAPABILITY\r\n");
    let offered = client.lines_to("c OK").concat();
    assert!(offered.contains("IDLE") && offered.contains("CONDSTORE"), "{offered}");
}

fn append(client: &mut Client, subject: &str) {
    let message = format!("Subject: {subject}\r\n\r\nHello.\r\n");
    client.ask_for(&format!("a APPEND INBOX {{{}}}", message.len()), "+");
    client.send(message + "\r\n");
    client.lines_to("a OK");
}
