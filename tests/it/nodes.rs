//! Several gateways on one redis-server as one: who is on at any of them, acts that reach each, and limits that all of
//! them keep together.

use rustix::process::Signal;

use crate::live::{VIEW, call, run, with_tokens};
use crate::page_http::{OPS, ask, sign_in};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::redis::Redis;
use crate::support::slapd::Slapd;
use crate::support::{site, wait};

/// Two gateways that share a server, and the server.
pub fn two(change: impl Fn(Plan) -> Plan) -> (Redis, Gateway, Gateway) {
    let redis = Redis::start();
    let start = || Gateway::start(&change(redis.keeps(with_tokens(site::shared().plan()))));
    let (one, two) = (start(), start());
    for (gateway, other) in [(&one, &two), (&two, &one)] {
        let name = format!("/{} ", other.id());
        shows(gateway, &["status"], |text| text.contains(&name));
    }
    (redis, one, two)
}

/// Waits until a verb's answer is as it should be.
#[track_caller]
pub fn shows(gateway: &Gateway, verb: &[&str], is_so: impl Fn(&str) -> bool) -> String {
    wait::until(&format!("{verb:?} to show it"), 2 * wait::SOON, || Some(run(gateway, verb)).filter(|text| is_so(text)))
}

/// The users of all sessions, one a page, sorted.
#[track_caller]
fn page_by_page(gateway: &Gateway) -> Vec<String> {
    let (mut users, mut behind) = (Vec::new(), String::new());
    loop {
        let (_, body) = call(gateway, VIEW, "GET", &format!("/sessions?limit=1{behind}"), "");
        let page: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(page["total"] == 2 && page["sessions"].as_array().is_some_and(|some| some.len() == 1), "{body}");
        users.push(page["sessions"][0]["user"].as_str().unwrap().to_owned());
        match page["cursor"].as_str() {
            Some(cursor) => behind = format!("&cursor={cursor}"),
            None => break,
        }
    }
    users.sort();
    users
}

pub fn open(source: &str, gateway: &Gateway, user: &str) -> Client {
    let mut client = Mail::Imap.open_from(source, gateway);
    Mail::Imap.login(&mut client, user);
    client
}

#[track_caller]
fn line<'t>(table: &'t str, words: &[&str]) -> &'t str {
    let found = table.lines().find(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("{words:?} in\n{table}"))
}

#[test]
fn each_gateway_shows_the_sessions_of_both_and_where_they_are() {
    let (_redis, one, two) = two(|plan| plan);
    let mut alice = open("127.0.0.91", &one, "alice");
    let _bob = open("127.0.0.92", &two, "bob");
    for gateway in [&one, &two] {
        let table = shows(gateway, &["who"], |text| text.ends_with("\n2 sessions\n"));
        assert!(table.lines().next().is_some_and(|head| head.ends_with("NODE")), "{table}");
        line(&table, &["alice@example.org", "127.0.0.91:", "one.stores", &format!("mail.example.org/{}", one.id())]);
        line(&table, &["bob@example.org", "127.0.0.92:", "two.stores", &format!("mail.example.org/{}", two.id())]);
        assert!(run(gateway, &["who", "--user", "bob"]).ends_with("\n1 session\n"));
        assert!(run(gateway, &["who", "--from", "127.0.0.91"]).ends_with("\n1 session\n"));
        assert!(run(gateway, &["user", "bob"]).contains("127.0.0.92:"));
        assert!(run(gateway, &["status"]).contains("sessions   imap 2,"));
    }
    for gateway in [&one, &two] {
        assert_eq!(page_by_page(gateway), ["alice@example.org", "bob@example.org"]);
    }
    alice.ask_for("n NOOP", "n OK");
    drop(alice);
    shows(&two, &["who"], |text| text.ends_with("\n1 session\n"));
}

