//! Commands on port 25 that come before their turn, and the text behind a DATA that was refused; and clients that
//! pipeline as they may.
//!
//! What may stand behind what is a table beside the rule itself; here a server behind the gateway writes down all that
//! comes of it.

use std::sync::{Arc, Barrier};

use crate::port25::{arrives, delivered};
use crate::support::client::Client;
use crate::support::fake::{Fake, Fault, Step, hear, say};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::postfix::{Postfix, shared};
use crate::support::program;
use crate::support::site;
use crate::support::smtp::{begin, hello, open, open_with_tls, plan, plan_before_one, start_and_learn};
use crate::support::wait;

const OUT_OF_TURN: &str = "554 5.5.0 ";

fn lenient(plan: Plan) -> Plan {
    plan.set("services.smtp.unauthorized_pipelining", "allow")
}

/// A text that would have another message sent, if its lines were run as commands.
const TEXT: &str = "MAIL FROM:<smuggled@elsewhere.example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nx\r\n.\r\n";

#[test]
fn what_has_to_wait_and_does_not_ends_the_session() {
    let fake = Fake::start(vec![Step::Deliver(vec![])]);
    let gateway = Gateway::start(&plan_before_one(fake.port));
    for flight in
        ["EHLO x\r\nMAIL FROM:<a@b>\r\n", "HELO x\r\nMAIL FROM:<a@b>\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"]
    {
        let mut client = gateway.connect("smtp");
        client.expect("220 ");
        client.send(flight);
        client.expect(OUT_OF_TURN);
        assert_eq!(client.closed(), "", "{flight}");
    }
    for open in [open as fn(&Gateway) -> Client, open_with_tls] {
        for flight in ["NOOP\r\nNOOP\r\n", "STARTTLS\r\nEHLO x\r\n", "FOO\r\nNOOP\r\n"] {
            let mut client = open(&gateway);
            client.send(flight);
            client.expect(OUT_OF_TURN);
            assert_eq!(client.closed(), "", "{flight}");
        }
        let mut client = open(&gateway);
        begin(&mut client, "early-text", "alice");
        client.send(format!("DATA\r\n{TEXT}"));
        client.expect(OUT_OF_TURN);
        assert_eq!(client.closed(), "");
    }
    gateway.logged(&["unauthorized_pipelining"]);
    gateway.logged(&["starttls_plaintext_pipelined"]);
    gateway.metric_becomes("transactions_total", &["abandoned"], 2.0);
    gateway.is_calm();
    assert!(!fake.heard().contains("DATA") && !fake.heard().contains("smuggled"), "{}", fake.heard());
}

#[test]
fn who_speaks_before_the_greeting_is_not_greeted() {
    let fake = Fake::start(vec![Step::Deliver(vec![])]);
    // Behind a balancer the client's first bytes come with the balancer's, so here they are early for certain.
    let plan = plan_before_one(fake.port).set("listeners.smtp.proxy_protocol", "{ from: [127.0.0.0/8] }");
    let announced = "PROXY TCP4 192.0.2.77 127.0.0.1 1000 25\r\n";
    let gateway = Gateway::start(&plan);
    let mut early = gateway.connect("smtp");
    early.send(format!("{announced}EHLO x\r\n"));
    early.expect(OUT_OF_TURN);
    assert_eq!(early.closed(), "");
    gateway.logged(&["unauthorized_pipelining", "192.0.2.77"]);
    let mut honest = gateway.connect("smtp");
    honest.send(announced);
    honest.expect("220 ");
    honest.ask_for("QUIT", "221 ");
    gateway.is_calm();
    let gateway = Gateway::start(&lenient(plan));
    let mut early = gateway.connect("smtp");
    early.send(format!("{announced}EHLO x\r\n"));
    early.expect("220 ");
    early.lines_to("250 ");
    early.ask_for("QUIT", "221 ");
    gateway.is_calm();
}

/// How a server fails at DATA: the sender whose messages it does that to, what it does, and what the client hears.
fn failures() -> Vec<(&'static str, Vec<Step>, &'static str)> {
    vec![
        ("no@", vec![say("554 5.7.1 no\r\n")], "554 5.7.1 no"),
        ("later@", vec![say("451 4.7.1 later\r\n")], "451 4.7.1 later"),
        ("going@", vec![say("421 4.3.2 going\r\n"), Step::Close], "451 4.3.0 "),
        ("gone@", vec![Step::Close], "451 4.3.0 "),
        ("reset@", vec![Step::Reset], "451 4.3.0 "),
        ("yes@", vec![say("250 2.0.0 queued\r\n")], "451 4.3.0 "),
        ("garbage@", vec![say("hello\r\n")], "451 4.3.0 "),
    ]
}

