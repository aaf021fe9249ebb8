//! The PROXY protocol: from whom a header is asked, from whom it is refused, and what it does for the client in it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::support::client::{Client, End};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::ports;

/// The load balancer.
const BALANCER: &str = "127.0.0.41";
/// Not the load balancer.
const STRANGER: &str = "127.0.0.42";

fn plan() -> Plan {
    let nobody = ports::free();
    Plan::before_one(nobody, nobody)
        .service("timeouts", "{ login: 3s }")
        .listener("lb", "imap", "none")
        .set("listeners.lb.proxy_protocol", &format!("{{ from: [{BALANCER}] }}"))
        .listener("lbs", "imap", "implicit")
        .set("listeners.lbs.proxy_protocol", &format!("{{ from: [{BALANCER}] }}"))
}

fn v1(client: &str) -> String {
    format!("PROXY TCP4 {client} 192.0.2.1 40000 143\r\n")
}

/// Version 2, PROXY, TCP over IPv4.
fn v2(client: Ipv4Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend(client.octets());
    header.extend([192, 0, 2, 1, 0x9c, 0x40, 0, 143]);
    header
}

fn announce(gateway: &Gateway, header: impl AsRef<[u8]>) -> Client {
    let mut client = gateway.connect_from(BALANCER, "lb");
    client.send(header);
    client
}

/// No greeting, no word of the protocol but a goodbye, and an end.
#[track_caller]
fn refused(client: &mut Client, what: &str) {
    let heard = client.closed();
    assert!(heard.is_empty() || heard.starts_with("* BYE "), "{what}: {heard:?}");
}

#[test]
fn a_header_from_the_balancer_is_taken_in_both_versions() {
    let gateway = Gateway::start(&plan());
    announce(&gateway, v1("192.0.2.11")).expect("* OK ");
    announce(&gateway, v2(Ipv4Addr::new(192, 0, 2, 12))).expect("* OK ");
    announce(&gateway, "PROXY TCP6 2001:db8::1 2001:db8::2 40000 143\r\n").expect("* OK ");
}