#[test]
fn an_act_at_one_gateway_reaches_the_sessions_of_the_other() {
    let (_redis, one, two) = two(|plan| plan);
    let mut other = open("127.0.0.93", &two, "bob");
    for (which, of, said) in [
        ("--user", "alice", "alice@example.org (typed: alice): "),
        ("--from", "127.0.0.94", ""),
        ("--backend", "one.stores.example.org", ""),
    ] {
        let (mut here, mut there) = (open("127.0.0.94", &one, "alice"), open("127.0.0.94", &two, "alice"));
        shows(&one, &["who"], |text| text.ends_with("\n3 sessions\n"));
        let told = format!("{said}sessions dropped: 1 here, about 1 elsewhere (1 other gateway told)\n");
        assert_eq!(run(&one, &["kick", which, of]), told);
        assert!(here.line().starts_with("* BYE ") && there.line().starts_with("* BYE "), "{which}");
        shows(&one, &["who"], |text| text.ends_with("\n1 session\n"));
    }
    two.logged(&["administrator", "by=\"ops\"", "from=\"another gateway\"", "what=\"alice@example.org\"", "count=1"]);
    let mut there = open("127.0.0.94", &two, "alice");
    let table = shows(&one, &["who"], |text| text.ends_with("\n2 sessions\n"));
    let id = line(&table, &["alice"]).split(' ').next().expect("an id");
    let told = "sessions dropped: 0 here, about 1 elsewhere (1 other gateway told)\n";
    assert_eq!(run(&one, &["kick", "--session", id]), told);
    assert!(there.line().starts_with("* BYE "));
    // An order is carried out once: who comes back stays.
    let mut again = open("127.0.0.94", &two, "alice");
    shows(&one, &["who"], |text| text.ends_with("\n2 sessions\n"));
    run(&one, &["disable", "bob", "imap", "--now"]);
    assert!(other.line().starts_with("* BYE "));
    again.ask_for("n NOOP", "n OK");
    drop((again, there));
    two.is_calm();
}

#[test]
fn the_sessions_of_a_gateway_that_died_vanish_when_its_lease_ends() {
    let (_redis, one, mut two) = two(|plan| plan);
    let (_here, _there) = (open("127.0.0.95", &one, "alice"), open("127.0.0.95", &two, "bob"));
    shows(&one, &["who"], |text| text.ends_with("\n2 sessions\n"));
    two.kill();
    assert!(run(&one, &["who"]).ends_with("\n2 sessions\n"), "until its lease ends");
    let alone = |text: &str| text.ends_with("\n1 session\n") && !text.contains("NODE") && text.contains("alice");
    shows(&one, &["who"], alone);
    assert!(!run(&one, &["status"]).contains("gateways"));
}

#[test]
fn while_the_server_is_away_a_gateway_shows_its_own_sessions_and_says_so() {
    let (mut redis, one, two) = two(|plan| plan.service("user_limits", "{ connections: 2 }"));
    let (_here, mut there) = (open("127.0.0.96", &one, "alice"), open("127.0.0.96", &two, "bob"));
    shows(&one, &["who"], |text| text.ends_with("\n2 sessions\n"));
    redis.signal(Signal::STOP);
    let own = "\n1 session (of this gateway only: the registry's store is away)\n";
    shows(&one, &["who"], |text| text.ends_with(own) && text.contains("alice"));
    assert!(run(&one, &["status"]).contains("of this gateway only"));
    let kicked = run(&one, &["kick", "--user", "bob"]);
    let told =
        "bob@example.org (typed: bob): sessions dropped: 0 (of this gateway only: the registry's store is away)\n";
    assert_eq!(kicked, told);
    redis.kill();
    shows(&one, &["status"], |text| text.contains("registry   its store (registry.store) does not answer\n"));
    shows(&one, &["who"], |text| text.ends_with(own));
    // Each gateway's own count decides.
    let _second = open("127.0.0.96", &one, "alice");
    is_full(&one, "alice");
    let _third = open("127.0.0.96", &two, "alice");
    redis.restart();
    shows(&one, &["who"], |text| text.ends_with("\n4 sessions\n"));
    there.ask_for("n NOOP", "n OK");
    // The server, started empty, has heard again who holds which place.
    is_full(&two, "alice");
    let _fourth = open("127.0.0.96", &one, "bob");
    is_full(&one, "bob");
}

