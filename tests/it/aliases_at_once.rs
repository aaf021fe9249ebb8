//! How many logins of one user, or senders of mail for one, may come from one address at a time: aliases make no more.

use std::time::Duration;

use crate::pool_aliases::{addresses, people};
use crate::support::client::Client;
use crate::support::fake::{Fake, Fault, Step};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::slapd::Slapd;
use crate::support::slow::SlowStore;
use crate::support::{site, wait};

/// At once, for one user from one address.
const MOST: usize = 64;

fn plan(slapd: &Slapd, ports: &str) -> Plan {
    site::shared()
        .plan()
        .service("login.cleartext", "always")
        .set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()))
        .set("directory.sources.ldap.filter", "\"(mailLocalAddress={user})\"")
        .set("directory.domains", "[example.org, example.net]")
        .set("backends.stores.servers", "[{ name: one.stores.example.org, address: 127.0.0.1 }]")
        .set("backends.stores.ports", ports)
        .listener("smtp", "smtp", "none")
}

#[test]
fn logins_of_one_user_from_one_address_are_counted_together_by_whatever_alias() {
    let (slapd, store) = (Slapd::start_with(&people()), SlowStore::start(Duration::from_secs(60)));
    let gateway = Gateway::start(&plan(&slapd, &format!("{{ imap: {} }}", store.imap)));
    let names = addresses("judy");
    let guess = |number: usize| {
        let mut client = gateway.connect_from("127.0.0.86", "imap");
        client.expect("* OK ");
        client.send(format!("l LOGIN {} wrong\r\n", names[number % names.len()]));
        client
    };
    let _held: Vec<Client> = (0..MOST).map(guess).collect();
    wait::until_true("the guesses to be in flight", wait::SOON, || store.waiting() == MOST);
    guess(0).expect("l NO [LIMIT] ");
}

#[test]
fn senders_of_mail_for_one_user_from_one_address_are_counted_together_by_whatever_alias() {
    let slapd = Slapd::start_with(&people());
    let fake = Fake::start(vec![Step::Deliver(vec![Fault { sender: "think@", at: "RCPT", then: vec![] }])]);
    let gateway = Gateway::start(&plan(&slapd, &format!("{{ imap: {0}, smtp: {0} }}", fake.port)));
    let names = addresses("judy");
    let send = |number: usize| {
        let mut client = gateway.connect_from("127.0.0.86", "smtp");
        client.expect("220 ");
        client.ask_for("HELO client.example.org", "250 ");
        client.ask_for("MAIL FROM:<think@elsewhere.example.net>", "250 ");
        client.send(format!("RCPT TO:<{}>\r\n", names[number % names.len()]));
        client
    };
    let _held: Vec<Client> = (0..MOST).map(send).collect();
    wait::until_true("the recipients at the server", wait::SOON, || fake.heard().matches("RCPT TO:").count() == MOST);
    send(0).expect("451 4.3.2 ");
}
