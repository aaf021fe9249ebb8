//! TLS towards clients: which certificate, which version, which protocol; and STARTTLS, with all that was tried
//! against it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, ClientConnection, ProtocolVersion, SupportedProtocolVersion};

use crate::support::certs::{Leaf, certs};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::plan::Plan;
use crate::support::{keeper, ports, program, site, wait};

fn plan() -> Plan {
    let nobody = ports::free();
    Plan::before_one(nobody, nobody)
}

#[test]
fn the_name_a_client_asks_for_chooses_the_certificate() {
    let gateway = Gateway::start(&plan());
    let config = certs().client(ALL_VERSIONS, &[]);
    for mail in BOTH {
        let shown = |name: &str| {
            let client = gateway.connect(mail.tls_name()).tls_as(name, &config)?;
            let chain = client.session().peer_certificates().expect("a certificate");
            Ok::<_, String>(chain[0].clone())
        };
        let first = shown("mail.example.org").expect("the first certificate");
        let second = shown("mail.example.net").expect("the second certificate");
        assert_ne!(first, second);
        assert_eq!(shown("127.0.0.1").expect("the default, for a client that names nobody"), first);
        assert!(shown("mail.example.com").is_err(), "the default does not hold for a name that it does not bear");
    }
}

#[test]
fn starttls_chooses_the_certificate_by_name_too() {
    let gateway = Gateway::start(&plan());
    for mail in BOTH {
        let mut client = gateway.connect(mail.name());
        client.expect(mail.ok());
        let (command, consent) = mail.start_tls();
        client.ask_for(command, consent);
        let mut client = client.tls_as("mail.example.net", &certs().client(ALL_VERSIONS, &[])).expect("a handshake");
        let (command, answer) = mail.harmless();
        if mail == Mail::Imap {
            client.ask_for(command, answer);
        }
    }
}

#[test]
fn both_versions_are_spoken_and_a_minimum_is_kept() {
    let either = Gateway::start(&plan());
    let newest = Gateway::start(&plan().set("tls.minimum", "\"1.3\""));
    let speak = |gateway: &Gateway, version| {
        let client = gateway.connect("imaps").tls_as("mail.example.org", &certs().client(&[version], &[]))?;
        Ok::<_, String>(client.session().protocol_version())
    };
    assert_eq!(speak(&either, &TLS12), Ok(Some(ProtocolVersion::TLSv1_2)));
    assert_eq!(speak(&either, &TLS13), Ok(Some(ProtocolVersion::TLSv1_3)));
    assert!(speak(&newest, &TLS12).is_err());
    assert_eq!(speak(&newest, &TLS13), Ok(Some(ProtocolVersion::TLSv1_3)));
}

#[test]
fn no_version_before_1_2_is_spoken() {
    let gateway = Gateway::start(&plan());
    let at = gateway.address("imaps").to_string();
    let ask = |version: &str| {
        program::run("openssl", "openssl", &["s_client", "-connect", &at, version, "-cipher", "ALL:@SECLEVEL=0"])
    };
    assert_eq!(ask("-tls1_2").code, Some(0));
    for version in ["-tls1", "-tls1_1"] {
        let outcome = ask(version);
        assert_ne!(outcome.code, Some(0), "{version}: {outcome:#?}");
    }
}

#[test]
fn a_client_that_offers_other_protocols_only_is_refused() {
    let gateway = Gateway::start(&plan());
    for mail in BOTH {
        let speak = |alpn: &[&str]| {
            let config = certs().client(ALL_VERSIONS, alpn);
            let client = gateway.connect(mail.tls_name()).tls_as("mail.example.org", &config)?;
            Ok::<_, String>(client.session().alpn_protocol().map(<[u8]>::to_vec))
        };
        assert_eq!(speak(&[]), Ok(None), "most mail clients offer none");
        assert_eq!(speak(&["http/1.1", mail.name()]), Ok(Some(mail.name().into())));
        assert!(speak(&["http/1.1"]).is_err());
        let other = if mail == Mail::Imap { "pop3" } else { "imap" };
        assert!(speak(&[other]).is_err(), "one protocol's traffic is not for another's port");
    }
}

/// A gateway whose only certificate lies in a folder of its own, to be replaced.
fn replaceable() -> (Gateway, std::path::PathBuf) {
    let folder = keeper::folder("renewed");
    put(&folder, &certs().mail);
    let shown = format!("[{{ certificate: \"{0}/cert.pem\", key: \"{0}/key.pem\" }}]", folder.display());
    let gateway = Gateway::start(&site::shared().plan().set("tls.certificates", &shown));
    (gateway, folder)
}

fn put(folder: &std::path::Path, leaf: &Leaf) {
    std::fs::copy(&leaf.certificate, folder.join("cert.pem")).unwrap();
    std::fs::copy(&leaf.key, folder.join("key.pem")).unwrap();
}