#[track_caller]
fn is_full(gateway: &Gateway, user: &str) {
    is_full_from("127.0.0.97", gateway, user);
}

#[track_caller]
fn is_full_from(source: &str, gateway: &Gateway, user: &str) {
    let mut client = Mail::Imap.open_from(source, gateway);
    let answer = Mail::Imap.try_login(&mut client, user, &format!("{user}-secret"));
    assert!(answer.contains("[LIMIT]"), "{answer}");
}

#[test]
fn a_users_sessions_are_counted_at_both_gateways_together() {
    let (_redis, one, mut two) = two(|plan| plan.service("user_limits", "{ connections: 3, connections_per_ip: 2 }"));
    let first = open("127.0.0.98", &one, "alice");
    let _second = open("127.0.0.98", &two, "alice");
    is_full_from("127.0.0.98", &one, "alice");
    one.logged(&["login denied", "denial=\"limit\"", "connections_per_ip: 2", "at all gateways"]);
    let third = open("127.0.0.99", &two, "alice");
    is_full(&one, "alice");
    is_full(&two, "alice");
    one.logged(&["login denied", "user_limits.connections: 3", "at all gateways"]);
    let _bob = open("127.0.0.98", &one, "bob");
    // A wrong password takes no place, and who leaves gives it back.
    let mut wrong = Mail::Imap.open_from("127.0.0.100", &one);
    drop(third);
    wait::until_true("the place to be given back", wait::SOON, || {
        let answer = Mail::Imap.try_login(&mut wrong, "alice", "wrong");
        assert!(answer.contains("[LIMIT]") || answer.contains("[AUTHENTICATIONFAILED]"), "{answer}");
        if answer.contains("[LIMIT]") {
            wrong = Mail::Imap.open_from("127.0.0.100", &one);
        }
        answer.contains("[AUTHENTICATIONFAILED]")
    });
    let fourth = open("127.0.0.100", &one, "alice");
    is_full(&one, "alice");
    drop((first, fourth));
    // Those of a gateway that died count until its lease ends, and then no more.
    two.kill();
    let mut held = Vec::new();
    wait::until_true("all places to come back", 2 * wait::SOON, || {
        let source = format!("127.0.0.{}", 101 + held.len());
        let mut client = Mail::Imap.open_from(&source, &one);
        if Mail::Imap.try_login(&mut client, "alice", "alice-secret").starts_with("l OK") {
            held.push(client);
        }
        held.len() == 3
    });
    is_full(&one, "alice");
}

#[test]
fn of_many_logins_at_once_at_both_gateways_exactly_as_many_get_in_as_may() {
    let (_redis, one, two) = two(|plan| plan.service("user_limits", "{ connections: 5 }"));
    let clients: Vec<Option<Client>> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..16)
            .map(|index| {
                let gateway = if index % 2 == 0 { &one } else { &two };
                scope.spawn(move || {
                    let mut client = Mail::Imap.open_from("127.0.0.89", gateway);
                    let answer = Mail::Imap.try_login(&mut client, "alice", "alice-secret");
                    answer.starts_with("l OK").then_some(client)
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().expect("it has not panicked")).collect()
    });
    assert_eq!(clients.iter().flatten().count(), 5);
    drop(clients);
    one.is_calm();
    two.is_calm();
}

