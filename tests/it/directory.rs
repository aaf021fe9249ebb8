//! What the gateway asks a real slapd, what it makes of the answers, and what it does while there are none.

use std::time::{Duration, Instant};

use crate::support::certs::certs;
use crate::support::fake::{Fake, Step};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::slapd::{BIND_PASSWORD, Slapd, password};
use crate::support::{keeper, ports, site, wait};

/// The shared Dovecots behind a directory of one's own.
fn plan(urls: &[String]) -> Plan {
    site::shared().plan().set("directory.sources.ldap.urls", &format!("[\"{}\"]", urls.join("\", \"")))
}

#[test]
fn a_user_whom_two_entries_claim_is_sent_to_neither_and_not_blamed() {
    let gateway = Gateway::start(&site::shared().plan());
    for mail in BOTH {
        let answer = mail.try_login(&mut mail.open(&gateway), "twins", &password("twins"));
        mail.refused_as_no_fault_of_the_client(&answer);
    }
    gateway.logged(&["twins", "more than one"]);
    assert!(gateway.metric("backend_connects_total", &[]) < 0.5);
}

#[test]
fn a_user_name_is_a_value_in_the_filter_and_never_a_part_of_it() {
    let slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&[slapd.url()]));
    let names = ["*", "*)(uid=*", "alice)(|(uid=*", "a*", "alice)(objectClass=*))(&(uid=x", "\\2a", "al\\69ce"];
    for (mail, name) in BOTH.into_iter().flat_map(|mail| names.map(|name| (mail, name))) {
        let answer = mail.try_login(&mut mail.open(&gateway), name, &password("alice"));
        mail.refused(&answer, Refusal::BadCredentials);
    }
    wait::until_true("the escaped search", wait::SOON, || {
        let log = slapd.log().to_lowercase();
        log.contains("(uid=\\2a\\29\\28uid=\\2a)") && log.contains("(uid=\\5c2a)")
    });
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        mail.login(&mut client, "o(*)hara");
        assert_eq!(mail.server_of(&mut client), "two", "a name of such letters may exist");
    }
}

#[test]
fn the_directory_may_check_the_password_before_the_back_end_does() {
    let site = site::shared();
    let gateway = Gateway::start(&site.plan().service("login.check", "both"));
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        let attempts = site.one.log().matches("user=<ivan>").count();
        let answer = mail.try_login(&mut client, "ivan", "ivan-secret");
        mail.refused(&answer, Refusal::BadCredentials);
        assert_eq!(site.one.log().matches("user=<ivan>").count(), attempts, "the back-end was not asked");
        let answer = mail.try_login(&mut client, "ivan", "ivan-directory");
        mail.refused(&answer, Refusal::BadCredentials);
        mail.login(&mut client, "alice");
    }
}

#[test]
fn an_empty_password_is_refused_before_anybody_is_asked() {
    let slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&[slapd.url()]).service("login.check", "both"));
    for mail in BOTH {
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", "");
        let refused = answer.starts_with("l NO ") || answer.starts_with("l BAD ") || answer.starts_with("-ERR");
        assert!(refused, "{answer}");
    }
    assert_eq!(slapd.searches("alice"), 0);
    Mail::Imap.session(&gateway, "alice");
    assert_ne!(slapd.searches("alice"), 0, "or this test would see nothing");
}

#[test]
fn an_answer_is_remembered_for_its_time_and_asked_for_once_for_many() {
    let slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&[slapd.url()]));
    let clients: Vec<_> = (0..20).map(|_| Mail::Imap.open(&gateway)).collect();
    std::thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || Mail::Imap.login(&mut client, "alice"));
        }
    });
    Mail::Pop3.session(&gateway, "alice");
    assert_eq!(slapd.searches("mail=alice@example.org"), 1);
}

#[test]
fn nobody_is_remembered_too_but_not_for_as_long() {
    let slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&[slapd.url()]).set("directory.cache", "{ ttl: 1h, negative_ttl: 3s }"));
    let ask = || {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "nobody", "x");
        Mail::Imap.refused(&answer, Refusal::BadCredentials);
        slapd.searches("mail=nobody@example.org")
    };
    assert_eq!((ask(), ask()), (1, 1));
    wait::until_true("the answer to be forgotten", wait::SOON, || ask() == 2);
}

