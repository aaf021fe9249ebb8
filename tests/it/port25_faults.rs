//! Mail from other servers, and back-ends or clients that break their promises in the middle of it.

use std::time::{Duration, Instant};

use crate::support::client::{Client, End};
use crate::support::fake::{Fake, Step, hear, say};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::{ports, wait};

/// In front of one server that takes mail; everyone lives there.
fn plan(port: u16) -> Plan {
    let nobody = ports::free();
    Plan::before_one(nobody, nobody)
        .set("backends.stores.ports", &format!("{{ imap: {nobody}, pop3: {nobody}, smtp: {port} }}"))
        .listener("smtp", "smtp", "none")
}

/// A server that has accepted a recipient, and then does this.
fn server(then: Vec<Step>) -> Fake {
    let opening =
        [say("220 fake\r\n"), hear("ehlo"), say("250-fake\r\n250 CHUNKING\r\n"), hear("mail"), say("250 ok\r\n")];
    let recipient = [hear("rcpt"), say("250 ok\r\n")];
    Fake::start(opening.into_iter().chain(recipient).chain(then).collect())
}

/// A client with an accepted recipient.
#[track_caller]
fn begun(gateway: &Gateway) -> Client {
    let mut client = gateway.connect("smtp");
    client.expect("220 ");
    client.send("EHLO client.example.org\r\n");
    client.lines_to("250 ");
    client.ask_for("MAIL FROM:<sender@elsewhere.example.net>", "250 ");
    client.ask_for("RCPT TO:<alice@example.org>", "250 ");
    client
}

#[test]
fn a_yes_that_comes_before_the_message_is_none() {
    let fake = server(vec![hear("data"), say("354 go\r\n250 queued\r\n"), hear("."), say("554 5.7.1 no\r\n")]);
    let gateway = Gateway::start(&plan(fake.port));
    begun(&gateway).ask_for("DATA", "451 4.3.0 ");
    let fake = server(vec![hear("data"), say("250 queued\r\n")]);
    let gateway = Gateway::start(&plan(fake.port));
    begun(&gateway).ask_for("DATA", "451 4.3.0 ");
    gateway.metric_becomes("transactions_total", &["deferred"], 1.0);
    gateway.is_calm();
}

#[test]
fn a_word_in_the_middle_of_a_message_may_be_a_no_but_no_yes() {
    for (early, answer) in [("250 queued\r\n", "451 4.3.0 "), ("552 5.3.4 too large\r\n", "552 5.3.4 too large")] {
        let fake = server(vec![hear("data"), say("354 go\r\n"), hear("Subject"), say(early)]);
        let gateway = Gateway::start(&plan(fake.port));
        let mut client = begun(&gateway);
        client.ask_for("DATA", "354 ");
        // More than waits anywhere on the way: the server has spoken before the end can come.
        client.send(format!("Subject: large\r\n\r\n{}", format!("{}\r\n", "x".repeat(998)).repeat(16_000)));
        client.ask_for(".", answer);
        assert!(!fake.heard().contains("\r\n.\r\n"), "the server got an end all the same");
        client.ask_for("QUIT", "221 ");
        gateway.is_calm();
    }
}

#[test]
fn a_yes_to_one_chunk_is_none_to_the_next() {
    let fake = server(vec![
        hear("bdat"),
        hear("hello"),
        say("250 ok\r\n250 queued\r\n"),
        hear("last"),
        say("554 5.7.1 no\r\n"),
    ]);
    let gateway = Gateway::start(&plan(fake.port));
    wait::until_true("CHUNKING to be learnt", wait::SOON, || {
        let mut client = gateway.connect("smtp");
        client.expect("220 ");
        client.send("EHLO client.example.org\r\n");
        client.lines_to("250 ").concat().contains("CHUNKING")
    });
    let mut client = begun(&gateway);
    client.send("BDAT 7\r\nhello\r\n");
    client.expect("250 ");
    client.send("BDAT 7 LAST\r\nworld\r\n");
    client.expect("451 4.3.0 ");
    client.ask_for("QUIT", "221 ");
    gateway.metric_becomes("transactions_total", &["deferred"], 1.0);
    gateway.is_calm();
}

