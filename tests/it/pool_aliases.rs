//! A user of a whole pool whose name decides the server: every alias leads to that one, at a login and on port 25.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::support::fake::{Fake, Step};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::site;
use crate::support::slapd::{Slapd, password};
use crate::support::smtp;

const USERS: [&str; 3] = ["judy", "kim", "leo"];

/// The user's own address, and six more.
pub fn addresses(user: &str) -> Vec<String> {
    let others = ["first", "second", "third", "fourth", "fifth", "sixth"];
    let others = others.map(|which| format!("{which}.{user}@example.net"));
    [vec![format!("{user}@example.org")], others.to_vec()].concat()
}

/// They live in the pool, and the directory does not say at which server.
pub fn people() -> String {
    USERS.iter().fold(String::new(), |mut ldif, user| {
        write!(
            ldif,
            "\ndn: cn={user},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\n\
             objectClass: inetLocalMailRecipient\ncn: {user}\nsn: {user}\nuid: {user}\nuserPassword: {}\n\
             mail: {user}@example.org\nmailHost: stores\n",
            password(user)
        )
        .unwrap();
        addresses(user).iter().for_each(|address| writeln!(ldif, "mailLocalAddress: {address}").unwrap());
        ldif
    })
}

/// What the lines of the log with these words say of a field.
fn values(log: &str, words: [&str; 2], field: &str) -> BTreeSet<String> {
    let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word)));
    let rest = lines.filter_map(|line| line.split(&format!(" {field}=\"")).nth(1));
    rest.filter_map(|rest| rest.split('"').next()).map(ToOwned::to_owned).collect()
}

#[test]
fn every_alias_of_a_user_leads_to_the_server_of_the_mailbox() {
    let slapd = Slapd::start_with(&people());
    let (store, mx) = (Fake::start(vec![Step::Serve(Mail::Imap)]), Fake::start(vec![Step::Deliver(vec![])]));
    let servers = "[{ name: one.stores.example.org, address: 127.0.0.1 }, \
                   { name: two.stores.example.org, address: 127.0.0.1 }]";
    let plan = site::shared()
        .plan()
        .set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()))
        .set("directory.sources.ldap.filter", "\"(mailLocalAddress={user})\"")
        .set("directory.domains", "[example.org, example.net]")
        .set("backends.stores.servers", servers)
        .set("backends.stores.ports", &format!("{{ imap: {}, smtp: {} }}", store.port, mx.port))
        .listener("smtp", "smtp", "none");
    let gateway = Gateway::start(&plan);
    let mut homes = BTreeSet::new();
    for user in USERS {
        let identity = format!("user=\"{user}@example.org\"");
        for (number, address) in addresses(user).iter().enumerate() {
            let mut client = Mail::Imap.open(&gateway);
            let answer = Mail::Imap.try_login(&mut client, address, &password(user));
            assert!(Mail::Imap.is_in(&answer), "{address}: {answer}");
            gateway.logged(&["logged in", &identity]);
            let mut sender = smtp::open(&gateway);
            sender.ask_for(&format!("MAIL FROM:<{number}.to.{user}@elsewhere.example.net>"), "250 ");
            sender.ask_for(&format!("RCPT TO:<{address}>"), "250 ");
            sender.ask_for("DATA", "354 ");
            sender.send("Subject: x\r\n\r\nHello.\r\n");
            sender.ask_for(".", "250 ");
            gateway.logged(&["message settled", &format!("{number}.to.{user}@")]);
        }
        let of_logins = values(&gateway.log(), ["logged in", &identity], "backend");
        let of_mail = values(&gateway.log(), ["message settled", &format!(".to.{user}@")], "backend");
        assert_eq!((of_logins.len(), &of_logins), (1, &of_mail), "{user}");
        homes.extend(of_logins);
    }
    assert_eq!(homes.len(), 2, "these names are at both servers");
}