#[test]
fn while_every_source_is_down_old_answers_still_serve_and_new_users_wait() {
    let mut slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&[slapd.url()]).set("directory.cache", "{ ttl: 100ms, stale: 1h }"));
    Mail::Imap.session(&gateway, "alice");
    let asked = slapd.searches("alice");
    wait::until_true("the answer to grow old", wait::SOON, || {
        Mail::Imap.session(&gateway, "alice");
        slapd.searches("alice") > asked
    });
    slapd.kill();
    for mail in BOTH {
        // Twice: the first may still be fresh.
        for _ in 0..2 {
            assert_eq!(mail.server_of(&mut mail.session(&gateway, "alice")), "one");
            let answer = mail.try_login(&mut mail.open(&gateway), "bob", &password("bob"));
            mail.refused(&answer, Refusal::Unavailable);
        }
    }
    slapd.restart();
    for mail in BOTH {
        mail.session(&gateway, "bob");
    }
}

#[test]
fn an_old_answer_does_not_serve_for_ever() {
    let mut slapd = Slapd::start();
    let gateway = Gateway::start(&plan(&[slapd.url()]).set("directory.cache", "{ ttl: 100ms, stale: 300ms }"));
    Mail::Imap.session(&gateway, "alice");
    slapd.kill();
    wait::until_true("the answer to be too old", wait::SOON, || {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
        answer.contains("[UNAVAILABLE]")
    });
}

#[test]
fn an_old_answer_is_no_password() {
    let mut slapd = Slapd::start();
    let plan = plan(&[slapd.url()]).service("login.check", "both").set("directory.cache", "{ ttl: 100ms, stale: 1h }");
    let gateway = Gateway::start(&plan);
    Mail::Imap.session(&gateway, "alice");
    slapd.kill();
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
    Mail::Imap.refused(&answer, Refusal::Unavailable);
}

#[test]
fn the_second_url_is_asked_when_the_first_is_down() {
    let (mut first, second) = (Slapd::start(), Slapd::start());
    let plan = plan(&[first.url(), second.url()]).set("directory.cache", "{ entries: 0 }");
    let gateway = Gateway::start(&plan);
    Mail::Imap.session(&gateway, "alice");
    assert_eq!((first.searches("alice"), second.searches("alice")), (1, 0), "in the order that was written");
    first.kill();
    for mail in BOTH {
        mail.session(&gateway, "alice");
    }
    assert_eq!(second.searches("alice"), 2);
}

#[test]
fn the_second_url_is_asked_when_the_first_is_frozen() {
    let (first, second) = (Slapd::start(), Slapd::start());
    let plan = plan(&[first.url(), second.url()])
        .set("directory.cache", "{ entries: 0 }")
        .set("directory.sources.ldap.timeout", "2s");
    let gateway = Gateway::start(&plan);
    first.freeze();
    let start = Instant::now();
    wait::until_true("a login through the second directory", wait::SOON, || {
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "alice", &password("alice"));
        assert!(!answer.contains("[AUTHENTICATIONFAILED]"), "{answer}");
        Mail::Imap.is_in(&answer)
    });
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    first.thaw();
}

fn with_ca(plan: Plan, ca: &std::path::Path) -> Plan {
    plan.set("directory.sources.ldap.tls", &format!("{{ ca: \"{}\", verify: true }}", ca.display()))
}

#[test]
fn slapd_is_reached_through_starttls_and_ldaps_and_verified() {
    let slapd = Slapd::start();
    let stranger = &certs().stranger.certificate;
    for (url, starttls) in [(slapd.url(), "true"), (slapd.tls_url(), "false")] {
        let plan = plan(&[url]).set("directory.sources.ldap.starttls", starttls);
        let gateway = Gateway::start(&with_ca(plan.clone(), &certs().ca_file));
        for mail in BOTH {
            mail.session(&gateway, "alice");
        }
        let distrustful = Gateway::start(&with_ca(plan, stranger));
        let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&distrustful), "alice", &password("alice"));
        Mail::Imap.refused_as_no_fault_of_the_client(&answer);
    }
    assert!(slapd.log().contains("TLS established"), "slapd saw TLS");
}

