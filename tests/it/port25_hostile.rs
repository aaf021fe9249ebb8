//! Clients of port 25 that mean ill, or speak badly: what they are told, and what a server hears of them.
//!
//! B, D and F numbers are those of the catalogue of hostile input that the project started from. Each line by itself is
//! tried where it is read; here it is one gateway, and a server behind it that writes down all it hears.

use crate::port25::delivered;
use crate::support::fake::{Fake, Step};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::postfix::shared;
use crate::support::site;
use crate::support::smtp::{begin, hello, open, plan, plan_before_one, start_and_learn};
use crate::support::wait;

fn honest() -> (Fake, Gateway) {
    let fake = Fake::start(vec![Step::Deliver(vec![])]);
    let plan = plan_before_one(fake.port)
        .set("services.smtp.errors", "{ commands: 1000 }")
        .set("services.smtp.unauthorized_pipelining", "allow");
    let gateway = start_and_learn(&plan, "SIZE");
    (fake, gateway)
}

/// Outside a transaction: a line, and how it is answered.
const LINES: &[(&[u8], &str)] = &[
    (b"RSET\rQUIT", "500 5.5.2 "),        // B31
    (b"MAIL FROM:<a\0@b>", "500 5.5.2 "), // B32
    (b"BELL\x08", "500 5.5.2 "),
    (b"FROP \xf1\x80", "500 5.5.2 "), // D39
    (b"RSET\nMAIL FROM:<a@b>", "500 5.5.2 "),
    (b"EHLO", "501 5.5.4 "), // D32
    (b"EHLO <script>alert(1)</script>", "501 5.5.4 "),
    (b"EHLO x\x1b[2J", "501 5.5.4 "),
    (b"EHLO \xc3\xbc", "501 5.5.4 "),
    (b"EHLO\tx", "500 5.5.2 "),
    (b"AUTH PLAIN AGFsaWNlAGFsaWNlLXNlY3JldA==", "502 5.5.1 "), // D33: not on port 25
    (b"MAIL FROM:<a@b> SIZE=-1", "501 5.5.4 "),                 // D36
    (b"MAIL FROM:<a@b> SIZE=99999999999999999999", "501 5.5.4 "),
    (b"MAIL FROM:<a@b> SIZE=1000001", "552 5.3.4 "),
    (b"MAIL FROM:<a@b> BODY=X", "501 5.5.4 "),
    (b"MAIL FROM:<a@b> SIZE=1 SIZE=1", "501 5.5.4 "),
    (b"MAIL FROM:<a@b> ENVID=+00", "501 5.5.4 "),
    (b"MAIL FROM:<a> \"=", "501 5."), // D37
    (b"MAIL FROM:<>=", "501 5."),
    (b"MAIL FROM:<a\x1b[31m@b>", "501 5."),
    (b"VRFY alice", "252 2.5.0 "), // D41
    (b"EXPN list", "502 5.5.1 "),
    (b"ETRN #q", "502 5.5.1 "),
    (b"TURN", "502 5.5.1 "),
    (b"SAML FROM:<a@b>", "502 5.5.1 "),
    (b"ATRN example.org", "502 5.5.1 "),
    (b"XCLIENT ADDR=127.0.0.1 LOGIN=alice", "502 5.5.1 "), // D42, F.4
    (b"XFORWARD ADDR=127.0.0.1", "502 5.5.1 "),
    (b"XEXCH50 1 2", "500 5.5.2 "),
    (b"XADR", "500 5.5.2 "),
    (b"STARTTLS x", "501 5.5.4 "),
];

/// Inside one.
const RECIPIENTS: &[(&[u8], &str)] = &[
    (b"RCPT TO:<\"\"@example.org>", "501 5."), // D38
    (b"RCPT TO:<alice@example.org", "501 5."),
    (b"RCPT TO:<al\x1b[31mice@example.org>", "501 5."),
    (b"RCPT TO:<alice@example.org>\rDATA", "500 5.5.2 "),
    (b"RCPT TO:<alice@example.org>\nVRFY x", "500 5.5.2 "),
    (b"RCPT TO:<alice@example.org> ORCPT=rfc822;a+00b", "501 5.5.4 "),
    (b"RCPT TO:<alice@example.org> NOTIFY=NEVER,DELAY", "501 5.5.4 "),
    (b"RCPT TO:<alice%elsewhere@example.net>", "554 5.7.1 "),
    (b"RCPT TO:<x@elsewhere.example.net>", "554 5.7.1 "), // D49
    (b"RCPT TO:<@example.org:x@elsewhere.example.net>", "554 5.7.1 "),
    (b"RCPT TO:<x@[127.0.0.1]>", "554 5.7.1 "),
    (b"XCLIENT LOGIN=alice", "502 5.5.1 "),
    (b"MAIL FROM:<other@example.net>", "503 5.5.1 "),
    (b"DATA", "554 5.5.1 "),
];

