//! Why a login fails, in each protocol's own words; and that the next one works.

use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::site::{self, Site};
use crate::support::slapd::password;

/// One refused login, and a good one behind it on the same connection.
fn refused_then_welcome(gateway: &Gateway, mail: Mail, user: &str, secret: &str, why: Refusal) {
    let mut client = mail.open(gateway);
    let answer = mail.try_login(&mut client, user, secret);
    mail.refused(&answer, why);
    mail.login(&mut client, "bob");
    assert_eq!(mail.server_of(&mut client), "two");
}

#[test]
fn a_wrong_password_an_unknown_user_and_a_locked_one_each_get_their_code_and_may_try_again() {
    let gateway = Gateway::start(&site::shared().plan());
    for mail in BOTH {
        refused_then_welcome(&gateway, mail, "alice", "wrong", Refusal::BadCredentials);
        refused_then_welcome(&gateway, mail, "nobody", "nobody-secret", Refusal::BadCredentials);
        refused_then_welcome(&gateway, mail, "carol", "carol-secret", Refusal::Policy);
        refused_then_welcome(&gateway, mail, "grace", "grace-secret", Refusal::Unavailable);
    }
    gateway.logged(&["login denied", "carol", "denial=\"policy\"", "detail=\"status deny (employeeType=`locked`)\""]);
    gateway.logged(&["login denied", "grace", "detail=\"status unavailable (employeeType=`maintenance`)\""]);
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let gateway = Gateway::start(&site::shared().plan());
    for mail in BOTH {
        let ask = |user: &str| mail.try_login(&mut mail.open(&gateway), user, "wrong");
        assert_eq!(ask("alice"), ask("nobody"), "{mail:?}");
    }
}

#[test]
fn who_has_not_shown_the_right_password_learns_nothing_of_a_status_a_service_or_a_missing_host() {
    for check in ["backend", "directory"] {
        let gateway = Gateway::start(&site::shared().plan().service("login.check", check));
        for mail in BOTH {
            let ask = |user: &str| mail.try_login(&mut mail.open(&gateway), user, "wrong");
            let wrong = ask("alice");
            mail.refused(&wrong, Refusal::BadCredentials);
            for user in ["carol", "frank", "sybil"] {
                assert_eq!(ask(user), wrong, "{mail:?}, check: {check}: {user}");
            }
        }
        // Nobody but the directory could check it.
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "sybil", &password("sybil"));
        let why = if check == "directory" { Refusal::Misconfigured } else { Refusal::BadCredentials };
        Mail::Imap.refused(&answer, why);
        gateway.logged(&["login denied", "sybil", "the directory's entry has no host"]);
    }
}

#[test]
fn a_login_is_a_line_of_the_log_unless_that_is_switched_off() {
    let gateway = Gateway::start(&site::shared().plan());
    let held = Mail::Imap.session(&gateway, "alice");
    let line = gateway.logged(&["logged in", "imap", "one.stores"]);
    assert!(line.contains(r#"user="alice@example.org" login_name="alice""#), "{line}");
    let session = line.split("session=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a session").to_owned();
    drop(held);
    gateway.logged(&["session ended", &format!("session={session} ")]);
    let silent = Gateway::start(&site::shared().plan().set("log.logins", "false"));
    drop(Mail::Imap.session(&silent, "alice"));
    silent.logged(&["session ended"]);
    assert!(!silent.log().contains("logged in"), "{}", silent.log());
}

#[test]
fn the_back_ends_own_words_of_refusal_are_not_shown() {
    let gateway = Gateway::start(&site::shared().plan());
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", "wrong");
    assert_eq!(answer, "l NO [AUTHENTICATIONFAILED] Authentication failed.");
    let answer = Mail::Pop3.try_login(&mut Mail::Pop3.open(&gateway), "alice", "wrong");
    assert_eq!(answer, "-ERR [AUTH] Authentication failed.");
}

#[test]
fn a_user_may_use_the_services_of_its_entry_and_no_others() {
    let gateway = Gateway::start(&site::shared().plan());
    Mail::Imap.session(&gateway, "frank");
    refused_then_welcome(&gateway, Mail::Pop3, "frank", "frank-secret", Refusal::Policy);
    gateway.logged(&["login denied", "frank", "denial=\"policy\"", "service not allowed (businessCategory=`imap`)"]);
}

#[test]
fn no_password_is_taken_in_the_clear_and_none_is_asked_about() {
    let site = Site::start();
    let gateway = Gateway::start(&site.plan());
    let mut imap = gateway.connect("imap");
    imap.expect("* OK ");
    imap.ask_for("a LOGIN alice alice-secret", "a NO [PRIVACYREQUIRED]");
    imap.ask_for("b AUTHENTICATE PLAIN AGFsaWNlAGFsaWNlLXNlY3JldA==", "b NO");
    let mut pop3 = gateway.connect("pop3");
    pop3.expect("+OK");
    pop3.ask_for("USER alice", "-ERR");
    pop3.ask_for("PASS alice-secret", "-ERR");
    assert_eq!((site.slapd.searches("alice"), site.one.logins("alice").len()), (0, 0));
}

#[test]
fn while_ldap_is_down_users_are_told_to_come_back_and_then_they_may() {
    let mut site = Site::start();
    let gateway = Gateway::start(&site.plan());
    site.slapd.kill();
    let mut waiting = BOTH.map(|mail| (mail, mail.open(&gateway)));
    for (mail, client) in &mut waiting {
        let answer = mail.try_login(client, "alice", &password("alice"));
        mail.refused(&answer, Refusal::Unavailable);
    }
    site.slapd.restart();
    for (mail, client) in &mut waiting {
        mail.login(client, "alice");
        assert_eq!(mail.server_of(client), "one");
    }
}

#[test]
fn while_a_back_end_is_down_its_users_are_told_to_come_back_and_the_others_see_nothing() {
    let mut site = Site::start();
    let gateway = Gateway::start(&site.plan());
    site.one.kill();
    let mut waiting = BOTH.map(|mail| (mail, mail.open(&gateway)));
    for (mail, client) in &mut waiting {
        let answer = mail.try_login(client, "alice", &password("alice"));
        mail.refused(&answer, Refusal::Unavailable);
        assert_eq!(mail.server_of(&mut mail.session(&gateway, "bob")), "two");
    }
    site.one.restart();
    for (mail, client) in &mut waiting {
        mail.login(client, "alice");
        assert_eq!(mail.server_of(client), "one");
    }
}

#[test]
fn what_is_not_the_clients_fault_never_ends_its_session() {
    let mut site = Site::start();
    let gateway = Gateway::start(&site.plan().service("errors", "{ commands: 2, logins: 2 }"));
    site.one.kill();
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        for _ in 0..4 {
            let answer = mail.try_login(&mut client, "alice", &password("alice"));
            mail.refused(&answer, Refusal::Unavailable);
        }
        mail.login(&mut client, "bob");
    }
}
