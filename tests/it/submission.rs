//! Users send: the message reaches the Postfix of their own back-end, which knows who they are and from where.

use base64::Engine;

use crate::support::certs::certs;
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::postfix::{Pair, Postfix, shared};
use crate::support::program::{self, Outcome, python};
use crate::support::site::{self, Site};
use crate::support::smtp::hello;
use crate::support::wait;

/// In front of a site with its Postfixes.
pub fn plan(site: &Site, pair: &Pair) -> Plan {
    let (imap, pop3) = (site.one.ports.imap, site.one.ports.pop3);
    let (submission, smtp) = (pair.ports.submission, pair.ports.smtp);
    let ports = format!("{{ imap: {imap}, pop3: {pop3}, submission: {submission}, smtp: {smtp} }}");
    site.plan()
        .set("backends.stores.ports", &ports)
        .set("services.submission.login.mechanisms", "[plain, login]")
        .listener("submission", "submission", "starttls")
        .listener("submissions", "submission", "implicit")
}

fn gateway() -> Gateway {
    Gateway::start(&plan(site::shared(), shared()))
}

/// Listener, swaks's word for its TLS, and ours in scripts.
const BOTH_TLS: [(&str, &str, &str); 2] =
    [("submission", "--tls", "starttls"), ("submissions", "--tls-on-connect", "implicit")];

/// swaks from 127.0.0.77; it says all of the conversation.
#[track_caller]
fn swaks(gateway: &Gateway, listener: &str, more: &[&str]) -> Outcome {
    let port = gateway.port(listener).to_string();
    let mut arguments = vec!["--server", "127.0.0.1", "--port", &port, "--local-interface", "127.0.0.77"];
    arguments.extend(["--helo", "client.example.org", "--timeout", "30s", "--to", "someone@example.org"]);
    arguments.extend(["--tls-verify", "--tls-ca-path", certs().ca_file.to_str().unwrap()]);
    arguments.extend(more);
    program::run("swaks", "swaks", &arguments)
}

/// The message with this subject is in `postfix`, once, and its log says who sent it, and from where.
#[track_caller]
pub fn arrived(postfix: &Postfix, subject: &str, user: &str) -> String {
    let message = postfix.message(&format!("Subject: {subject}\n"));
    let line = postfix.sender_of(&message);
    // No name: the gateway's own would be a lie, and nobody has looked up the client's.
    assert!(line.contains("client=unknown[127.0.0.77],"), "{line}");
    assert!(line.ends_with(&format!("sasl_username={user}")), "{line}");
    assert!(message.contains("from client.example.org ("), "{message}");
    message
}

/// Connects by implicit TLS and says EHLO.
#[track_caller]
pub fn open(gateway: &Gateway) -> Client {
    let mut client = gateway.connect("submissions").tls();
    client.expect("220 ");
    hello(&mut client);
    client
}

