//! Many who send to one recipient at once, by ill will or because gateways point at each other.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::fake::{Fake, Fault, Step};
use crate::support::gateway::Gateway;
use crate::support::smtp::plan_before_one;
use crate::support::{ports, wait};

/// Up to the answer to RCPT, which is not waited for.
fn ask(gateway: &Gateway, source: &str, sender: &str) -> Client {
    let mut client = gateway.connect_from(source, "smtp");
    client.expect("220 ");
    client.ask_for("HELO client.example.org", "250 ");
    client.ask_for(&format!("MAIL FROM:<{sender}@elsewhere.example.net>"), "250 ");
    client.send("RCPT TO:<alice@example.org>\r\n");
    client
}

#[test]
fn one_address_keeps_no_mail_of_others_from_a_recipient() {
    let fake = Fake::start(vec![Step::Deliver(vec![Fault { sender: "think@", at: "RCPT", then: vec![] }])]);
    let gateway = Gateway::start(&plan_before_one(fake.port));
    let mut waiting: Vec<_> = (0..64).map(|_| ask(&gateway, "127.0.0.78", "think")).collect();
    wait::until_true("64 recipients at the server", wait::SOON, || fake.heard().matches("RCPT TO:").count() == 64);
    ask(&gateway, "127.0.0.78", "good").expect("451 4.3.2 ");
    ask(&gateway, "127.0.0.77", "good").expect("250 ");
    // One who leaves makes room.
    waiting.pop().expect("one of them").reset();
    gateway.metric_becomes("backend_connections", &[], 63.0);
    ask(&gateway, "127.0.0.78", "good").expect("250 ");
    drop(waiting);
    gateway.is_calm();
}

#[test]
fn two_gateways_that_point_at_each_other_end_a_message_that_goes_around() {
    let (here, there) = (ports::free(), ports::free());
    let one_way = |own: u16, other: u16| {
        let plan = plan_before_one(other).listener("around", "smtp", "none");
        Gateway::start(&plan.set("listeners.around.address", &format!("\"127.0.0.1:{own}\"")))
    };
    let gateways = [one_way(here, there), one_way(there, here)];
    let mut client = ask(&gateways[0], "127.0.0.77", "round");
    // Some thousand lines go to and fro, one after the other.
    client.patience(Duration::from_secs(300));
    client.expect("451 4.3.2 ");
    drop(client);
    let taken: f64 = gateways.iter().map(|gateway| gateway.metric("connections_total", &[])).sum();
    assert!(taken < 200.0, "{taken} connections went around");
    gateways.iter().for_each(Gateway::is_calm);
}
