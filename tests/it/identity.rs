//! The back-end's log shows who the client is, not who the gateway is.

use crate::support::certs::certs;
use crate::support::dovecot::Dovecot;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::plan::Plan;
use crate::support::{site, wait};

/// Waits for a login in the back-end's log that shows this client.
#[track_caller]
fn seen(dovecot: &Dovecot, user: &str, client: &str) {
    let words = [format!("user=<{user}>"), format!("rip={client} ")];
    wait::until_true(&format!("{words:?} in the back-end's log"), wait::SOON, || {
        dovecot.logins(&words[0]).iter().any(|line| line.replace(',', " ").contains(&words[1]))
    });
}

#[test]
fn the_back_end_sees_the_clients_own_address() {
    let site = site::shared();
    let gateway = Gateway::start(&site.plan());
    for (mail, client) in BOTH.into_iter().zip(["127.0.0.77", "127.0.0.78"]) {
        mail.login(&mut mail.open_from(client, &gateway), "alice");
        seen(&site.one, "alice", client);
    }
}

#[test]
fn the_back_end_sees_it_through_starttls_too() {
    let site = site::shared();
    let ca = format!("{{ mode: starttls, ca: \"{}\" }}", certs().ca_file.display());
    let gateway = Gateway::start(&site.plan().set("backends.stores.tls", &ca));
    for (mail, client) in BOTH.into_iter().zip(["127.0.0.79", "127.0.0.80"]) {
        mail.login(&mut mail.open_from(client, &gateway), "bob");
        seen(&site.two, "bob", client);
    }
}

#[test]
fn the_back_end_sees_the_client_that_a_balancer_announced() {
    let site = site::shared();
    let gateway = Gateway::start(&behind_a_balancer(site.plan()));
    for (mail, client) in BOTH.into_iter().zip(["192.0.2.77", "192.0.2.78"]) {
        let mut session = gateway.connect(&format!("balanced-{}", mail.name()));
        session.send(format!("PROXY TCP4 {client} 192.0.2.1 40000 143\r\n"));
        session.expect(mail.ok());
        mail.login(&mut session, "bob");
        seen(&site.two, "bob", client);
    }
}

fn behind_a_balancer(mut plan: Plan) -> Plan {
    plan = plan.service("login.cleartext", "always");
    for mail in BOTH {
        let name = format!("balanced-{}", mail.name());
        plan = plan
            .listener(&name, mail.name(), "none")
            .set(&format!("listeners.{name}.proxy_protocol"), "{ from: [127.0.0.1] }");
    }
    plan
}

#[test]
fn what_a_client_says_of_its_own_address_is_not_believed() {
    let site = site::shared();
    let gateway = Gateway::start(&site.plan());
    let mut client = gateway.connect_from("127.0.0.81", "imaps").tls();
    client.expect("* OK ");
    client
        .send("i ID (\"name\" \"x\" \"x-originating-ip\" \"198.51.100.81\" \"x-connected-ip\" \"198.51.100.82\")\r\n");
    client.lines_to("i OK");
    Mail::Imap.login(&mut client, "bob");
    seen(&site.two, "bob", "127.0.0.81");

    let mut client = Mail::Pop3.open_from("127.0.0.82", &gateway);
    client.ask_for("XCLIENT ADDR=198.51.100.81 PORT=1", "-ERR");
    Mail::Pop3.login(&mut client, "bob");
    seen(&site.two, "bob", "127.0.0.82");
    assert!(!site.two.log().contains("198.51.100.8"));
}

#[test]
fn a_back_end_that_is_to_be_told_nothing_sees_the_gateway() {
    let site = site::shared();
    let plan =
        site.plan().set("backends.stores.identity", "none").set("backends.stores.source_addresses", "[127.0.0.83]");
    let gateway = Gateway::start(&plan);
    for mail in BOTH {
        mail.login(&mut mail.open_from("127.0.0.84", &gateway), "alice");
    }
    seen(&site.one, "alice", "127.0.0.83");
    assert!(!site.one.log().contains("rip=127.0.0.84"));
}