#[test]
fn a_balancers_own_health_check_is_let_in() {
    let gateway = Gateway::start(&plan());
    announce(&gateway, "PROXY UNKNOWN\r\n").expect("* OK ");
    announce(&gateway, b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00").expect("* OK ");
}

#[test]
fn a_header_may_come_in_pieces_and_with_the_clients_first_words_behind_it() {
    let gateway = Gateway::start(&plan());
    for header in [v1("192.0.2.11").into_bytes(), v2(Ipv4Addr::new(192, 0, 2, 12))] {
        let mut client = gateway.connect_from(BALANCER, "lb");
        header.chunks(1).for_each(|byte| client.send(byte));
        client.expect("* OK ");
        let mut client = announce(&gateway, [&header[..], b"a NOOP\r\n"].concat());
        client.expect("* OK ");
        client.expect("a OK");
    }
}

#[test]
fn the_balancer_must_send_a_header() {
    let gateway = Gateway::start(&plan());
    refused(&mut announce(&gateway, "a NOOP\r\n"), "a command in place of a header");
    refused(&mut gateway.connect_from(BALANCER, "lbs"), "nothing");
    let start = Instant::now();
    let mut silent = gateway.connect_from(BALANCER, "lb");
    refused(&mut silent, "silence");
    assert!(start.elapsed() < Duration::from_secs(10), "it was cut after {:?}", start.elapsed());
}

#[test]
fn a_header_from_a_stranger_is_refused() {
    let gateway = Gateway::start(&plan());
    for header in [v1("192.0.2.11").into_bytes(), v2(Ipv4Addr::new(192, 0, 2, 12))] {
        let mut client = gateway.connect_from(STRANGER, "lb");
        let sent = client.try_send(&header);
        refused(&mut client, &format!("a stranger's header ({sent:?})"));
    }
    refused(&mut gateway.connect_from(STRANGER, "lb"), "a stranger without a header");
    assert!(!gateway.log().contains("client=192.0.2."), "nobody came from where a stranger said");
}

#[test]
fn a_header_where_none_is_asked_for_is_no_header() {
    let gateway = Gateway::start(&plan());
    for listener in ["imap", "pop3"] {
        let mut client = gateway.connect_from(BALANCER, listener);
        client.expect(if listener == "imap" { "* OK " } else { "+OK" });
        client.send(v1("192.0.2.13"));
        let answer = client.try_line();
        let refused = match &answer {
            Ok(line) => line.contains("BAD") || line.starts_with("-ERR") || line.starts_with("* BYE"),
            Err(end) => *end == End::Closed(String::new()),
        };
        assert!(refused, "{answer:?}");
    }
    assert!(!gateway.log().contains("192.0.2.13"));
}

#[test]
fn a_header_stands_before_implicit_tls_and_never_inside_it() {
    let gateway = Gateway::start(&plan());
    let mut client = gateway.connect_from(BALANCER, "lbs");
    client.send(v1("192.0.2.11"));
    client.tls().expect("* OK ");

    let mut inside = gateway.connect_from(BALANCER, "lbs");
    inside.send(v1("192.0.2.11"));
    let mut inside = inside.tls();
    inside.expect("* OK ");
    inside.send(v1("192.0.2.14"));
    assert!(inside.try_line().is_ok_and(|line| line.contains("BAD")) || inside.closed().is_empty());
    assert!(!gateway.log().contains("192.0.2.14"));
}

#[test]
fn a_second_header_is_none() {
    let gateway = Gateway::start(&plan());
    let mut client = announce(&gateway, v1("192.0.2.11") + &v1("192.0.2.15"));
    client.expect("* OK ");
    let answer = client.try_line();
    assert!(!answer.as_ref().is_ok_and(|line| line.contains(" OK ")), "{answer:?}");
    drop(client);
    assert!(!gateway.log().contains("192.0.2.15"));
}

#[test]
fn malformed_headers_are_refused_before_any_greeting() {
    let gateway = Gateway::start(&plan());
    let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
    let endless = "PROXY TCP4 ".to_owned() + &"1".repeat(4096);
    let text = [
        "PROXY\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP6 1.2.3.4 4.3.2.1 1 25\r\n",
        "PROXY TCP4 ::ffff:1.2.3.4 ::ffff:4.3.2.1 1 25\r\n",
        "PROXY TCP4 01.02.03.04 192.0.2.2 1 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 0123 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 +1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 25 x\r\n",
        "PROXY TCP4 2130706433 192.0.2.2 1 25\r\n",
        "PROXY TCP6 fe80::1%eth0 fe80::2 1 25\r\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n",
        &long,
        &endless,
    ];
    for header in text {
        refused(&mut announce(&gateway, header), header);
    }
    let good = v2(Ipv4Addr::new(192, 0, 2, 12));
    let changed = |at: usize, to: u8| {
        let mut header = good.clone();
        header[at] = to;
        header
    };
    let binary = [
        ("signature", changed(3, b'x')),
        ("version", changed(12, 0x11)),
        ("command", changed(12, 0x2f)),
        ("family", changed(13, 0x41)),
        ("short length", changed(15, 11)),
        ("no addresses", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x00".to_vec()),
    ];
    for (what, header) in binary {
        refused(&mut announce(&gateway, header), what);
    }
    for cut in 1..good.len() {
        let mut client = announce(&gateway, &good[..cut]);
        client.half_close();
        refused(&mut client, "cut off");
    }
    announce(&gateway, v1("192.0.2.11")).expect("* OK ");
}

#[test]
fn the_announced_client_passes_the_gate_and_the_balancer_is_not_counted_for_it() {
    let plan = plan().set("access", "[ { deny: [192.0.2.66] } ]").set("limits", "{ connections_per_ip: 1 }");
    let gateway = Gateway::start(&plan);
    announce(&gateway, v1("192.0.2.66")).expect("* BYE ");
    let _all: Vec<Client> = (1..=5)
        .map(|host| {
            let mut client = announce(&gateway, v1(&format!("192.0.2.{host}")));
            client.expect("* OK ");
            client
        })
        .collect();
    announce(&gateway, v1("192.0.2.3")).expect("* BYE ");
}

#[test]
fn a_claimed_loopback_address_has_no_privileges_of_loopback() {
    let gateway = Gateway::start(&plan().service("login.cleartext", "loopback"));
    let mut near = gateway.connect("imap");
    near.expect("* OK ");
    near.send("c CAPABILITY\r\n");
    assert!(!near.lines_to("c OK").concat().contains("LOGINDISABLED"), "a real loopback peer may");
    for claimed in [v1("127.0.0.1"), "PROXY TCP6 ::1 ::1 1 143\r\n".into()] {
        let mut far = announce(&gateway, &claimed);
        if far.try_line().is_ok_and(|line| line.starts_with("* OK ")) {
            far.ask_for("a LOGIN alice alice-secret", "a NO [PRIVACYREQUIRED]");
        }
    }
}