fn failing() -> Fake {
    let fault = |(sender, then, _)| Fault { sender, at: "DATA", then };
    Fake::start(vec![Step::Deliver(failures().into_iter().map(fault).collect())])
}

/// MAIL and RCPT that are accepted, by a sender whose DATA fails.
fn begun(gateway: &Gateway, sender: &str) -> Client {
    let mut client = open(gateway);
    client.ask_for(&format!("MAIL FROM:<{sender}elsewhere.example.net>"), "250 ");
    client.ask_for("RCPT TO:<alice@example.org>", "250 ");
    client
}

#[test]
fn the_text_of_a_refused_data_is_not_run_as_commands() {
    let fake = failing();
    let gateway = Gateway::start(&lenient(plan_before_one(fake.port)));
    let strict = Gateway::start(&plan_before_one(fake.port));
    for (sender, _, answer) in failures() {
        // In one segment, where that is allowed, and the text is run as text when there is a go-ahead.
        let mut client = begun(&gateway, sender);
        client.send(format!("DATA\r\n{TEXT}"));
        client.expect(answer);
        assert_eq!(client.closed(), "", "{sender}");
        // All of the message in one segment.
        let mut client = open(&gateway);
        client.send(format!(
            "MAIL FROM:<{sender}elsewhere.example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n{TEXT}"
        ));
        client.expect("250 ");
        client.expect("250 ");
        client.expect(answer);
        assert_eq!(client.closed(), "", "{sender}");
        // Later, when nobody can say whether it waited: a text has a head.
        for gateway in [&gateway, &strict] {
            let mut client = begun(gateway, sender);
            client.ask_for("DATA", answer);
            client.send(format!("Subject: x\r\n\r\n{TEXT}"));
            client.expect(OUT_OF_TURN);
            assert_eq!(client.closed(), "", "{sender}");
        }
    }
    gateway.logged(&["text_behind_refused_data"]);
    assert!(!fake.heard().contains("smuggled") && !fake.heard().contains("bob@"), "{}", fake.heard());
    gateway.is_calm();
    strict.is_calm();
}

#[test]
fn a_text_that_comes_while_the_server_thinks_about_data_did_not_wait() {
    for (word, lenient_answer, strict_answer) in
        [("554 5.7.1 no\r\n", "554 5.7.1 ", "554 5.7.1 "), ("354 go on\r\n", "354 ", OUT_OF_TURN)]
    {
        for is_lenient in [true, false] {
            let barrier = Arc::new(Barrier::new(2));
            let then = vec![Step::Wait(barrier.clone()), say(word)];
            let fake = Fake::start(vec![Step::Deliver(vec![Fault { sender: "slow@", at: "DATA", then }])]);
            let plan = plan_before_one(fake.port);
            let gateway = Gateway::start(&if is_lenient { lenient(plan) } else { plan });
            let mut client = begun(&gateway, "slow@");
            client.send("DATA\r\n");
            wait::until_true("DATA at the server", wait::SOON, || fake.heard().contains("DATA"));
            client.send(TEXT);
            barrier.wait();
            client.expect(if is_lenient { lenient_answer } else { strict_answer });
            if is_lenient && word.starts_with("354") {
                client.expect("250 2.0.0 done");
                client.ask_for("QUIT", "221 ");
                wait::until_true("the message", wait::SOON, || fake.heard().contains("smuggled"));
            } else {
                assert_eq!(client.closed(), "");
                assert!(!fake.heard().contains("smuggled"), "{}", fake.heard());
            }
            gateway.is_calm();
        }
    }
}

