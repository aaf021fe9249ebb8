//! Which servers a host leads to, and which hosts lead nowhere.

use super::health::Sign;
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
        greeting_timeout: Duration::from_secs(1),
        login_timeout: Duration::from_secs(1),
        recheck_interval: Duration::from_secs(5),
        max_connections: Some(2),
        wait: Duration::from_secs(2),
        source_addresses: vec!["127.0.0.5".parse().expect("v4"), "::1".parse().expect("v6")],
        login: BackendLogin::Replay,
        identity: true,
        storage: Storage::Shared,
        retry: 1,
        only_relays: false,
        served: Vec::new(),
    }
}

/// Two pools, and the metrics in which they are counted.
pub(super) fn backends() -> (Backends, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let pools = [
        pool("stores", &["mail1.example.com", "mail2.example.com", "mail3.example.com"], &[]),
        pool("wild", &[], &["*.stores.example.com", "lone.example.com"]),
    ];
    let own = ["127.0.0.9:1143", "0.0.0.0:1110"].map(|address| address.parse().expect("address"));
    let backends = Backends::new(&pools, &own, &metrics).expect("backends");
    (backends, metrics)
}

/// The server that comes first there.
pub(super) fn home(backends: &Backends, host: &str) -> Arc<Server> {
    backends.candidates(host, "u").expect("routable").home().clone()
}

/// In the order in which they are tried.
fn names(found: Result<Candidates, Unroutable>) -> Vec<String> {
    found.expect("routable").in_order(Protocol::Imap).iter().map(|server| server.name().to_owned()).collect()
}

#[test]
fn a_server_is_found_by_its_name_whatever_the_case() {
    assert_eq!(names(backends().0.candidates("MAIL2.example.com", "alice")), ["mail2.example.com"]);
}

#[test]
fn a_pool_gives_the_users_server_and_as_many_more_as_retry_says() {
    let (backends, _) = backends();
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
        assert_eq!(own, names(backends().0.candidates("stores", user))[..1], "the one that comes first elsewhere, too");
    }
}

#[test]
fn servers_that_are_away_are_tried_last_and_only_by_the_protocol_by_which_they_are() {
    let (backends, _) = backends();
    let candidates = || backends.candidates("stores", "alice@example.com");
    let all = names(candidates());
    let note = |name: &str, failed| {
        home(&backends, name).note(Protocol::Imap, tokio::time::Instant::now(), failed);
    };
    note(&all[0], Some(("refused", Sign::StillSilent)));
    let now = names(candidates());
    assert_eq!((now.len(), &now[0]), (2, &all[1]));
    assert!(!now.contains(&all[0]), "two others serve, and `retry` allows no more");
    assert_eq!(candidates().expect("routable").home().name(), all[0], "home it is still");
    let by_pop3 = candidates().expect("routable");
    assert_eq!(by_pop3.in_order(Protocol::Pop3)[0].name(), all[0]);
    for name in &now {
        note(name, Some(("refused", Sign::StillSilent)));
    }
    assert_eq!(names(candidates()), all, "with none left, as if all were there");
    note(&all[0], None);
    assert_eq!(names(candidates())[0], all[0], "home again");
}

