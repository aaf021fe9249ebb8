//! Port 25 from outside: a gateway's plan that has it, and a client that speaks it.

use super::client::Client;
use super::gateway::Gateway;
use super::plan::Plan;
use super::postfix;
use super::site::Site;
use super::wait;

/// In front of a site whose Postfixes have these ports.
pub fn plan(site: &Site, ports: postfix::Ports) -> Plan {
    let postfix::Ports { submission, smtp, .. } = ports;
    let (imap, pop3) = (site.one.ports.imap, site.one.ports.pop3);
    site.plan()
        .set(
            "backends.stores.ports",
            &format!("{{ imap: {imap}, pop3: {pop3}, submission: {submission}, smtp: {smtp} }}"),
        )
        .listener("smtp", "smtp", "starttls")
}

/// In front of one server that speaks SMTP at a port of 127.0.0.1; everyone lives there.
pub fn plan_before_one(port: u16) -> Plan {
    Plan::before_one(port, port)
        .set("backends.stores.ports", &format!("{{ imap: {port}, pop3: {port}, smtp: {port} }}"))
        .listener("smtp", "smtp", "starttls")
}

/// A gateway that has learnt what its servers offer, and shows this.
#[track_caller]
pub fn start_and_learn(plan: &Plan, offer: &str) -> Gateway {
    let gateway = Gateway::start(plan);
    wait::until_true(&format!("{offer} to be shown"), wait::SOON, || {
        hello_of(&gateway).iter().any(|line| line.contains(offer))
    });
    gateway
}

fn hello_of(gateway: &Gateway) -> Vec<String> {
    let mut client = gateway.connect("smtp");
    client.expect("220 ");
    let offers = hello(&mut client);
    client.ask_for("QUIT", "221 ");
    offers
}

/// Connects and says EHLO.
#[track_caller]
pub fn open(gateway: &Gateway) -> Client {
    let mut client = gateway.connect_from("127.0.0.77", "smtp");
    client.expect("220 mail.example.org ESMTP ");
    hello(&mut client);
    client
}

/// The same inside TLS, by STARTTLS.
#[track_caller]
pub fn open_with_tls(gateway: &Gateway) -> Client {
    let mut client = open(gateway);
    client.ask_for("STARTTLS", "220 ");
    let mut client = client.tls();
    hello(&mut client);
    client
}

/// EHLO; what is offered.
#[track_caller]
pub fn hello(client: &mut Client) -> Vec<String> {
    client.send("EHLO client.example.org\r\n");
    client.lines_to("250 ")
}

/// MAIL and one RCPT at example.org, both to be accepted.
#[track_caller]
pub fn begin(client: &mut Client, sender: &str, recipient: &str) {
    client.ask_for(&format!("MAIL FROM:<{sender}@elsewhere.example.net>"), "250 ");
    client.ask_for(&format!("RCPT TO:<{recipient}@example.org>"), "250 ");
}
