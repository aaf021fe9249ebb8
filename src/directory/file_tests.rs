//! Users files, good and bad.

use super::*;
use crate::proto::Protocol;

fn parse(text: &str, default_domain: Option<&str>) -> Result<Users, Vec<Problem>> {
    let path = Path::new("users.yaml");
    let site = Site { default_domain: default_domain.map(str::to_owned), ..Site::default() };
    Users::of(config::parse_users(text, path, &KnownHosts::default()), path, &site)
}

fn file(users: Users) -> File {
    File { path: PathBuf::new(), site: Site::default(), users: ArcSwap::from_pointee(users) }
}

/// The same for a site of example.com, which is the default, and example.org; the problems, or the warnings.
fn found_at_a_site(text: &str, protocols: &[Protocol]) -> Vec<String> {
    let path = Path::new("users.yaml");
    let config = crate::directory::tests::config(Vec::new());
    let default_domain = config.default_domain.clone();
    let domains = Domains::new(&config);
    let site = Site { default_domain, domains, hosts: Arc::default(), protocols: protocols.to_vec() };
    let users = Users::of(config::parse_users(text, path, &KnownHosts::default()), path, &site);
    users.map_or_else(|problems| problems, |users| users.warnings).iter().map(ToString::to_string).collect()
}

fn route(text: &str, name: &str) -> Option<Route> {
    let users = parse(text, Some("example.com")).expect("a users file");
    file(users).find(&User::new(name, Some("example.com")).expect("a name"))
}

fn problems(text: &str) -> Vec<String> {
    let problems = parse(text, Some("example.com")).expect_err("a bad users file");
    problems.iter().map(ToString::to_string).collect()
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
    assert_eq!(file(users).find(&User::new("alice", None).expect("a name")), None);
}

#[test]
fn every_status_has_a_meaning_and_others_are_refused() {
    let standing = |status| route(&format!("a: {{ host: h, status: {status} }}"), "a").expect("known").standing;
    assert_eq!(standing("Active"), Standing::Active);
    assert_eq!(standing("locked"), Standing::Deny);
    assert_eq!(standing("disabled"), Standing::Deny);
    assert_eq!(standing("maintenance"), Standing::Unavailable);
    let told = |keys: &str| {
        let route = route(&format!("a: {{ host: h, {keys} }}"), "a").expect("known");
        route.permits(Protocol::Pop3).map_or_else(|why| why.to_string(), |()| "nothing".to_owned())
    };
    assert_eq!(told("status: Disabled"), "status deny (status=`disabled`)");
    assert_eq!(told("status: maintenance"), "status unavailable (status=`maintenance`)");
    assert_eq!(
        told("status: active, services: [imap, submission]"),
        "service not allowed (services=`imap, submission`)"
    );
    assert_eq!(told("status: active"), "nothing");
    assert!(problems("a: { host: h, status: gone }")[0].starts_with("users.yaml:1: a.status: `gone` is not"));
}

#[test]
fn all_problems_are_listed_with_their_lines_and_keys() {
    let text = "alice: mail1\n\"a b\": mail1\nbob: { host: \"m x\" }\ncarol:\n  host: h\n  services: [jmap, imaps]\n\
                dave: { host: h, user: \"\" }\nALICE@example.com: mail2\n\"@a@b\": h\nerin: { hosts: h }\nfrank: [h]\n\
                grace:\nheidi: { host: h, status: [x] }\nivan: { host: h, host: g }\nalice: mail3\n";
    let found = problems(text);
    let expected = [
        "users.yaml:2: a b: is nobody's name: it has a character",
        "users.yaml:3: bob.host: `m x` is not a host name",
        "users.yaml:6: carol.services[0]: `jmap` is not one of imap, pop3, submission",
        "users.yaml:6: carol.services[1]: `imaps` is not one of imap, pop3, submission; `imap` is IMAP with and",
        "users.yaml:7: dave.user: `` is empty",
        "users.yaml:8: ALICE@example.com: is the same user as another line's: both are alice@example.com",
        "users.yaml:9: @a@b: is nobody's name: behind the @ stands no domain",
        "users.yaml:10: erin.hosts: this version does not know this key; did you mean `host`?",
        "users.yaml:11: frank: is neither a host nor",
        "users.yaml:12: grace: is neither a host nor",
        "users.yaml:13: heidi.status: is a list",
        "users.yaml:14: ivan.host: this version does not know this key",
        "users.yaml:15: alice: is the same user as another line's: both are alice@example.com",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} does not begin with {expected}");
    }
}

#[test]
fn a_line_for_a_domain_that_is_not_served_is_a_problem() {
    let text = "alice: { host: h, addresses: [a@example.org, a@example.net] }\nbob@Example.NET: h\n\
                \"@example.net\": h\n\"@example.org\": h\ncarol@example.org.: h\n";
    let expected = [
        "users.yaml:1: alice.addresses[1]: `a@example.net` is in a domain that is not one of `directory.domains`, so no mail is taken for it",
        "users.yaml:2: bob@Example.NET: is in a domain that is neither one of `directory.domains` nor the default domain, so nobody can log in by it",
        "users.yaml:3: @example.net: is in a domain that is neither",
        "users.yaml:5: carol@example.org.: is ",
    ];
    let found = found_at_a_site(text, &[]);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} does not begin with {expected}");
    }
    parse(text.trim_end_matches("carol@example.org.: h\n"), Some("example.com")).expect("every domain is served");
}

