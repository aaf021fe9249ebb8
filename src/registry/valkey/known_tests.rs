//! What gateways remember of users together, on a real redis-server.

use redis::{Commands, InfoDict};

use super::tests::{Server, is_up};
use super::*;
use crate::registry::known::{Fact, News, Recalled};
use crate::registry::tests::{Site, noon, rules};

fn heard(user: &str, facts: &[(&str, u64, &str)], failures: u64) -> News {
    let fact = |(of, at, what): &(&str, u64, &str)| Fact { of: (*of).to_owned(), at: *at, what: (*what).to_owned() };
    News { user: user.into(), facts: facts.iter().map(fact).collect(), failures }
}

#[tokio::test]
async fn of_what_gateways_remember_of_a_user_the_latest_stays_and_not_for_ever() {
    let server = Server::start();
    let site = Site::open(&rules(), &server.store(), &noon());
    is_up(&site).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let tell = async |news: &[News]| site.registry.remember(news).await.expect("it is there");
    tell(&[heard("alice", &[("last:imap", now - 50, ""), ("at:192.0.2.1", now - 50, "imap")], 2)]).await;
    tell(&[heard("alice", &[("last:imap", now - 70, ""), ("failed", now + 9999, "192.0.2.9")], 1)]).await;
    let recalled = site.registry.recall("alice").await.expect("it is there");
    let at = |of: &str| recalled.facts.iter().find(|fact| fact.of == of).map(|fact| fact.at);
    assert_eq!((at("last:imap"), at("at:192.0.2.1"), recalled.failures), (Some(now - 50), Some(now - 50), 3));
    assert!(at("failed").is_some_and(|at| at <= now + 60), "a clock that is ahead is put right");
    let visits: Vec<(String, u64)> = (0..20).map(|n| (format!("at:192.0.2.{}", 100 + n), now - 40 + n)).collect();
    let visits: Vec<(&str, u64, &str)> = visits.iter().map(|(of, at)| (&**of, *at, "imap")).collect();
    tell(&[heard("alice", &visits, 0)]).await;
    let mut of: Vec<String> =
        site.registry.recall("alice").await.unwrap().facts.into_iter().map(|fact| fact.of).collect();
    of.retain(|of| of.starts_with("at:"));
    of.sort();
    assert_eq!(of, (4..20).map(|n| format!("at:192.0.2.{}", 100 + n)).collect::<Vec<_>>(), "the latest sixteen");
    let ttl: i64 = server.connection().ttl("pc:known:alice").unwrap();
    assert!((1..=30 * 86_400).contains(&ttl), "{ttl}");
    assert_eq!(site.registry.recall("bob").await.unwrap(), Recalled::default());
}

#[tokio::test]
async fn who_is_remembered_is_bounded_and_who_only_failed_goes_first() {
    let server = Server::start();
    let site = Site::open(&rules(), &server.store(), &noon());
    is_up(&site).await;
    let store = site.registry.server().expect("a server");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (index, user) in ["first", "second", "third"].into_iter().enumerate() {
        store.remember(&[heard(user, &[("last:imap", now - 90 + index as u64, "")], 0)], 3).await.unwrap();
    }
    for guess in 0..5 {
        store.remember(&[heard(&format!("guess{guess}"), &[("failed", now, "192.0.2.9")], 1)], 3).await.unwrap();
    }
    let known = || {
        let mut keys: Vec<String> = server.connection().keys("pc:known:*").unwrap();
        keys.sort();
        keys
    };
    assert_eq!(known(), ["pc:known:first", "pc:known:second", "pc:known:third"]);
    store.remember(&[heard("fourth", &[("last:imap", now, "")], 0)], 3).await.unwrap();
    assert_eq!(known(), ["pc:known:fourth", "pc:known:second", "pc:known:third"]);
}

#[tokio::test]
async fn a_key_that_is_anothers_holds_up_the_news_of_nobody() {
    let server = Server::start();
    let site = Site::open(&rules(), &server.store(), &noon());
    is_up(&site).await;
    let mut other = server.connection();
    let _: () = other.set("pc:known:odd", "a string").unwrap();
    let fields = [("at:192.0.2.1", "yesterday"), ("failures", "many"), ("last:imap", "-1 x"), ("last:pop3", "")];
    let _: () = other.hset_multiple("pc:known:mixed", &fields).unwrap();
    let _: () = other.hset("pc:known:mixed", b"\xff\xfe", b"\xff").unwrap();
    let news = ["odd", "mixed", "alice"].map(|user| heard(user, &[("last:pop3", 1, "")], 1));
    site.registry.remember(&news).await.expect("it is there");
    assert_eq!(site.registry.recall("odd").await.unwrap(), Recalled::default());
    let told =
        |failures| Recalled { facts: vec![Fact { of: "last:pop3".to_owned(), at: 1, what: String::new() }], failures };
    assert_eq!(site.registry.recall("mixed").await.unwrap(), told(0));
    assert_eq!(site.registry.recall("alice").await.unwrap(), told(1));
    let text: String = other.get("pc:known:odd").unwrap();
    assert_eq!(text, "a string", "it stays as it is");
}

#[tokio::test]
async fn names_without_a_hash_push_nobody_out() {
    let server = Server::start();
    let site = Site::open(&rules(), &server.store(), &noon());
    is_up(&site).await;
    let store = site.registry.server().expect("a server");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let gone = now - 31 * 86_400;
    let scores = [(gone, "dead"), (gone, "gone"), (gone - (1 << 32), "stranger")];
    let _: () = server.connection().zadd_multiple("pc:known", &scores).unwrap();
    let failed = heard("bob", &[("failed", now as u64, "192.0.2.9")], 1);
    store.remember(&[failed], 2).await.unwrap();
    assert_eq!(store.recall("bob").await.unwrap().failures, 1);
    let names: Vec<String> = server.connection().zrange("pc:known", 0, -1).unwrap();
    assert_eq!(names, ["bob"]);
}

#[tokio::test]
async fn a_server_that_refuses_scripts_for_good_is_not_asked_again_and_again() {
    let server = Server::start();
    let site = Site::open(&rules(), &server.store(), &noon());
    is_up(&site).await;
    let (store, mut other) = (site.registry.server().expect("a server"), server.connection());
    store.renew(7, "one", (0, 0)).await.expect("it is there");
    let mut connections = || {
        let told: InfoDict = redis::cmd("INFO").arg("stats").query(&mut other).unwrap();
        told.get::<u64>("total_connections_received").expect("a number")
    };
    let before = connections();
    redis::cmd("ACL").arg("SETUSER").arg("default").arg("-eval").exec(&mut server.connection()).unwrap();
    for _ in 0..3 {
        site.registry.remember(&[heard("bob", &[], 1)]).await.expect("it counts as told");
        assert_eq!(site.registry.recall("bob").await, Err(Away("NOPERM".to_owned())), "who asks is told");
        store.renew(7, "one", (0, 0)).await.expect("the lease is renewed");
    }
    assert_eq!(connections(), before + 1, "that of this test");
    assert!(store.is_refusal_logged.load(Ordering::Relaxed));
}