#[test]
fn whatever_is_said_a_server_hears_of_nothing_but_messages() {
    let (fake, gateway) = honest();
    let mut client = gateway.connect_from("127.0.0.77", "smtp");
    client.expect("220 ");
    let offers = hello(&mut client);
    assert!(offers.iter().any(|line| line.contains("SIZE 1000000")) && offers.len() > 2, "{offers:?}");
    assert!(!offers.iter().any(|line| line.contains("XCLIENT") || line.contains("XFORWARD")), "{offers:?}");
    for (line, answer) in LINES {
        client.send([line, &b"\r\n"[..]].concat());
        let heard = client.line();
        assert!(heard.starts_with(answer), "{:?}: {heard}", String::from_utf8_lossy(line));
        // D44: nothing of it comes back.
        assert!(!heard.contains("alert") && !heard.contains("alice"), "{heard}");
        // A bare LF would make two lines of it to others; here what is behind it is a line of its own.
        if line.contains(&b'\n') {
            client.expect("250 2.1.0 ");
        }
        client.ask_for("RSET", "250 ");
    }
    client.ask_for("MAIL FROM:<a@elsewhere.example.net>", "250 ");
    for (line, answer) in RECIPIENTS {
        client.send([line, &b"\r\n"[..]].concat());
        let heard = client.line();
        assert!(heard.starts_with(answer), "{:?}: {heard}", String::from_utf8_lossy(line));
        if line.contains(&b'\n') {
            client.expect("252 ");
        }
    }
    client.ask_for("RSET", "250 ");
    begin(&mut client, "a", "alice");
    client.ask_for("DATA", "354 ");
    client.send("Subject: x\r\n\r\n");
    client.ask_for(".", "250 ");
    client.ask_for("QUIT", "221 ");
    wait::until_true("the server's QUIT", wait::SOON, || fake.heard().ends_with("\r\nQUIT\r\n"));
    let heard = fake.heard();
    let commands: Vec<_> = heard.lines().skip_while(|line| !line.starts_with("XCLIENT")).collect();
    let [
        xclient,
        "EHLO client.example.org",
        "MAIL FROM:<a@elsewhere.example.net>",
        "RCPT TO:<alice@example.org>",
        "DATA",
        "Subject: x",
        "",
        ".",
        "QUIT",
    ] = commands[..]
    else {
        panic!("{commands:?}");
    };
    // F.5: who the client is, and no name for it that nobody has looked up.
    let (start, rest) = xclient.split_once(" PORT=").expect("a port");
    assert_eq!(start, "XCLIENT HELO=client.example.org PROTO=ESMTP");
    assert!(rest.ends_with(" NAME=[UNAVAILABLE] ADDR=127.0.0.77"), "{xclient}");
    let log = gateway.log();
    assert!(!log.chars().any(|letter| letter.is_control() && letter != '\n'), "{log}");
    gateway.is_calm();
}

#[test]
fn no_trust_that_can_be_had_for_nothing_opens_a_relay_d49() {
    let plan = plan(site::shared(), shared().ports)
        .set("smtp_after_pop", "{ exempt: [] }")
        .listener("proxied", "smtp", "none")
        .set("listeners.proxied.proxy_protocol", "{ from: [127.0.0.0/8] }");
    let gateway = Gateway::start(&plan);
    let mut reader = Mail::Pop3.open_from("127.0.0.77", &gateway);
    Mail::Pop3.login(&mut reader, "alice");
    gateway.metric_becomes("registry_windows", &[], 1.0);
    let announced = b"PROXY TCP4 127.0.0.77 127.0.0.1 1000 25\r\n";
    for (source, listener, first) in
        [("127.0.0.78", "smtp", &b""[..]), ("127.0.0.1", "smtp", b""), ("127.0.0.1", "proxied", announced)]
    {
        let mut client = gateway.connect_from(source, listener);
        client.send(first);
        client.expect("220 ");
        hello(&mut client);
        client.ask_for("XCLIENT ADDR=127.0.0.77 LOGIN=alice", "502 ");
        client.ask_for("MAIL FROM:<alice@example.org> AUTH=alice@example.org", "250 ");
        client.ask_for("RCPT TO:<someone@elsewhere.example.net>", "554 5.7.1 ");
        client.ask_for("QUIT", "221 ");
    }
    drop(reader);
    gateway.is_calm();
}

