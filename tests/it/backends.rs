//! Where a login goes and how: TLS, master users, places, source addresses, and hosts that nobody allows.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::support::certs::certs;
use crate::support::dovecot::{MASTER, MASTER_PASSWORD};
use crate::support::fake::{Fake, Step, tls};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::slapd::password;
use crate::support::{ports, site, wait};

fn with_tls(plan: Plan, mode: &str) -> Plan {
    let ports = site::shared().one.ports;
    let plan = plan
        .set("backends.stores.tls.mode", mode)
        .set("backends.stores.tls.ca", &format!("\"{}\"", certs().ca_file.display()));
    if mode == "implicit" {
        plan.set("backends.stores.ports", &format!("{{ imap: {}, pop3: {} }}", ports.imaps, ports.pop3s))
    } else {
        plan
    }
}

#[test]
fn back_ends_are_reached_through_both_kinds_of_tls_and_verified() {
    for mode in ["starttls", "implicit"] {
        let gateway = Gateway::start(&with_tls(site::shared().plan(), mode));
        for (mail, (user, home)) in
            BOTH.into_iter().flat_map(|mail| [("alice", "one"), ("bob", "two")].map(|h| (mail, h)))
        {
            assert_eq!(mail.server_of(&mut mail.session(&gateway, user)), home, "{mode}");
        }
        let secured = site::shared().one.logins("user=<alice>").iter().any(|line| line.contains("TLS"));
        assert!(secured, "{mode}: the back-end saw TLS");
    }
}

/// Everyone lives on the first Dovecot, under another name than its certificate has.
fn misnamed(mode: &str) -> Plan {
    let site = site::shared();
    with_tls(site.plan(), mode)
        .without("directory.sources.ldap")
        .set("directory.sources.pool", "stores")
        .set("backends.stores.servers", &format!("[{{ name: wrong.example.org, address: {} }}]", site.one.address))
}

#[test]
fn a_certificate_for_another_name_is_misconfigured_and_no_password_goes_there() {
    let one = &site::shared().one;
    for mode in ["starttls", "implicit"] {
        let gateway = Gateway::start(&misnamed(mode));
        for mail in BOTH {
            let answer = mail.try_login(&mut mail.open(&gateway), "niaj", &password("niaj"));
            mail.refused(&answer, Refusal::Misconfigured);
        }
        gateway.logged(&["wrong.example.org"]);
    }
    assert!(one.logins("user=<niaj").is_empty());
}

#[test]
fn verification_can_be_left_out_where_that_is_asked_for() {
    let gateway = Gateway::start(&misnamed("implicit").set("backends.stores.tls.verify", "false"));
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&gateway, "alice")), "one");
    }
}

#[test]
fn a_certificate_of_an_authority_that_nobody_trusts_is_misconfigured() {
    for mail in BOTH {
        let fake = Fake::start(vec![tls(&certs().stranger), Step::Serve(mail)]);
        let ca = format!("{{ mode: implicit, ca: \"{}\" }}", certs().ca_file.display());
        let gateway = Gateway::start(&Plan::before_one(fake.port, fake.port).set("backends.stores.tls", &ca));
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", "alice-secret");
        mail.refused(&answer, Refusal::Misconfigured);
        fake.heard_no_login();
    }
}

#[test]
fn a_master_user_logs_in_for_whom_the_directory_has_let_in() {
    let site = site::shared();
    let master = format!("{{ master: {{ user: {MASTER}, password: {MASTER_PASSWORD} }} }}");
    let plan = site.plan().service("login.check", "directory").set("backends.stores.login", &master);
    let gateway = Gateway::start(&plan);
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        let refused = mail.try_login(&mut client, "ivan", "ivan-secret");
        mail.refused(&refused, Refusal::BadCredentials);
        let answer = mail.try_login(&mut client, "ivan", "ivan-directory");
        assert!(mail.is_in(&answer), "the directory's password holds, not the back-end's: {answer}");
        assert_eq!(mail.server_of(&mut client), "one");
    }
}

#[test]
fn a_full_server_makes_a_login_wait_and_then_sends_it_away() {
    let plan = site::shared().plan().set("backends.stores.max_connections", "1").set("backends.stores.wait", "400ms");
    let gateway = Gateway::start(&plan);
    let mut first = Mail::Imap.session(&gateway, "alice");
    for mail in BOTH {
        let start = Instant::now();
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", &password("alice"));
        mail.refused(&answer, Refusal::Unavailable);
        assert!(start.elapsed() >= Duration::from_millis(350), "it waited for {:?} only", start.elapsed());
    }
    Mail::Imap.session(&gateway, "bob");
    first.ask_for("a NOOP", "a OK");
    drop(first);
    wait::until_true("the place that was given back", wait::SOON, || {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
        Mail::Imap.is_in(&answer)
    });
}

#[test]
fn a_login_that_waits_gets_the_place_that_is_given_back() {
    let plan = site::shared().plan().set("backends.stores.max_connections", "1").set("backends.stores.wait", "15s");
    let gateway = Gateway::start(&plan);
    let mut first = Mail::Imap.session(&gateway, "alice");
    let mut second = Mail::Imap.open(&gateway);
    second.send("l LOGIN alice alice-secret\r\n");
    second.silent(Duration::from_millis(300));
    first.send("o LOGOUT\r\n");
    first.lines_to("o OK");
    drop(first);
    second.lines_to("l OK");
}

