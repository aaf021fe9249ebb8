//! Servers that swallow what they are sent, or are gone: in a pool with shared storage no login waits for one that is known
//! to be away while another serves, and its users come back with it; with separate storage nobody waits either.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::dovecot::{Dovecot, Ports};
use crate::support::fake::BlackHole;
use crate::support::gateway::Gateway;
use crate::support::mail::{Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::slapd::password;
use crate::support::{ports, site, wait};

const USERS: usize = 100;
const TWO: &str = "two.stores.example.org";

/// Two servers with all users' mailboxes, whose names decide where each lives.
fn pool(users: &[String], settings: &str) -> (Dovecot, Dovecot, Plan) {
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let ports = Ports::free();
    let one = Dovecot::start_for("one", Ipv4Addr::new(127, 0, 0, 11), ports, &users, settings);
    let two = Dovecot::start_for("two", Ipv4Addr::new(127, 0, 0, 12), ports, &users, settings);
    let plan = site::shared().plan().without("directory.sources.ldap").set("directory.sources.pool", "stores");
    let plan = plan.set("backends.stores.ports", &format!("{{ imap: {}, pop3: {} }}", ports.imap, ports.pop3));
    (one, two, plan.set("backends.stores.storage", "shared").set("backends.stores.health", "{ interval: 1s }"))
}

/// Logs in, and says where.
fn server_of(gateway: &Gateway, user: &str) -> String {
    Mail::Imap.server_of(&mut Mail::Imap.session(gateway, user))
}

#[test]
fn after_its_first_failure_nobody_waits_for_a_frozen_server_and_its_users_come_back_with_it() {
    let users: Vec<String> = (0..USERS).map(|number| format!("user{number}")).collect();
    let (_one, two, plan) = pool(&users, "mail_max_userip_connections = 1000\n");
    let gateway = Gateway::start(&plan.set("backends.stores.login_timeout", "2s"));
    let homes: Vec<String> = users.iter().map(|user| server_of(&gateway, user)).collect();
    let of_two = homes.iter().filter(|home| *home == "two").count();
    assert!((20..80).contains(&of_two), "{of_two}");
    let tried = || gateway.metric("backend_connects_total", &[TWO]);
    let before = tried();
    two.freeze();
    let first = users.iter().zip(&homes).find(|(_, home)| *home == "two").expect("somebody lives there").0;
    assert_eq!(server_of(&gateway, first), "one");
    assert_eq!(tried() - before, 1.0, "the first login waited for it");
    for user in &users {
        assert_eq!(server_of(&gateway, user), "one");
    }
    assert_eq!(tried() - before, 1.0, "nobody after that did, and what the gateway tries is not counted");
    gateway.logged(&["another server is tried", "backend=\"two.", "stage=\"greeting\""]);
    two.thaw();
    wait::until_true("its users to come back", wait::SOON, || server_of(&gateway, first) == "two");
    let now: Vec<String> = users.iter().map(|user| server_of(&gateway, user)).collect();
    assert_eq!(now, homes);
}

#[test]
fn a_server_that_swallows_connections_is_waited_for_once_and_then_its_users_are_told_at_once() {
    let hole = BlackHole::start();
    let plan = Plan::before_one(hole.port, ports::free()).set("backends.stores.connect_timeout", "500ms");
    let gateway = Gateway::start(&plan.set("backends.stores.health", "{ interval: 1s }"));
    let refused = || {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
        Mail::Imap.refused(&answer, Refusal::Unavailable);
    };
    refused();
    let tried = || gateway.metric("backend_connects_total", &["timed_out"]);
    assert_eq!(tried(), 1.0);
    wait::until_true("a look that confirms it", wait::SOON, || {
        refused();
        gateway.log().contains("known to be down: connecting: ")
    });
    let before = tried();
    for _ in 0..20 {
        refused();
    }
    assert_eq!(tried(), before, "nobody waited");
    assert!(gateway.metric("backend_connects_total", &["known_down"]) >= 20.0, "and it is counted all the same");
}

#[test]
fn a_full_server_of_a_shared_pool_is_failed_over() {
    let users = ["alice".to_owned(), "bob".to_owned()];
    let (_one, _two, plan) = pool(&users, "");
    let plan = plan.set("backends.stores.max_connections", "1").set("backends.stores.wait", "100ms");
    let gateway = Gateway::start(&plan);
    let mut first = Mail::Imap.session(&gateway, "alice");
    let home = Mail::Imap.server_of(&mut first);
    let mut second = Mail::Imap.session(&gateway, "alice");
    assert_ne!(Mail::Imap.server_of(&mut second), home);
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
    Mail::Imap.refused(&answer, Refusal::Unavailable);
    drop(first);
    wait::until_true("a place at home", Duration::from_secs(20), || {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
        Mail::Imap.is_in(&answer)
    });
}

#[test]
fn a_refused_password_is_tried_at_no_other_server() {
    let (one, two, plan) = pool(&["alice".to_owned()], "");
    let gateway = Gateway::start(&plan);
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", "wrong");
    Mail::Imap.refused(&answer, Refusal::BadCredentials);
    let heard = |server: &Dovecot| server.log().contains("user=<alice>");
    wait::until_true("the refusal in one log", wait::SOON, || heard(&one) || heard(&two));
    assert!(heard(&one) != heard(&two));
}
