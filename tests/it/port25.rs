//! Mail from other servers: each recipient's Postfix gets it, once, and nobody else's does.

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::postfix::shared;
use crate::support::postfix::{Pair, Postfix};
use crate::support::program;
use crate::support::site::{self, Site};
use crate::support::smtp::{self, open};
use crate::support::wait;

fn gateway() -> Gateway {
    Gateway::start(&smtp::plan(site::shared(), shared().ports))
}

/// A message with this subject to these recipients, each to be accepted.
#[track_caller]
pub fn send(client: &mut Client, subject: &str, recipients: &[&str]) -> String {
    client.ask_for("MAIL FROM:<sender@elsewhere.example.net>", "250 ");
    for recipient in recipients {
        client.ask_for(&format!("RCPT TO:<{recipient}@example.org>"), "250 ");
    }
    client.ask_for("DATA", "354 ");
    client.send(format!("Subject: {subject}\r\n\r\nHello.\r\n"));
    client.ask(".")
}

/// For whom a server has delivered the message with this subject, in order.
pub fn delivered(postfix: &Postfix, subject: &str) -> Vec<String> {
    let heads = postfix.messages(&format!("Subject: {subject}\n"));
    let recipient =
        |head: &String| head.lines().find_map(|line| line.strip_prefix("X-Original-To: ").map(str::to_owned));
    let mut recipients: Vec<_> = heads.iter().filter_map(recipient).collect();
    recipients.sort();
    recipients
}

#[track_caller]
pub fn arrives(postfix: &Postfix, subject: &str, recipients: &[&str]) {
    let whole: Vec<_> = recipients.iter().map(|local| format!("{local}@example.org")).collect();
    wait::until_true(&format!("{subject} for {recipients:?}"), wait::SOON, || delivered(postfix, subject) == whole);
}

#[test]
fn mail_goes_where_its_recipient_lives_and_the_server_there_knows_the_client() {
    let (gateway, pair) = (gateway(), shared());
    let mut client = open(&gateway);
    let answer = send(&mut client, "to-alice", &["alice"]);
    assert!(answer.starts_with("250 2.0.0 Ok: queued as "), "the server's own word: {answer}");
    // One connection, another server.
    assert!(send(&mut client, "to-bob", &["bob"]).starts_with("250 "));
    client.ask_for("QUIT", "221 ");
    arrives(&pair.one, "to-alice", &["alice"]);
    arrives(&pair.two, "to-bob", &["bob"]);
    assert!(delivered(&pair.two, "to-alice").is_empty() && delivered(&pair.one, "to-bob").is_empty());
    let line = pair.one.sender_of(&pair.one.message("Subject: to-alice\n"));
    assert!(line.ends_with("client=unknown[127.0.0.77]"), "{line}");
    gateway.logged(&["message settled", "recipients=1", "one.stores.example.org", "answer=\"250 2.0.0 Ok: queued"]);
    gateway.metric_becomes("recipients_total", &["accepted"], 2.0);
    gateway.metric_becomes("transactions_total", &["accepted"], 2.0);
    gateway.is_calm();
}

#[test]
fn a_recipient_who_lives_elsewhere_is_for_another_transaction() {
    let (gateway, pair) = (gateway(), shared());
    let mut client = open(&gateway);
    client.ask_for("MAIL FROM:<sender@elsewhere.example.net>", "250 ");
    client.ask_for("RCPT TO:<alice@example.org>", "250 ");
    client.ask_for("RCPT TO:<bob@example.org>", "452 4.5.3 ");
    client.ask_for("RCPT TO:<frank@example.org>", "250 ");
    client.ask_for("DATA", "354 ");
    client.send("Subject: two-homes\r\n\r\nHello.\r\n");
    client.ask_for(".", "250 ");
    arrives(&pair.one, "two-homes", &["alice", "frank"]);
    assert!(delivered(&pair.two, "two-homes").is_empty());
    gateway.metric_becomes("recipients_total", &["elsewhere"], 1.0);
    client.ask_for("QUIT", "221 ");
    gateway.is_calm();
}