/// Logs in with AUTH LOGIN; the answer, whatever it is.
#[track_caller]
pub fn login(client: &mut Client, user: &str, secret: &str) -> String {
    client.ask_for("AUTH LOGIN", "334 ");
    client.ask_for(&base64(user), "334 ");
    client.ask(&base64(secret))
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Whoever is logged in talks with `server`.
#[track_caller]
pub fn talks_with(client: &mut Client, server: &str) {
    let lines = hello(client);
    assert!(lines[0].contains(&format!("{server}.stores.example.org")), "{lines:?}");
}

#[test]
fn a_message_by_swaks_is_in_the_users_own_postfix_which_knows_the_client() {
    let (gateway, pair) = (gateway(), shared());
    for (listener, tls, word) in BOTH_TLS {
        for mechanism in ["PLAIN", "LOGIN"] {
            for (user, own, other) in [("alice", &pair.one, &pair.two), ("bob", &pair.two, &pair.one)] {
                let (subject, from) = (format!("swaks-{word}-{mechanism}-{user}"), format!("{user}@example.org"));
                let (header, secret) = (format!("Subject: {subject}"), format!("{user}-secret"));
                let mut arguments = vec![tls, "--auth", mechanism, "--auth-user", user, "--auth-password", &secret];
                arguments.extend(["--from", &from, "--header", &header]);
                swaks(&gateway, listener, &arguments).fine();
                arrived(own, &subject, user);
                assert!(other.messages(&subject).is_empty());
            }
        }
    }
    gateway.is_calm();
}

#[test]
fn a_message_by_pythons_smtplib_arrives_as_it_was_sent() {
    let (gateway, pair) = (gateway(), shared());
    let ca = certs().ca_file.to_str().unwrap();
    for (listener, _, tls) in BOTH_TLS {
        for mechanism in ["PLAIN", "LOGIN"] {
            for (user, own) in [("alice", &pair.one), ("bob", &pair.two)] {
                let (port, secret) = (gateway.port(listener).to_string(), format!("{user}-secret"));
                let subject = format!("smtplib-{tls}-{mechanism}-{user}");
                let who = ["127.0.0.77", "127.0.0.1", &port, tls, ca, user, &secret, mechanism, &subject];
                python("submit.py", &who).fine();
                let message = arrived(own, &subject, user);
                let (_, body) = message.split_once("\n\n").expect("a head and a body");
                let sent = (0..5000).fold(String::new(), |text, n| text + &".".repeat(n % 3) + &format!("line {n}\n"));
                assert!(body.trim_end() == sent.trim_end(), "{subject}: {} of {} bytes", body.len(), sent.len());
            }
        }
    }
    gateway.is_calm();
}

#[test]
fn a_back_end_behind_tls_is_told_the_same() {
    let (site, pair) = (site::shared(), shared());
    let ports =
        |port: u16| format!("{{ imap: {}, pop3: {}, submission: {port} }}", site.one.ports.imap, site.one.ports.pop3);
    for (mode, port) in [("starttls", pair.ports.submission), ("implicit", pair.ports.submissions)] {
        let tls = format!("{{ mode: {mode}, ca: \"{}\" }}", certs().ca_file.display());
        let plan = plan(site, pair).set("backends.stores.tls", &tls).set("backends.stores.ports", &ports(port));
        let gateway = Gateway::start(&plan);
        let header = format!("Subject: behind-{mode}");
        let user = ["--auth", "PLAIN", "--auth-user", "bob", "--auth-password", "bob-secret"];
        let message = ["--tls", "--from", "bob@example.org", "--header", &header];
        swaks(&gateway, "submission", &[&user[..], &message].concat()).fine();
        arrived(&pair.two, &format!("behind-{mode}"), "bob");
    }
}

#[test]
fn a_refused_login_has_its_code_and_the_next_one_works() {
    let gateway = gateway();
    for (user, secret, answer) in [
        ("alice", "wrong", "535 5.7.8 "),
        ("nobody", "nobody-secret", "535 5.7.8 "),
        ("carol", "carol-secret", "535 5.7.1 "),
        ("grace", "grace-secret", "454 4.7.0 "),
    ] {
        let mut client = open(&gateway);
        let heard = login(&mut client, user, secret);
        assert!(heard.starts_with(answer), "{user}: {heard}");
        assert!(login(&mut client, "bob", "bob-secret").starts_with("235 "), "behind {user}");
        talks_with(&mut client, "two");
        client.ask_for("QUIT", "221 ");
    }
    let refusal = |user: &str| login(&mut open(&gateway), user, "wrong");
    assert_eq!(refusal("alice"), refusal("nobody"), "who exists is not told");
    gateway.is_calm();
}

#[test]
fn swaks_is_told_why_and_goes() {
    let gateway = gateway();
    let attempt = |tls: &str, listener: &str, user: &str, secret: &str| {
        let who = ["--auth", "PLAIN", "--auth-user", user, "--auth-password", secret, "--from", "x@example.org"];
        swaks(&gateway, listener, &[&who[..], &[tls]].concat())
    };
    for (user, secret, words) in
        [("alice", "wrong", "535 5.7.8 "), ("nobody", "x", "535 5.7.8 "), ("carol", "carol-secret", "535 5.7.1 ")]
    {
        for (listener, tls, _) in BOTH_TLS {
            let outcome = attempt(tls, listener, user, secret);
            assert_eq!(outcome.code, Some(28), "swaks's word for a refused login: {outcome:#?}");
            assert!((outcome.out.clone() + &outcome.err).contains(words), "{outcome:#?}");
        }
    }
}

#[test]
fn nobody_sends_before_the_login_and_no_password_comes_in_the_clear() {
    let gateway = gateway();
    let mut client = open(&gateway);
    client.ask_for("MAIL FROM:<alice@example.org>", "530 5.7.0 ");
    assert!(login(&mut client, "alice", "alice-secret").starts_with("235 "));
    client.ask_for("MAIL FROM:<alice@example.org>", "250 ");

    let mut client = gateway.connect("submission");
    client.expect("220 ");
    let offers = hello(&mut client);
    assert!(!offers.iter().any(|line| line.contains("AUTH")), "{offers:?}");
    client.ask_for("MAIL FROM:<alice@example.org>", "530 5.7.0 ");
    client.ask_for("AUTH PLAIN AGFsaWNlAGFsaWNlLXNlY3JldA==", "538 5.7.11 ");
    client.ask_for("STARTTLS", "220 ");
    let mut client = client.tls();
    hello(&mut client);
    client.ask_for("AUTH PLAIN AGFsaWNlAGFsaWNlLXNlY3JldA==", "235 ");
    talks_with(&mut client, "one");
}

#[test]
fn bytes_behind_starttls_in_the_clear_end_the_session_and_are_never_run_a03() {
    let gateway = gateway();
    for behind in ["EHLO commandinjectiontester\r\n", "AUTH PLAIN AGFsaWNlAGFsaWNlLXNlY3JldA==\r\n", "EH"] {
        let mut client = gateway.connect("submission");
        client.expect("220 ");
        hello(&mut client);
        client.send(format!("STARTTLS\r\n{behind}"));
        let heard = client.closed();
        assert!(!["235", "250", "commandinjectiontester"].iter().any(|word| heard.contains(word)), "{behind}: {heard}");
    }
    assert!(login(&mut open(&gateway), "alice", "alice-secret").starts_with("235 "));
    gateway.is_calm();
}

#[test]
fn while_ldap_or_a_back_end_is_down_its_users_are_told_to_come_back_and_then_they_may() {
    let mut site = Site::start();
    let mut pair = Pair::beside(&site);
    let gateway = Gateway::start(&plan(&site, &pair));
    let attempt = |client: &mut Client, user: &str| login(client, user, &format!("{user}-secret"));

    let mut alice = open(&gateway);
    site.slapd.kill();
    let heard = attempt(&mut alice, "alice");
    assert!(heard.starts_with("454 4.7.0 "), "LDAP down: {heard}");
    site.slapd.restart();
    let heard = attempt(&mut alice, "alice");
    assert!(heard.starts_with("235 "), "LDAP back: {heard}");

    let mut alice = open(&gateway);
    pair.one.kill();
    let heard = attempt(&mut alice, "alice");
    assert!(heard.starts_with("454 4.7.0 "), "Postfix down: {heard}");
    assert!(attempt(&mut open(&gateway), "bob").starts_with("235 "), "bob lives elsewhere");
    pair.one.restart();
    let heard = attempt(&mut alice, "alice");
    assert!(heard.starts_with("235 "), "Postfix back: {heard}");

    // Postfix is there, but cannot ask who alice is.
    let mut alice = open(&gateway);
    site.one.kill();
    let heard = attempt(&mut alice, "alice");
    assert!(heard.starts_with("454 4.7.0 "), "Postfix's SASL down: {heard}");
    site.one.restart();
    wait::until_true("Postfix to ask again", wait::SOON * 4, || {
        attempt(&mut open(&gateway), "alice").starts_with("235 ")
    });
}

#[test]
fn who_is_logged_in_cannot_pass_for_another_by_xclient() {
    let gateway = gateway();
    let mut client = gateway.connect_from("127.0.0.77", "submissions").tls();
    client.expect("220 ");
    hello(&mut client);
    client.ask_for("XCLIENT LOGIN=bob", "502 ");
    assert!(login(&mut client, "alice", "alice-secret").starts_with("235 "));
    // Postfix believes the gateway's address, and the client has its own by now.
    let offers = hello(&mut client);
    assert!(!offers.iter().any(|line| line.contains("XCLIENT")), "{offers:?}");
    client.ask_for("XCLIENT LOGIN=bob ADDR=198.51.100.9", "550 ");
}
