//! What is known of a server, by each of its protocols: a dead port is not a dead server, a frozen server is a dead one, one
//! that is slow to refuse is not; and each change is told once.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::live::call;
use crate::submission::{self, login};
use crate::support::dovecot::{Dovecot, Ports};
use crate::support::gateway::{Gateway, portcullis};
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::postfix::shared;
use crate::support::slapd::password;
use crate::support::{ports, site, smtp, wait};

const ONE: &str = "one.stores.example.org";

/// What the API says of the first server.
fn one(gateway: &Gateway) -> Value {
    let (status, body) = call(gateway, "", "GET", "/backends", "");
    assert_eq!(status, 200, "{body}");
    let all: Value = serde_json::from_str(&body).expect("JSON");
    let mut servers = all["backends"].as_array().expect("a list").iter();
    servers.find(|server| server["name"] == ONE).expect("it is known").clone()
}

fn by<'v>(server: &'v Value, protocol: &str) -> &'v Value {
    let mut protocols = server["protocols"].as_array().expect("a list").iter();
    protocols.find(|one| one["protocol"] == protocol).unwrap_or_else(|| panic!("{protocol} in {server}"))
}

/// As the metric says.
fn is_up(gateway: &Gateway, protocol: &str) -> bool {
    gateway.metric("backend_up", &[ONE, &format!("protocol=\"{protocol}\"")]) > 0.5
}