#[test]
fn source_addresses_are_used_in_turn() {
    let site = site::shared();
    let sources = ["127.0.0.91", "127.0.0.92"];
    let plan = site
        .plan()
        .set("backends.stores.identity", "none")
        .set("backends.stores.source_addresses", &format!("[{}]", sources.join(", ")));
    let gateway = Gateway::start(&plan);
    for _ in 0..4 {
        Mail::Imap.session(&gateway, "alice");
    }
    for source in sources {
        let rip = format!("rip={source}");
        wait::until_true(&format!("two logins from {source}"), wait::SOON, || site.one.logins(&rip).len() == 2);
    }
}

#[test]
fn a_host_that_no_pool_allows_is_refused_and_never_called() {
    let gateway = Gateway::start(&site::shared().plan());
    for (mail, user) in BOTH.into_iter().flat_map(|mail| ["dave", "mallory", "niaj"].map(|user| (mail, user))) {
        let answer = mail.try_login(&mut mail.open(&gateway), user, &password(user));
        mail.refused(&answer, Refusal::Misconfigured);
    }
    assert!(gateway.metric("backend_connects_total", &[]) < 0.5);
}

#[test]
fn a_host_that_a_pool_matches_is_a_server_of_it() {
    let gateway = Gateway::start(&site::shared().plan().set("backends.stores.match", "[127.0.0.12]"));
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&gateway, "niaj")), "two");
        let answer = mail.try_login(&mut mail.open(&gateway), "dave", &password("dave"));
        mail.refused(&answer, Refusal::Misconfigured);
    }
}

#[test]
fn a_user_of_a_whole_pool_always_lands_on_the_same_server() {
    let gateway = Gateway::start(&site::shared().plan());
    let home = Mail::Imap.server_of(&mut Mail::Imap.session(&gateway, "heidi"));
    let other = Gateway::start(&site::shared().plan());
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&gateway, "heidi")), home);
        assert_eq!(mail.server_of(&mut mail.session(&other, "heidi")), home, "another gateway chooses alike");
    }
}

#[test]
fn with_shared_storage_another_server_stands_in_for_one_that_is_down() {
    let mut site = site::Site::start();
    let gateway = Gateway::start(&site.plan().set("backends.stores.storage", "shared"));
    let home = Mail::Imap.server_of(&mut Mail::Imap.session(&gateway, "heidi"));
    let (down, up) = if home == "one" { (&mut site.one, "two") } else { (&mut site.two, "one") };
    down.kill();
    for mail in BOTH {
        assert_eq!(mail.server_of(&mut mail.session(&gateway, "heidi")), up);
    }
}

#[test]
fn a_route_to_the_gateways_own_listener_is_refused_and_says_why() {
    let plan = Plan::before_one(1, 1).set("backends.stores.ports", "{ imap: {imap}, pop3: {pop3} }");
    let gateway = Gateway::start(&plan);
    for mail in BOTH {
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", "alice-secret");
        mail.refused(&answer, Refusal::Misconfigured);
    }
    gateway.logged(&["misconfigured", "the gateway itself"]);
    assert!(gateway.metric("connections_total", &[]) < 4.5, "once each is enough to find out");
}

/// Two gateways that take each other for the users' back-end.
fn mirrors(setting: (&str, &str)) -> (Gateway, Gateway) {
    let here: [u16; 2] = [ports::free(), ports::free()];
    let there: [u16; 2] = [ports::free(), ports::free()];
    let one_way = |own: [u16; 2], other: [u16; 2]| {
        let at = |port| format!("\"{}:{port}\"", Ipv4Addr::LOCALHOST);
        Plan::before_one(other[0], other[1])
            .service("login.cleartext", "always")
            .set(setting.0, setting.1)
            .set("listeners.imap.address", &at(own[0]))
            .set("listeners.pop3.address", &at(own[1]))
    };
    (Gateway::start(&one_way(here, there)), Gateway::start(&one_way(there, here)))
}

fn went_around(gateways: &(Gateway, Gateway)) -> f64 {
    gateways.0.metric("connections_total", &[]) + gateways.1.metric("connections_total", &[])
}

#[test]
fn two_gateways_that_point_at_each_other_count_the_hops() {
    let gateways = mirrors(("backends.stores.identity", "auto"));
    let mut client = Mail::Imap.open(&gateways.0);
    // A client may not raise them.
    client.ask_for("i ID (\"x-proxy-ttl\" \"255\")", "* ID");
    client.expect("i OK");
    let answer = Mail::Imap.try_login(&mut client, "alice", "alice-secret");
    Mail::Imap.refused_as_no_fault_of_the_client(&answer);
    let taken = went_around(&gateways);
    assert!(taken < 20.0, "{taken} connections went around");
}

#[test]
fn a_loop_that_tells_no_hops_ends_all_the_same() {
    for mail in BOTH {
        let gateways = mirrors(("backends.stores.identity", "none"));
        let answer = mail.try_login(&mut mail.open(&gateways.0), "alice", "alice-secret");
        assert!(answer.contains("[LIMIT]") || answer.contains("[IN-USE]"), "{answer}");
        let taken = went_around(&gateways);
        assert!(taken < 200.0, "{taken} connections went around");
    }
}
