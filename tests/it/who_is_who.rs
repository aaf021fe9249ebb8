//! One entry of the directory is one user, whatever alias somebody logs in with: for limits, switches, kicks, the record
//! of logins, those who ask it, the log, the lists of sessions, and the caches of two gateways.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::after_pop::{Desk, user};
use crate::live::{run, with_tokens};
use crate::sending_after_pop::{mail_is_taken_from, open_from, remembering, send};
use crate::submission::arrived;
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::postfix::shared;
use crate::support::redis::Redis;
use crate::support::slapd::{Slapd, password};
use crate::support::{site, wait};

/// They have mailboxes at the shared back-ends.
const USERS: [&str; 10] = ["alice", "bob", "carol", "dave", "frank", "heidi", "ivan", "niaj", "mallory", "twin1"];
const SPELLINGS: usize = 200;

/// Five more addresses of a user, in two domains.
fn aliases(name: &str) -> [String; 5] {
    [
        format!("first.{name}@example.org"),
        format!("first.{name}@example.net"),
        format!("{name}.last@example.org"),
        format!("{name}-sales@example.net"),
        format!("{name}_1@example.org"),
    ]
}

fn people() -> String {
    USERS.iter().fold(String::new(), |mut ldif, name| {
        let secret = password(name);
        write!(
            ldif,
            "\ndn: cn={name},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: inetLocalMailRecipient\n\
             cn: {name}\nsn: {name}\nmail: {name}@example.org\nuid: {name}\nuserPassword: {secret}\n\
             mailHost: one.stores.example.org\n"
        )
        .unwrap();
        aliases(name).iter().for_each(|alias| writeln!(ldif, "mailLocalAddress: {alias}").unwrap());
        ldif
    })
}

/// A spelling of a user's name: any address, in any case; always the same ones in a run.
fn spelling(name: &str, number: usize) -> String {
    let mut forms = vec![name.to_owned(), format!("{name}@example.org"), format!("{name}@example.net")];
    forms.extend(aliases(name));
    let mut random = number.wrapping_mul(2_654_435_761);
    let form = forms[(random >> 8) % forms.len()].clone();
    form.chars()
        .map(|letter| {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            if random >> 16 & 1 == 0 { letter } else { letter.to_ascii_uppercase() }
        })
        .collect()
}

/// In front of a directory with these people, who are in two domains.
fn plan(slapd: &Slapd) -> Plan {
    with_tokens(site::shared().plan())
        .set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()))
        .set(
            "directory.sources.ldap.filter",
            "\"(&(objectClass=inetLocalMailRecipient)(|(mail={user})(uid={local})(mailLocalAddress={user})))\"",
        )
        .set("directory.domains", "[example.org, example.net]")
}

#[track_caller]
fn log_in(mail: Mail, from: &str, gateway: &Gateway, spelt: &str, name: &str) -> Client {
    let mut client = mail.open_from(from, gateway);
    let answer = mail.try_login(&mut client, spelt, &password(name));
    assert!(mail.is_in(&answer), "{mail:?} login of {spelt}: {answer}");
    client
}

/// The values of `user=` in the lines of a log that have these words.
fn users_in(log: &str, words: &str) -> BTreeSet<String> {
    let values = log.lines().filter(|line| line.contains(words)).filter_map(|line| line.split(" user=\"").nth(1));
    values.filter_map(|rest| rest.split('"').next()).map(ToOwned::to_owned).collect()
}

#[test]
fn two_hundred_spellings_of_ten_users_are_ten_users_everywhere() {
    let (slapd, redis) = (Slapd::start_with(&people()), Redis::start());
    let (desk, plan) = Desk::of(redis.keeps(plan(&slapd)));
    let gateways = [
        Gateway::start(&plan),
        Gateway::start(&redis.keeps(self::plan(&slapd)).set("smtp_after_pop", "{ exempt: [] }")),
    ];
    for number in 0..SPELLINGS {
        let (which, gateway) = (number / 2 % USERS.len(), &gateways[number % 2]);
        let (name, mail) = (USERS[which], BOTH[number / 40 % 2]);
        drop(log_in(mail, &format!("127.0.0.{}", 100 + which), gateway, &spelling(name, number), name));
    }
    let everybody: BTreeSet<String> = USERS.iter().map(|name| format!("{name}@example.org")).collect();
    for gateway in &gateways {
        for words in ["logged in", "session ended"] {
            wait::until_true(words, wait::SOON, || users_in(&gateway.log(), words) == everybody);
        }
        gateway.metric_becomes("directory_cached_users", &[], 10.0);
    }
    assert!(gateways[0].log().lines().any(|line| line.contains("logged in") && line.contains("login_name=\"")));
    for (which, name) in USERS.iter().enumerate() {
        desk.becomes(&format!("127.0.0.{}", 100 + which), &user(&format!("{name}@example.org")));
    }
}

