//! SMTP-after-POP as it is used: who fetched mail lately sends without a password, and nobody else does.

use std::time::{Duration, SystemTime};

use redis::Commands;

use crate::submission::{arrived, login, open, plan, talks_with};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::postfix::shared;
use crate::support::redis::Redis;
use crate::support::smtp::hello;
use crate::support::{site, wait};

/// In front of the shared site; every address counts, loopback too.
pub fn remembering() -> Plan {
    plan(site::shared(), shared()).set("smtp_after_pop.exempt", "[]")
}

/// Connects from an address and says EHLO, and no AUTH.
#[track_caller]
pub fn open_from(gateway: &Gateway, address: &str) -> Client {
    let mut client = gateway.connect_from(address, "submissions").tls();
    client.expect("220 ");
    hello(&mut client);
    client
}

/// The answer to a MAIL without AUTH from an address.
#[track_caller]
fn mail_from(gateway: &Gateway, address: &str) -> String {
    open_from(gateway, address).ask(MAIL)
}

/// As soon as it has become known who is at the address.
#[track_caller]
pub fn mail_is_taken_from(gateway: &Gateway, address: &str) {
    wait::until_true("MAIL to be taken", wait::SOON, || mail_from(gateway, address).starts_with("250 "));
}

/// Sends a message without AUTH.
#[track_caller]
pub fn send(client: &mut Client, subject: &str) {
    client.ask_for(MAIL, "250 ");
    client.ask_for("RCPT TO:<someone@example.org>", "250 ");
    client.ask_for("DATA", "354 ");
    client.send(format!("Subject: {subject}\r\n\r\nHello.\r\n"));
    client.ask_for(".", "250 ");
    client.ask_for("QUIT", "221 ");
}

#[track_caller]
fn fetch(mail: Mail, gateway: &Gateway, address: &str, user: &str) -> Client {
    let mut reader = mail.open_from(address, gateway);
    mail.login(&mut reader, user);
    reader
}

const MAIL: &str = "MAIL FROM:<alice@example.org>";

