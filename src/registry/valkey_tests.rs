//! The record on a real redis-server: shared, hung, killed, started empty, and full of garbage.

use std::process::{Child, Command, Stdio};

use redis::{Client, Commands};
use tempfile::TempDir;

use super::*;
use crate::config::Store;
use crate::proto::Protocol::Imap;
use crate::registry::tests::{Site, WINDOW, ip, noon, rules, until};
use crate::secret::Secret;

/// A server of its own for each test.
pub(crate) struct Server {
    pub(super) port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number");
        let mut server = Self { port: free.port(), folder: TempDir::new().expect("a folder"), child: None };
        server.go(&[]);
        server
    }

    fn go(&mut self, more: &[&str]) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.folder.path())
            .args(more)
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server can be started: install redis-server, or run ./test"));
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(std::time::Instant::now() < end, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is still there");
            child.wait().expect("it has ended");
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("kill runs").success());
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn store(&self) -> Store {
        Store::Valkey { url: Secret::new(self.url()).expect("plain"), tls: None, prefix: "pc".to_owned() }
    }

    pub(super) fn connection(&self) -> redis::Connection {
        Client::open(self.url()).expect("a URL").get_connection().expect("it answers")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) async fn is_up(site: &Site) {
    until("the server to be there", async || site.metrics.registry_up.get() == 1).await;
}

/// Asks until the answer is this one.
async fn becomes(site: &Site, address: &str, who: &str) {
    until(&format!("{address} to be {who}"), async || site.who(address).await == who).await;
}

#[tokio::test]
async fn several_gateways_have_one_record() {
    let server = Server::start();
    let time = noon();
    let (one, two) = (Site::open(&rules(), &server.store(), &time), Site::open(&rules(), &server.store(), &time));
    is_up(&one).await;
    is_up(&two).await;
    assert_eq!(two.who("192.0.2.1").await, "nobody");
    let presence = one.registry.record("alice", Imap, ip("192.0.2.1"), false);
    assert_eq!(one.who("192.0.2.1").await, "alice", "at once where it was recorded");
    becomes(&two, "192.0.2.1", "alice").await;
    two.visit("bob", "192.0.2.1");
    becomes(&one, "192.0.2.1", "2 users").await;
    one.pass(WINDOW);
    becomes(&two, "192.0.2.1", "alice").await;
    let ttl: i64 = server.connection().ttl("pc:ip:192.0.2.1").expect("a key");
    assert!((1..=WINDOW as i64).contains(&ttl), "{ttl}");
    drop(presence);
    one.pass(WINDOW);
    assert_eq!((one.who("192.0.2.1").await, two.who("192.0.2.1").await), ("nobody".into(), "nobody".into()));
}

#[tokio::test]
async fn a_server_that_hangs_is_away_within_the_deadline_and_back_by_itself() {
    let server = Server::start();
    let site = Site::open(&rules(), &server.store(), &noon());
    is_up(&site).await;
    site.visit("alice", "192.0.2.1");
    becomes(&site, "192.0.2.1", "alice").await;
    server.signal("-STOP");
    let start = std::time::Instant::now();
    assert_eq!(site.who("192.0.2.1").await, "away");
    assert!(start.elapsed() < 2 * DEADLINE, "{:?}", start.elapsed());
    let start = std::time::Instant::now();
    site.visit("bob", "192.0.2.2");
    assert_eq!(site.who("192.0.2.2").await, "away");
    assert!(start.elapsed() < Duration::from_millis(100), "nobody waits for a reconnect: {:?}", start.elapsed());
    server.signal("-CONT");
    becomes(&site, "192.0.2.1", "alice").await;
    becomes(&site, "192.0.2.2", "bob").await;
}

#[tokio::test]
async fn a_server_that_was_started_empty_is_told_what_still_counts() {
    let mut server = Server::start();
    let time = noon();
    let (one, two) = (Site::open(&rules(), &server.store(), &time), Site::open(&rules(), &server.store(), &time));
    is_up(&one).await;
    one.visit("old", "192.0.2.3");
    one.pass(10);
    one.visit("alice", "192.0.2.1");
    becomes(&two, "192.0.2.1", "alice").await;
    server.kill();
    becomes(&one, "192.0.2.1", "away").await;
    one.visit("bob", "192.0.2.2");
    one.pass(WINDOW - 10);
    server.go(&[]);
    becomes(&two, "192.0.2.1", "alice").await;
    becomes(&two, "192.0.2.2", "bob").await;
    assert_eq!(two.who("192.0.2.3").await, "nobody", "its window has passed");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_away() {
    let mut server = Server::start();
    let site = Site::open(&rules(), &server.store(), &noon());
    is_up(&site).await;
    let set = |server: &Server, key: &str, value: &str| {
        let mut connection = server.connection();
        redis::cmd("CONFIG").arg("SET").arg(key).arg(value).exec(&mut connection).expect("it is set");
    };
    // A replica (READONLY).
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg("1").exec(&mut server.connection()).expect("a replica");
    site.visit("alice", "192.0.2.1");
    becomes(&site, "192.0.2.1", "away").await;
    let connected = alone(&server.url()).connect().await;
    assert_eq!(connected, Err(Away("READONLY".to_owned())), "it answers, but it is still a replica");
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut server.connection()).expect("a primary");
    becomes(&site, "192.0.2.1", "alice").await;
    // Full (OOM).
    set(&server, "maxmemory", "1");
    site.visit("bob", "192.0.2.2");
    becomes(&site, "192.0.2.2", "away").await;
    set(&server, "maxmemory", "0");
    becomes(&site, "192.0.2.2", "bob").await;
    // A password that nobody told us (NOAUTH), and one that is wrong.
    server.kill();
    becomes(&site, "192.0.2.2", "away").await;
    server.go(&["--requirepass", "hunter2"]);
    assert_eq!(alone(&server.url()).connect().await, Err(Away("NOAUTH".to_owned())));
    let wrong = format!("redis://:hunter3@127.0.0.1:{}", server.port);
    let refused = alone(&wrong).connect().await.expect_err("a wrong password");
    assert!(!format!("{refused:?}").contains("hunter"), "{refused:?}");
    assert_eq!(site.who("192.0.2.2").await, "away");
    let url = Secret::new(format!("redis://:hunter2@127.0.0.1:{}", server.port)).expect("plain");
    let right = Site::open(&rules(), &Store::Valkey { url, tls: None, prefix: "pc".to_owned() }, &noon());
    becomes(&right, "192.0.2.2", "nobody").await;
}

