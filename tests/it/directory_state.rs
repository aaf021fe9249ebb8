//! What operators and load balancers are told of a directory that is away, has never answered, or is back.

use crate::support::gateway::{Gateway, portcullis};
use crate::support::mail::{Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::slapd::{Slapd, password};
use crate::support::{site, wait};

pub fn plan(slapd: &Slapd) -> Plan {
    let plan = site::shared().plan().set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()));
    plan.set("directory.cache", "{ ttl: 1h, stale: 1h }")
}

pub fn status(gateway: &Gateway) -> String {
    portcullis(&["status", "--admin", &format!("http://{}", gateway.address("admin"))]).fine()
}

/// `/readyz`: the status code and the body.
pub fn ready(gateway: &Gateway) -> (u16, String) {
    let answer = gateway.http("/readyz");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code"), body.to_owned())
}

/// Somebody who is not remembered has the gateway ask the directory, and so notice that it is away.
fn notice(gateway: &Gateway) {
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(gateway), "bob", &password("bob"));
    Mail::Imap.refused(&answer, Refusal::Unavailable);
}

pub fn becomes_ready(gateway: &Gateway) {
    wait::until_true("the directory to be noticed again", wait::SOON, || ready(gateway) == (200, "ready\n".to_owned()));
}

#[test]
fn a_directory_that_is_away_is_told_of_on_every_surface_and_its_users_are_still_served() {
    let mut slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&slapd));
    assert_eq!(ready(&gateway), (200, "ready\n".to_owned()));
    assert!(status(&gateway).contains("directory  answers\n"));
    assert!(status(&gateway).contains("registry   kept in memory, until a restart (registry.store is memory)\n"));
    Mail::Imap.session(&gateway, "alice");
    slapd.kill();
    notice(&gateway);

    let (code, body) = ready(&gateway);
    assert!(code == 200 && body.starts_with("degraded: directory away since 20"), "{code} {body}");
    assert!(body.contains("serving 1 remembered user: ") && body.contains(&slapd.url()), "{body}");
    let shown = status(&gateway);
    assert!(shown.contains("directory  away since 20") && shown.contains("serving 1 remembered user"), "{shown}");
    let api = gateway.http("/api/v1/status");
    for text in ["\"state\":\"away\"", "\"remembered_users\":1", "\"reason\":\"directory down: ldap://127.0.0.1:"] {
        assert!(api.contains(text), "{text} is not in {api}");
    }
    let page = gateway.http("/");
    assert!(page.contains("The directory is away since 20") && page.contains("1 remembered user can log in"), "{page}");
    assert!(gateway.metric("directory_up", &["source=\"0\""]) < 0.5);
    Mail::Imap.session(&gateway, "alice");

    slapd.restart();
    becomes_ready(&gateway);
    assert!(gateway.metric("directory_up", &[]) > 0.5);
    assert!(status(&gateway).contains("directory  answers\n"));
    assert!(!gateway.http("/").contains("The directory is away"));
}

#[test]
fn a_gateway_that_can_serve_nobody_is_not_ready() {
    let mut slapd = Slapd::start();
    let remembers_nobody = Gateway::start(&plan(&slapd));
    let asks_for_passwords = Gateway::start(&plan(&slapd).service("login.check", "both"));
    Mail::Imap.session(&asks_for_passwords, "alice");
    slapd.kill();
    for gateway in [&remembers_nobody, &asks_for_passwords] {
        notice(gateway);
        let (code, body) = ready(gateway);
        assert!(code == 503 && body.starts_with("not ready: directory away since 20"), "{code} {body}");
    }
    assert!(gateway_says_nobody(&asks_for_passwords));
}

fn gateway_says_nobody(gateway: &Gateway) -> bool {
    gateway.http("/").contains("nobody can log in")
}

#[test]
fn a_strict_gateway_is_not_ready_while_a_source_is_away() {
    let mut slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&slapd).set("admin.ready", "strict"));
    Mail::Imap.session(&gateway, "alice");
    slapd.kill();
    notice(&gateway);
    let (code, body) = ready(&gateway);
    assert!(code == 503 && body.contains("serving 1 remembered user"), "{code} {body}");
    Mail::Imap.session(&gateway, "alice");
}

#[test]
fn after_a_start_a_gateway_is_not_ready_until_the_directory_has_answered() {
    let mut slapd = Slapd::start();
    slapd.kill();
    let gateway = Gateway::start(&plan(&slapd));
    let (code, body) = ready(&gateway);
    assert!(code == 503 && body.starts_with("not ready: directory never answered: directory down: "), "{code} {body}");
    assert!(status(&gateway).contains("directory  never answered: "));
    assert!(gateway.http("/").contains("The directory has not answered since the gateway started"));
    assert!(gateway.http("/healthz").starts_with("HTTP/1.1 200"), "a restart would not help");
    slapd.restart();
    becomes_ready(&gateway);
}

#[test]
fn a_wrong_password_or_authority_of_a_new_gateway_stops_a_rolling_deployment() {
    let slapd = Slapd::start();
    let wrong_password = plan(&slapd).set("directory.sources.ldap.bind_password", "wrong");
    let unknown_authority = plan(&slapd).set("directory.sources.ldap.starttls", "true");
    for (plan, reason) in [(wrong_password, "49"), (unknown_authority, "certificate")] {
        let gateway = Gateway::start(&plan);
        let (code, body) = ready(&gateway);
        assert!(code == 503 && body.contains("never answered") && body.contains(reason), "{code} {body}");
    }
}