#[test]
fn who_fetched_mail_lately_sends_without_auth_and_nobody_else_does() {
    let gateway = Gateway::start(&remembering());
    let mut early = open_from(&gateway, "127.0.0.77");
    let answer = early.ask(MAIL);
    assert!(answer.starts_with("530 5.7.0 "), "nobody logged in yet: {answer}");
    gateway.logged(&["login denied", "127.0.0.77", "unvouched", "nobody logged in from this address lately"]);

    let _reader = fetch(Mail::Pop3, &gateway, "127.0.0.77", "alice");
    gateway.metric_becomes("registry_windows", &[], 1.0);
    send(&mut early, "after-pop");
    arrived(&shared().one, "after-pop", "alice");
    let line = gateway.logged(&["session ended", "submission", "127.0.0.77", "one.stores"]);
    assert!(line.contains(r#"user="alice@example.org" vouched_by="pop3 login of alice@example.org""#), "{line}");

    let mut client = open(&gateway);
    assert!(login(&mut client, "bob", "bob-secret").starts_with("235 "));
    drop(client);
    let line = gateway.logged(&["session ended", "submission", "bob@example.org"]);
    assert!(line.contains(r#"vouched_by="-""#), "a login of its own: {line}");

    let answer = mail_from(&gateway, "127.0.0.78");
    assert!(answer.starts_with("530 5.7.0 "), "another address: {answer}");
    let _second = fetch(Mail::Imap, &gateway, "127.0.0.77", "bob");
    wait::until_true("the address to be shared", wait::SOON, || {
        mail_from(&gateway, "127.0.0.77").starts_with("530 5.7.0 ")
    });
    gateway.logged(&["login denied", "127.0.0.77", "unvouched", "2 users share this address"]);
    assert!(gateway.metric("logins_total", &["submission", "unvouched"]) >= 3.0);
    assert!(gateway.metric("logins_total", &["submission", "bad_credentials"]) < 0.5);
}

#[test]
fn who_reads_at_one_back_end_sends_through_the_relay() {
    let pair = shared();
    let relays = |login: &str| {
        let port = pair.ports.submission;
        remembering()
            .set("smtp_after_pop.relay", "relays")
            .set("backends.relays.servers", "[{ name: relay.example.org, address: 127.0.0.12 }]")
            .set("backends.relays.ports", &format!("{{ submission: {port} }}"))
            .set("backends.relays.login", login)
            .set("services.submission.login.check", "directory")
    };
    for login_by in ["replay", "xclient"] {
        let gateway = Gateway::start(&relays(login_by));
        let mut reader = fetch(Mail::Pop3, &gateway, "127.0.0.77", "alice");
        assert_eq!(Mail::Pop3.server_of(&mut reader), "one");
        mail_is_taken_from(&gateway, "127.0.0.77");
        let subject = format!("relayed-by-{login_by}");
        send(&mut open_from(&gateway, "127.0.0.77"), &subject);
        arrived(&pair.two, &subject, "alice@example.org");
        assert!(pair.one.messages(&subject).is_empty());
        gateway.logged(&["session ended", "relay.example.org", "pop3 login of alice@example.org"]);
        // Who logs in has a back-end of their own.
        let mut client = open(&gateway);
        assert!(login(&mut client, "alice", "alice-secret").starts_with("235 "));
        talks_with(&mut client, "one");
    }
}

#[test]
fn a_back_end_that_takes_our_word_hears_no_password_and_the_directory_checks_it() {
    let plan = plan(site::shared(), shared())
        .set("services.submission.login.check", "directory")
        .set("backends.stores.login", "xclient")
        .set("backends.others.servers", "[others.example.org]");
    let gateway = Gateway::start(&plan);
    // The back-end has another password for ivan, and would not take this one.
    let mut client = gateway.connect_from("127.0.0.77", "submissions").tls();
    client.expect("220 ");
    hello(&mut client);
    assert!(login(&mut client, "ivan", "ivan-secret").starts_with("535 5.7.8 "));
    assert!(login(&mut client, "ivan", "ivan-directory").starts_with("235 "));
    hello(&mut client);
    send(&mut client, "by-our-word");
    let line = shared().one.sender_of(&shared().one.message("Subject: by-our-word\n"));
    assert!(line.contains("client=unknown[127.0.0.77],") && line.ends_with("sasl_username=ivan"), "{line}");
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "ivan", "ivan-secret");
    assert!(answer.starts_with("l NO [SERVERBUG] "), "{answer}");
    gateway.logged(&["login denied", "misconfigured", "login: xclient, which is for submission only"]);
}

#[test]
fn while_the_store_is_away_mail_without_auth_is_to_come_back_and_then_it_may() {
    let mut store = Redis::start();
    let gateway = Gateway::start(&store.keeps(remembering()));
    let mut early = open_from(&gateway, "127.0.0.77");
    let _reader = fetch(Mail::Pop3, &gateway, "127.0.0.77", "alice");
    mail_is_taken_from(&gateway, "127.0.0.77");

    store.kill();
    for address in ["127.0.0.77", "127.0.0.78"] {
        let answer = mail_from(&gateway, address);
        assert!(answer.starts_with("451 4.3.0 "), "{address}: {answer}");
    }
    let answer = early.ask(MAIL);
    assert!(answer.starts_with("451 4.3.0 "), "opened before the outage: {answer}");
    let mut late = open_from(&gateway, "127.0.0.77");
    let mut client = open(&gateway);
    assert!(login(&mut client, "alice", "alice-secret").starts_with("235 "), "logins go on");

    store.restart();
    gateway.metric_becomes("registry_up", &[], 1.0);
    late.ask_for(MAIL, "250 ");
    early.ask_for(MAIL, "250 ");
    let answer = mail_from(&gateway, "127.0.0.78");
    assert!(answer.starts_with("530 5.7.0 "), "another address: {answer}");
}

#[test]
fn who_logs_in_by_auth_costs_the_store_no_question() {
    let store = Redis::start();
    let gateway = Gateway::start(&store.keeps(remembering()));
    gateway.metric_becomes("registry_up", &[], 1.0);
    let asked = || -> String { redis::cmd("INFO").arg("commandstats").query(&mut store.client()).unwrap() };
    let mut client = open(&gateway);
    assert!(login(&mut client, "alice", "alice-secret").starts_with("235 "));
    assert!(!asked().contains("zrangebyscore"), "{}", asked());
    mail_from(&gateway, "127.0.0.77");
    assert!(asked().contains("zrangebyscore"), "{}", asked());
}

#[test]
fn who_fetched_mail_at_one_gateway_sends_through_another_until_the_window_has_passed() {
    let store = Redis::start();
    let plan = store.keeps(remembering().set("smtp_after_pop.window", "5m"));
    let (near, far) = (Gateway::start(&plan), Gateway::start(&plan));
    far.metric_becomes("registry_up", &[], 1.0);
    assert!(mail_from(&far, "127.0.0.77").starts_with("530 5.7.0 "));
    let reader = fetch(Mail::Pop3, &near, "127.0.0.77", "alice");
    mail_is_taken_from(&far, "127.0.0.77");
    send(&mut open_from(&far, "127.0.0.77"), "through-another");
    arrived(&shared().one, "through-another", "alice");

    // The window ends a whole length after the last sign of life; so nearly all of it passes in the store.
    drop((near, reader));
    let (key, member) = ("pc:ip:127.0.0.77", "pop3:alice@example.org");
    let until: u64 = store.client().zscore(key, member).unwrap();
    let left = until - now();
    assert!((200..=300).contains(&left), "{left} seconds are left");
    let end = now() + 5;
    let _: u64 = store.client().zadd(key, member, end).unwrap();
    let answer = mail_from(&far, "127.0.0.77");
    assert!(answer.starts_with("250 "), "in its last seconds: {answer}");
    let limit = Duration::from_secs(5) + wait::SOON;
    wait::until_true("the window to end", limit, || mail_from(&far, "127.0.0.77").starts_with("530 5.7.0 "));
    assert!(now() >= end, "not before its time");
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}
