//! Answers say which user was acted on, not only what was typed; and what an operator must know besides.

use crate::live::{OPS, call, run, run_as_is, with_tokens};
use crate::page_http::{ask, sign_in};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::slapd::Slapd;
use crate::support::{site, wait};

/// Where alice is `alice@example.net` as well.
fn gateway(slapd: &Slapd) -> Gateway {
    let plan = with_tokens(site::shared().plan())
        .set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()))
        .set("directory.sources.ldap.filter", "\"(|(mail={user})(uid={local}))\"")
        .set("directory.domains", "[example.org, example.net]")
        .set("directory.cache", "{ ttl: 1h, stale: 1h }");
    Gateway::start(&plan)
}

const ALIAS: &str = "alice@example.net";

#[test]
fn an_act_says_whom_it_was_for_and_what_was_typed() {
    let gateway = gateway(&site::shared().slapd);
    let of = "alice@example.org (typed: alice@example.net)";
    let memory = "until the gateway restarts (registry.store is memory)";
    for (verb, word) in [("disable", "disabled"), ("enable", "enabled")] {
        assert_eq!(run(&gateway, &[verb, ALIAS, "pop3"]), format!("pop3 is {word} for {of}, {memory}\n"));
    }
    gateway.logged(&["act=\"disable\"", "what=\"alice@example.org\"", "typed=\"alice@example.net\""]);
    assert_eq!(run(&gateway, &["kick", ALIAS]), format!("{of}: sessions dropped: 0\n"));
    let forgotten = format!("the route of {of}: forgotten; the next login asks the directory\n");
    assert_eq!(run(&gateway, &["forget", ALIAS]), forgotten);

    let json = "\"user\":\"alice@example.org\",\"typed\":\"alice@example.net\",\"note\":null,";
    for (method, path, body) in
        [("PUT", "/protocols/pop3", "{\"enabled\":true}"), ("DELETE", "/sessions", ""), ("DELETE", "/route", "")]
    {
        let (status, answer) = call(&gateway, OPS, method, &format!("/users/{ALIAS}{path}"), body);
        assert!(status == 200 && answer.contains(json), "{path}: {status} {answer}");
    }

    let ops = sign_in(&gateway, OPS);
    let csrf = ask(&gateway, "GET", "/", &ops, "").csrf().to_owned();
    run(&gateway, &["user", ALIAS]);
    for (path, form, words) in [
        ("/switch", "&protocol=pop3&to=off", format!("POP3 is disabled for {of}")),
        ("/switch", "&protocol=pop3&to=on", format!("POP3 is enabled for {of}")),
        ("/forget", "", format!("The route of {of} is forgotten")),
    ] {
        let form = format!("csrf={csrf}&user={ALIAS}&back=/{form}");
        assert_eq!(ask(&gateway, "POST", path, &ops, &form).status, 303);
        let page = ask(&gateway, "GET", "/", &ops, "").body;
        assert!(page.contains(&words), "{words} is not in {page}");
    }
}

#[test]
fn while_the_directory_is_away_an_act_says_that_it_is_for_exactly_the_name() {
    let mut slapd = Slapd::start();
    let gateway = gateway(&slapd);
    run(&gateway, &["user", ALIAS]);
    slapd.kill();
    // It is noticed by whoever is not remembered.
    let refused = run_as_is(&gateway, &["disable", "bob", "imap"]);
    assert!(refused.err.contains("does it all the same, for exactly bob@example.org"), "{refused:?}");

    let forgotten = run(&gateway, &["forget", ALIAS]);
    assert!(forgotten.contains("alice@example.org (typed: alice@example.net): forgotten;"), "{forgotten}");
    assert!(forgotten.contains("\nnote: the directory has not answered since 20"), "{forgotten}");
    assert!(forgotten.contains(": until it answers, alice@example.org cannot log in\n"), "{forgotten}");

    let switched = run(&gateway, &["disable", ALIAS, "imap", "--force"]);
    assert!(switched.starts_with("imap is disabled for alice@example.net, until"), "{switched}");
    let note = "\nnote: the directory did not answer: this is for exactly `alice@example.net`; \
        check again with `portcullis user alice@example.net` when it answers";
    assert!(
        switched.contains(&format!("{note}. Once it answers, a switch for an alias has no effect: ")),
        "{switched}"
    );
    assert!(switched.contains("`portcullis enable alice@example.net imap --force`\n"), "{switched}");
    // The name has a switch now, and needs no --force: it is nobody's all the same.
    assert!(run(&gateway, &["enable", ALIAS, "imap"]).contains(&format!("{note}\n")));
    assert!(run(&gateway, &["kick", ALIAS]).contains(&format!("{note}\n")));

    let ops = sign_in(&gateway, OPS);
    let csrf = ask(&gateway, "GET", "/", &ops, "").csrf().to_owned();
    for (path, form, words) in [
        ("/switch", "&protocol=pop3&to=off&force=yes", "this is for exactly `bob@example.org`"),
        ("/forget", "", "until it answers, bob@example.org cannot log in"),
    ] {
        let form = format!("csrf={csrf}&user=bob&back=/{form}");
        assert_eq!(ask(&gateway, "POST", path, &ops, &form).status, 303);
        let page = ask(&gateway, "GET", "/", &ops, "").body;
        assert!(page.contains(words), "{words} is not in {page}");
    }
}

