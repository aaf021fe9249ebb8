//! How long, and how often: deadlines and counts of errors.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::{ports, site};

fn alone(timeouts: &str) -> Gateway {
    let nobody = ports::free();
    Gateway::start(&Plan::before_one(nobody, nobody).service("timeouts", timeouts))
}

#[test]
fn the_login_deadline_is_one_for_all_commands_together() {
    let gateway = alone("{ login: 2s }");
    for mail in BOTH {
        let start = Instant::now();
        let mut client = mail.open(&gateway);
        let (command, _) = mail.harmless();
        while client.try_send(format!("{command}\r\n")).is_ok() && start.elapsed() < Duration::from_secs(10) {
            match client.try_line() {
                Ok(line) if line.starts_with(mail.turned_away()) => break,
                // Slow enough that the deadline comes before the count of commands.
                Ok(_) => thread::sleep(Duration::from_millis(50)),
                Err(_) => break,
            }
        }
        let took = start.elapsed();
        assert!(took > Duration::from_millis(1500) && took < Duration::from_secs(6), "{mail:?} ended after {took:?}");
    }
}

#[test]
fn a_silent_client_is_told_goodbye_at_the_login_deadline() {
    let gateway = alone("{ login: 1s }");
    for mail in BOTH {
        let last_words = mail.open(&gateway).closed();
        assert!(last_words.starts_with(mail.turned_away()) || last_words.is_empty(), "{last_words:?}");
    }
    gateway.metric_becomes("connections", &[], 0.0);
}

#[test]
fn an_idle_session_ends_and_a_busy_one_does_not() {
    let gateway = Gateway::start(&site::shared().plan().service("timeouts", "{ idle: 2s }"));
    let mut idle = Mail::Imap.session(&gateway, "alice");
    let mut busy = Mail::Imap.session(&gateway, "alice");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        busy.ask_for("b NOOP", "b OK");
        // A pause that is an assertion too: nobody speaks unasked.
        busy.silent(Duration::from_millis(500));
    }
    let last_words = idle.closed();
    assert!(last_words.is_empty() || last_words.starts_with("* BYE "), "{last_words:?}");
    busy.ask_for("b NOOP", "b OK");
    gateway.logged(&["ending=", "idle"]);
}

fn bad_command(mail: Mail, client: &mut Client) {
    match mail {
        Mail::Imap => drop(client.ask_for("x NONSENSE", "x BAD")),
        Mail::Pop3 => drop(client.ask_for("NONSENSE", "-ERR")),
    }
}

#[test]
fn wrong_commands_are_counted_and_the_last_one_ends_the_session() {
    let nobody = ports::free();
    let gateway = Gateway::start(&Plan::before_one(nobody, nobody).service("errors", "{ commands: 3, logins: 9 }"));
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        bad_command(mail, &mut client);
        bad_command(mail, &mut client);
        if mail == Mail::Imap {
            client.ask_for("n NOOP", "n OK");
        }
        client.send("x NONSENSE\r\n");
        client.closed();
        mail.open(&gateway);
    }
}

#[test]
fn a_session_that_says_a_lot_and_never_logs_in_is_ended() {
    let gateway = alone("{ login: 60s }");
    for mail in BOTH {
        let (command, answer) = mail.harmless();
        let mut client = mail.open(&gateway);
        client.send(format!("{command}\r\n").repeat(200));
        for _ in 0..100 {
            client.expect(answer);
        }
        client.expect(mail.turned_away());
        client.closed();
        let protocol = if mail == Mail::Imap { "imap" } else { "pop3" };
        let labels = [&*format!("protocol=\"{protocol}\""), "ending=\"too_many_commands\""];
        gateway.metric_becomes("session_endings_total", &labels, 1.0);
    }
    gateway.logged(&["ending=", "too_many_commands"]);
}

#[test]
fn failed_logins_are_counted_and_the_last_one_ends_the_session() {
    let gateway = Gateway::start(&site::shared().plan().service("errors", "{ commands: 9, logins: 2 }"));
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        for _ in 0..2 {
            let answer = mail.try_login(&mut client, "alice", "wrong");
            mail.refused(&answer, Refusal::BadCredentials);
        }
        client.closed();
    }
}