#[test]
fn the_gateways_own_password_may_be_wrong_which_is_no_clients_fault() {
    let gateway = Gateway::start(&site::shared().plan().set("directory.sources.ldap.bind_password", "wrong"));
    for mail in BOTH {
        let answer = mail.try_login(&mut mail.open(&gateway), "alice", &password("alice"));
        mail.refused_as_no_fault_of_the_client(&answer);
    }
}

#[test]
fn a_directory_that_talks_nonsense_is_down_and_breaks_nothing() {
    let nested = |depth: usize| [[0x30, 0x80].repeat(depth), vec![0; 8]].concat();
    let nonsense: Vec<(&str, Vec<u8>)> = vec![
        ("an empty sequence", vec![0x30, 0x00]),
        ("no id", vec![0x30, 0x03, 0x04, 0x01, 0x41]),
        ("no operation", vec![0x30, 0x03, 0x02, 0x01, 0x01]),
        ("no sequence", vec![0x04, 0x01, 0x41]),
        ("no known operation", vec![0x30, 0x05, 0x02, 0x01, 0x01, 0x6d, 0x00]),
        ("a truncated bind response", vec![0x30, 0x05, 0x02, 0x01, 0x01, 0x61, 0x00]),
        ("deep nesting", nested(20_000)),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("a huge length", vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02]),
        (
            "a notice of disconnection",
            b"\x30\x24\x02\x01\x00\x78\x1f\x0a\x01\x34\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20036".to_vec(),
        ),
    ];
    for (what, bytes) in nonsense {
        let fake = Fake::start(vec![Step::Say(bytes)]);
        let url = format!("ldap://127.0.0.1:{}", fake.port);
        let gateway = Gateway::start(&plan(&[url]).set("directory.sources.ldap.timeout", "1s"));
        for mail in BOTH {
            let start = Instant::now();
            let answer = mail.try_login(&mut mail.open(&gateway), "alice", &password("alice"));
            mail.refused(&answer, Refusal::Unavailable);
            assert!(start.elapsed() < Duration::from_secs(5), "{what}: after {:?}", start.elapsed());
        }
        assert!(gateway.metric("panics_total", &[]) < 0.5, "{what}: a session has panicked");
    }
}

#[test]
fn a_file_of_users_needs_no_server_and_may_stand_before_ldap() {
    let folder = keeper::folder("users");
    std::fs::write(folder.join("users.yaml"), "alice@example.org: { host: two.stores.example.org, user: alice }\n")
        .unwrap();
    let ldap_goes_last = site::shared().plan();
    let file = format!("{{ path: \"{}/users.yaml\" }}", folder.display());
    let gateway = Gateway::start(&ldap_goes_last.clone().set("directory.sources.file", &file));
    assert_eq!(Mail::Imap.server_of(&mut Mail::Imap.session(&gateway, "alice")), "one", "LDAP stands first");
    let nobody = format!("ldap://127.0.0.1:{}", ports::free());
    let alone = ldap_goes_last.set("directory.sources.ldap.urls", &format!("[\"{nobody}\"]"));
    let gateway = Gateway::start(&alone.without("directory.sources.ldap").set("directory.sources.file", &file));
    assert_eq!(Mail::Imap.server_of(&mut Mail::Imap.session(&gateway, "alice")), "two");
    let answer = Mail::Imap.try_login(&mut Mail::Imap.open(&gateway), "bob", &password("bob"));
    Mail::Imap.refused(&answer, Refusal::BadCredentials);
}

#[test]
fn no_secret_is_ever_logged_however_much_is() {
    let gateway = Gateway::start(&site::shared().plan().set("log", "{ level: trace }").service("login.check", "both"));
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        let answer = mail.try_login(&mut client, "alice", "wr0ng-guess");
        mail.refused(&answer, Refusal::BadCredentials);
        mail.login(&mut client, "alice");
    }
    gateway.logged(&["ending="]);
    let log = gateway.log();
    for secret in ["wr0ng-guess", &password("alice"), BIND_PASSWORD, "YWxpY2Utc2VjcmV0", "AGFsaWNl"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
