//! Users files, good and bad.

use super::*;
use crate::proto::Protocol;

fn route(text: &str, name: &str) -> Option<Route> {
    let users = parse(text, Some("example.com")).expect("a users file");
    let file = File { path: PathBuf::new(), default_domain: None, users: ArcSwap::from_pointee(users) };
    file.find(&User::new(name, Some("example.com")).expect("a name"))
}

fn problems(text: &str) -> Vec<String> {
    parse(text, Some("example.com")).expect_err("a bad users file")
}

#[test]
fn a_user_may_have_a_host_or_a_table() {
    let text = "alice@example.com: Mail1\nBob: { host: mail2, user: b, status: locked, services: [imap] }\n";
    assert_eq!(route(text, "alice"), Some(Route::to("mail1")));
    let bob = route(text, "bob@EXAMPLE.com").expect("known");
    assert_eq!((bob.host.as_deref(), bob.user.as_deref(), bob.standing), (Some("mail2"), Some("b"), Standing::Deny));
    assert!(bob.allows(Protocol::Imap) && !bob.allows(Protocol::Pop3));
    assert_eq!(route(text, "carol"), None);
}

#[test]
fn a_domain_catches_who_is_not_named() {
    let text = "\"@Example.org\": stores\nalice@example.org: mail1\n";
    assert_eq!(route(text, "alice@example.org"), Some(Route::to("mail1")));
    assert_eq!(route(text, "bob@example.org"), Some(Route::to("stores")));
    assert_eq!(route(text, "bob@example.com"), None);
}

#[test]
fn a_bare_user_without_a_domain_is_no_domain_s() {
    let users = parse("\"@example.org\": stores\n", None).expect("a users file");
    let file = File { path: PathBuf::new(), default_domain: None, users: ArcSwap::from_pointee(users) };
    assert_eq!(file.find(&User::new("alice", None).expect("a name")), None);
}

#[test]
fn every_status_has_a_meaning_and_others_are_refused() {
    let standing = |status| route(&format!("a: {{ host: h, status: {status} }}"), "a").expect("known").standing;
    assert_eq!(standing("Active"), Standing::Active);
    assert_eq!(standing("locked"), Standing::Deny);
    assert_eq!(standing("disabled"), Standing::Deny);
    assert_eq!(standing("maintenance"), Standing::Unavailable);
    assert!(problems("a: { host: h, status: gone }")[0].starts_with("line 1: a: status: "));
}

#[test]
fn all_problems_are_listed_with_their_lines() {
    let text = "alice: mail1\n\"a b\": mail1\nbob: { host: \"m x\" }\ncarol: { host: h, services: [jmap] }\n\
                dave: { host: h, user: \"\" }\nALICE@example.com: mail2\n\"@a@b\": h\n";
    let found = problems(text);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found[0].starts_with("line 2: a b: "), "{found:?}");
    assert!(found[1].starts_with("line 3: bob: host: "), "{found:?}");
    assert!(found[2].starts_with("line 4: carol: services: "), "{found:?}");
    assert!(found[3].starts_with("line 5: dave: user: "), "{found:?}");
    assert_eq!(found[4], "line 6: ALICE@example.com: the same user twice");
    assert_eq!(found[5], "line 7: @a@b: not a domain");
}

#[test]
fn unknown_keys_and_what_is_no_table_are_refused_with_a_line() {
    for text in
        ["a: h\nb: { host: h, hosts: g }\n", "a: h\nb: [h]\n", "a: h\nb:\n", "a: h\na: g\n", "a: h\nb: { user: u }\n"]
    {
        let found = problems(text);
        assert!(found[0].contains("line 2"), "{text:?}: {found:?}");
    }
    assert!(parse("- a\n", None).is_err());
    assert!(parse("a: &x h\nb: *x\n", None).is_err(), "aliases");
}

#[test]
fn a_file_of_nothing_holds_nobody() {
    assert_eq!(parse("", None).map(|users| users.routes.len()), Ok(0));
    assert_eq!(parse("# nobody yet\n", None).map(|users| users.routes.len()), Ok(0));
}

#[test]
fn more_users_fit_than_the_parser_would_take_by_itself() {
    let text: String = (0..70_000).map(|n| format!("user{n}@example.com: {{ host: mail{} }}\n", n % 9)).collect();
    assert_eq!(route(&text, "user69999"), Some(Route::to("mail6")));
}

#[test]
fn an_address_belongs_to_one_user() {
    let text = "alice: { host: h, addresses: [a@example.com, \"@example.net\", A] }\n\
                bob: { host: h, addresses: [alice, \"b b\", a@example.com, b] }\n\
                b: h\n\
                carol: { host: \"h h\", addresses: [c] }\n\
                \"@example.org\": { host: h, addresses: [d] }\n";
    let found = problems(text);
    assert_eq!(found.len(), 7, "{found:?}");
    assert_eq!(found[0], "line 1: alice: addresses: A: the same address twice");
    assert_eq!(found[1], "line 2: bob: addresses: alice: is a user of this file by itself");
    assert!(found[2].starts_with("line 2: bob: addresses: b b: "), "{found:?}");
    assert_eq!(found[3], "line 2: bob: addresses: a@example.com: the same address twice");
    assert_eq!(found[4], "line 2: bob: addresses: b: is a user of this file by itself");
    assert!(found[5].starts_with("line 4: carol: host: "), "{found:?}");
    assert_eq!(found[6], "line 5: @example.org: addresses: only a user has them");
    assert!(problems("alice: { host: h, addresses: a }\n")[0].contains("line 1"));
    let bare = parse("alice: { host: h, addresses: [alice@example.com] }\n", None).expect("a users file");
    assert_eq!(bare.owners.get("alice@example.com").map(User::name), Some("alice"));
}