#[test]
fn three_recipients_on_two_servers_get_a_real_senders_message_once_each() {
    let (gateway, pair) = (gateway(), shared());
    let sender = Postfix::sender(gateway.port("smtp"));
    let to = ["alice@example.org", "bob@example.org", "frank@example.org"].join(",");
    let server = sender.plain().to_string();
    let arguments =
        ["--server", &server, "--helo", "client.example.org", "--from", "sender@elsewhere.example.net", "--to", &to];
    program::run("swaks", "swaks", &[&arguments[..], &["--header", "Subject: to-three"]].concat()).fine();
    arrives(&pair.one, "to-three", &["alice", "frank"]);
    arrives(&pair.two, "to-three", &["bob"]);
    wait::until_true("the sender to have nothing left", wait::SOON, || sender.queued() == 0);
    let log = sender.log();
    assert!(log.contains("status=deferred (host 127.0.0.1") && log.contains("said: 452 4.5.3 "), "{log}");
    arrives(&pair.one, "to-three", &["alice", "frank"]);
    arrives(&pair.two, "to-three", &["bob"]);
    gateway.is_calm();
}

#[test]
fn each_recipient_has_one_report_from_the_server_that_took_it() {
    let (gateway, pair) = (gateway(), shared());
    let mut client = open(&gateway);
    let mut refused = Vec::new();
    for recipients in [&["alice", "bob"][..], &["bob"]] {
        client.ask_for("MAIL FROM:<reports@elsewhere.example.net> RET=HDRS ENVID=envelope-1", "250 ");
        for recipient in recipients {
            let answer = client.ask(&format!("RCPT TO:<{recipient}@example.org> NOTIFY=SUCCESS"));
            refused.extend(answer.starts_with("452 4.5.3 ").then_some(*recipient));
        }
        client.ask_for("DATA", "354 ");
        client.send("Subject: reported\r\n\r\nHello.\r\n");
        client.ask_for(".", "250 ");
    }
    client.ask_for("QUIT", "221 ");
    assert_eq!(refused, ["bob"]);
    for (server, recipient) in [(&pair.one, "alice"), (&pair.two, "bob")] {
        arrives(server, "reported", &[recipient]);
        let message = server.message("Subject: reported\n");
        let (_, rest) = message.split_once(" id ").expect("a number in the queue");
        let number: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        let reports = || {
            let line = format!(" {number}: sender delivery status notification: ");
            server.log().lines().filter(|logged| logged.contains(&line)).count()
        };
        wait::until_true("a report", wait::SOON, || reports() > 0);
        assert_eq!(reports(), 1, "{recipient}: {}", server.log());
    }
    gateway.is_calm();
}

#[test]
fn each_refused_recipient_has_its_code() {
    let gateway = gateway();
    let mut client = open(&gateway);
    client.ask_for("MAIL FROM:<>", "250 ");
    for (recipient, answer) in [
        ("nobody@example.org", "550 5.1.1 "),
        ("someone@elsewhere.example.net", "554 5.7.1 "),
        ("alice%elsewhere.example.net@example.org", "550 5.1.1 "),
        ("grace@example.org", "451 4.2.1 "),
        ("dave@example.org", "451 4.3.5 "),
        ("twins@example.org", "451 4.4.3 "),
    ] {
        let heard = client.ask(&format!("RCPT TO:<{recipient}>"));
        assert!(heard.starts_with(answer), "{recipient}: {heard}");
    }
    client.ask_for("DATA", "5");
    client.ask_for("RSET", "250 ");
    client.ask_for("MAIL FROM:<>", "250 ");
    client.ask_for("RCPT TO:<carol@example.org>", "250 ");
    client.ask_for("QUIT", "221 ");
    gateway.logged(&["recipient refused", "nobody@example.org", "550 5.1.1"]);
    for (recipient, why) in [
        ("someone@elsewhere.example.net", "not one of directory.domains"),
        ("grace@example.org", "status unavailable (employeeType=`maintenance`)"),
        ("dave@example.org", "which no pool has or matches"),
        ("twins@example.org", "more than one directory entry matches"),
    ] {
        gateway.logged(&["recipient refused", recipient, "detail=", why]);
    }
    gateway.is_calm();
}

