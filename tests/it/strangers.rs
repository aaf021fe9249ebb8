//! PROXY headers from whom nobody asked, with claims that nobody should believe.
//!
//! F numbers are those of the catalogue of hostile input that the project started from.

use std::time::{Duration, Instant};

use crate::support::client::{Client, End};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::plan::Plan;
use crate::support::ports;

/// The load balancer.
const BALANCER: &str = "127.0.0.43";
/// Not the load balancer.
const STRANGER: &str = "127.0.0.44";
/// Whom headers announce.
const CLAIMED: [u8; 4] = [192, 0, 2, 43];
const CLAIMED_TEXT: &str = "192.0.2.43";

/// Besides the usual listeners, one for each protocol behind the balancer.
fn plan() -> Plan {
    let nobody = ports::free();
    BOTH.into_iter().fold(Plan::before_one(nobody, nobody), |plan, mail| {
        plan.listener(balanced(mail), mail.name(), "none")
            .set(&format!("listeners.{}.proxy_protocol", balanced(mail)), &format!("{{ from: [{BALANCER}] }}"))
    })
}

const fn balanced(mail: Mail) -> &'static str {
    match mail {
        Mail::Imap => "balanced-imap",
        Mail::Pop3 => "balanced-pop3",
    }
}

fn v1() -> Vec<u8> {
    format!("PROXY TCP4 {CLAIMED_TEXT} 192.0.2.1 40000 143\r\n").into()
}

/// Version 2 with these TLVs behind its addresses.
fn v2(tlvs: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00".to_vec();
    header.push(u8::try_from(12 + tlvs.len()).expect("a short header"));
    header.extend(CLAIMED);
    header.extend([192, 0, 2, 1, 0x9c, 0x40, 0, 143]);
    header.extend(tlvs);
    header
}

/// All lines until the gateway closes.
#[track_caller]
fn last_lines(client: &mut Client) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match client.try_line() {
            Ok(line) => lines.push(line),
            Err(End::Closed(rest)) => {
                lines.extend((!rest.is_empty()).then_some(rest));
                return lines;
            }
            Err(end) => panic!("expected the end, got {end} after {lines:?}"),
        }
    }
}

#[test]
fn a_header_where_none_is_asked_for_earns_errors_only_f01() {
    let gateway = Gateway::start(&plan());
    for (mail, header) in BOTH.into_iter().flat_map(|mail| [v1(), v2(&[])].map(|header| (mail, header))) {
        for source in [BALANCER, STRANGER] {
            let mut plain = gateway.connect_from(source, mail.name());
            plain.expect(mail.ok());
            plain.send(&header);
            plain.half_close();
            let lines = last_lines(&mut plain);
            // The second version looks like QUIT to who reads lines that end so: a goodbye is fine.
            let refusals = ["* BAD ", "PROXY BAD ", "QUIT BAD ", "-ERR ", "* BYE ", "+OK "];
            assert!(lines.iter().all(|line| refusals.iter().any(|start| line.starts_with(start))), "{lines:?}");
            assert!(lines.iter().filter(|line| line.starts_with("+OK ")).count() <= 1, "{lines:?}");

            let mut secured = gateway.connect_from(source, mail.tls_name());
            secured.send([&header[..], b"a NOOP\r\n"].concat());
            let lines = last_lines(&mut secured);
            assert!(!lines.concat().contains("OK"), "{lines:?}");
        }
    }
    for source in [BALANCER, STRANGER] {
        gateway.logged(&["session ended", &format!("client={source}:")]);
    }
    gateway.is_calm();
    assert!(!gateway.log().contains(CLAIMED_TEXT), "{}", gateway.log());
}

#[test]
fn a_stranger_with_a_header_is_logged_under_its_own_address_and_counted_nowhere_else_f02() {
    let gateway = Gateway::start(&plan().set("limits", "{ rate_per_ip: 6/1h }"));
    for (mail, header) in BOTH.into_iter().flat_map(|mail| [v1(), v2(&[])].map(|header| (mail, header))) {
        let mut client = gateway.connect_from(STRANGER, balanced(mail));
        let _ = client.try_send(&header);
        let lines = last_lines(&mut client);
        assert!(lines.iter().all(|line| line.starts_with(mail.turned_away())), "{lines:?}");
    }
    gateway.logged(&["connection refused", STRANGER]);
    assert!(!gateway.log().contains(CLAIMED_TEXT), "{}", gateway.log());
    for _ in 0..6 {
        let mut client = gateway.connect_from(BALANCER, "balanced-imap");
        client.send(v1());
        client.expect("* OK ");
    }
    gateway.is_calm();
}