#[test]
fn a_port_that_several_protocols_would_use_is_a_warning() {
    let text = "alice: mail1:993\nbob: { host: \"mail1:993\", services: [imap] }\ncarol: mail1\n\
                dave:\n  host: \"[::1]:993\"\n  services: [imap, pop3]\n";
    let found = found_at_a_site(text, &[Protocol::Imap, Protocol::Pop3]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with(
        "users.yaml:1: warning: alice: its host `mail1:993` has a port, which is used for imap and pop3 alike; "
    ));
    assert!(found[1].starts_with("users.yaml:4: warning: dave: its host `[::1]:993` has a port, "), "{found:#?}");
    assert_eq!(found_at_a_site(text, &[Protocol::Imap]), [""; 0]);
    let found = found_at_a_site(text, &[Protocol::Imap, Protocol::Smtp]);
    assert_eq!(found.len(), 3, "mail for bob goes there too: {found:#?}");
}

#[test]
fn no_more_problems_are_listed_than_anybody_reads() {
    let text: String = (0..100).map(|n| format!("user{n}: [x]\n")).collect();
    let found = problems(&text);
    assert_eq!(found.len(), PROBLEMS_MAX + 1);
    assert_eq!(found.last().map(String::as_str), Some("users.yaml:32: 68 more problems are not shown"));
}

#[test]
fn a_name_that_can_be_nobodys_is_refused() {
    for name in
        ["*", "^[a-m].*", "*@example.com", ".*@example.com", "^alice$", "(a|b)", "[a-z]@example.com", "@*", "a,b", "@"]
    {
        let found = problems(&format!("\"{name}\": mail1\n"));
        assert!(found[0].contains("is nobody's name: "), "{name}: {found:?}");
    }
    assert!(problems("\"*\": mail1\n")[0].contains("\"@example.com\" is everyone else of a domain"));
    for name in ["o'hara", "a.b+c", "EXAMPLE\\\\alice", "12345", "user_1@mail-1.example.com", "a/b", "a=b", "a%b"] {
        parse(&format!("\"{name}\": mail1\n"), Some("example.com")).expect(name);
    }
}

#[test]
fn a_host_that_no_pool_has_is_refused() {
    let pools = crate::config::parse(
        "listeners: [ { service: imap, address: \"127.0.0.1:0\", tls: none } ]\n\
         directory: { sources: [ { pool: stores } ] }\n\
         backends: { stores: { servers: [mail1.example.com], match: \"*.internal\" } }\n",
        "p.yaml".as_ref(),
    );
    let hosts = KnownHosts::new(&pools.expect("a configuration").backends);
    let text = "a: stores\nb: MAIL1.example.com:1143\nc: x.internal\nd: mial1.example.com\ne: { host: elsewhere }\nf: stores:143\n";
    let written = config::parse_users(text, "users.yaml".as_ref(), &hosts);
    let found: Vec<String> = written.problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("users.yaml:4: d: `mial1.example.com` is a host that no pool of `backends` has or matches; did you mean `mail1.example.com`?"), "{found:?}");
    assert!(found[1].starts_with("users.yaml:5: e.host: "), "{found:?}");
    assert!(found[2].starts_with("users.yaml:6: f: "), "{found:?}");
}

#[test]
fn what_is_no_map_of_users_is_refused_with_a_line() {
    for (text, place) in [
        ("- a\n", "users.yaml:1: "),
        ("a: h\nb: [h\n", "users.yaml:"),
        ("a: &x h\nb: *x\n", "users.yaml:"),
        ("1: a\n1: b\n", "users.yaml:2: "),
        ("a: { host: { file: /etc/hostname } }\n", "users.yaml:1: a.host: is a map"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].starts_with(place), "{text:?}: {found:?}");
    }
}

#[test]
fn a_file_of_nothing_holds_nobody() {
    for text in ["", "# nobody yet\n"] {
        assert_eq!(parse(text, None).expect("a users file").routes.len(), 0);
        assert_eq!(found_at_a_site(text, &[]), ["users.yaml: warning: holds no users"]);
    }
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
    let expected = [
        "users.yaml:1: alice.addresses[2]: `A` is the address of another line too",
        "users.yaml:2: bob.addresses[0]: `alice` is a user of this file by itself",
        "users.yaml:2: bob.addresses[1]: `b b` is nobody's name: ",
        "users.yaml:2: bob.addresses[2]: `a@example.com` is the address of another line too",
        "users.yaml:2: bob.addresses[3]: `b` is a user of this file by itself",
        "users.yaml:4: carol.host: ",
        "users.yaml:5: @example.org: has `addresses`, but only a user has them",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for expected in expected {
        assert!(found.iter().any(|found| found.starts_with(expected)), "{expected}: {found:#?}");
    }
    assert!(
        problems("alice: { host: h, addresses: a }\n")[0].starts_with("users.yaml:1: alice.addresses: is a single")
    );
    let bare = parse("alice: { host: h, addresses: [alice@example.com] }\n", None).expect("a users file");
    assert_eq!(bare.owners.get("alice@example.com").map(User::name), Some("alice"));
}
