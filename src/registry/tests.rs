//! The registry as a session and an MTA see it; the stores are real.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::clock::Clock;
use super::{Coverage, Registry};
use crate::config::{AfterPop, Store, address};
use crate::metrics::Metrics;
use crate::proto::Protocol::{self, Imap, Pop3};

pub(super) const WINDOW: u64 = 900;

/// A registry, its time, and its numbers.
pub(super) struct Site {
    pub(super) registry: Registry,
    pub(super) time: Arc<AtomicU64>,
    pub(super) metrics: Arc<Metrics>,
}

pub(super) fn rules() -> AfterPop {
    AfterPop {
        window: Duration::from_secs(WINDOW),
        record: vec![Imap, Pop3],
        max_users: 1,
        exempt: address::parse("10.0.0.0/8").expect("a network"),
        relay: None,
    }
}

impl Site {
    pub(super) fn open(rules: &AfterPop, store: &Store, time: &Arc<AtomicU64>) -> Self {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let clock = Clock::Hand(time.clone());
        let registry = Registry::open_at(clock, Some(rules), store, metrics.clone(), &Handle::current());
        Self { registry: registry.expect("a registry"), time: time.clone(), metrics }
    }

    pub(super) fn memory() -> Self {
        Self::open(&rules(), &Store::Memory, &noon())
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A session of a moment.
    pub(super) fn visit(&self, user: &str, address: &str) {
        drop(self.registry.record(user, Imap, ip(address), false));
    }

    pub(super) async fn who(&self, address: &str) -> String {
        match self.registry.covers(ip(address)).await {
            Ok(Coverage::Nobody) => "nobody".to_owned(),
            Ok(Coverage::User { name, .. }) => name.to_string(),
            Ok(Coverage::TooManyUsers(count)) => format!("{count} users"),
            Err(_) => "away".to_owned(),
        }
    }

    fn outcome(&self, outcome: &str) -> u64 {
        self.metrics.records.with_label_values(&[outcome]).get()
    }
}

pub(super) fn noon() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(1_800_000_000))
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Waits for what happens in another task or another process.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_address_is_its_users_from_the_login_until_the_window_has_passed() {
    let site = Site::memory();
    assert_eq!(site.who("192.0.2.1").await, "nobody");
    let presence = site.registry.record("alice@example.com", Pop3, ip("::ffff:192.0.2.1"), false);
    assert_eq!(site.who("192.0.2.1").await, "alice@example.com");
    assert_eq!(site.who("::ffff:192.0.2.1").await, "alice@example.com", "IPv4 in IPv6's clothes");
    assert_eq!(site.who("192.0.2.2").await, "nobody", "never a whole network");
    drop(presence);
    site.pass(WINDOW - 1);
    assert_eq!(site.who("192.0.2.1").await, "alice@example.com");
    site.pass(1);
    assert_eq!(site.who("192.0.2.1").await, "nobody");
}

#[tokio::test]
async fn a_living_session_keeps_the_window_open() {
    let site = Site::memory();
    let presence = site.registry.record("alice", Imap, ip("2001:db8::1"), false);
    site.pass(100 * WINDOW);
    assert_eq!(site.who("2001:db8::1").await, "alice");
    let now = site.time.load(Ordering::SeqCst);
    until("the keeper's refresh", async || {
        let coverage = site.registry.covers(ip("2001:db8::1")).await.expect("there");
        matches!(coverage, Coverage::User { until, .. } if until == now + WINDOW)
    })
    .await;
    drop(presence);
    site.pass(WINDOW);
    assert_eq!(site.who("2001:db8::1").await, "nobody");
    until("the sweep", async || site.metrics.windows.get() == 0).await;
}

#[tokio::test]
async fn an_address_of_more_users_than_allowed_vouches_for_nobody() {
    let site = Site::memory();
    site.visit("alice", "192.0.2.1");
    site.visit("alice", "192.0.2.1");
    assert_eq!(site.who("192.0.2.1").await, "alice");
    site.pass(10);
    site.visit("bob", "192.0.2.1");
    assert_eq!(site.who("192.0.2.1").await, "2 users");
    site.pass(WINDOW - 10);
    assert_eq!(site.who("192.0.2.1").await, "bob", "alice's window has passed");

    let two = AfterPop { max_users: 2, ..rules() };
    let site = Site::open(&two, &Store::Memory, &noon());
    ["alice", "bob"].iter().for_each(|user| site.visit(user, "192.0.2.1"));
    assert_eq!(site.who("192.0.2.1").await, "bob", "who came last");
    site.visit("carol", "192.0.2.1");
    assert_eq!(site.who("192.0.2.1").await, "3 users");
}

#[tokio::test]
async fn some_logins_do_not_count() {
    let pop3 = AfterPop { record: vec![Pop3], ..rules() };
    let site = Site::open(&pop3, &Store::Memory, &noon());
    let record = |user, protocol: Protocol, address, announced| {
        drop(site.registry.record(user, protocol, ip(address), announced));
    };
    record("alice", Imap, "192.0.2.1", false);
    record("alice", Pop3, "10.1.2.3", false);
    for claimed in
        ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "169.254.1.1", "fe80::1", "::ffff:127.0.0.1"]
    {
        record("alice", Pop3, claimed, true);
        assert_eq!(site.who(claimed).await, "nobody", "{claimed}");
    }
    let long = "a".repeat(600);
    for name in ["", "a b", "a\nb", &long] {
        record(name, Pop3, "192.0.2.2", false);
    }
    assert_eq!((site.who("192.0.2.1").await, site.who("10.1.2.3").await), ("nobody".into(), "nobody".into()));
    assert_eq!(site.who("192.0.2.2").await, "nobody");
    assert_eq!((site.outcome("other_protocol"), site.outcome("exempt"), site.outcome("refused")), (1, 1, 13));
    record("alice", Pop3, "127.0.0.1", false);
    record("alice", Pop3, "192.0.2.3", true);
    assert_eq!((site.who("127.0.0.1").await, site.who("192.0.2.3").await), ("alice".into(), "alice".into()));
    assert_eq!(site.outcome("recorded"), 2);
}