#[test]
fn while_ldap_or_a_server_is_down_the_sender_is_told_to_come_back() {
    let mut site = Site::start();
    let mut pair = Pair::beside(&site);
    let gateway = Gateway::start(&smtp::plan(&site, pair.ports));
    let mut client = open(&gateway);
    site.slapd.kill();
    client.ask_for("MAIL FROM:<>", "250 ");
    client.ask_for("RCPT TO:<alice@example.org>", "451 4.4.3 ");
    site.slapd.restart();
    pair.one.kill();
    client.ask_for("RCPT TO:<alice@example.org>", "451 4.3.0 ");
    // Nobody was accepted, so another server may have the transaction.
    client.ask_for("RCPT TO:<bob@example.org>", "250 ");
    pair.two.kill();
    client.ask_for("DATA", "451 4.3.0 ");
    pair.one.restart();
    pair.two.restart();
    for (recipient, server) in [("alice", &pair.one), ("bob", &pair.two)] {
        assert!(send(&mut client, "after-the-outage", &[recipient]).starts_with("250 "));
        arrives(server, "after-the-outage", &[recipient]);
    }
    client.ask_for("QUIT", "221 ");
    gateway.is_calm();
}

#[test]
fn a_server_that_dies_inside_a_message_has_no_message_and_the_sender_keeps_it() {
    let site = Site::start();
    let mut pair = Pair::beside(&site);
    let gateway = Gateway::start(&smtp::plan(&site, pair.ports));
    let mut client = open(&gateway);
    client.ask_for("MAIL FROM:<>", "250 ");
    client.ask_for("RCPT TO:<alice@example.org>", "250 ");
    client.ask_for("DATA", "354 ");
    client.send("Subject: cut-short\r\n\r\nHello.\r\n");
    pair.one.kill();
    client.ask_for(".", "451 4.3.0 ");
    pair.one.restart();
    assert!(send(&mut client, "not-cut", &["alice"]).starts_with("250 "));
    arrives(&pair.one, "not-cut", &["alice"]);
    assert!(delivered(&pair.one, "cut-short").is_empty());
    client.ask_for("QUIT", "221 ");
    gateway.is_calm();
}

#[test]
fn who_fetched_mail_lately_may_send_anywhere_through_port_25_and_nobody_else_may() {
    let pair = shared();
    let gateway = Gateway::start(&smtp::plan(site::shared(), pair.ports).set("smtp_after_pop", "{ exempt: [] }"));
    let relay = |gateway: &Gateway| {
        let mut client = open(gateway);
        client.ask_for("MAIL FROM:<alice@example.org>", "250 ");
        let answer = client.ask("RCPT TO:<someone@elsewhere.example.net>");
        (client, answer)
    };
    let (mut client, answer) = relay(&gateway);
    assert!(answer.starts_with("554 5.7.1 "), "{answer}");
    let mut reader = Mail::Pop3.open_from("127.0.0.77", &gateway);
    Mail::Pop3.login(&mut reader, "alice");
    gateway.metric_becomes("registry_windows", &[], 1.0);
    client.ask_for("RSET", "250 ");
    client.ask_for("MAIL FROM:<alice@example.org>", "250 ");
    // Nothing leaves the test's Postfix but what is for its own domain, so that is asked for.
    client.ask_for("RCPT TO:<someone@example.org>", "250 ");
    client.ask_for("DATA", "354 ");
    client.send("Subject: after-pop-25\r\n\r\nHello.\r\n");
    client.ask_for(".", "250 ");
    let line = pair.one.sender_of(&pair.one.message("Subject: after-pop-25\n"));
    assert!(line.contains("client=unknown[127.0.0.77],") && line.ends_with("sasl_username=alice"), "{line}");
}
