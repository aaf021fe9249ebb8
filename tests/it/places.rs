//! Places at a server (`max_connections`), shared by those who read mail and by strangers who bring it.

use crate::support::client::Client;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::postfix::shared;
use crate::support::slapd::password;
use crate::support::{site, smtp};

#[test]
fn ten_silent_strangers_on_port_25_leave_half_of_the_places_to_those_who_log_in() {
    let plan = smtp::plan(site::shared(), shared().ports)
        .set("backends.stores.max_connections", "10")
        .set("backends.stores.wait", "300ms");
    // What the servers offer was asked before the first stranger comes.
    let gateway = smtp::start_and_learn(&plan, "PIPELINING");
    let mut strangers: Vec<Client> = (0..10).map(|_| smtp::open(&gateway)).collect();
    let mut answers: Vec<String> = Vec::new();
    for stranger in &mut strangers {
        stranger.ask_for("MAIL FROM:<stranger@elsewhere.example.net>", "250 ");
        answers.push(stranger.ask("RCPT TO:<alice@example.org>"));
    }
    let (taken, told_to_wait) = answers.split_at(5);
    assert!(taken.iter().all(|answer| answer.starts_with("250 ")), "{answers:?}");
    assert!(told_to_wait.iter().all(|answer| answer.starts_with("451 4.3.0 ")), "{answers:?}");
    gateway.logged(&["one.stores.example.org", "mail has its half"]);
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&gateway, "alice")), "one");
    }
    gateway.metric_becomes("backend_connections", &[], 5.0);
    let readers: Vec<Client> = (0..5).map(|number| BOTH[number % 2].session(&gateway, "alice")).collect();
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
    Mail::Imap.refused(&answer, Refusal::Unavailable);
    drop(readers);
    for stranger in &mut strangers {
        stranger.ask_for("RSET", "250 ");
    }
    gateway.metric_becomes("backend_connections", &[], 0.0);
    smtp::begin(&mut strangers[9], "stranger", "alice");
    drop(strangers);
    gateway.is_calm();
}