#[test]
fn a_switch_that_is_nobodys_is_listed_and_can_be_taken_back() {
    let mut slapd = Slapd::start();
    let gateway = gateway(&slapd);
    slapd.kill();
    run(&gateway, &["disable", ALIAS, "imap", "--force"]);
    run(&gateway, &["disable", ALIAS, "pop3", "--force"]);
    run(&gateway, &["disable", "bob", "imap", "--force"]);
    slapd.restart();

    // It is no user of the directory's.
    Mail::Imap.login(&mut Mail::Imap.open(&gateway), ALIAS.trim_end_matches("@example.net"));
    wait::until_true("the directory to be noticed again", wait::SOON, || {
        run(&gateway, &["user", ALIAS]).contains("known")
    });
    let enabled = run(&gateway, &["enable", ALIAS, "imap"]);
    assert!(enabled.starts_with("imap is enabled for alice@example.org (typed: alice@example.net)"), "{enabled}");
    let listed = run(&gateway, &["switched-off"]);
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["alice@example.net", "imap,", "pop3", "alice@example.org"], "{listed}");
    assert_eq!(rows[2], ["bob@example.org", "imap", "-"], "{listed}");
    assert!(listed.ends_with("\n2 names, until the gateway restarts (registry.store is memory)\n"), "{listed}");
    let (_, answer) = call(&gateway, OPS, "GET", "/switches", "");
    let first = "{\"users\":[{\"user\":\"alice@example.net\",\"protocols\":[\"imap\",\"pop3\"],\"alias_of\":\"alice@example.org\"},";
    assert!(answer.starts_with(first) && answer.ends_with("],\"kept\":false}"), "{answer}");

    for protocol in ["imap", "pop3"] {
        let enabled = run(&gateway, &["enable", ALIAS, protocol, "--force"]);
        let expected = format!(
            "{protocol} is enabled for {ALIAS}, until the gateway restarts (registry.store is memory)\n\
            note: this is for exactly `{ALIAS}`; the directory was not asked\n"
        );
        assert_eq!(enabled, expected);
    }
    let again = run(&gateway, &["enable", ALIAS, "pop3", "--force"]);
    assert!(again.contains("note: it was not switched off for exactly `alice@example.net`; "), "{again}");
    assert!(!run(&gateway, &["switched-off"]).contains("alice"));
}

#[test]
fn a_protocol_that_cannot_be_switched_is_told_which_can() {
    let gateway = gateway(&site::shared().slapd);
    let imap = "the protocol `imaps` is not one of imap, pop3, submission; `imap` is IMAP with and without TLS";
    let smtp =
        ["smtp is port 25, which takes mail from strangers", "To keep the user from sending mail, switch submission"];
    for (protocol, words) in
        [("imaps", &[imap][..]), ("gopher", &["is not one of imap, pop3, submission"]), ("smtp", &smtp)]
    {
        let refused = run_as_is(&gateway, &["disable", "alice", protocol]);
        assert!(refused.code == Some(1) && words.iter().all(|words| refused.err.contains(words)), "{refused:?}");
        assert!(protocol == "smtp" || !refused.err.contains("smtp"), "{refused:?}");
    }
}
