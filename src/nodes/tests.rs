//! What other gateways have written, and what is done with it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use serde_json::{Value, json};

use super::*;
use crate::config::{self, Store};
use crate::registry::Server;
use crate::secret::Secret;

/// As a gateway with the tag `0x80000007` writes it.
fn session(number: u64, id: &str, protocol: &str) -> Value {
    json!({
        "id": id, "number": number, "user": "alice", "protocol": protocol, "listener": "imap", "client": "192.0.2.1:9",
        "tls": null, "backend": "one", "since": 1, "moved": 2, "up": u64::MAX, "down": u64::MAX,
    })
}

fn other(pieces: &[Value]) -> Other {
    let pieces = pieces.iter().map(|piece| piece.to_string().into_bytes()).collect();
    Other::read(Posted { tag: 0x8000_0007, name: "two/1".to_owned(), pieces })
}

fn nodes(store: &Store) -> Nodes {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let runtime = tokio::runtime::Handle::current();
    let second = Duration::from_secs(1);
    let config = config::Directory {
        default_domain: None,
        domains: Vec::new(),
        recipient_delimiter: None,
        hosts: Arc::default(),
        protocols: Vec::new(),
        sources: vec![config::Source::Pool("stores".to_owned())],
        cache: config::Cache { entries: 0, ttl: second, negative_ttl: second, stale: second },
    };
    let directory = Directory::new(&config, metrics.clone(), runtime.clone()).expect("a directory");
    let registry = Registry::open(None, store, metrics.clone(), &runtime).expect("a registry");
    Nodes::new(Roster::new(64), registry, directory, metrics, "mail.example.org")
}

#[test]
fn what_a_gateway_would_not_have_written_is_left_out_and_nothing_else() {
    let sessions = [
        session(9, "80000007-9", "imap"),
        session(8, "80000008-8", "imap"),
        session(7, "80000007-9", "imap"),
        session(6, "x", "imap"),
        session(5, "80000007-5", "jmap"),
        json!("none"),
        session(4, "80000007-4", "pop3"),
    ];
    let read = other(&[json!({ "counts": [3, 1, 0, 0, 8], "sessions": sessions }), json!({ "counts": "many" })]);
    assert_eq!(read.counts, [3, 1, 0, 0]);
    assert_eq!(read.sessions.iter().map(|seen| seen.number).collect::<Vec<_>>(), [4, 9]);
}

#[tokio::test]
async fn numbers_that_nobody_can_have_are_added_up_all_the_same() {
    let piece = json!({ "counts": [u64::MAX, u64::MAX, 1, u64::MAX], "sessions": [] });
    let others = vec![other(&[piece.clone(), piece.clone()]), other(&[piece])];
    let counts = nodes(&Store::Memory).counts(&View { others, is_partial: false });
    assert!(counts.iter().map(|(_, count)| count).sum::<usize>() > 3);
}

#[tokio::test]
async fn those_of_all_gateways_are_looked_through_elsewhere() {
    let piece = json!({ "counts": [1], "sessions": [session(9, "80000007-9", "imap")] });
    let (view, asked) =
        (Arc::new(View { others: vec![other(&[piece])], is_partial: false }), Arc::new(AtomicUsize::new(0)));
    let (own, count): (ThreadId, _) = (std::thread::current().id(), asked.clone());
    let is_meant = move |_: One<'_>| {
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::current().id() != own
    };
    let list = nodes(&Store::Memory).sorted(&view, is_meant, |one| one.since(), (0, 10)).await;
    assert_eq!((list.total, asked.load(Ordering::Relaxed)), (1, 1), "by another thread");
}

#[tokio::test]
async fn nobody_is_said_to_be_told_who_was_not_seen() {
    let (url, prefix) = (Secret::new("redis://127.0.0.1:1").expect("plain"), "pc".to_owned());
    let (shared, alone) = (nodes(&Store::Valkey { url, tls: None, prefix }), nodes(&Store::Memory));
    let view = |is_partial| View { others: Vec::new(), is_partial };
    assert!(shared.told(&view(true), 0, true).is_partial && shared.told(&view(false), 0, false).is_partial);
    assert!(!shared.told(&view(false), 0, true).is_partial, "seen, and told");
    assert!(!alone.told(&view(false), 0, false).is_partial, "there can be no others");
}

#[tokio::test]
async fn a_gateway_that_ends_tells_all_that_it_has_heard() {
    let server = Server::start();
    let nodes = nodes(&server.store());
    let (roster, registry) = (&nodes.0.roster, &nodes.0.registry);
    while registry.renew(node_id(), "one", (0, 0)).await.is_err() {
        tokio::task::yield_now().await;
    }
    roster.want_news();
    (0..1500).for_each(|n| roster.failed(&format!("user{n}").into(), IpAddr::from([192, 0, 2, 1])));
    nodes.leave().await;
    assert!(roster.news(1).is_empty());
    assert_eq!(registry.recall("user7").await.expect("it is there").failures, 1);
}
