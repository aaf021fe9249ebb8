//! Names that nobody has: they are not switched by a typo, and what the directory says of a user is shown.

use crate::live::{OPS, VIEW, call, run, run_as_is, with_tokens};
use crate::page_http::{ask, sign_in};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::site::Site;
use crate::support::{keeper, site, wait};

const OFF: &str = "{\"enabled\":false}";

#[test]
fn a_typo_in_a_users_name_is_refused_and_nothing_is_switched() {
    let gateway = Gateway::start(&with_tokens(site::shared().plan()));
    for verb in ["disable", "enable"] {
        let outcome = run_as_is(&gateway, &[verb, "nosuch", "imap"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.err.contains("The directory does not know nosuch@example.org."), "{outcome:?}");
    }
    let (status, answer) =
        call(&gateway, OPS, "PUT", "/users/nosuch/protocols/imap", "{\"enabled\":false,\"force\":true}");
    assert_eq!(status, 404, "to force it is for a directory that does not answer: {answer}");
    let ops = sign_in(&gateway, OPS);
    let page = ask(&gateway, "GET", "/user?name=nosuch", &ops, "").body;
    assert!(page.contains("No such user") && !page.contains("state up"), "{page}");
    assert!(!page.contains("action=\"/switch\""), "{page}");
    let form = format!("csrf={}&user=nosuch&protocol=imap&to=off&back=/", ask(&gateway, "GET", "/", &ops, "").csrf());
    let refused = ask(&gateway, "POST", "/switch", &ops, &form);
    assert!(refused.status == 404 && refused.body.contains("does not know nosuch@example.org"), "{}", refused.body);
    assert!(!gateway.log().contains("act=\"disable\"") && !gateway.log().contains("act=\"enable\""));
    // An entry that cannot be used is somebody's all the same.
    assert_eq!(call(&gateway, OPS, "PUT", "/users/rupert/protocols/imap", OFF).0, 200);
}

#[test]
fn what_is_switched_off_for_a_user_who_has_gone_can_be_switched_on_again() {
    let file = keeper::folder("users").join("users.yaml");
    std::fs::write(&file, "carol: stores\nalice: stores\n").unwrap();
    let plan = Plan::before_one(1, 1).without("directory.sources.pool");
    let gateway =
        Gateway::start(&with_tokens(plan.set("directory.sources.file.path", &format!("\"{}\"", file.display()))));
    run(&gateway, &["disable", "carol", "imap"]);
    std::fs::write(&file, "alice: stores\n").unwrap();
    gateway.reload();
    gateway.metric_becomes("reloads_total", &["completed"], 1.0);
    assert!(run(&gateway, &["user", "carol"]).contains("there is no such user"));
    let ops = sign_in(&gateway, OPS);
    assert!(ask(&gateway, "GET", "/user?name=carol", &ops, "").body.contains("aria-label=\"Enable IMAP\""));
    run(&gateway, &["enable", "carol", "imap"]);
    assert_eq!(call(&gateway, OPS, "PUT", "/users/carol/protocols/imap", OFF).0, 404, "nothing is left to clean up");
}

#[test]
fn a_user_who_was_created_a_moment_ago_is_no_typo() {
    let mut site = Site::start();
    let gateway = Gateway::start(&with_tokens(site.plan()));
    assert!(run(&gateway, &["user", "zoe"]).contains("there is no such user"));
    site.slapd.add("zoe");
    assert!(run(&gateway, &["user", "zoe"]).contains("there is no such user"), "that is remembered for a while");
    run(&gateway, &["disable", "zoe", "imap"]);
    assert!(run(&gateway, &["user", "zoe"]).contains("known at one.stores.example.org"));
}

#[test]
fn while_the_directory_is_away_a_name_is_switched_only_by_force() {
    let mut site = Site::start();
    let gateway = Gateway::start(&with_tokens(site.plan().set("directory.cache", "{ ttl: 1s, stale: 1h }")));
    drop(Mail::Imap.session(&gateway, "alice"));
    site.slapd.kill();
    wait::until_true("an answer that is stale", wait::SOON, || run(&gateway, &["user", "alice"]).contains("(stale: "));
    assert!(
        run(&gateway, &["disable", "alice", "pop3"]).contains("pop3 is disabled for alice@example.org (typed: alice)"),
        "she is remembered"
    );

    let (status, answer) = call(&gateway, VIEW, "GET", "/users/bob", "");
    assert!(status == 200 && answer.contains("\"answer\":\"unavailable\""), "{answer}");
    let refused = run_as_is(&gateway, &["disable", "bob", "imap"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        ["(503)", "The directory does not answer", "--force"].iter().all(|words| refused.err.contains(words)),
        "{refused:?}"
    );
    let ops = sign_in(&gateway, OPS);
    let csrf = ask(&gateway, "GET", "/", &ops, "").csrf().to_owned();
    let form = format!("csrf={csrf}&user=bob&protocol=pop3&to=off&back=/");
    let question = ask(&gateway, "POST", "/switch", &ops, &form);
    assert_eq!(question.status, 200, "{}", question.body);
    assert!(question.body.contains("Disable pop3 for bob@example.org (typed: bob) all the same?"), "{}", question.body);
    assert!(!gateway.log().contains("what=\"bob@example.org\""), "{}", gateway.log());
    assert_eq!(ask(&gateway, "POST", "/switch", &ops, &format!("{form}&force=yes")).status, 303);
    gateway.logged(&["act=\"disable\"", "what=\"bob@example.org\"", "protocol=\"pop3\""]);
    run(&gateway, &["enable", "bob", "pop3"]);
    run(&gateway, &["disable", "bob", "imap", "--force"]);
}

#[test]
fn an_operator_sees_where_a_user_lives_and_why_logins_were_refused() {
    let gateway = Gateway::start(&with_tokens(site::shared().plan()));
    let mut client = Mail::Imap.open_from("127.0.0.89", &gateway);
    Mail::Imap.try_login(&mut client, "bob", "wrong");
    run(&gateway, &["disable", "bob", "pop3"]);
    let mut other = Mail::Pop3.open_from("127.0.0.90", &gateway);
    Mail::Pop3.try_login(&mut other, "bob", "bob-secret");
    Mail::Imap.try_login(&mut client, "nosuch", "wrong");
    let user = run(&gateway, &["user", "bob"]);
    for words in [
        &["directory", "known at two.stores.example.org as bob, status active, asked"][..],
        &["127.0.0.89", "imap", "bad_credentials"],
        &["127.0.0.90", "pop3", "policy", "an administrator has switched this protocol off"],
    ] {
        assert!(user.lines().any(|line| words.iter().all(|word| line.contains(word))), "{words:?} in\n{user}");
    }
    let nosuch = run(&gateway, &["user", "nosuch"]);
    assert!(nosuch.contains("there is no such user") && nosuch.contains("unknown user"), "{nosuch}");
    assert!(nosuch.contains("failed logins  1 (the last ") && nosuch.contains(" ago from 127.0.0.89)\n"), "{nosuch}");
    for protocol in ["imap", "pop3", "submission"] {
        let row = nosuch.lines().find(|line| line.starts_with(protocol)).expect("a row");
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [protocol, "-", "-", "-"], "{nosuch}");
    }
    let ops = sign_in(&gateway, OPS);
    let page = ask(&gateway, "GET", "/user?name=nosuch", &ops, "").body;
    assert!(page.contains("<strong>1</strong> failed login, the last") && !page.contains("No failed logins"), "{page}");
    assert!(page.matches(">no such user</span>").count() >= 2 && !page.contains(">enabled<"), "{page}");
    let (_, detail) = call(&gateway, VIEW, "GET", "/users/bob", "");
    assert!(detail.contains("\"refused_logins\":[{\"at\":") && !detail.contains("wrong\""), "no password: {detail}");
    let (_, detail) = call(&gateway, VIEW, "GET", "/users/frank", "");
    assert!(detail.contains("\"allowed\":"), "{detail}");

    let searches = || site::shared().slapd.searches("mail=bob@example.org");
    let before = searches();
    let forgotten = "the route of bob@example.org (typed: bob): forgotten; the next login asks the directory\n";
    assert_eq!(run(&gateway, &["forget", "bob"]), forgotten);
    assert!(run(&gateway, &["forget", "bob"]).contains("nothing was remembered"));
    run(&gateway, &["user", "bob"]);
    wait::until_true("a search for bob", wait::SOON, || searches() > before);
}
