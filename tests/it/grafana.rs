//! The dashboards and alerts of `grafana/`, asked of a real Prometheus that scrapes a real gateway.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::after_pop::Desk;
use crate::live;
use crate::port25;
use crate::submission::{self, login, talks_with};
use crate::support::certs::certs;
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::grafana::{self, Metric, Query};
use crate::support::mail::{BOTH, Mail};
use crate::support::postfix::shared;
use crate::support::prometheus::{Prometheus, promtool};
use crate::support::redis::Redis;
use crate::support::slapd::{Slapd, password};
use crate::support::smtp::hello;
use crate::support::{keeper, ports, site, smtp, wait};

/// A gateway with everything that is counted, its own directory and store, and a back-end that is down.
struct House {
    gateway: Gateway,
    slapd: Slapd,
    redis: Redis,
    certificate: PathBuf,
    desk: Desk,
}

impl House {
    fn start() -> Self {
        let (slapd, redis, folder) = (Slapd::start(), Redis::start(), keeper::folder("shown"));
        let (certificate, key) = (folder.join("mail.pem"), certs().mail.key.display());
        std::fs::copy(&certs().mail.certificate, &certificate).unwrap();
        let shown = format!("[{{ certificate: \"{}\", key: \"{key}\" }}]", certificate.display());
        let (nobody, postfix) = (ports::free(), shared().ports);
        let plan = submission::plan(site::shared(), shared())
            .listener("smtp", "smtp", "starttls")
            .set("tls.certificates", &shown)
            .set("directory.sources.ldap.urls", &format!("[\"{}\"]", slapd.url()))
            .set("directory.cache", "{ ttl: 2s, negative_ttl: 2s, stale: 1h }")
            // dave's; what asks it for its EHLO finds it well.
            .set(
                "backends.down.servers",
                &format!("[{{ name: foreign.example.net, address: {} }}]", site::shared().one.address),
            )
            .set(
                "backends.down.ports",
                &format!(
                    "{{ imap: {nobody}, pop3: {nobody}, submission: {}, smtp: {} }}",
                    postfix.submission, postfix.smtp
                ),
            )
            .set("backends.down.connect_timeout", "1s")
            .set("access", &format!("[{{ deny: {DENIED} }}]"));
        let (desk, plan) = Desk::of(live::with_tokens(plan));
        let gateway = Gateway::start(&redis.keeps(plan));
        gateway.metric_becomes("registry_up", &[], 1.0);
        Self { gateway, slapd, redis, certificate, desk }
    }

    /// What a site does all day; the sessions that stay.
    fn good_traffic(&self) -> Vec<Client> {
        let _unwanted = Mail::Imap.session(&self.gateway, "alice");
        live::run(&self.gateway, &["kick", "--user", "alice"]);
        let mut sessions: Vec<Client> = BOTH.map(|mail| mail.session(&self.gateway, "alice")).into();
        assert_eq!(Mail::Imap.server_of(&mut sessions[0]), "one");
        let mut sender = self.open_submission(HERE);
        assert!(login(&mut sender, "bob", &password("bob")).starts_with("235 "));
        talks_with(&mut sender, "two");
        sessions.push(sender);
        let mut server = smtp::open(&self.gateway);
        assert!(port25::send(&mut server, "shown", &["alice"]).starts_with("250 "));
        sessions.push(server);
        for address in [HERE, "192.0.2.1"] {
            self.desk.ask(address);
        }
        self.gateway.reload();
        sessions
    }

    /// What goes wrong all day: wrong passwords, nobody's name, a locked user, one whose back-end is down …
    fn bad_traffic(&self) {
        // First, so that what is remembered of them is seen by a scrape.
        let mut server = smtp::open(&self.gateway);
        server.ask_for("MAIL FROM:<>", "250 ");
        for recipient in ["nobody", "alice"] {
            server.ask(&format!("RCPT TO:<{recipient}@example.org>"));
        }
        for mail in BOTH {
            for user in ["alice", "nobody", "carol", "dave"] {
                let answer = mail.try_login(&mut mail.open(&self.gateway), user, "wrong");
                assert!(!mail.is_in(&answer), "{answer}");
            }
            self.gateway.connect_from(DENIED, mail.name()).expect(mail.turned_away());
        }
        let mut stranger = self.open_submission("127.0.0.79");
        assert!(!stranger.ask("MAIL FROM:<alice@example.org>").starts_with("250 "));
        // No handshake.
        self.gateway.connect("imaps").send("a NOOP\r\n");
        // Always the same: another one each time would be too many soon.
        assert_eq!(live::call(&self.gateway, "wrong-wrong-wrong-wrong", "GET", "/status", "").0, 401);
    }

    fn open_submission(&self, address: &str) -> Client {
        let mut client = self.gateway.connect_from(address, "submissions").tls();
        client.expect("220 ");
        hello(&mut client);
        client
    }
}