#[test]
fn a_header_that_creeps_ends_after_five_seconds_f03() {
    let gateway = Gateway::start(&plan().service("timeouts", "{ login: 60s }"));
    std::thread::scope(|scope| {
        for (mail, header) in BOTH.into_iter().flat_map(|mail| [v1(), v2(&[])].map(|header| (mail, header))) {
            let mut client = gateway.connect_from(BALANCER, balanced(mail));
            scope.spawn(move || {
                let start = Instant::now();
                client.patience(Duration::from_secs(1));
                let ended = header
                    .chunks(1)
                    .find_map(|byte| {
                        let sent = client.try_send(byte);
                        match client.try_line() {
                            Err(End::Silence) if sent.is_ok() => None,
                            end => Some(end),
                        }
                    })
                    .expect("an end before the whole header");
                let took = start.elapsed();
                assert!(took > Duration::from_secs(4) && took < Duration::from_secs(12), "{mail:?}: {took:?}");
                assert!(ended.is_err() || ended.is_ok_and(|line| line.starts_with(mail.turned_away())), "{mail:?}");
            });
        }
    });
    gateway.is_calm();
}

/// Whether a client may give its password here and now, as the gateway tells it.
#[track_caller]
fn is_asked_for_a_password(mail: Mail, client: &mut Client) -> bool {
    match mail {
        Mail::Imap => {
            client.send("c CAPABILITY\r\n");
            let list = client.lines_to("c OK").concat();
            assert_ne!(list.contains("LOGINDISABLED"), list.contains("AUTH="), "{list}");
            list.contains("AUTH=")
        }
        Mail::Pop3 => {
            client.send("CAPA\r\n");
            client.lines_to(".").iter().any(|line| line.starts_with("USER") || line.starts_with("SASL"))
        }
    }
}

#[test]
fn a_claimed_address_of_our_own_has_none_of_its_privileges_f04() {
    let gateway = Gateway::start(&plan().service("login.cleartext", "loopback"));
    let claims = [
        "PROXY TCP6 ::ffff:127.0.0.1 ::ffff:127.0.0.1 1 143\r\n",
        "PROXY TCP6 ::ffff:7f00:1 ::1 1 143\r\n",
        "PROXY TCP6 ::1 ::1 1 143\r\n",
        "PROXY TCP4 127.0.0.1 127.0.0.1 1 143\r\n",
        "PROXY TCP4 0.0.0.0 127.0.0.1 1 143\r\n",
    ];
    for mail in BOTH {
        let mut near = gateway.connect(mail.name());
        near.expect(mail.ok());
        assert!(is_asked_for_a_password(mail, &mut near), "a real peer of the loopback network may");
        for claim in claims {
            let mut far = gateway.connect_from(BALANCER, balanced(mail));
            far.send(claim);
            // Not to believe such a thing at all is fine too.
            if far.try_line().is_ok_and(|line| line.starts_with(mail.ok())) {
                assert!(!is_asked_for_a_password(mail, &mut far), "{mail:?}: {claim:?}");
            }
        }
    }
    gateway.is_calm();
}

#[test]
fn a_claim_of_tls_in_a_header_is_no_tls_f28() {
    let gateway = Gateway::start(&plan());
    // PP2_TYPE_SSL: by TLS, with a certificate, verified; PP2_SUBTYPE_SSL_VERSION; PP2_SUBTYPE_SSL_CN.
    let claim = b"\x20\x00\x18\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00\x06balice";
    for mail in BOTH {
        let mut client = gateway.connect_from(BALANCER, balanced(mail));
        client.send(v2(claim));
        client.expect(mail.ok());
        assert!(!is_asked_for_a_password(mail, &mut client));
        match mail {
            Mail::Imap => drop(client.ask_for("a LOGIN alice alice-secret", "a NO [PRIVACYREQUIRED]")),
            Mail::Pop3 => drop(client.ask_for("USER alice", "-ERR")),
        }
        drop(client);
        let line = gateway.logged(&["session ended", &format!("client={CLAIMED_TEXT}:40000")]);
        assert!(!line.contains("TLSv1"), "{line}");
    }
    gateway.is_calm();
}
