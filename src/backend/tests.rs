//! Which servers a host leads to, and which hosts lead nowhere.

use super::*;
use crate::config::{BackendLogin, BackendTls, ClientTls, Storage};
use crate::proto::Protocol;
use std::time::Duration;

fn pool(name: &str, servers: &[&str], matches: &[&str]) -> config::Pool {
    config::Pool {
        name: name.to_owned(),
        servers: servers
            .iter()
            .map(|&name| config::Server { name: name.to_owned(), address: "127.0.0.1".to_owned(), weight: 1 })
            .collect(),
        matches: matches.iter().map(|&pattern| pattern.to_owned()).collect(),
        ports: HashMap::from([(Protocol::Imap, 1143)]),
        tls: BackendTls::None,
        verify: ClientTls::default(),
        connect_timeout: Duration::from_secs(1),
        login_timeout: Duration::from_secs(1),
        max_connections: Some(2),
        wait: Duration::from_secs(2),
        source_addresses: vec!["127.0.0.5".parse().expect("v4"), "::1".parse().expect("v6")],
        login: BackendLogin::Replay,
        identity: true,
        storage: Storage::Shared,
        retry: 1,
    }
}

fn backends() -> Backends {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let pools = [
        pool("stores", &["mail1.example.com", "mail2.example.com", "mail3.example.com"], &[]),
        pool("wild", &[], &["*.stores.example.com", "lone.example.com"]),
    ];
    let own = ["127.0.0.9:1143", "0.0.0.0:1110"].map(|address| address.parse().expect("address"));
    Backends::new(&pools, &own, &metrics).expect("backends")
}

fn names(found: Result<Vec<Arc<Server>>, Unroutable>) -> Vec<String> {
    found.expect("routable").iter().map(|server| server.name().to_owned()).collect()
}

#[test]
fn a_server_is_found_by_its_name_whatever_the_case() {
    assert_eq!(names(backends().candidates("MAIL2.example.com", "alice")), ["mail2.example.com"]);
}

#[test]
fn a_pool_gives_the_users_server_and_as_many_more_as_retry_says() {
    let backends = backends();
    let first = names(backends.candidates("stores", "alice@example.com"));
    assert_eq!(first.len(), 2);
    assert_eq!(first, names(backends.candidates("stores", "alice@example.com")), "always the same");
}

#[test]
fn with_separate_storage_there_is_no_server_but_the_users_own() {
    let shared = pool("stores", &["mail1.example.com", "mail2.example.com", "mail3.example.com"], &[]);
    // Even where a number of others was asked for.
    let separate = config::Pool { storage: Storage::Separate, retry: 2, ..shared };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let separate = Backends::new(&[separate], &[], &metrics).expect("backends");
    for user in ["alice@example.com", "bob@example.com", "carol@example.com"] {
        let own = names(separate.candidates("stores", user));
        assert_eq!(own.len(), 1);
        assert_eq!(own, names(backends().candidates("stores", user))[..1], "the one that comes first elsewhere, too");
    }
}

#[test]
fn the_directory_may_name_only_hosts_that_match() {
    let backends = backends();
    assert_eq!(names(backends.candidates("n7.stores.example.com", "u")), ["n7.stores.example.com"]);
    assert_eq!(names(backends.candidates("lone.example.com", "u")), ["lone.example.com"]);
    for hostile in [
        "169.254.169.254",
        "127.0.0.1:6379",
        "evil.example",
        ".stores.example.com",
        "x.lone.example.com",
        "wild",
        "unix:/x",
        "[::1]",
        "h\r\nXCLIENT LOGIN=x",
        "a b.stores.example.com",
        "a/b.stores.example.com",
        "n1.stores.example.com:0",
        "n1.stores.example.com:65536",
        "n1.stores.example.com:+5",
        "n1.stores.example.com:",
        "",
    ] {
        assert!(backends.candidates(hostile, "u").is_err(), "{hostile:?}");
    }
    let long = format!("{}.stores.example.com", "a".repeat(300));
    assert!(backends.candidates(&long, "u").is_err());
}

#[test]
fn a_port_behind_the_host_is_taken_and_the_places_are_still_the_servers() {
    let backends = backends();
    let server = &backends.candidates("mail1.example.com:2143", "u").expect("routable")[0];
    assert_eq!((server.name(), server.port(Protocol::Imap)), ("mail1.example.com", 2143));
    let known = &backends.candidates("mail1.example.com", "u").expect("routable")[0];
    assert_eq!((known.port(Protocol::Imap), known.port(Protocol::Pop3)), (1143, 110));
    assert!(Arc::ptr_eq(server.places.as_ref().expect("places"), known.places.as_ref().expect("places")));
}

#[tokio::test(start_paused = true)]
async fn a_full_server_makes_a_login_wait_then_fail_as_unavailable() {
    let backends = backends();
    let server = &backends.candidates("mail1.example.com", "u").expect("routable")[0];
    let (first, _second) = (server.lease().await.expect("a place"), server.lease().await.expect("a place"));
    let started = tokio::time::Instant::now();
    let failure = server.lease().await.expect_err("full");
    assert_eq!((failure.denial, failure.down), (crate::proto::Denial::Unavailable, false));
    assert_eq!(started.elapsed().as_secs(), 2);
    let (third, ()) = tokio::join!(server.lease(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(first);
    });
    assert!(third.is_ok(), "a place that is given back goes to who waits");
}

#[test]
fn source_addresses_are_of_the_right_family() {
    let backends = backends();
    let server = &backends.candidates("mail1.example.com", "u").expect("routable")[0];
    let source = |to: &str| server.settings.source_for(to.parse().expect("address")).map(|ip| ip.to_string());
    assert_eq!(source("127.0.0.1").as_deref(), Some("127.0.0.5"));
    assert_eq!(source("::1").as_deref(), Some("::1"));
}

#[test]
fn the_gateway_recognises_itself() {
    let backends = backends();
    let settings = &backends.candidates("mail1.example.com", "u").expect("routable")[0].settings;
    let is_own = |local: &str, peer: &str| settings.is_own(peer.parse().expect("peer"), || local.parse().ok());
    assert!(is_own("127.0.0.1:40000", "127.0.0.9:1143"), "a listener's own address");
    assert!(is_own("127.0.0.1:40000", "127.0.0.2:1110"), "any address, and this is the machine itself");
    assert!(is_own("10.0.0.7:40000", "10.0.0.7:1110"));
    assert!(!is_own("10.0.0.7:40000", "10.0.0.8:1110"), "another machine");
    assert!(!is_own("127.0.0.1:40000", "127.0.0.2:1143"), "another address");
    let asked = std::cell::Cell::new(0);
    settings.is_own("10.0.0.8:993".parse().expect("peer"), || {
        asked.set(asked.get() + 1);
        None
    });
    assert_eq!(asked.get(), 0, "no listener has that port");
}
