//! Several gateways on a redis-server that does not do as it should: what it holds is strange, or it refuses scripts.

use serde_json::json;

use crate::live::{VIEW, run};
use crate::nodes::{open, page_shows, shows, two};
use crate::page_http::sign_in;
use crate::support::mail::Mail;

const MANY: u64 = u64::MAX;

#[test]
fn the_largest_numbers_in_the_store_hurt_no_gateway() {
    let (redis, one, two) = two(|plan| plan);
    let (mut store, view) = (redis.client(), sign_in(&one, VIEW));
    let tell = |command: &[&str], store: &mut redis::Connection| {
        let (name, arguments) = command.split_first().expect("a name");
        redis::cmd(name).arg(arguments).exec(store).expect("it is told");
    };
    let mut client = Mail::Imap.open_from("127.0.0.137", &one);
    Mail::Imap.try_login(&mut client, "alice", "wrong");
    drop(client);
    let session = json!({
        "id": "ffffffff-ffffffffffffffff", "number": MANY, "user": "alice@example.org", "protocol": "imap",
        "listener": "imap", "client": "192.0.2.1:9", "tls": null, "backend": "one", "since": MANY, "moved": MANY,
        "up": MANY, "down": MANY,
    });
    let piece = json!({ "counts": [MANY, MANY, MANY, MANY], "sessions": [session] }).to_string();
    let name = "third/1";
    tell(&["HSET", "pc:node:ffffffff", "name", name, "0", &piece, "1", &piece], &mut store);
    tell(&["SADD", "pc:nodes", "ffffffff"], &mut store);
    shows(&one, &["status"], |text| text.contains(name));
    // The gateways' own failures are added to these.
    let last = format!("{MANY} ");
    let known = "pc:known:alice@example.org";
    tell(
        &["HSET", known, "failures", &MANY.to_string(), "last:imap", &last, "at:192.0.2.1", &format!("{last}imap")],
        &mut store,
    );
    let mut client = Mail::Imap.open_from("127.0.0.137", &one);
    Mail::Imap.try_login(&mut client, "alice", "wrong");
    for verb in [&["who"][..], &["user", "alice"], &["ips", "alice"], &["status"]] {
        run(&one, verb);
    }
    assert!(run(&one, &["user", "alice"]).contains(&MANY.to_string()));
    for sort in ["up", "-down", "since", "-moved"] {
        page_shows(&one, &view, &format!("/sessions?sort={sort}"), &[name]);
    }
    page_shows(&one, &view, "/user?name=alice", &[name]);
    // Nobody can order anything behind this.
    tell(&["XADD", "pc:orders", &format!("{MANY}-1"), "order", "{}"], &mut store);
    drop(client);
    let _bob = open("127.0.0.138", &two, "bob");
    shows(&one, &["who"], |text| text.contains("bob@example.org"));
}

#[test]
fn a_store_that_refuses_scripts_still_shows_who_is_on() {
    let (redis, one, two) = two(|plan| plan);
    redis::cmd("ACL").arg("SETUSER").arg("default").arg("-eval").exec(&mut redis.client()).expect("it is told");
    let view = sign_in(&one, VIEW);
    let _there = open("127.0.0.139", &two, "bob");
    let note = ["logins and failures are this one&#39;s", "None since the gateway was started.", "two.stores"];
    let text = page_shows(&one, &view, "/user?name=bob", &note);
    assert!(!text.contains("not shown"), "{text}");
    two.logged(&["the registry's store refuses EVAL", "problem=NOPERM"]);
    let _more = open("127.0.0.140", &two, "alice");
    shows(&one, &["who"], |text| text.ends_with("\n2 sessions\n"));
    let log = two.log();
    assert_eq!(log.lines().filter(|line| line.contains("refuses EVAL")).count(), 1, "{log}");
    assert!(!log.contains("store is away"), "{log}");
}