#[test]
fn a_pipeline_is_answered_in_order_and_ends_where_it_must() {
    let (fake, gateway) = honest();
    // B34, B39, B42: more than is read at once, with recipients that are refused among it.
    let mut client = gateway.connect_from("127.0.0.77", "smtp");
    let mut all = "EHLO x\r\nMAIL FROM:<a@elsewhere.example.net>\r\n".to_owned();
    for number in 0..900 {
        all += &format!("RCPT TO:<r{number}@{}>\r\n", if number % 90 == 0 { "example.com" } else { "example.org" });
    }
    client.send(all + "DATA\r\n");
    client.expect("220 ");
    client.lines_to("250 ");
    client.expect("250 2.1.0 ");
    for number in 0..900 {
        client.expect(if number % 90 == 0 { "554 5.7.1 " } else { "250 2.0.0 " });
    }
    client.expect("354 ");
    client.send(".\r\nQUIT\r\nMAIL FROM:<b@elsewhere.example.net>\r\nRCPT TO:<late@example.org>\r\n");
    client.expect("250 2.0.0 ");
    client.expect("221 ");
    assert_eq!(client.closed(), "", "B41: nothing behind QUIT");
    assert_eq!(fake.heard().matches("RCPT TO:").count(), 890);
    // B41: nothing behind STARTTLS, not even TLS.
    let mut client = open(&gateway);
    client.send("STARTTLS\r\nMAIL FROM:<c@elsewhere.example.net>\r\nRCPT TO:<late@example.org>\r\n");
    assert!(!client.closed().contains("250"));
    gateway.logged(&["starttls_plaintext_pipelined"]);
    assert!(!fake.heard().contains("late@"), "{}", fake.heard());
    gateway.is_calm();
}

#[test]
fn a_browser_and_a_fool_are_sent_away() {
    let fake = Fake::start(vec![Step::Deliver(vec![])]);
    let plan = plan_before_one(fake.port).set("services.smtp.unauthorized_pipelining", "allow");
    let gateway = Gateway::start(&plan);
    let inside = "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<alice@example.org>\r\n";
    for line in ["GET / HTTP/1.1\r\nHost: x", "POST / HTTP/1.1\r\n", "CONNECT a:1 HTTP/1.1", "\x16\x03\x01", "Host: x"]
    {
        let mut client = open(&gateway);
        client.send(format!("{line}\r\n\r\n{inside}")); // D43
        let heard = client.line();
        assert!(heard.starts_with("554 5.5.1 ") || line == "Host: x" && heard.starts_with("500 "), "{line}: {heard}");
    }
    // D46
    let mut client = open(&gateway);
    client.send("FOO\r\n".repeat(10) + inside);
    (0..9).for_each(|_| drop(client.expect("500 5.5.2 ")));
    client.expect("421 4.7.0 ");
    assert_eq!(client.closed(), "");
    assert!(!fake.heard().contains("RCPT"), "{}", fake.heard());
    gateway.is_calm();
}

#[test]
fn a_server_follows_what_ends_a_transaction_d48() {
    let gateway = Gateway::start(&plan(site::shared(), shared().ports).set("smtp_after_pop", "{}"));
    let mut client = open(&gateway);
    for line in ["RSET", "HELO again", "EHLO again"] {
        begin(&mut client, "given-up", "alice");
        client.send(format!("{line}\r\n"));
        client.lines_to("250 ");
        client.ask_for("RCPT TO:<bob@example.org>", "503 5.5.1 ");
        // Another server has the next one.
        begin(&mut client, "another", "bob");
        client.ask_for("DATA", "354 ");
        client.send("Subject: after-giving-up\r\n\r\nx\r\n");
        client.ask_for(".", "250 ");
    }
    client.ask_for("QUIT", "221 ");
    let count = || delivered(&shared().two, "after-giving-up").len();
    wait::until_true("three messages", wait::SOON, || count() == 3);
    assert!(!shared().one.log().contains("from=<given-up@"));
    gateway.metric_becomes("transactions_total", &["abandoned"], 3.0);
    gateway.is_calm();
}

#[test]
fn what_postfix_is_told_of_a_client_with_an_odd_name() {
    let gateway = Gateway::start(&plan(site::shared(), shared().ports));
    let long = "x".repeat(255);
    for (number, name) in ["[127.0.0.1]", "[IPv6:::1]", "localhost", "a+b=c", "my_pc", &long].into_iter().enumerate() {
        let mut client = gateway.connect_from("127.0.0.77", "smtp");
        client.expect("220 ");
        client.send(format!("EHLO {name}\r\n"));
        client.lines_to("250 ");
        begin(&mut client, "named", "alice");
        client.ask_for("DATA", "354 ");
        client.send(format!("Subject: named-{number}-\r\n\r\nx\r\n"));
        client.ask_for(".", "250 ");
        client.ask_for("QUIT", "221 ");
        let message = shared().one.message(&format!("Subject: named-{number}-\n"));
        // Nothing is believed of it: Postfix has the address.
        let line = shared().one.sender_of(&message);
        assert!(line.ends_with("client=unknown[127.0.0.77]"), "{line}");
        assert!(message.contains(" (unknown [127.0.0.77])"), "{message}");
        let shown: String = name.chars().take(60).collect();
        assert!(message.contains(&format!("from {shown}")), "{message}");
    }
    gateway.is_calm();
}