/// Waits until a page is as it should be; what is on it besides its markup.
#[track_caller]
pub fn page_shows(gateway: &Gateway, visit: &str, path: &str, words: &[&str]) -> String {
    wait::until(&format!("{words:?} on {path}"), 2 * wait::SOON, || {
        let body = ask(gateway, "GET", path, visit, "").body;
        let rows = body.replace("</tr>", "\n").replace("\n<td", " <td");
        let text = rows.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect::<String>();
        let is_shown =
            words.iter().all(|words| text.lines().any(|line| words.split('|').all(|word| line.contains(word))));
        is_shown.then_some(text)
    })
}

#[test]
fn the_page_of_each_gateway_lists_the_sessions_of_both_and_drops_them() {
    let (_redis, one, two) = two(|plan| plan);
    let ops = sign_in(&one, OPS);
    let [here, there] = [&one, &two].map(|gateway| format!("mail.example.org/{}", gateway.id()));
    page_shows(&one, &ops, "/sessions", &["Nobody is logged in."]);
    let _alice = open("127.0.0.111", &one, "alice");
    let mut bob = open("127.0.0.112", &two, "bob");
    let rows = [
        format!("alice@example.org|127.0.0.111|one.stores|{here}"),
        format!("bob@example.org|127.0.0.112|two.stores|{there}"),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let all = page_shows(&one, &ops, "/sessions", &[&*rows, &["All 2", "IMAP 2", "2 sessions"]].concat());
    assert!(all.find("alice@example.org") < all.find("bob@example.org"), "{all}");
    let turned = page_shows(&one, &ops, "/sessions?sort=-user", &rows);
    assert!(turned.find("bob@example.org") < turned.find("alice@example.org"), "{turned}");
    for (search, user, other) in [(&*there, "bob", "alice"), ("TWO.stores", "bob", "alice"), (&*here, "alice", "bob")] {
        let found = page_shows(&one, &ops, &format!("/sessions?q={search}"), &[user, "1 session", "All 2"]);
        assert!(!found.contains(&format!("{other}@")), "{found}");
    }
    page_shows(&one, &ops, "/sessions?protocol=pop3", &["No session matches.", "All 2"]);
    for path in ["/user?name=bob", "/address?ip=127.0.0.112"] {
        page_shows(&one, &ops, path, &[&format!("127.0.0.112|two.stores|{there}"), "1 session"]);
    }

    let csrf = ask(&one, "GET", "/", &ops, "").csrf().to_owned();
    let (_, list) = call(&one, VIEW, "GET", "/sessions?user=bob", "");
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let id = list["sessions"][0]["id"].as_str().expect("an id");
    let form = format!("csrf={csrf}&of=session&what={id}&back=/");
    assert_eq!(ask(&one, "POST", "/drop", &ops, &form).status, 303);
    page_shows(&one, &ops, "/sessions", &["1 session dropped at another gateway."]);
    assert!(bob.line().starts_with("* BYE "));
    page_shows(&one, &ops, "/sessions", &["All 1"]);

    // One session here and one there are more than one.
    let mut held = [open("127.0.0.113", &one, "bob"), open("127.0.0.114", &two, "bob")];
    page_shows(&one, &ops, "/user?name=bob", &["127.0.0.113", "127.0.0.114", "Drop all 2 sessions"]);
    let form = format!("csrf={csrf}&of=user&what=bob&back=/");
    let question = ask(&one, "POST", "/drop", &ops, &form);
    assert!(
        question.status == 200 && question.body.contains("Drop 2 sessions of bob@example.org?"),
        "{}",
        question.body
    );
    assert_eq!(ask(&one, "POST", "/drop", &ops, &format!("{form}&sure=yes")).status, 303);
    page_shows(&one, &ops, "/sessions", &["1 session dropped here, about 1 elsewhere."]);
    held.iter_mut().for_each(|client| assert!(client.line().starts_with("* BYE ")));
}

#[test]
fn the_page_goes_through_all_gateways_by_any_order() {
    let (_redis, one, two) = two(|plan| plan);
    let mut held = Vec::new();
    for index in 0..6 {
        let gateway = if index % 2 == 0 { &one } else { &two };
        held.push(open(&format!("127.0.0.{}", 116 + index), gateway, if index < 3 { "alice" } else { "bob" }));
    }
    let view = sign_in(&two, VIEW);
    for (sort, expected) in [("client", [116, 117, 118, 119, 120, 121]), ("-client", [121, 120, 119, 118, 117, 116])] {
        let text = page_shows(&two, &view, &format!("/sessions?sort={sort}"), &["All 6", "6 sessions"]);
        let seen: Vec<usize> = expected.iter().filter_map(|last| text.find(&format!("127.0.0.{last}"))).collect();
        assert!(seen.len() == 6 && seen.is_sorted(), "{text}");
    }
}

#[test]
fn while_the_server_is_away_the_page_says_whose_sessions_are_missing() {
    let (mut redis, one, two) = two(|plan| plan);
    let view = sign_in(&one, VIEW);
    let (_here, _there) = (open("127.0.0.122", &one, "alice"), open("127.0.0.123", &two, "bob"));
    page_shows(&one, &view, "/sessions", &["All 2"]);
    // It hangs at first, which nobody waits for long, and then is gone.
    redis.signal(Signal::STOP);
    let begun = std::time::Instant::now();
    ask(&one, "GET", "/user?name=bob", &view, "");
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    page_shows(&one, &view, "/sessions", &["sessions are not shown", "All 1"]);
    redis.kill();
    let note = "other gateways' sessions are not shown";
    for path in ["/", "/user?name=bob", "/address?ip=127.0.0.123"] {
        let text = page_shows(&one, &view, path, &[&note.replace('\'', "&#39;")]);
        assert!(!text.contains("127.0.0.123:"), "{text}");
    }
    page_shows(&one, &view, "/sessions", &["All 1", "127.0.0.122"]);
    redis.restart();
    let text = page_shows(&one, &view, "/sessions", &["All 2", "127.0.0.123"]);
    assert!(!text.contains("not shown"), "{text}");
}

#[test]
fn what_is_known_of_a_user_is_what_all_gateways_have_heard() {
    let (mut redis, one, mut two) = two(|plan| plan);
    let view = sign_in(&one, VIEW);
    for (gateway, source) in [(&one, "127.0.0.131"), (&two, "127.0.0.132")] {
        let mut client = Mail::Imap.open_from(source, gateway);
        Mail::Imap.try_login(&mut client, "bob", "wrong");
    }
    drop(open("127.0.0.133", &one, "bob"));
    shows(&one, &["ips", "bob"], |text| text.contains("127.0.0.133") && !text.contains("  0s\n"));
    let mut pop3 = Mail::Pop3.open_from("127.0.0.134", &two);
    Mail::Pop3.login(&mut pop3, "bob");
    drop(pop3);
    let count = |text: &str| text.contains("failed logins  2 (the last");
    for gateway in [&one, &two] {
        let text =
            shows(gateway, &["user", "bob"], |text| count(text) && text.contains("134 ") && text.contains("133 "));
        assert!(!text.contains("of this gateway only"), "{text}");
        line(&text, &["last address", "127.0.0.134"]);
        line(&text, &["from 127.0.0.132"]);
        for protocol in ["imap ", "pop3 "] {
            let last = text.lines().find(|line| line.starts_with(protocol)).expect("its line");
            assert!(last.contains("yes") && last.ends_with('s'), "{last}");
        }
        let ips = run(gateway, &["ips", "bob"]);
        line(&ips, &["127.0.0.133", "imap"]);
        line(&ips, &["127.0.0.134", "pop3"]);
    }
    let (_, detail) = call(&one, VIEW, "GET", "/users/bob", "");
    assert!(detail.contains("\"last_address\":\"127.0.0.134\"") && detail.contains("\"partial\":false"), "{detail}");
    page_shows(
        &one,
        &view,
        "/user?name=bob",
        &["127.0.0.133|IMAP", "127.0.0.134|POP3", "failed logins, the last|127.0.0.132"],
    );

    // What a gateway has told stays when it dies, and that of nobody is nothing.
    two.kill();
    assert!(run(&one, &["ips", "bob"]).contains("127.0.0.134"));
    assert!(run(&one, &["user", "alice"]).contains("failed logins  0\n"));
    // Alone, it knows what it has heard itself, and says so.
    redis.kill();
    let text = shows(&one, &["user", "bob"], |text| text.contains("bob@example.org (of this gateway only"));
    assert!(text.contains("127.0.0.133") && !text.contains("127.0.0.134"), "{text}");
    assert!(text.contains("failed logins  1 ("), "{text}");
    assert!(run(&one, &["ips", "bob"]).ends_with("\n(of this gateway only: the registry's store is away)\n"));
    let text = page_shows(&one, &view, "/user?name=bob", &["not shown", "127.0.0.133|IMAP"]);
    assert!(!text.contains("127.0.0.134"), "{text}");
    // What is heard meanwhile is told when the server is back, though it has forgotten all.
    drop(open("127.0.0.135", &one, "bob"));
    redis.restart();
    let third = Gateway::start(&redis.keeps(with_tokens(site::shared().plan())));
    shows(&third, &["ips", "bob"], |text| text.contains("127.0.0.135"));
}

#[test]
fn a_route_that_is_forgotten_at_one_gateway_is_forgotten_at_the_other() {
    let slapd = Slapd::start();
    let urls = format!("[\"{}\"]", slapd.url());
    let (mut redis, one, two) = two(|plan| plan.set("directory.sources.ldap.urls", &urls));
    let asks = |gateway: &Gateway| {
        let before = slapd.searches("alice");
        drop(open("127.0.0.136", gateway, "alice"));
        slapd.searches("alice") - before
    };
    let forget = || call(&one, OPS, "DELETE", "/users/alice/route", "");
    let told = |count: usize| {
        wait::until_true("the other to forget it", wait::SOON, || {
            let log = two.log();
            let lines = log.lines().filter(|line| line.contains("act=\"forget_route\"") && line.contains("by=\"ops\""));
            let lines =
                lines.filter(|line| line.contains("from=\"another gateway\"") && line.contains("alice@example.org"));
            lines.filter(|line| line.contains("forgotten=true")).count() == count
        });
    };
    assert_eq!((asks(&one), asks(&two)), (1, 1), "each for itself");
    assert_eq!((asks(&one), asks(&two)), (0, 0), "they remember");
    let of = "{\"user\":\"alice@example.org\",\"typed\":\"alice\",\"note\":null,";
    assert_eq!(forget(), (200, format!("{of}\"forgotten\":true,\"nodes_told\":1,\"partial\":false}}")));
    told(1);
    assert_eq!((asks(&one), asks(&two)), (1, 1));
    let ops = sign_in(&one, OPS);
    let csrf = ask(&one, "GET", "/", &ops, "").csrf().to_owned();
    ask(&one, "POST", "/forget", &ops, &format!("csrf={csrf}&user=alice&back=/"));
    page_shows(&one, &ops, "/sessions", &["the next login asks the directory. So it does at the other gateways."]);
    told(2);
    assert_eq!((asks(&one), asks(&two)), (1, 1));
    redis.kill();
    shows(&one, &["status"], |text| text.contains("of this gateway only"));
    assert_eq!(forget(), (200, format!("{of}\"forgotten\":true,\"nodes_told\":0,\"partial\":true}}")));
    ask(&one, "POST", "/forget", &ops, &format!("csrf={csrf}&user=alice&back=/"));
    page_shows(&one, &ops, "/sessions", &["The other gateways may not have been told."]);
    assert_eq!((asks(&one), asks(&two)), (1, 0), "who was not told still remembers");
}
