//! A directory that answers every question, but none usefully: a wrong base, and rights that are missing.

use crate::directory_state::{becomes_ready, plan, ready, status};
use crate::support::gateway::Gateway;
use crate::support::mail::{Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::slapd::{BIND_DN, Slapd, password};
use crate::support::{smtp, wait};

const WRONG_BASE: &str = "ou=poeple,dc=example,dc=org";

fn port25(plan: Plan) -> Plan {
    plan.listener("smtp", "smtp", "none").set("directory.domains", "[example.org]")
}

fn is_unavailable(gateway: &Gateway, user: &str) {
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(gateway), user, &password(user));
    Mail::Imap.refused(&answer, Refusal::Unavailable);
}

/// What RCPT is answered with.
fn recipient(gateway: &Gateway, address: &str) -> String {
    let mut client = gateway.connect("smtp");
    client.expect("220 ");
    smtp::hello(&mut client);
    client.ask_for("MAIL FROM:<>", "250 ");
    client.ask(&format!("RCPT TO:<{address}>"))
}

/// The gateway says on every surface that the directory has never answered, and why.
fn has_never_answered(gateway: &Gateway, why: &[&str]) {
    wait::until_true("a reason", wait::SOON, || why.iter().all(|why| ready(gateway).1.contains(why)));
    let (code, body) = ready(gateway);
    assert!(code == 503 && body.starts_with("not ready: directory never answered: "), "{code} {body}");
    let shown = status(gateway);
    assert!(shown.contains("directory  never answered: ") && why.iter().all(|why| shown.contains(why)), "{shown}");
    assert!(gateway.metric("directory_up", &["source=\"0\""]) < 0.5);
    gateway.logged(&[&["WARN", "the directory does not answer"][..], why].concat());
}

#[test]
fn a_base_with_a_typo_is_an_absent_directory_and_not_a_wrong_password_or_a_bounce() {
    let mut slapd = Slapd::start();
    // The reason that needs an administrator is a line of its own, also when there was another one before.
    slapd.kill();
    let plan = port25(plan(&slapd)).set("directory.sources.ldap.base", &format!("\"{WRONG_BASE}\""));
    let gateway = Gateway::start(&plan);
    has_never_answered(&gateway, &["directory down"]);
    slapd.restart();
    has_never_answered(&gateway, &[WRONG_BASE, "32 noSuchObject", "is `base` right"]);
    is_unavailable(&gateway, "alice");
    for address in ["alice@example.org", "nobody@example.org"] {
        let answer = recipient(&gateway, address);
        assert!(answer.starts_with("451 4.4.3 "), "{answer}");
    }
}

#[test]
fn an_access_rule_that_hides_the_base_leaves_those_who_are_remembered_in() {
    let mut slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&slapd).set("directory.cache", "{ ttl: 100ms, stale: 1h }"));
    Mail::Imap.session(&gateway, "alice");
    let granted = format!("by dn.exact=\"{BIND_DN}\" read by * none");
    slapd.set_access("by * none");
    is_unavailable(&gateway, "bob");
    let asked = slapd.searches("mail=alice");
    wait::until_true("the answer to grow old", wait::SOON, || {
        Mail::Imap.session(&gateway, "alice");
        slapd.searches("mail=alice") > asked
    });
    Mail::Imap.session(&gateway, "alice");
    let (code, body) = ready(&gateway);
    assert!(code == 200 && body.starts_with("degraded: directory away since 20"), "{code} {body}");
    assert!(body.contains("ou=people,dc=example,dc=org: 32 noSuchObject"), "{body}");
    assert!(status(&gateway).contains("serving 1 remembered user"));

    slapd.set_access(&granted);
    becomes_ready(&gateway);
    Mail::Imap.session(&gateway, "bob");
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "nobody", "x");
    Mail::Imap.refused(&answer, Refusal::BadCredentials);
}

#[test]
fn a_directory_that_refuses_every_search_has_never_answered() {
    let mut slapd = Slapd::start();
    slapd.set_access("by * disclose");
    let plan = plan(&slapd).without("directory.sources.ldap.bind_dn").without("directory.sources.ldap.bind_password");
    let gateway = Gateway::start(&plan);
    has_never_answered(&gateway, &["50 insufficientAccessRights", "anybody without one, may not do this"]);
    is_unavailable(&gateway, "alice");
}
