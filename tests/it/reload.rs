//! What SIGHUP reads again, and what it leaves alone.

use std::path::Path;

use crate::support::gateway::{Gateway, portcullis};
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::slapd::{BIND_DN, BIND_PASSWORD, Slapd, password};
use crate::support::{keeper, site, wait};

fn plan(slapd: &Slapd) -> Plan {
    site::shared().plan().set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()))
}

fn reload(gateway: &Gateway, outcome: &str) {
    let before = gateway.metric("reloads_total", &[outcome]);
    gateway.reload();
    gateway.metric_becomes("reloads_total", &[outcome], before + 1.0);
}

#[test]
fn while_ldap_is_away_remembered_users_are_served_after_a_reload_too() {
    let mut slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&slapd).set("directory.cache", "{ ttl: 100ms, stale: 1h }"));
    Mail::Imap.session(&gateway, "alice");
    slapd.kill();
    let bob = || Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "bob", &password("bob"));
    for _ in 0..2 {
        for mail in BOTH {
            assert_eq!(mail.server_of(&mut mail.session(&gateway, "alice")), "one");
        }
        Mail::Imap.refused(&bob(), Refusal::Unavailable);
        reload(&gateway, "completed");
    }
    assert!(gateway.http("/readyz").contains("serving 1 remembered user"));
}

#[test]
fn a_users_file_that_changes_while_ldap_is_away_changes_its_own_users_only() {
    let mut slapd = Slapd::start();
    let file = keeper::folder("users").join("users.yaml");
    let users = |carol: &str| std::fs::write(&file, format!("zoe: one.stores.example.org\ncarol2: {carol}\n")).unwrap();
    users("one.stores.example.org");
    // The file is asked after LDAP: its users are not found while LDAP is away, unless they are remembered.
    let plan = plan(&slapd)
        .set("directory.cache", "{ ttl: 1h, negative_ttl: 1h, stale: 1h }")
        .set("directory.sources.file", &format!("{{ path: \"{}\" }}", file.display()));
    let gateway = Gateway::start(&plan);
    Mail::Imap.session(&gateway, "alice");
    for user in ["zoe", "carol2"] {
        // The back-end knows neither: what it says is a wrong password.
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), user, "x");
        Mail::Imap.refused(&answer, Refusal::BadCredentials);
    }
    slapd.kill();
    users("two.stores.example.org");
    reload(&gateway, "completed");
    gateway.logged(&["reloaded", "users.yaml (1 change)"]);
    Mail::Imap.session(&gateway, "alice");
    let answer = |user| Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), user, "x");
    Mail::Imap.refused(&answer("zoe"), Refusal::BadCredentials);
    Mail::Imap.refused(&answer("carol2"), Refusal::Unavailable);
}

/// How often the gateway has shown its own password.
fn binds(slapd: &Slapd) -> usize {
    let bind = "BIND dn=\"cn=portcullis,dc=example,dc=org\" method=128";
    slapd.log().lines().filter(|line| line.contains(bind)).count()
}

#[test]
fn the_password_of_the_ldap_bind_is_rotated_without_a_restart() {
    let mut slapd = Slapd::start();
    let folder = keeper::folder("rotated");
    let secret = folder.join("ldap");
    std::fs::write(&secret, format!("{BIND_PASSWORD}\n")).unwrap();
    let plan = plan(&slapd)
        .set("directory.cache", "{ entries: 0 }")
        .set("directory.sources.ldap.connections", "1")
        .set("directory.sources.ldap.bind_password", &format!("{{ file: \"{}\" }}", secret.display()));
    let gateway = Gateway::start(&plan);
    Mail::Imap.session(&gateway, "alice");

    reload(&gateway, "completed");
    gateway.logged(&["reloaded", "bind_password of ldap", "(unchanged)"]);
    let before = binds(&slapd);
    slapd.modify(BIND_DN, "replace: userPassword\nuserPassword: rotated-secret");
    std::fs::write(&secret, "rotated-secret\n").unwrap();
    reload(&gateway, "completed");
    gateway.logged(&["reloaded", "bind_password of ldap", "(changed)"]);
    gateway.logged(&["the new bind_password is right"]);
    Mail::Imap.session(&gateway, "alice");
    // To try the new password, and on the one connection, which is another one now.
    wait::until_true("the connection to be renewed", wait::SOON, || binds(&slapd) >= before + 2);

    // All connections are gone.
    slapd.kill();
    slapd.restart();
    wait::until_true("a login with the new password", wait::SOON, || {
        Mail::Imap.is_in(&Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice")))
    });

    // A file that holds the wrong one does no harm, not even when the connections are gone.
    std::fs::write(&secret, "not-yet-at-slapd\n").unwrap();
    reload(&gateway, "failed");
    let line = gateway.logged(&["reload: the old one stays", "bind_password of ldap"]);
    for words in [
        secret.to_str().unwrap(),
        "49 invalidCredentials: the bind DN or its password is wrong",
        "the former password stays in use",
    ] {
        assert!(line.contains(words), "{words} is not in {line}");
    }
    slapd.kill();
    slapd.restart();
    wait::until_true("a login with the former password", wait::SOON, || {
        Mail::Imap.is_in(&Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice")))
    });

    // While no server can be asked, nothing proves it wrong: it is used, and told of as what it is.
    slapd.kill();
    reload(&gateway, "completed");
    gateway.logged(&["the new bind_password is used from now on, but could not be tried"]);
    slapd.restart();
    wait::until_true("the directory to be told of as away", wait::SOON, || {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
        Mail::Imap.refused(&answer, Refusal::Unavailable);
        gateway.http("/readyz").contains("our own bind is refused with 49 invalidCredentials")
    });

    std::fs::remove_file(&secret).unwrap();
    reload(&gateway, "failed");
    gateway.logged(&["reload: the old one stays", "bind_password", "No such file"]);
    assert!(!gateway.log().contains("rotated-secret") && !gateway.log().contains("not-yet-at-slapd"));
}

#[test]
fn an_api_token_is_rotated_and_one_that_is_too_short_is_not_taken() {
    let folder = keeper::folder("token");
    let (used, shown) = (folder.join("used"), folder.join("shown"));
    let write = |file: &Path, token: &str| std::fs::write(file, format!("{token}\n")).unwrap();
    write(&used, "old-token-old-token");
    let tokens = format!("[{{ name: ops, token: {{ file: \"{}\" }}, may: admin }}]", used.display());
    let gateway = Gateway::start(&site::shared().plan().set("admin.tokens", &tokens));
    let url = format!("http://{}", gateway.address("admin"));
    let is_known = |token: &str| {
        write(&shown, token);
        portcullis(&["status", "--admin", &url, "--token-file", shown.to_str().unwrap()]).code == Some(0)
    };
    write(&used, "new-token-new-token");
    assert!(is_known("old-token-old-token") && !is_known("new-token-new-token"));
    reload(&gateway, "completed");
    gateway.logged(&["reloaded", "token ops of admin.tokens (changed)"]);
    assert!(!is_known("old-token-old-token") && is_known("new-token-new-token"));
    write(&used, "");
    reload(&gateway, "failed");
    gateway.logged(&[
        "ERROR",
        "reload: the old one stays",
        &format!("token ops of admin.tokens: {}: is empty", used.display()),
    ]);
    write(&used, "short");
    reload(&gateway, "failed");
    assert!(is_known("new-token-new-token") && !is_known("short"));
}
