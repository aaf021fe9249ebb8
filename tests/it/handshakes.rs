//! Handshakes as clients of other makes see them: OpenSSL's words for an alert, and clients that block.

use crate::support::certs::certs;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::program::{self, Outcome};
use crate::support::{ports, site};

/// One listener more than usual: submission inside TLS.
fn with_smtps() -> Plan {
    let nobody = ports::free();
    Plan::before_one(nobody, nobody)
        .listener("smtps", "submission", "implicit")
        .listener("submission", "submission", "starttls")
        .set("backends.stores.ports", "{ submission: 9 }")
}

#[test]
fn a_client_that_blocks_in_reads_is_not_held_by_a_ticket_and_resumes_its_session() {
    let early = Gateway::start(&with_smtps());
    let late = Gateway::start(&with_smtps().set("tls.early_greeting", "false"));
    for gateway in [&early, &late] {
        for (listener, greeting, command, answer) in [
            ("imaps", "* OK [CAPABILITY ", "a NOOP", "a OK "),
            ("pop3s", "+OK ", "NOOP", "+OK"),
            ("smtps", "220 ", "NOOP", "250 "),
        ] {
            let port = gateway.address(listener).port().to_string();
            let ca = certs().ca_file.to_str().unwrap();
            let said = program::python("blocking.py", &["127.0.0.1", &port, ca, greeting, command, answer]).fine();
            assert_eq!(said, "resumed\n", "{listener}");
        }
    }
}

/// OpenSSL's client, which ends when its input does; it says which alert it heard.
fn openssl(gateway: &Gateway, listener: &str, more: &[&str]) -> Outcome {
    let at = gateway.address(listener).to_string();
    let mut arguments = vec!["s_client", "-connect", &at];
    arguments.extend(more);
    program::run("openssl", "openssl", &arguments)
}

#[track_caller]
fn is_told(outcome: &Outcome, alert: u8) {
    assert_ne!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.err.contains(&format!("alert number {alert}\n")), "{outcome:#?}");
}

#[test]
fn a_client_that_offers_another_protocol_is_told_so_on_each_port() {
    let gateway = Gateway::start(&with_smtps());
    for (listener, starttls, ours) in [
        ("imaps", &[][..], &["imap"][..]),
        ("imap", &["-starttls", "imap"], &["imap"]),
        ("pop3s", &[], &["pop3"]),
        ("pop3", &["-starttls", "pop3"], &["pop3"]),
        ("smtps", &[], &["smtp", "esmtp"]),
        ("submission", &["-starttls", "smtp"], &["smtp", "esmtp"]),
    ] {
        let speak = |alpn: &str| openssl(&gateway, listener, &[starttls, &["-alpn", alpn]].concat());
        for other in ["http/1.1", "h2,http/1.1"] {
            is_told(&speak(other), NO_APPLICATION_PROTOCOL);
        }
        for id in ours {
            let chosen = speak(&format!("h2,{id}")).fine();
            assert!(chosen.contains(&format!("ALPN protocol: {id}\n")), "{listener}: {chosen}");
        }
        openssl(&gateway, listener, starttls).fine();
    }
    is_told(&openssl(&gateway, "smtps", &["-tls1_2", "-alpn", "h2"]), NO_APPLICATION_PROTOCOL);
}

#[test]
fn a_client_with_no_signature_scheme_or_cipher_in_common_is_told_of_a_handshake_failure() {
    // The certificates of the tests have elliptic keys.
    let gateway = Gateway::start(&site::shared().plan());
    for parameters in [
        &["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"][..],
        &["-tls1_2", "-sigalgs", "rsa_pss_rsae_sha256"],
        &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
    ] {
        is_told(&openssl(&gateway, "imaps", parameters), HANDSHAKE_FAILURE);
    }
}

const HANDSHAKE_FAILURE: u8 = 40;
const NO_APPLICATION_PROTOCOL: u8 = 120;