fn shows(gateway: &Gateway, name: &str) -> bool {
    gateway.connect("imaps").tls_as(name, &certs().client(ALL_VERSIONS, &[])).is_ok()
}

#[test]
fn a_reload_shows_the_new_certificate_and_drops_no_session() {
    let (gateway, folder) = replaceable();
    let mut relayed = Mail::Imap.session(&gateway, "alice");
    let mut waiting = Mail::Pop3.open(&gateway);
    put(&folder, &certs().leaf(&["renewed.example.org"]));
    assert!(!shows(&gateway, "renewed.example.org"), "not before it is asked to");
    gateway.reload();
    wait::until_true("the new certificate", wait::SOON, || shows(&gateway, "renewed.example.org"));
    assert!(!shows(&gateway, "mail.example.org"));
    relayed.ask_for("a NOOP", "a OK");
    Mail::Pop3.login(&mut waiting, "bob");
}

#[test]
fn a_reload_of_a_broken_file_changes_nothing_and_is_counted() {
    let (gateway, folder) = replaceable();
    let reloads = gateway.metric("reloads_total", &[]);
    std::fs::write(folder.join("cert.pem"), "-----BEGIN CERTIFICATE-----\nbroken\n").unwrap();
    gateway.reload();
    gateway.metric_becomes("reloads_total", &[], reloads + 1.0);
    assert!(shows(&gateway, "mail.example.org"));
    put(&folder, &certs().leaf(&["renewed.example.org"]));
    gateway.reload();
    wait::until_true("the new certificate", wait::SOON, || shows(&gateway, "renewed.example.org"));
}

/// Bytes behind STARTTLS, in the same segment, and the marker that must not come back.
const INJECTED: [(Mail, &str, &str); 6] = [
    (Mail::Imap, "s STARTTLS\r\nQZXJK NOOP\r\n", "QZXJK"),
    (Mail::Imap, "s STARTTLS\r\nq LOGIN alice alice-secret\r\nr APPEND INBOX {600+}\r\n", "q "),
    (Mail::Imap, "s STARTTLS\r\nq NO", "q "),
    (Mail::Pop3, "STLS\r\nCAPA\r\n", "SASL"),
    (Mail::Pop3, "STLS\r\nUSER alice\r\nPASS alice-secret\r\n", "-ERR"),
    (Mail::Pop3, "STLS\r\nCA", "CA"),
];

#[test]
fn bytes_behind_starttls_in_the_clear_end_the_session_and_are_never_run() {
    let gateway = Gateway::start(&plan());
    for (mail, bytes, marker) in INJECTED {
        let mut client = gateway.connect(mail.name());
        client.expect(mail.ok());
        client.send(bytes);
        let heard = client.closed();
        assert!(!heard.contains(marker), "{bytes:?} was answered: {heard:?}");
    }
}

#[test]
fn plain_text_where_a_handshake_is_due_is_never_answered_as_a_command() {
    let gateway = Gateway::start(&plan());
    for mail in BOTH {
        let (command, consent) = mail.start_tls();
        let harmless = mail.harmless().0;
        let truncated = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
        for bytes in [format!("{harmless}\r\n").into_bytes(), b"garbage\r\n".to_vec(), truncated] {
            let mut client = gateway.connect(mail.name());
            client.expect(mail.ok());
            client.ask_for(command, consent);
            client.send(&bytes);
            client.half_close();
            let heard = client.closed();
            assert!(!heard.contains("OK") && !heard.contains("BAD") && !heard.contains("ERR"), "{heard:?}");
        }
    }
}

#[test]
fn plain_text_on_a_port_of_implicit_tls_hears_no_greeting() {
    let gateway = Gateway::start(&plan());
    for mail in BOTH {
        let mut client = gateway.connect(mail.tls_name());
        client.send(format!("{}\r\n", mail.harmless().0));
        let heard = client.closed();
        assert!(!heard.contains("OK"), "{heard:?}");
        mail.open(&gateway);
    }
}

#[test]
fn a_client_hello_on_a_plain_port_ends_soon_and_harms_nobody() {
    let gateway = Gateway::start(&plan().service("timeouts", "{ login: 2s }"));
    for mail in BOTH {
        let mut client = gateway.connect(mail.name());
        client.expect(mail.ok());
        client.send(hello());
        client.closed();
        mail.open(&gateway);
    }
    assert!(gateway.metric("panics_total", &[]) < 0.5);
}

#[test]
fn a_handshake_that_never_comes_is_cut_at_the_login_deadline() {
    let gateway = Gateway::start(&plan().service("timeouts", "{ login: 1s }"));
    for mail in BOTH {
        let mut silent = gateway.connect(mail.tls_name());
        let mut upgrading = gateway.connect(mail.name());
        upgrading.expect(mail.ok());
        let (command, consent) = mail.start_tls();
        upgrading.ask_for(command, consent);
        for client in [&mut silent, &mut upgrading] {
            client.patience(Duration::from_secs(6));
            let heard = client.closed();
            assert!(!heard.contains("OK"), "{heard:?}");
        }
    }
}

