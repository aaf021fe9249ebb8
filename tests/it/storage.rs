//! Users of a whole pool, each with the mailbox on one of its servers, while that server is away: with separate storage
//! nobody is sent to another one, by no protocol; with shared storage another one stands in.

use std::net::Ipv4Addr;

use crate::port25::{arrives, delivered, send};
use crate::support::dovecot::{Dovecot, Ports};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::postfix::Pair;
use crate::support::slapd::password;
use crate::support::{site, smtp};

/// Nobody is asked where a user lives: the name decides.
fn hashed(plan: Plan) -> Plan {
    plan.without("directory.sources.ldap").set("directory.sources.pool", "stores")
}

/// Who of these lives on the first server, and who on the second: the same wherever the servers have the same names.
fn homes() -> [Vec<&'static str>; 2] {
    let gateway = Gateway::start(&hashed(site::shared().plan()));
    let lives_on = |user: &&str| Mail::Imap.server_of(&mut Mail::Imap.session(&gateway, user));
    let users = ["alice", "bob", "carol", "dave", "frank", "heidi", "ivan", "niaj", "mallory"];
    let (one, two): (Vec<_>, Vec<_>) = users.into_iter().partition(|user| lives_on(user) == "one");
    assert!(one.len() > 1 && two.len() > 1, "{one:?} {two:?}");
    [one, two]
}

/// A pool with these ports at the addresses of the two servers.
fn in_front_of(ports: Ports) -> Plan {
    let ports = format!("{{ imap: {}, pop3: {} }}", ports.imap, ports.pop3);
    hashed(site::shared().plan()).set("backends.stores.ports", &ports)
}

#[test]
fn while_a_server_is_away_nobody_reads_another_ones_mail() {
    let [ones, twos] = homes();
    // Somebody has a mailbox on the other server, too: another one.
    let twin = twos[0];
    let ports = Ports::free();
    let mut two = Dovecot::start_for("two", Ipv4Addr::new(127, 0, 0, 12), ports, &twos, "");
    let one = Dovecot::start_for("one", Ipv4Addr::new(127, 0, 0, 11), ports, &[&ones[..], &[twin]].concat(), "");
    let separate = Gateway::start(&in_front_of(ports));
    let shared = Gateway::start(&in_front_of(ports).set("backends.stores.storage", "shared"));
    for gateway in [&separate, &shared] {
        assert_eq!(Mail::Imap.server_of(&mut Mail::Imap.session(gateway, twin)), "two");
    }
    two.kill();
    for mail in BOTH {
        for user in &twos {
            let answer = mail.try_login(&mut mail.open(&separate), user, &password(user));
            mail.refused(&answer, Refusal::Unavailable);
        }
        assert_eq!(mail.server_of(&mut mail.session(&separate, ones[0])), "one");
    }
    for user in &twos {
        assert!(!one.log().contains(&format!("user=<{user}>")), "{user} was sent to the other server");
    }
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&shared, twin)), "one", "there it is meant to be the same mailbox");
    }
    two.restart();
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&separate, twin)), "two");
    }
}

#[test]
fn mail_for_a_server_that_is_away_waits_and_is_offered_to_no_other() {
    let [ones, twos] = homes();
    let mut pair = Pair::beside(site::shared());
    let gateway = Gateway::start(&hashed(smtp::plan(site::shared(), pair.ports)));
    pair.two.kill();
    let mut client = smtp::open(&gateway);
    client.ask_for("MAIL FROM:<sender@elsewhere.example.net>", "250 ");
    for user in &twos {
        client.ask_for(&format!("RCPT TO:<{user}@example.org>"), "451 4.3.0 ");
    }
    client.ask_for("DATA", "554 5.5.1 ");
    client.ask_for("RSET", "250 ");
    assert!(send(&mut client, "at-home", &[ones[0]]).starts_with("250 "));
    arrives(&pair.one, "at-home", &[ones[0]]);
    pair.two.restart();
    assert!(send(&mut client, "it-waited", &[twos[0]]).starts_with("250 "));
    client.ask_for("QUIT", "221 ");
    arrives(&pair.two, "it-waited", &[twos[0]]);
    assert!(delivered(&pair.one, "it-waited").is_empty());
    gateway.is_calm();
}
