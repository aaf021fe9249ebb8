//! Back-ends that cannot prove who they are, or whose TLS ends before it begins: no credential goes there.
//!
//! A and E numbers are those of the catalogue of hostile input that the project started from.

use std::time::{Duration, Instant};

use crate::support::certs::{Leaf, certs};
use crate::support::fake::{Fake, Step, answer, hear, say, tls};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;

fn plan(fake: &Fake, mode: &str) -> Plan {
    let secured = format!("{{ mode: {mode}, ca: \"{}\" }}", certs().ca_file.display());
    Plan::before_one(fake.port, fake.port).set("backends.stores.tls", &secured)
}

/// What comes before the handshake.
fn before_tls(mail: Mail, mode: &str) -> Vec<Step> {
    match (mode, mail) {
        ("implicit", _) => vec![],
        (_, Mail::Imap) => {
            let greeting = "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] fake\r\n";
            vec![say(greeting), hear("starttls"), answer("{tag} OK go\r\n")]
        }
        (_, Mail::Pop3) => vec![say("+OK fake\r\n"), hear("stls"), answer("+OK go\r\n")],
    }
}

/// A login where the handshake goes so, by both kinds of TLS and in both protocols.
#[track_caller]
fn gives_nothing_away(what: &str, said: &str, handshake: &[Step], why: Refusal) {
    for (mail, mode) in BOTH.into_iter().flat_map(|mail| ["implicit", "starttls"].map(|mode| (mail, mode))) {
        let fake = Fake::start([before_tls(mail, mode), handshake.to_vec()].concat());
        let gateway = Gateway::start(&plan(&fake, mode));
        let mut client = mail.open(&gateway);
        let answer = mail.try_login(&mut client, "alice", "alice-secret");
        mail.refused(&answer, why);
        fake.heard_no_login();
        gateway.logged(&["login denied", "one.stores.example.org", said]);
        gateway.logged(&["the back-end is down", "one.stores.example.org", said]);
        drop(client);
        gateway.is_calm();
        assert!(!gateway.log().contains("alice-secret"), "{what}: a password in the log");
    }
}

#[test]
fn a_back_end_with_a_bad_certificate_is_misconfigured_and_gets_no_credential_a48() {
    let other_names = "its certificate is not for one.stores.example.org, but for mail1.example.com, 192.0.2.1";
    let bad: [(&str, &str, Leaf); 4] = [
        ("other names", other_names, certs().leaf(&["mail1.example.com", "192.0.2.1"])),
        ("expired", "its certificate has expired", certs().expired()),
        ("self-signed", "its certificate is of an authority that is not trusted here", certs().self_signed()),
        ("a common name only", "its certificate is not for one.stores.example.org", certs().with_a_common_name_only()),
    ];
    for (what, said, leaf) in &bad {
        // Whoever shows it would let everyone in.
        gives_nothing_away(what, said, &[tls(leaf), say(""), Step::Agree(Mail::Imap)], Refusal::Misconfigured);
    }
}

#[test]
fn a_back_end_whose_tls_ends_with_the_handshake_is_unavailable_a49() {
    for (mail, mode) in BOTH.into_iter().flat_map(|mail| ["implicit", "starttls"].map(|mode| (mail, mode))) {
        for end in [Step::Close, Step::CloseNotify] {
            let fake = Fake::start([before_tls(mail, mode), vec![tls(&certs().server), end]].concat());
            let gateway = Gateway::start(&plan(&fake, mode).set("backends.stores.login_timeout", "60s"));
            let mut client = mail.open(&gateway);
            let start = Instant::now();
            let answer = mail.try_login(&mut client, "alice", "alice-secret");
            mail.refused(&answer, Refusal::Unavailable);
            assert!(start.elapsed() < Duration::from_secs(10), "{mail:?}, {mode}: after {:?}", start.elapsed());
            // POP3 may have said the user's name before it heard of the end.
            assert!(!fake.heard().contains("secret"), "{:?}", fake.heard());
            drop(client);
            gateway.is_calm();
        }
    }
}

#[test]
fn a_back_end_that_knows_only_an_older_tls_gets_no_credential_a49() {
    // A fatal alert, protocol_version: what a server of TLS 1.1 says to a hello of 1.2.
    let too_old = Step::Say(vec![21, 3, 2, 0, 2, 2, 70]);
    for (mail, mode) in BOTH.into_iter().flat_map(|mail| ["implicit", "starttls"].map(|mode| (mail, mode))) {
        let fake = Fake::start([before_tls(mail, mode), vec![too_old.clone(), Step::HalfClose]].concat());
        let gateway = Gateway::start(&plan(&fake, mode));
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", "alice-secret");
        mail.refused_as_no_fault_of_the_client(&answer);
        fake.heard_no_login();
        gateway.is_calm();
    }
}
