//! A Postfix that has nothing to do with the site relays for who logged in through the gateway a moment ago: with the very
//! lines that the README gives to paste.

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::postfix::Postfix;
use crate::support::{ports, site};

/// Where the README's example asks, and what tells its lines apart.
const POLICY: (&str, u16, &str) = ("policy", 10040, "check_policy_service");
const SOCKETMAP: (&str, u16, &str) = ("socketmap", 10041, "check_client_access");

/// The setting in the README that has `word` in it, with another port.
fn pasted(word: &str, from: u16, to: u16) -> String {
    let readme = include_str!("../../README.md");
    let settings = readme.split("smtpd_relay_restrictions").skip(1);
    let texts = settings.filter_map(|text| text.split("```").next()).filter(|text| text.contains(word));
    let texts: Vec<_> = texts.map(|text| format!("smtpd_relay_restrictions{text}")).collect();
    let [text] = texts.as_slice() else { panic!("{} settings have {word}", texts.len()) };
    assert!(text.contains(&from.to_string()), "{text}");
    text.trim_end().replace(&from.to_string(), &to.to_string())
}

/// The answer to a recipient somewhere else in the world, asked from an address.
#[track_caller]
fn recipient(postfix: &Postfix, address: &str) -> (Client, String) {
    let mut client = Client::connect_from(address, postfix.plain());
    client.expect("220 ");
    client.send("EHLO client.example.org\r\n");
    client.lines_to("250 ");
    client.ask_for("MAIL FROM:<alice@example.org>", "250 ");
    let answer = client.ask("RCPT TO:<someone@elsewhere.example.net>");
    (client, answer)
}

fn a_strangers_postfix_relays_after_a_login((protocol, port, word): (&str, u16, &str)) {
    let own = ports::free();
    let plan = site::shared()
        .plan()
        .set("smtp_after_pop.exempt", "[]")
        .set("lookup", &format!("[{{ protocol: {protocol}, address: \"127.0.0.1:{own}\" }}]"));
    let gateway = Gateway::start(&plan);
    let postfix = Postfix::stranger(&pasted(word, port, own));
    let (_, answer) = recipient(&postfix, "127.0.0.77");
    assert!(answer.starts_with("554 5.7.1 "), "before the login: {answer}");

    let mut reader = Mail::Pop3.open_from("127.0.0.77", &gateway);
    Mail::Pop3.login(&mut reader, "alice");
    gateway.metric_becomes("registry_windows", &[], 1.0);
    let (mut client, answer) = recipient(&postfix, "127.0.0.77");
    assert!(answer.starts_with("250 "), "after the login: {answer}\n{}", postfix.log());
    let subject = format!("relayed-after-{protocol}");
    client.ask_for("DATA", "354 ");
    client.send(format!("Subject: {subject}\r\n\r\nHello.\r\n"));
    client.ask_for(".", "250 ");
    let message = postfix.message(&format!("Subject: {subject}\n"));
    assert!(postfix.sender_of(&message).contains("[127.0.0.77]"));

    let (_, answer) = recipient(&postfix, "127.0.0.78");
    assert!(answer.starts_with("554 5.7.1 "), "another address: {answer}");
    drop(gateway);
    let (_, answer) = recipient(&postfix, "127.0.0.77");
    assert!(answer.starts_with("451 4.3."), "nobody to ask: {answer}");
}

#[test]
fn it_asks_by_policy() {
    a_strangers_postfix_relays_after_a_login(POLICY);
}

#[test]
fn it_asks_by_socketmap() {
    a_strangers_postfix_relays_after_a_login(SOCKETMAP);
}
