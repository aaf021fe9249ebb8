//! Strangers guess a user's password, many at once, at servers that are slow over a wrong one: the user's right password
//! from another address gets in as if nobody did.
//!
//! `PORTCULLIS_GUESSES=500 PORTCULLIS_LOGINS=50` makes it as large as the attack that it is about; the time that a login
//! takes meanwhile, as a multiple of its usual time, is printed (`--nocapture`).

use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::slapd::Slapd;
use crate::support::slow::{SlowDirectory, SlowStore};
use crate::support::{site, wait};

/// A wrong password waits so long at a server: whoever waits behind one is found out, on a slow machine too.
const DELAY: Duration = Duration::from_secs(8);
const PROTOCOLS: [&str; 3] = ["imap", "pop3", "submission"];

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn plan(store: &SlowStore, ldap: u16, check: &str) -> Plan {
    let ports = format!("{{ imap: {}, pop3: {}, submission: {} }}", store.imap, store.pop3, store.submission);
    let mut plan = site::shared().plan().listener("submission", "submission", "starttls");
    plan = plan
        .set("directory.sources.ldap.urls", &format!("[\"ldap://127.0.0.1:{ldap}\"]"))
        .set("directory.sources.ldap.timeout", "30s")
        .set(
            "backends.stores.servers",
            "[{ name: one.stores.example.org, address: 127.0.0.1 }, \
             { name: two.stores.example.org, address: 127.0.0.1 }]",
        )
        .set("backends.stores.ports", &ports)
        .set("backends.stores.login_timeout", "30s")
        .set("services.submission.login.mechanisms", "[plain]");
    for service in PROTOCOLS {
        plan = plan
            .set(&format!("services.{service}.login.cleartext"), "always")
            .set(&format!("services.{service}.login.check"), check)
            .set(&format!("services.{service}.user_limits"), "{ connections: 30 }");
    }
    plan
}

/// Connects, hears the greeting, and says all of a login but does not wait for its answer.
fn begin(gateway: &Gateway, protocol: &str, from: &str, secret: &str) -> Client {
    let mut client = gateway.connect_from(from, protocol);
    match protocol {
        "imap" => {
            client.expect("* OK ");
            client.send(format!("l LOGIN alice {secret}\r\n"));
        }
        "pop3" => {
            client.expect("+OK");
            client.ask_for("USER alice", "+OK");
            client.send(format!("PASS {secret}\r\n"));
        }
        _ => {
            client.expect("220 ");
            crate::support::smtp::hello(&mut client);
            let response = base64::engine::general_purpose::STANDARD.encode(format!("\0alice\0{secret}"));
            client.send(format!("AUTH PLAIN {response}\r\n"));
        }
    }
    client
}

/// A login with the right password: how long it took.
#[track_caller]
fn log_in(gateway: &Gateway, protocol: &str, check: &str) -> Duration {
    let start = Instant::now();
    let mut client = begin(gateway, protocol, "127.0.0.2", "alice-secret");
    let answer = client.line();
    let took = start.elapsed();
    let is_in = ["l OK", "+OK", "235 "].iter().any(|yes| answer.starts_with(yes));
    assert!(is_in && took < DELAY / 2, "{protocol}, check: {check}: {answer:?} after {took:?}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// `addresses`: from how many the guesses come.
fn the_right_password_gets_in(check: &str, addresses: usize) {
    let (guesses, logins) = (number("PORTCULLIS_GUESSES", 120), number("PORTCULLIS_LOGINS", 5));
    let slapd = Slapd::start();
    let (store, ldap) = (SlowStore::start(DELAY), SlowDirectory::before(slapd.port, DELAY));
    let gateway = Gateway::start(&plan(&store, ldap.port, check));
    for protocol in PROTOCOLS {
        let times = |logins: usize| (0..logins).map(|_| log_in(&gateway, protocol, check)).collect::<Vec<_>>();
        let before = times(logins);
        let usual = median(before.clone());
        let in_time = |times: &[Duration]| times.iter().filter(|took| **took <= 2 * usual).count();
        let guess = |which: usize| begin(&gateway, protocol, &format!("127.0.1.{}", 1 + which % addresses), "wrong");
        let guessing: Vec<Client> = (0..guesses).map(guess).collect();
        if check == "backend" {
            // As many as are let through at all; the others are refused at once.
            let through = guesses.min(addresses * 64).min(guesses);
            wait::until_true("the guesses to be in flight", wait::SOON, || store.waiting() >= through * 9 / 10);
        }
        let meanwhile = times(logins);
        let (in_time, usually) = (in_time(&meanwhile), in_time(&before));
        let ratio = median(meanwhile).as_secs_f64() / usual.as_secs_f64();
        let line = format!(
            "{protocol}, check: {check}, {guesses} guesses from {addresses}: median {ratio:.2} of {usual:?}, \
             {in_time} of {logins} within twice of it, and without guesses {usually}\n"
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        drop(guessing);
    }
}

#[test]
fn guesses_at_a_slow_back_end_keep_nobody_out() {
    the_right_password_gets_in("backend", 1);
    the_right_password_gets_in("backend", 100);
}

#[test]
fn guesses_at_a_slow_directory_keep_nobody_out() {
    the_right_password_gets_in("directory", 1);
    the_right_password_gets_in("directory", 100);
}

#[test]
fn guesses_at_a_slow_directory_and_a_slow_back_end_keep_nobody_out() {
    the_right_password_gets_in("both", 1);
    the_right_password_gets_in("both", 100);
}
