//! A name in a domain that is not served is refused at a login, and administrators are told so, by the same rule.

use crate::live::{OPS, call, run, run_as_is, with_tokens};
use crate::page_http::{ask, sign_in};
use crate::support::gateway::Gateway;
use crate::support::mail::{Mail, Refusal};
use crate::support::site;
use crate::support::slapd::password;

/// Where alice logs in as `alice` or `alice@example.net`, though the directory calls her `alice@example.org`.
fn gateway() -> Gateway {
    let plan = with_tokens(site::shared().plan())
        .set("directory.sources.ldap.filter", "\"(|(mail={user})(uid={local}))\"")
        .set("directory.default_domain", "example.net")
        .set("directory.domains", "[example.net]");
    Gateway::start(&plan)
}

const FOREIGN: &str = "alice@example.org";
const WHY: &str = "a login as alice@example.org is refused: its domain is not one of directory.domains";

/// Enabled and allowed, as `portcullis user` shows them.
fn imap_of(shown: &str) -> Vec<&str> {
    let line = shown.lines().find(|line| line.starts_with("imap")).expect("a line of imap");
    line.split_whitespace().skip(1).take(2).collect()
}

fn login(gateway: &Gateway, name: &str) -> String {
    Mail::Imap.try_login(&mut Mail::Imap.open(gateway), name, &password("alice"))
}

#[test]
fn a_name_that_cannot_log_in_for_its_domain_is_shown_as_one() {
    let gateway = gateway();
    assert!(Mail::Imap.is_in(&login(&gateway, "alice")));
    Mail::Imap.refused(&login(&gateway, FOREIGN), Refusal::BadCredentials);

    let shown = run(&gateway, &["user", FOREIGN]);
    assert!(shown.contains(&format!("known at one.stores.example.org as alice, status active; {WHY}")), "{shown}");
    assert_eq!(imap_of(&shown), ["yes", "no"], "{shown}");
    let (_, answer) = call(&gateway, OPS, "GET", &format!("/users/{FOREIGN}"), "");
    assert!(answer.contains(&format!("\"problem\":\"{WHY}\"")), "{answer}");
    let page = ask(&gateway, "GET", &format!("/user?name={FOREIGN}"), &sign_in(&gateway, OPS), "").body;
    assert!(page.contains(WHY) && page.contains("not by this name") && !page.contains(">enabled<"), "{page}");

    let shown = run(&gateway, &["user", "alice"]);
    assert!(!shown.contains("is refused"), "{shown}");
    assert_eq!(imap_of(&shown), ["yes", "yes"], "{shown}");

    let why = WHY.replace("alice", "nosuch");
    let shown = run(&gateway, &["user", "nosuch@example.org"]);
    assert!(shown.contains(&format!("there is no such user; {why}")), "{shown}");
    let refused = run_as_is(&gateway, &["disable", "nosuch@example.org", "imap"]);
    let expected = format!("The directory does not know nosuch@example.org; {why}. Nothing was changed.");
    assert!(refused.code == Some(1) && refused.err.contains(&expected), "{refused:?}");
}

#[test]
fn a_switch_for_such_a_name_is_for_the_other_names_of_the_entry() {
    let gateway = gateway();
    let switched = run(&gateway, &["disable", FOREIGN, "imap"]);
    let note = format!("\nnote: {WHY}; this is for logins of the same entry by other names, if it has any\n");
    assert!(switched.contains(&note), "{switched}");
    Mail::Imap.refused(&login(&gateway, "alice"), Refusal::Policy);
}