#[test]
fn the_directory_may_name_only_hosts_that_match() {
    let (backends, _) = backends();
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
fn a_host_that_only_the_directory_names_is_no_label_of_a_metric() {
    let (backends, metrics) = backends();
    for host in ["n1.stores.example.com", "n2.stores.example.com:2143", "lone.example.com", "mail1.example.com:2143"] {
        let server = home(&backends, host);
        server.note(Protocol::Imap, tokio::time::Instant::now(), Some(("refused", Sign::StillSilent)));
        assert_eq!(server.state(), State::Down, "{host}");
    }
    let page = String::from_utf8(metrics.render().expect("renders")).expect("text");
    for label in ["*.stores.example.com", "lone.example.com", "mail1.example.com"] {
        assert!(page.contains(&format!("portcullis_backend_up{{protocol=\"imap\",server=\"{label}\"}} 0")), "{page}");
    }
    assert!(!page.contains("n1.stores") && !page.contains("n2.stores") && !page.contains("2143"), "{page}");
    let other_port = home(&backends, "mail1.example.com");
    assert_eq!(other_port.state(), State::Unknown, "another port may be another program");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_only_the_directory_named_is_forgotten_after_an_hour_without_a_try() {
    let (backends, metrics) = backends();
    let up = || metrics.backend_up.with_label_values(&["*.stores.example.com", "imap"]).get();
    let lease = {
        let server = home(&backends, "n1.stores.example.com");
        server.note(Protocol::Imap, tokio::time::Instant::now(), Some(("refused", Sign::StillSilent)));
        server.lease(Protocol::Imap).await.expect("a place")
    };
    tokio::time::advance(UNTRIED * 2).await;
    backends.sweep();
    assert_eq!((backends.servers().len(), up()), (4, 0), "somebody is there");
    drop(lease);
    backends.sweep();
    assert_eq!((backends.servers().len(), up()), (3, 1));
}

#[test]
fn a_port_behind_the_host_is_taken_and_the_places_are_still_the_servers() {
    let (backends, _) = backends();
    let server = &home(&backends, "mail1.example.com:2143");
    assert_eq!((server.name(), server.port(Protocol::Imap)), ("mail1.example.com", 2143));
    let known = &home(&backends, "mail1.example.com");
    assert_eq!((known.port(Protocol::Imap), known.port(Protocol::Pop3)), (1143, 110));
    assert!(Arc::ptr_eq(server.places.as_ref().expect("places"), known.places.as_ref().expect("places")));
}

#[tokio::test(start_paused = true)]
async fn a_full_server_makes_a_login_wait_then_fail_as_unavailable() {
    let (backends, _) = backends();
    let server = &home(&backends, "mail1.example.com");
    let (first, _second) =
        (server.lease(Protocol::Imap).await.expect("a place"), server.lease(Protocol::Imap).await.expect("a place"));
    let started = tokio::time::Instant::now();
    let failure = server.lease(Protocol::Imap).await.expect_err("full");
    assert_eq!(
        (failure.denial, failure.stage),
        (crate::proto::Denial::Unavailable, crate::proto::Stage::WaitingForPlace)
    );
    assert_eq!(started.elapsed().as_secs(), 2);
    let (third, ()) = tokio::join!(server.lease(Protocol::Imap), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(first);
    });
    assert!(third.is_ok(), "a place that is given back goes to who waits");
}

/// A back half that waits for whatever the server says.
struct Listening;

impl crate::proto::Back for Listening {
    fn step(&mut self, heard: &mut bytes::BytesMut, _: &mut Vec<u8>) -> crate::proto::Ask {
        heard.clear();
        crate::proto::Ask::Input
    }

    fn secured(&mut self) {}

    fn stage(&self) -> crate::proto::Stage {
        crate::proto::Stage::Greeting
    }
}

/// How long a login waits at a server that takes the connection, says this and nothing more; and what is known then.
async fn wait_at_a_server_that_says(words: &'static [u8]) -> (u64, State, bool) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let pool = config::Pool {
        ports: HashMap::from([(Protocol::Imap, port)]),
        connect_timeout: Duration::from_secs(5),
        greeting_timeout: Duration::from_secs(10),
        login_timeout: Duration::from_secs(30),
        ..pool("stores", &["mail1.example.com"], &[])
    };
    let backends = Backends::new(&[pool], &[], &Arc::new(Metrics::new().expect("metrics"))).expect("backends");
    let server = home(&backends, "mail1.example.com");
    let lease = server.lease(Protocol::Imap).await.expect("a place");
    let (asked, attempt) = (tokio::time::Instant::now(), lease.attempt(Protocol::Imap, Box::new(Listening)));
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, words).await.expect("said");
        std::future::pending::<()>().await;
    };
    let failure = tokio::select! {
        ended = attempt => ended.map(|_| ()).expect_err("it never answers"),
        () = serve => unreachable!("it stays"),
    };
    assert_eq!((failure.denial, failure.detail.as_str()), (crate::proto::Denial::Unavailable, "timed out"));
    (asked.elapsed().as_secs(), server.state(), failure.retry == crate::proto::Retry::Elsewhere)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_long_before_one_that_spoke() {
    assert_eq!(wait_at_a_server_that_says(b"").await, (10, State::Down, true));
    assert_eq!(wait_at_a_server_that_says(b"* OK here\r\n").await, (30, State::Down, true));
}

#[tokio::test(start_paused = true)]
async fn mail_from_other_servers_holds_half_of_the_places_and_logins_may_have_all() {
    for (places, share) in [(1, 1), (2, 1), (3, 2), (10, 5)] {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let pool = config::Pool { max_connections: Some(places), ..pool("stores", &["mail1.example.com"], &[]) };
        let backends = Backends::new(&[pool], &[], &metrics).expect("backends");
        let server = &home(&backends, "mail1.example.com");
        let mut held = Vec::new();
        for number in 0..share {
            held.push(server.lease(Protocol::Smtp).await.unwrap_or_else(|failure| panic!("{number}: {failure:?}")));
        }
        let failure = server.lease(Protocol::Smtp).await.expect_err("the share is used up");
        assert_eq!(failure.denial, crate::proto::Denial::Unavailable);
        if places > 1 {
            assert!(failure.detail.contains("half"), "{}", failure.detail);
        }
        for protocol in
            [Protocol::Imap, Protocol::Pop3, Protocol::Submission].into_iter().cycle().take((places - share) as usize)
        {
            held.push(server.lease(protocol).await.expect("a place that mail cannot have"));
        }
        server.lease(Protocol::Imap).await.expect_err("now it is full");
        held.clear();
        for _ in 0..places {
            held.push(server.lease(Protocol::Imap).await.expect("logins may have all"));
        }
        let failure = server.lease(Protocol::Smtp).await.expect_err("full");
        assert_eq!(failure.detail, "the server is full");
        held.pop();
        assert!(server.lease(Protocol::Smtp).await.is_ok(), "a try that failed holds no part of the share");
    }
}

#[test]
fn source_addresses_are_of_the_right_family() {
    let (backends, _) = backends();
    let server = &home(&backends, "mail1.example.com");
    let source = |to: &str| server.settings.source_for(to.parse().expect("address")).map(|ip| ip.to_string());
    assert_eq!(source("127.0.0.1").as_deref(), Some("127.0.0.5"));
    assert_eq!(source("::1").as_deref(), Some("::1"));
}

#[test]
fn the_gateway_recognises_itself() {
    let (backends, _) = backends();
    let settings = &home(&backends, "mail1.example.com").settings;
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