#[tokio::test]
async fn garbage_in_our_keys_vouches_for_nobody() {
    let server = Server::start();
    let time = noon();
    let site = Site::open(&rules(), &server.store(), &time);
    is_up(&site).await;
    let now = time.load(Ordering::SeqCst) as f64;
    let mut connection = server.connection();
    let mut add = |score: f64, member: &[u8]| {
        let _: i64 = connection.zadd("pc:ip:192.0.2.1", member, score).expect("it is added");
    };
    add(now + 10.0, b"alice");
    add(now + 10.0, b":alice");
    add(now + 10.0, b"imap:");
    add(now + 10.0, b"imap:a b");
    add(now + 10.0, b"imap:\xff\xfe");
    add(now + 10.0, b"im ap:x");
    add(f64::INFINITY, b"imap:for-ever");
    add(1e15, b"imap:too-long");
    add(now, b"imap:over");
    assert_eq!(site.who("192.0.2.1").await, "nobody");
    add(now + 10.0, b"newer:alice");
    assert_eq!(site.who("192.0.2.1").await, "alice", "a protocol of a newer gateway");
    let _: i64 = connection.zadd("pc:ip:192.0.2.2", "imap:bob", now + WINDOW as f64 + 30.0).expect("it is added");
    match site.registry.covers(ip("192.0.2.2")).await {
        Ok(crate::registry::Coverage::User { until, .. }) => assert_eq!(until, now as u64 + WINDOW),
        other => panic!("{other:?}"),
    }
    for user in 0..10_000 {
        let _: i64 = connection.zadd("pc:ip:192.0.2.3", format!("imap:u{user}"), now + 10.0).expect("it is added");
    }
    assert_eq!(site.who("192.0.2.3").await, "68 users", "no more than that are read");

    let _: () = connection.set("pc:ip:192.0.2.4", "x").expect("it is set");
    site.visit("carol", "192.0.2.4");
    site.visit("carol", "192.0.2.5");
    becomes(&site, "192.0.2.5", "carol").await;
    assert_eq!(site.who("192.0.2.4").await, "away", "a key of another kind");
    assert_eq!(site.who("192.0.2.5").await, "carol", "and only that one");
    let kept: String = connection.get("pc:ip:192.0.2.4").expect("it is there");
    assert_eq!(kept, "x");
}

#[tokio::test]
async fn a_password_is_in_no_message() {
    let away = alone("redis://gate:hunter2@127.0.0.1:1").connect().await.expect_err("nobody listens there");
    assert!(!format!("{away} {away:?}").contains("hunter2"), "{away}");
}

/// Without a keeper, who would connect it again.
fn alone(url: &str) -> Valkey {
    let up = IntGauge::new("up", "up").expect("a gauge");
    Valkey::new(Way::new(&Secret::new(url).expect("plain"), None).expect("a URL"), "pc".to_owned(), WINDOW, up)
}

#[tokio::test]
async fn what_one_gateway_switches_off_is_off_at_the_others_and_outlives_the_servers_memory() {
    let mut server = Server::start();
    let time = noon();
    let (one, two) = (Site::open(&rules(), &server.store(), &time), Site::open(&rules(), &server.store(), &time));
    is_up(&one).await;
    is_up(&two).await;
    let off = |site: &Site| site.registry.switched_off("alice").to_string();
    one.registry.switch("alice", Imap, false).await.expect("it is there");
    until("the other to follow", async || off(&two) == "imap").await;
    server.kill();
    let refused = two.registry.switch("alice", Imap, true).await;
    assert!(refused.is_err() && off(&two) == "imap", "what cannot be kept is not done");
    server.go(&[]);
    until("the server to be told again", async || {
        redis::Cmd::hexists("pc:off", "imap:alice").query(&mut server.connection()).unwrap_or(false)
    })
    .await;
    until("it to be there", async || two.registry.switch("alice", Imap, true).await.is_ok()).await;
    until("the first to follow", async || off(&one).is_empty()).await;
}
