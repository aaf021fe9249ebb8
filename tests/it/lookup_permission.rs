//! Other MTAs are told nothing of an address whose user the directory does not let submit mail.

use crate::after_pop::{Desk, Told, nobody, user};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::site;
use crate::support::slapd::Slapd;

const FRANK: &str = "127.0.0.81";
const BOB: &str = "127.0.0.82";

/// In front of a directory of one's own; frank may use IMAP only, bob everything. Both are in.
fn logged_in(slapd: &Slapd, cache: &str) -> (Desk, Gateway) {
    let plan: Plan = site::shared().plan().set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()));
    // Longer than an MTA is waited for here.
    let plan = plan.set("directory.sources.ldap.timeout", "300s");
    let (desk, plan) = Desk::of(plan.set("directory.cache", cache));
    let gateway = Gateway::start(&plan);
    for (address, name) in [(FRANK, "frank"), (BOB, "bob")] {
        Mail::Imap.login(&mut Mail::Imap.open_from(address, &gateway), name);
    }
    // A login is recorded a moment after the client has its answer.
    gateway.metric_becomes("registry_windows", &[], 2.0);
    (desk, gateway)
}

/// What a question is counted as, in all three protocols.
#[track_caller]
fn is_counted_as(gateway: &Gateway, answer: &str) {
    for protocol in ["policy", "socketmap", "whoson"] {
        assert!(gateway.metric("lookups_total", &[protocol, answer]) >= 1.0, "{protocol} {answer}");
    }
}

#[test]
fn a_user_whose_services_or_status_forbid_submission_vouches_for_nobody() {
    let slapd = Slapd::start();
    let (desk, gateway) = logged_in(&slapd, "{ entries: 0 }");
    assert_eq!((desk.ask(FRANK), desk.ask(BOB)), (nobody(), user("bob@example.org")));
    is_counted_as(&gateway, "not_permitted");

    slapd.modify("cn=bob,ou=people,dc=example,dc=org", "add: employeeType\nemployeeType: maintenance");
    let later = Told(
        "action=DEFER the user of this address may not send now".into(),
        "46:TEMP the user of this address may not send now".into(),
        "*temporarily unavailable".into(),
    );
    assert_eq!(desk.ask(BOB), later);
    is_counted_as(&gateway, "not_now");
    slapd.modify("cn=bob,ou=people,dc=example,dc=org", "replace: employeeType\nemployeeType: locked");
    assert_eq!(desk.ask(BOB), nobody());
}

#[test]
fn while_the_directory_is_away_what_is_remembered_decides_and_else_the_record() {
    for (cache, frank) in [("{ entries: 100, ttl: 1ms }", nobody()), ("{ entries: 0 }", user("frank@example.org"))] {
        let mut slapd = Slapd::start();
        let (desk, _gateway) = logged_in(&slapd, cache);
        slapd.kill();
        assert_eq!((desk.ask(FRANK), desk.ask(BOB)), (frank, user("bob@example.org")), "{cache}");
    }
}

#[test]
fn a_directory_that_does_not_answer_delays_an_mta_for_a_moment_only() {
    let slapd = Slapd::start();
    let (desk, _gateway) = logged_in(&slapd, "{ entries: 0 }");
    slapd.freeze();
    assert_eq!(desk.ask(BOB), user("bob@example.org"));
    slapd.thaw();
}

#[test]
fn a_user_who_is_known_by_the_dn_is_looked_up_by_it() {
    let (desk, plan) = Desk::of(site::shared().plan().set(
        "directory.sources.ldap.attributes",
        "{ host: mailHost, user: uid, status: employeeType, services: businessCategory }",
    ));
    let gateway = Gateway::start(&plan);
    let in_as = |address, name| Mail::Imap.login(&mut Mail::Imap.open_from(address, &gateway), name);
    in_as("127.0.0.83", "bob");
    desk.becomes("127.0.0.83", &user("dn:0:cn=bob,ou=people,dc=example,dc=org"));
    in_as("127.0.0.84", "frank");
    gateway.metric_becomes("registry_windows", &[], 2.0);
    assert_eq!(desk.ask("127.0.0.84"), nobody());
    is_counted_as(&gateway, "not_permitted");
}