/// Where clients come from.
const HERE: &str = "127.0.0.1";
const DENIED: &str = "127.0.0.66";

/// Grafana's variables as Grafana would fill them in, for a scrape every second.
fn filled(expr: &str) -> String {
    let filled = expr.replace("$__rate_interval", "5s").replace("$__range", "1m").replace("$instance", ".*");
    assert!(!filled.contains('$'), "a variable that this test does not know: {expr}");
    filled
}

/// What healthy traffic leaves at 0, or what is counted only each minute: these panels show a line at 0.
const MAY_BE_ZERO: [&str; 3] =
    ["portcullis_panics_total", "portcullis_accept_errors_total", "portcullis_gate_addresses"];

/// Whether the panel shows what has happened; one whose metrics are still to come need only be understood.
fn shows(prometheus: &Prometheus, metrics: &[Metric], query: &Query) -> bool {
    let values = prometheus.values(&filled(&query.expr));
    let series = grafana::series(&query.expr);
    let is_known = |name: &String| name == "up" || metrics.iter().any(|metric| metric.has(name));
    if !series.iter().all(is_known) {
        return true;
    }
    let may_be_zero = series.iter().all(|name| MAY_BE_ZERO.contains(&name.as_str()));
    values.iter().any(|value| *value > 0.0 || (may_be_zero && *value == 0.0))
}

#[test]
fn every_panel_shows_what_a_gateway_under_traffic_has_done() {
    let house = House::start();
    let prometheus = Prometheus::watching(&house.gateway);
    let (metrics, mut waiting) = (grafana::metrics(), grafana::panel_queries());
    let page = house.gateway.http("/metrics");
    for name in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(metrics.iter().any(|metric| metric.name == name), "{name} is not found in src/metrics.rs");
    }
    let end = Instant::now() + LIMIT;
    let mut sessions = Vec::new();
    while !waiting.is_empty() {
        assert!(Instant::now() < end, "after {LIMIT:?} of traffic these show nothing: {waiting:#?}");
        sessions = house.good_traffic();
        house.bad_traffic();
        waiting.retain(|query| !shows(&prometheus, &metrics, query));
    }
    drop(sessions);
}

#[test]
fn every_alert_is_silent_in_good_times_and_fires_when_its_fault_is_caused() {
    let mut house = House::start();
    let prometheus = Prometheus::watching(&house.gateway);
    let fires = |query: &Query| !prometheus.values(&filled(&query.expr)).is_empty();
    let alerts = grafana::alert_queries();
    // Two scrapes, so that what grows can be seen to grow.
    let scraped = || prometheus.values("count_over_time(up[1m])").first().copied().unwrap_or_default();
    let mut sessions = Vec::new();
    wait::until_true("Prometheus to have seen good traffic", wait::SOON, || {
        sessions = house.good_traffic();
        scraped() >= 3.0
    });
    let loud: Vec<_> = alerts.iter().filter(|query| fires(query)).collect();
    assert!(loud.is_empty(), "{loud:#?}");

    std::fs::write(&house.certificate, "no certificate").unwrap();
    house.gateway.reload();
    house.gateway.logged(&["reload: a certificate was not taken over"]);
    let until_they_fire = |house: &House, names: &[&str]| {
        let end = Instant::now() + LIMIT;
        let mut waiting: Vec<&Query> = alerts.iter().filter(|query| names.contains(&query.of.as_str())).collect();
        assert_eq!(waiting.len(), names.len(), "{waiting:?}");
        while !waiting.is_empty() {
            assert!(Instant::now() < end, "after {LIMIT:?} of faults these do not fire: {waiting:#?}");
            house.bad_traffic();
            waiting.retain(|query| !fires(query));
        }
    };
    until_they_fire(
        &house,
        &[
            "PortcullisBackendDown",
            "PortcullisBackendConnectsFail",
            "PortcullisLoginFailuresJump",
            "PortcullisReloadFailed",
        ],
    );
    house.slapd.kill();
    house.redis.kill();
    until_they_fire(&house, &["PortcullisDirectoryFails", "PortcullisStoreAway"]);
    drop(house.gateway);
    let down = alerts.iter().find(|query| query.of == "PortcullisDown").expect("an alert");
    wait::until_true("the alert that the gateway is down", wait::SOON, || fires(down));
}

#[test]
fn the_rules_are_good_and_fire_when_and_only_when_they_should() {
    let rules = grafana::folder("prometheus-rules.yaml");
    promtool(&["check", "rules", rules.to_str().unwrap()]);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grafana/alerts.yaml");
    promtool(&["test", "rules", cases.to_str().unwrap()]);
    let text = std::fs::read_to_string(&cases).unwrap();
    for alert in grafana::alert_queries() {
        assert!(text.contains(&format!("alertname=\"{}\"", alert.of)), "{} has no case", alert.of);
    }
}

/// Most is there after two or three scrapes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);
