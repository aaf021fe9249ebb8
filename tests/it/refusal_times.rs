//! How long a refusal takes: the time must not say who exists. Only that an answer comes too soon is a fault here; a slow
//! machine makes it later.

use std::time::{Duration, Instant};

use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::site;
use crate::support::slow::SlowStore;

/// In front of a server that takes so long over a wrong password.
fn gateway(delay: Duration) -> Gateway {
    let store = SlowStore::start(delay);
    let servers = "[{ name: one.stores.example.org, address: 127.0.0.1 }, \
                   { name: two.stores.example.org, address: 127.0.0.1 }]";
    let plan = site::shared()
        .plan()
        .set("backends.stores.servers", servers)
        .set("backends.stores.ports", &format!("{{ imap: {}, pop3: {} }}", store.imap, store.pop3));
    Gateway::start(&plan)
}

fn refused(gateway: &Gateway, mail: Mail, user: &str) -> Duration {
    let mut client = mail.open(gateway);
    let asked = Instant::now();
    let answer = mail.try_login(&mut client, user, "wrong");
    let took = asked.elapsed();
    mail.refused(&answer, Refusal::BadCredentials);
    took
}

#[test]
fn right_after_a_start_an_unknown_user_and_a_wrong_password_take_the_same_guess() {
    let gateway = gateway(Duration::ZERO);
    // Each listener measures for itself.
    for (mail, user) in [(Mail::Imap, "nobody"), (Mail::Pop3, "alice")] {
        let took = refused(&gateway, mail, user);
        assert!(took >= Duration::from_millis(500), "{mail:?}, {user}: {took:?}");
    }
}

#[test]
fn an_unknown_user_and_one_without_a_host_take_as_long_as_a_wrong_password() {
    const DELAY: Duration = Duration::from_secs(2);
    let gateway = gateway(DELAY);
    for mail in BOTH {
        for user in ["alice", "nobody", "sybil"] {
            let took = refused(&gateway, mail, user);
            assert!(took >= DELAY, "{mail:?}, {user}: {took:?}");
        }
    }
}