#[test]
fn a_client_that_waits_goes_on_behind_a_refused_data() {
    let fake = failing();
    let gateway = Gateway::start(&plan_before_one(fake.port));
    for (sender, _, answer) in failures() {
        let mut client = open(&gateway);
        for next in ["RSET", "NOOP", "MAIL FROM:<next@elsewhere.example.net>"] {
            client.ask_for(&format!("MAIL FROM:<{sender}elsewhere.example.net>"), "250 ");
            client.ask_for("RCPT TO:<alice@example.org>", "250 ");
            client.ask_for("DATA", answer);
            client.ask_for(next, "250 ");
            client.ask_for("RSET", "250 ");
        }
        // As it may: a new message in one flight.
        client.send("MAIL FROM:<good@elsewhere.example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
        client.expect("250 ");
        client.expect("250 ");
        client.expect("354 ");
        client.send("Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n");
        client.expect("250 2.0.0 done");
        client.expect("221 ");
    }
    gateway.is_calm();
}

/// A server that offers CHUNKING, has accepted a recipient, and then does this.
fn chunking(then: &[Step]) -> Fake {
    let opening = [say("220 fake\r\n"), hear("ehlo"), say("250-fake\r\n250 CHUNKING\r\n"), hear("mail")];
    let recipient = [say("250 ok\r\n"), hear("rcpt"), say("250 ok\r\n"), hear("bdat")];
    Fake::start([&opening[..], &recipient, then].concat())
}

#[test]
fn the_bytes_of_a_refused_chunk_are_not_run_as_commands() {
    for (then, answer) in [
        (vec![say("554 5.7.1 no\r\n")], "554 5.7.1 no"),
        (vec![say("451 4.7.1 later\r\n")], "451 4.7.1 later"),
        (vec![say("421 4.3.2 going\r\n"), Step::Close], "451 4.3.0 "),
        (vec![Step::Close], "451 4.3.0 "),
        (vec![Step::Reset], "451 4.3.0 "),
    ] {
        let fake = chunking(&then);
        let gateway = start_and_learn(&plan_before_one(fake.port), "CHUNKING");
        let mut client = open(&gateway);
        begin(&mut client, "chunks", "alice");
        client.send(format!("BDAT {}\r\n", 2 * TEXT.len()));
        client.send(TEXT);
        // The refusal has come to the gateway by now, or it comes later: it is the same to the client.
        client.send(format!("{TEXT}BDAT {} LAST\r\n{TEXT}RSET\r\n", TEXT.len()));
        client.expect(answer);
        client.expect("503 5.5.1 ");
        client.expect("250 2.0.0 ");
        client.ask_for("QUIT", "221 ");
        gateway.metric_becomes("recipients_total", &["accepted"], 1.0);
        gateway.is_calm();
    }
}

#[test]
fn a_real_postfix_and_swaks_pipeline_as_they_may() {
    let gateway = start_and_learn(&plan(site::shared(), shared().ports), "PIPELINING");
    let sender = Postfix::sender(gateway.port("smtp"));
    let (through, port) = (sender.plain().to_string(), gateway.port("smtp").to_string());
    let direct = ["--server", "127.0.0.1", "--port", &port];
    for (subject, server, more) in [
        ("by-postfix", &["--server", &through][..], &[][..]),
        ("by-swaks", &direct, &[]),
        ("by-swaks-in-flights", &direct, &["--pipeline"]),
        ("by-swaks-with-tls", &direct, &["--tls", "--pipeline"]),
        ("by-swaks-of-old", &direct, &["--protocol", "SMTP"]),
    ] {
        let header = format!("Subject: {subject}");
        let message = ["--from", "sender@elsewhere.example.net", "--to", "alice@example.org", "--header", &header];
        let all = [server, &message, &["--helo", "client.example.org", "--timeout", "30s"], more].concat();
        program::run("swaks", "swaks", &all).fine();
        arrives(&shared().one, subject, &["alice"]);
    }
    // A recipient who is refused, and nobody else: DATA in the same flight has no one to go to.
    let bounced = ["--from", "sender@elsewhere.example.net", "--to", "nobody-at-all@example.org,alice@example.org"];
    let header = ["--header", "Subject: by-postfix-in-part", "--server", &through];
    program::run("swaks", "swaks", &[&bounced[..], &header].concat()).fine();
    arrives(&shared().one, "by-postfix-in-part", &["alice"]);
    wait::until_true("the sender to have nothing left", wait::SOON, || sender.queued() == 0);
    assert!(!sender.log().contains("synchronization") && !gateway.log().contains("pipelin"), "{}", gateway.log());
    assert_eq!(delivered(&shared().one, "by-postfix").len(), 1);
    let mut client = open(&gateway);
    hello(&mut client);
    client.ask_for("QUIT", "221 ");
    gateway.is_calm();
}
