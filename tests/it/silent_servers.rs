//! Servers that take a connection and say nothing: they are down, soon, and whoever waits for them is told to come back,
//! or goes to the next one where another may stand in.

use std::net::TcpListener;

use crate::sending_after_pop::{open_from, remembering};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::postfix::shared;
use crate::support::{site, smtp, wait};

/// The kernel takes its connections, and nobody ever reads them.
fn silent(address: &str, port: u16) -> TcpListener {
    TcpListener::bind((address, port)).expect("a port")
}

/// It would be the end of the test's patience, were it waited for.
fn impatient(plan: Plan, pool: &str) -> Plan {
    plan.set(&format!("backends.{pool}.greeting_timeout"), "500ms")
        .set(&format!("backends.{pool}.login_timeout"), "30m")
        .service("timeouts.login", "30m")
}

const MAIL: &str = "MAIL FROM:<alice@example.org>";

#[test]
fn a_relay_that_says_nothing_is_down_and_mail_is_to_come_back() {
    let port = shared().ports.submission;
    let _silent = silent("127.0.0.61", port);
    let plan = remembering()
        .set("smtp_after_pop.relay", "relays")
        .set("backends.relays.servers", "[{ name: relay.example.org, address: 127.0.0.61 }]")
        .set("backends.relays.ports", &format!("{{ submission: {port} }}"))
        .set("backends.relays.login", "xclient")
        .set("services.submission.login.check", "directory");
    let gateway = Gateway::start(&impatient(plan, "relays"));
    let mut reader = Mail::Pop3.open_from("127.0.0.77", &gateway);
    Mail::Pop3.login(&mut reader, "alice");
    gateway.metric_becomes("registry_windows", &[], 1.0);
    let mut sender = open_from(&gateway, "127.0.0.77");
    for _ in 0..2 {
        let answer = sender.ask(MAIL);
        assert!(answer.starts_with("451 4.3.0 "), "{answer}");
    }
    gateway.logged(&["the back-end is down", "relay.example.org", "protocol=\"submission\"", "greeting: timed out"]);
    let down = ["relay.example.org", "protocol=\"submission\""];
    assert!(gateway.metric("backend_up", &down) < 0.5);
}

#[test]
fn where_another_relay_may_stand_in_it_is_tried_when_the_first_says_nothing() {
    let pair = shared();
    let port = pair.ports.submission;
    let _silent = silent("127.0.0.62", port);
    // By its weight the silent one is first for nearly everybody; for whom is decided by the names alone.
    let servers = "[{ name: silent.example.org, address: 127.0.0.62, weight: 1000 }, \
        { name: speaks.example.org, address: 127.0.0.12 }]";
    let plan = remembering()
        .set("smtp_after_pop.relay", "relays")
        .set("backends.relays.servers", servers)
        .set("backends.relays.storage", "shared")
        .set("backends.relays.ports", &format!("{{ submission: {port} }}"))
        .set("backends.relays.login", "xclient")
        .set("services.submission.login.check", "directory");
    let gateway = Gateway::start(&impatient(plan, "relays"));
    let mut reader = Mail::Pop3.open_from("127.0.0.77", &gateway);
    Mail::Pop3.login(&mut reader, "alice");
    gateway.metric_becomes("registry_windows", &[], 1.0);
    open_from(&gateway, "127.0.0.77").ask_for(MAIL, "250 ");
    gateway.logged(&["the back-end is down", "silent.example.org", "greeting: timed out"]);
}

#[test]
fn a_server_for_mail_that_says_nothing_is_down_and_its_mail_is_to_come_back() {
    let pair = shared();
    let port = pair.ports.smtp;
    let _silent = silent("127.0.0.63", port);
    let plan = smtp::plan(site::shared(), pair.ports)
        .set("backends.stores.servers", "[{ name: one.stores.example.org, address: 127.0.0.63 }]");
    let gateway = Gateway::start(&impatient(plan, "stores"));
    let mut sender = smtp::open(&gateway);
    sender.ask_for("MAIL FROM:<someone@elsewhere.example>", "250 ");
    let answer = sender.ask("RCPT TO:<alice@example.org>");
    assert!(answer.starts_with("451 4.3.0 "), "{answer}");
    gateway.logged(&["the back-end is down", "one.stores.example.org", "protocol=\"smtp\"", "greeting: timed out"]);
    wait::until_true("the server to be down", wait::SOON, || {
        gateway.metric("backend_up", &["one.stores.example.org", "protocol=\"smtp\""]) < 0.5
    });
}