#[tokio::test]
async fn without_rules_nothing_is_recorded() {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let registry = Registry::open(None, &Store::Memory, metrics, &Handle::current()).expect("a registry");
    let _presence = registry.record("alice", Imap, ip("192.0.2.1"), false);
    assert_eq!(registry.covers(ip("192.0.2.1")).await, Ok(Coverage::Nobody));
}

fn disk(folder: &Path) -> Store {
    Store::Disk(folder.join("portcullis.redb"))
}

#[tokio::test]
async fn a_file_remembers_what_a_process_that_was_killed_knew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, time) = (disk(folder.path()), noon());
    let site = Site::open(&rules(), &store, &time);
    let living = site.registry.record("alice", Imap, ip("192.0.2.1"), false);
    site.visit("bob", "2001:db8::1");
    site.visit("alice", "192.0.2.2");
    site.visit("bob", "192.0.2.2");
    let written = || site.metrics.registry_writes.with_label_values(&["written"]).get();
    let start = Instant::now();
    until("the keeper's batch", async || written() >= 3).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());

    // As after `kill -9`: the file as it is, nobody has closed it.
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::copy(folder.path().join("portcullis.redb"), copy.path().join("portcullis.redb")).expect("a copy");
    time.fetch_add(WINDOW - 1, Ordering::SeqCst);
    let after = Site::open(&rules(), &disk(copy.path()), &time);
    assert_eq!((after.who("192.0.2.1").await, after.who("2001:db8::1").await), ("alice".into(), "bob".into()));
    assert_eq!(after.who("192.0.2.2").await, "2 users");
    after.pass(1);
    assert_eq!(after.who("192.0.2.1").await, "nobody", "its session died with the process");
    drop(living);
}

#[tokio::test]
async fn a_file_holds_no_more_than_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, time) = (disk(folder.path()), noon());
    let site = Site::open(&rules(), &store, &time);
    site.visit("alice", "192.0.2.1");
    site.registry.flush().await;
    let registry = site.registry.clone();
    assert!(matches!(
        Registry::open(Some(&rules()), &store, site.metrics.clone(), &Handle::current()),
        Err(super::SetupProblem::Disk(..))
    ));
    drop((site, registry));
    // The clock was put back a day: no window is longer than a window.
    time.fetch_sub(24 * 60 * 60, Ordering::SeqCst);
    let site = reopened(&store, &time).await;
    assert_eq!(site.who("192.0.2.1").await, "alice");
    site.pass(WINDOW);
    assert_eq!(site.who("192.0.2.1").await, "nobody");
    site.registry.flush().await;
    drop(site);
    let site = reopened(&store, &time).await;
    assert_eq!(site.registry.0.table().len(), 0);
}

/// The keeper lets go of the file at its next beat.
async fn reopened(store: &Store, time: &Arc<AtomicU64>) -> Site {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let mut opened = None;
    until("the file to be let go", async || {
        let clock = Clock::Hand(time.clone());
        opened = Registry::open_at(clock, Some(&rules()), store, metrics.clone(), &Handle::current()).ok();
        opened.is_some()
    })
    .await;
    Site { registry: opened.expect("it was opened"), time: time.clone(), metrics: metrics.clone() }
}

#[tokio::test]
async fn a_file_that_is_none_is_a_problem() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("portcullis.redb");
    std::fs::write(&path, "this is no database, and was not written by one, whatever its name may be").expect("a file");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let opened = Registry::open(Some(&rules()), &Store::Disk(path), metrics, &Handle::current());
    assert!(matches!(opened, Err(super::SetupProblem::Disk(..))));
}

#[tokio::test]
async fn what_is_switched_off_is_off_for_that_user_and_protocol_alone_until_it_is_switched_on() {
    let site = Site::memory();
    let off = |user: &str| site.registry.switched_off(user).to_string();
    site.registry.switch("alice", Pop3, false).await.expect("memory");
    assert_eq!((off("alice"), off("bob")), ("pop3".into(), String::new()));
    site.registry.switch("alice", Imap, false).await.expect("memory");
    site.registry.switch("alice", Pop3, true).await.expect("memory");
    assert_eq!(off("alice"), "imap");
    assert!(!site.registry.keeps(), "not over a restart");
}

#[tokio::test]
async fn a_file_remembers_what_is_switched_off() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let store = Store::Disk(folder.path().join("pc.redb"));
    let site = Site::open(&rules(), &store, &noon());
    site.registry.switch("alice", Pop3, false).await.expect("a disk");
    site.registry.switch("bob", Imap, false).await.expect("a disk");
    site.registry.switch("bob", Imap, true).await.expect("a disk");
    assert!(site.registry.keeps());
    drop(site);
    // The keeper lets the file go at its next beat.
    let mut again = None;
    until("the file to be free", async || {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        again = Registry::open(None, &store, metrics, &Handle::current()).ok();
        again.is_some()
    })
    .await;
    let again = again.expect("a registry without rules has switches too");
    assert_eq!(again.switched_off("alice").to_string(), "pop3");
    assert!(again.switched_off("bob").is_empty());
}