#[test]
fn a_client_hello_in_records_of_one_byte_does_no_harm() {
    let gateway = Gateway::start(&plan());
    let hello = hello();
    let mut client = gateway.connect("imaps");
    for byte in &hello[5..] {
        // It may be refused on the way, which is fine.
        if client.try_send([0x16, 3, 1, 0, 1, *byte]).is_err() {
            break;
        }
    }
    client.half_close();
    client.closed();
    Mail::Imap.open(&gateway);
    assert!(gateway.metric("panics_total", &[]) < 0.5);
}

fn hello() -> Vec<u8> {
    let config = certs().client(ALL_VERSIONS, &[]);
    let mut tls = ClientConnection::new(config, "mail.example.org".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes.flush().unwrap();
    bytes
}

#[test]
fn there_is_no_second_starttls_inside_tls() {
    let gateway = Gateway::start(&plan());
    for mail in BOTH {
        for mut client in [mail.open(&gateway), mail.open_starttls(&gateway)] {
            let refusal = if mail == Mail::Imap { "s BAD" } else { "-ERR" };
            client.ask_for(mail.start_tls().0, refusal);
            let (command, answer) = mail.harmless();
            if mail == Mail::Imap {
                client.ask_for(command, answer);
            } else {
                client.ask_for("QUIT", "+OK");
            }
        }
    }
}

#[test]
fn what_tls_was_agreed_on_is_logged_of_a_client_that_never_said_a_word() {
    let gateway = Gateway::start(&plan());
    for mail in BOTH {
        drop(mail.open(&gateway));
        let listener = &format!("listener=\"{} ", mail.name());
        gateway.logged(&["session ended", listener, "TLSv1_3", "TLS13_AES_128_GCM_SHA256", "before login"]);
    }
}

#[test]
fn starttls_takes_no_argument() {
    let gateway = Gateway::start(&plan());
    let mut imap = gateway.connect("imap");
    imap.expect("* OK ");
    imap.ask_for("s STARTTLS now", "s BAD");
    imap.ask_for("s STARTTLS", "s OK");
    imap.tls().ask_for("n NOOP", "n OK");
    let mut pop3 = gateway.connect("pop3");
    pop3.expect("+OK");
    pop3.ask_for("STLS now", "-ERR");
    pop3.ask_for("STLS", "+OK");
    pop3.tls().ask_for("QUIT", "+OK");
}

#[test]
fn a_user_named_in_the_clear_is_forgotten_inside_tls() {
    let gateway = Gateway::start(&plan().service("login.cleartext", "always"));
    let mut client: Client = gateway.connect("pop3");
    client.expect("+OK");
    client.ask_for("USER alice", "+OK");
    client.ask_for("STLS", "+OK");
    let mut client = client.tls();
    client.ask_for("PASS alice-secret", "-ERR");
}

/// What has come, decrypted, when the client has heard all that comes before its own Finished.
fn heard_before_finished(gateway: &Gateway, listener: &str, versions: &[&'static SupportedProtocolVersion]) -> String {
    let mut stream = TcpStream::connect(gateway.address(listener)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let name = "mail.example.org".try_into().expect("a name");
    let mut client = ClientConnection::new(certs().client(versions, &[]), name).expect("a TLS client");
    client.write_tls(&mut stream).expect("the hello is sent");
    let mut heard = String::new();
    while client.read_tls(&mut stream).is_ok_and(|read| read > 0) {
        client.process_new_packets().expect("of a server");
        let _ = client.reader().read_to_string(&mut heard);
        if !heard.is_empty() {
            break;
        }
    }
    heard
}

#[test]
fn the_greeting_comes_with_the_first_flight_of_tls_1_3_unless_that_is_turned_off() {
    let plan = plan().listener("smtps", "submission", "implicit").set("backends.stores.ports", "{ submission: 9 }");
    let early = Gateway::start(&plan);
    let late = Gateway::start(&plan.set("tls.early_greeting", "false"));
    for (listener, greeting) in [("imaps", "* OK [CAPABILITY "), ("pop3s", "+OK "), ("smtps", "220 ")] {
        let heard = heard_before_finished(&early, listener, &[&TLS13]);
        assert!(heard.starts_with(greeting) && heard.ends_with("\r\n"), "{listener}: {heard:?}");
        assert_eq!(heard_before_finished(&early, listener, &[&TLS12]), "", "{listener}");
        assert_eq!(heard_before_finished(&late, listener, &[&TLS13]), "", "{listener}");
        let mut client = late.connect(listener).tls();
        client.expect(greeting);
        client.silent(Duration::from_millis(50));
    }
}