/// The lines that tell of a change of the first server, behind the first `from` bytes of the log.
fn changes(gateway: &Gateway, from: usize, what: &str, protocol: &str) -> usize {
    let (log, protocol) = (gateway.log(), format!("protocol=\"{protocol}\""));
    let words = ["the back-end is ", what, ONE, &protocol];
    log[from..].lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

#[test]
fn a_dead_port_is_not_a_dead_server_and_the_log_says_so_once() {
    let (site, pair, nobody) = (site::shared(), shared(), ports::free());
    let (pop3, submission, smtp) = (site.one.ports.pop3, pair.ports.submission, pair.ports.smtp);
    let ports = format!("{{ imap: {nobody}, pop3: {pop3}, submission: {submission}, smtp: {smtp} }}");
    let gateway = Gateway::start(&submission::plan(site, pair).set("backends.stores.ports", &ports));
    for _ in 0..3 {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
        Mail::Imap.refused(&answer, Refusal::Unavailable);
        assert!(login(&mut submission::open(&gateway), "alice", &password("alice")).starts_with("235 "));
        Mail::Pop3.session(&gateway, "alice");
    }
    let one = one(&gateway);
    assert_eq!(one["state"], "degraded");
    assert_eq!((&by(&one, "imap")["state"], &by(&one, "imap")["port"]), (&"down".into(), &nobody.into()));
    assert!(by(&one, "imap")["problem"].as_str().is_some_and(|why| why.contains("refused")), "{one}");
    for protocol in ["pop3", "submission"] {
        assert_eq!((&by(&one, protocol)["state"], &by(&one, protocol)["problem"]), (&"up".into(), &Value::Null));
        assert_eq!((changes(&gateway, 0, "down", protocol), changes(&gateway, 0, "up again", protocol)), (0, 0));
    }
    gateway.logged(&["the back-end is down", ONE, "protocol=\"imap\""]);
    assert_eq!((changes(&gateway, 0, "down", "imap"), changes(&gateway, 0, "up again", "imap")), (1, 0));
    assert_eq!(["imap", "pop3", "submission"].map(|protocol| is_up(&gateway, protocol)), [false, true, true]);
    let page = gateway.http("/backends");
    assert!(page.contains("IMAP down") && page.contains("POP3 up"), "{page}");
    let admin = format!("http://{}", gateway.address("admin"));
    let status = portcullis(&["status", "--admin", &admin]).fine();
    let line = status.lines().find(|line| line.starts_with(ONE)).expect("a row of the table");
    assert!(line.contains("  imap down; pop3, submission up  "), "{status}");
    let reason = status.lines().find(|line| line.starts_with(&format!("{ONE}: imap down since 20"))).expect("a reason");
    assert!(reason.contains("s ago): connecting: Connection refused"), "{status}");
    // Only asked what it offers to senders: nobody can say whether mail can be read there.
    wait::until_true("the other server to be shown as it is", wait::SOON, || {
        let status = portcullis(&["status", "--admin", &admin]).fine();
        let mut two = status.lines().filter(|line| line.starts_with("two.stores.example.org"));
        two.any(|line| line.contains("  submission up; imap, pop3 not tried  "))
    });
    let page = gateway.http("/backends");
    assert!(page.contains("IMAP not tried yet") && page.contains("Submission up"), "{page}");
    assert!(gateway.http("/api/v1/backends").contains("\"state\":\"partly_tried\""));
}

/// A Dovecot that only alice has a mailbox on, with these settings besides, and what is in front of it.
fn lonely(settings: &str) -> (Dovecot, Plan) {
    let ports = Ports::free();
    let one = Dovecot::start_for("one", Ipv4Addr::new(127, 0, 0, 11), ports, &["alice"], settings);
    let ports = format!("{{ imap: {}, pop3: {} }}", ports.imap, ports.pop3);
    (one, site::shared().plan().set("backends.stores.ports", &ports))
}

#[track_caller]
fn gets_in(mail: Mail, gateway: &Gateway) {
    wait::until_true("a login in time", wait::SOON, || {
        mail.is_in(&mail.try_login(&mut mail.open(gateway), "alice", &password("alice")))
    });
}

#[test]
fn a_frozen_server_that_takes_connections_is_down_until_it_says_something() {
    let (dovecot, plan) = lonely("");
    let gateway = Gateway::start(&plan.set("backends.stores.login_timeout", "1s"));
    assert_eq!(one(&gateway)["state"], "unknown");
    assert!(gateway.http("/backends").contains("not tried yet"));
    for mail in BOTH {
        gets_in(mail, &gateway);
    }
    assert_eq!(one(&gateway)["state"], "up");
    let (before, timed_out) = (gateway.log().len(), || gateway.metric("backend_connects_total", &[ONE, "timed_out"]));
    let earlier = timed_out();
    dovecot.freeze();
    for mail in BOTH.into_iter().chain(BOTH) {
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", &password("alice"));
        mail.refused(&answer, Refusal::Unavailable);
    }
    let frozen = one(&gateway);
    assert_eq!(frozen["state"], "down");
    assert!(by(&frozen, "imap")["since"].as_u64().is_some_and(|since| since > 1_700_000_000), "{frozen}");
    assert!(timed_out() - earlier > 3.5, "each of the four is counted");
    for mail in BOTH {
        assert_eq!(by(&frozen, mail.name())["problem"], "greeting: timed out");
        assert!(!is_up(&gateway, mail.name()));
        gateway.logged(&["the back-end is down", ONE, &format!("protocol=\"{}\"", mail.name())]);
        assert_eq!(changes(&gateway, before, "down", mail.name()), 1);
        assert_eq!(changes(&gateway, before, "up again", mail.name()), 0);
    }
    dovecot.thaw();
    for mail in BOTH {
        gets_in(mail, &gateway);
        gateway.logged(&["the back-end is up again", ONE, &format!("protocol=\"{}\"", mail.name())]);
        assert_eq!(changes(&gateway, before, "up again", mail.name()), 1);
    }
    assert_eq!(one(&gateway)["state"], "up");
}

#[test]
fn a_server_that_is_slow_to_refuse_a_password_is_up() {
    let (_dovecot, plan) = lonely("auth_failure_delay = 2 secs\n");
    let gateway = Gateway::start(&plan.set("backends.stores.login_timeout", "30s"));
    for mail in BOTH {
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", "wrong");
        mail.refused(&answer, Refusal::BadCredentials);
        let one = one(&gateway);
        assert_eq!((&by(&one, mail.name())["state"], changes(&gateway, 0, "down", mail.name())), (&"up".into(), 0));
        let of_all = if mail == BOTH[0] { "partly_tried" } else { "up" };
        assert_eq!(one["state"], of_all, "{one}");
    }
    assert!(gateway.metric("backend_connects_total", &["timed_out"]) < 0.5);
}

#[test]
fn a_pool_that_only_relays_is_not_asked_what_its_port_25_offers() {
    let (site, pair, nobody) = (site::shared(), shared(), ports::free());
    let plan = smtp::plan(site, pair.ports)
        .set("backends.relays.servers", "[{ name: relay.example.org, address: 127.0.0.1 }]")
        .set("backends.relays.ports", &format!("{{ submission: {}, smtp: {nobody} }}", pair.ports.submission))
        .set("smtp_after_pop.relay", "relays");
    let gateway = smtp::start_and_learn(&plan, "PIPELINING");
    assert!(!gateway.log().contains("relay.example.org"), "{}", gateway.log());
}