#[test]
fn limits_switches_and_kicks_are_the_users_by_whatever_name() {
    let (slapd, redis) = (Slapd::start_with(&people()), Redis::start());
    let plan = redis.keeps(plan(&slapd)).service("user_limits", "{ connections: 2 }");
    let (one, two) = (Gateway::start(&plan), Gateway::start(&plan));
    let mut held = log_in(Mail::Imap, "127.0.0.91", &one, "alice@example.net", "alice");
    let _other = log_in(Mail::Imap, "127.0.0.92", &one, "Alice-Sales@example.net", "alice");
    let mut third = Mail::Imap.open_from("127.0.0.93", &one);
    let full = || Mail::Imap.try_login(&mut Mail::Imap.open_from("127.0.0.93", &one), "alice_1", &password("alice"));
    wait::until_true("the limit to be reached", wait::SOON, || full().starts_with("l NO [LIMIT] "));
    let who = run(&one, &["who", "--user", "first.alice@example.org"]);
    assert!(who.contains("alice@example.org"), "{who}");

    // A gateway hears of a kick at another one a moment later, and then drops who has come meanwhile, too: what it did
    // is waited for before the next login there.
    for (address, name) in [("127.0.0.94", "alice.last"), ("127.0.0.95", "Alice@example.net")] {
        let mut elsewhere = log_in(Mail::Pop3, address, &two, "alice_1", "alice");
        wait::until_true("the session at the other gateway", wait::SOON, || run(&one, &["who"]).contains(address));
        run(&one, &["kick", "--user", name]);
        elsewhere.closed();
    }
    assert!(held.line().starts_with("* BYE "));
    run(&one, &["disable", "first.alice@example.net", "imap"]);
    wait::until_true("the switch to be known", wait::SOON, || {
        let answer = Mail::Imap.try_login(&mut third, "ALICE", &password("alice"));
        answer.starts_with("l NO [AUTHORIZATIONFAILED] ")
    });
    one.logged(&["login denied", "user=\"alice@example.org\"", "login_name=\"ALICE\""]);
    drop(log_in(Mail::Pop3, "127.0.0.93", &one, "alice@example.net", "alice"));
}

#[test]
fn a_name_in_a_domain_that_is_not_served_is_nobody_s() {
    let slapd = Slapd::start_with(&people());
    let gateway = Gateway::start(&plan(&slapd));
    for mail in BOTH {
        let mut client = mail.open(&gateway);
        for spelt in ["alice@anything", "alice@example.org."] {
            mail.refused(&mail.try_login(&mut client, spelt, &password("alice")), Refusal::BadCredentials);
        }
    }
    gateway.logged(&["login denied", "alice@anything", "is not one of directory.domains"]);
    assert_eq!(slapd.searches("uid=alice"), 0, "{}", slapd.log());
}

#[test]
fn a_relay_is_told_the_user_and_not_the_alias() {
    let pair = shared();
    let gateway = Gateway::start(
        &remembering()
            .set("directory.domains", "[example.org, example.net]")
            .set("smtp_after_pop.relay", "relays")
            .set("backends.relays.servers", "[{ name: relay.example.org, address: 127.0.0.12 }]")
            .set("backends.relays.ports", &format!("{{ submission: {} }}", pair.ports.submission))
            .set("backends.relays.login", "xclient")
            .set("services.submission.login.check", "directory"),
    );
    let _reader = log_in(Mail::Pop3, "127.0.0.77", &gateway, "Alice@example.net", "alice");
    mail_is_taken_from(&gateway, "127.0.0.77");
    send(&mut open_from(&gateway, "127.0.0.77"), "an-alias-reads");
    arrived(&pair.two, "an-alias-reads", "alice@example.org");
}