#[test]
fn what_became_of_recipients_and_transactions_is_counted_as_it_was() {
    let none = ports::free();
    let gateway = Gateway::start(&plan(none));
    let ask = |gateway: &Gateway, answer| {
        let mut client = gateway.connect("smtp");
        client.expect("220 ");
        client.ask_for("HELO client.example.org", "250 ");
        client.ask_for("MAIL FROM:<sender@elsewhere.example.net>", "250 ");
        client.ask_for("RCPT TO:<alice@example.org>", answer);
    };
    ask(&gateway, "451 4.3.0 ");
    gateway.metric_becomes("recipients_total", &["unavailable"], 1.0);
    let greeted = [say("220 fake\r\n"), hear("ehlo"), say("250 fake\r\n"), hear("mail")];
    let fake = Fake::start(greeted.into_iter().chain([say("553 5.1.8 no such sender\r\n")]).collect());
    let gateway = Gateway::start(&plan(fake.port));
    ask(&gateway, "553 5.1.8 no such sender");
    gateway.metric_becomes("recipients_total", &["refused_by_backend"], 1.0);
    gateway.metric_becomes("transactions_total", &["refused"], 1.0);
    gateway.is_calm();
}

#[test]
fn a_client_that_falls_silent_in_a_message_is_told_goodbye_and_the_server_gets_no_end() {
    let fake = server(vec![hear("data"), say("354 go\r\n")]);
    let gateway = Gateway::start(&plan(fake.port).set("services.smtp.timeouts", "{ idle: 500ms }"));
    let mut client = begun(&gateway);
    client.ask_for("DATA", "354 ");
    client.send("Subject: never finished\r\n");
    client.expect("421 4.7.0 ");
    assert_eq!(client.closed(), "");
    gateway.metric_becomes("transactions_total", &["abandoned"], 1.0);
    gateway.is_calm();
    let heard = fake.heard();
    assert!(heard.contains("never finished") && !heard.contains("\r\n.\r\n"), "{heard}");
}

#[test]
fn a_client_that_drips_holds_no_server_for_long() {
    let fake = server(vec![hear("data"), say("354 go\r\n")]);
    let gateway = Gateway::start(&plan(fake.port).set("services.smtp.timeouts", "{ idle: 1s }"));
    let mut client = begun(&gateway);
    client.ask_for("DATA", "354 ");
    // Each byte in time, all of them too slow.
    let end = Instant::now() + wait::SOON;
    client.patience(Duration::from_millis(100));
    loop {
        assert!(Instant::now() < end, "it goes on for ever");
        if client.try_send("x").is_err() {
            break;
        }
        match client.try_line() {
            Ok(line) => break assert!(line.starts_with("421 4.7.0 "), "{line}"),
            Err(End::Silence) => {}
            Err(other) => panic!("{other}"),
        }
    }
    gateway.metric_becomes("transactions_total", &["abandoned"], 1.0);
    gateway.is_calm();
}

#[test]
fn a_message_under_way_ends_well_while_the_gateway_stops_and_the_others_are_sent_away() {
    let fake = server(vec![hear("data"), say("354 go\r\n"), hear("."), say("250 queued\r\n")]);
    let mut gateway = Gateway::start(&plan(fake.port));
    let (mut busy, mut idle) = (begun(&gateway), begun(&gateway));
    busy.ask_for("DATA", "354 ");
    gateway.terminate();
    idle.expect("421 4.7.0 ");
    busy.send("Subject: in time\r\n\r\nHello\r\n.\r\n");
    busy.expect("250 queued");
    busy.expect("421 4.7.0 ");
    assert!(gateway.wait(wait::SOON).success());
}

#[test]
fn mail_that_goes_around_between_two_gateways_comes_to_an_end() {
    let (one, two) = (ports::free(), ports::free());
    let facing = |own: u16, other: u16| {
        Gateway::start(&plan(other).set("listeners.smtp.address", &format!("\"127.0.0.1:{own}\"")))
    };
    let gateways = (facing(one, two), facing(two, one));
    let mut client = Client::connect((std::net::Ipv4Addr::LOCALHOST, one).into());
    client.expect("220 ");
    client.ask_for("HELO client.example.org", "250 ");
    client.ask_for("MAIL FROM:<sender@elsewhere.example.net>", "250 ");
    client.ask_for("RCPT TO:<alice@example.org>", "451 4.3.2 ");
    let taken = gateways.0.metric("connections_total", &[]) + gateways.1.metric("connections_total", &[]);
    assert!(taken < 200.0, "{taken} connections went around");
}
