//! A house with three doors, for the tests of the gate.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::config::*;
use crate::proto::Mechanism;
use crate::proto::smtp::pipelining::UnauthorizedPipelining;
use crate::proto::smtp::text::BareNewline;

mod limits;
mod lists;
mod rules;

struct House {
    config: Config,
    gate: Gate,
    metrics: Arc<Metrics>,
}

/// What stands on one level.
#[derive(Default, Clone)]
struct Written(Vec<AccessRule>, Limits);

impl House {
    fn new(global: Written, service: Written, listener: Written) -> Self {
        let service = Arc::new(service_of(Protocol::Imap, service));
        let other = Arc::new(service_of(Protocol::Pop3, Written::default()));
        let listeners = vec![
            listener_of(&service, listener),
            listener_of(&service, Written::default()),
            listener_of(&other, Written::default()),
        ];
        let config = config(global, listeners);
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        Self { gate: Gate::new(&config, Arc::clone(&metrics)), config, metrics }
    }

    /// 0 = the listener with the lists and limits, 1 = another one of its service, 2 = one of another service.
    fn doors(&self) -> Vec<Door> {
        self.config.listeners.iter().map(|listener| self.gate.door(listener)).collect()
    }

    fn refused(&self, protocol: &str, reason: &str) -> u64 {
        self.metrics.refusals.with_label_values(&[protocol, reason]).get()
    }
}

fn config(global: Written, listeners: Vec<Listener>) -> Config {
    Config {
        relay: crate::config::Relaying::default(),
        hostname: "gate.example.com".into(),
        threads: Threads { min: 1, max: 1 },
        log: Log { format: LogFormat::Text, level: LogLevel::Info, logins: true },
        tls: None,
        access: global.0,
        limits: global.1,
        ipv6_prefix: 64,
        services: HashMap::new(),
        listeners,
        directory: Directory {
            default_domain: None,
            domains: vec![],
            recipient_delimiter: None,
            sources: vec![],
            hosts: Default::default(),
            protocols: vec![],
            cache: Cache { entries: 0, ttl: Duration::ZERO, negative_ttl: Duration::ZERO, stale: Duration::ZERO },
        },
        backends: vec![],
        after_pop: None,
        store: Store::Memory,
        lookups: vec![],
        admin: None,
        shutdown: Shutdown { grace: Duration::ZERO },
        warnings: Default::default(),
    }
}

fn service_of(protocol: Protocol, written: Written) -> Service {
    Service {
        protocol,
        access: written.0,
        limits: written.1,
        mechanisms: [Mechanism::Plain].into(),
        cleartext: Cleartext::Never,
        check: PasswordCheck::Backend,
        bad_commands: 10,
        failed_logins: 3,
        login_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(60),
        user_limits: UserLimits::default(),
        greeting: "ready".into(),
        bare_newline: BareNewline::Reject,
        unauthorized_pipelining: UnauthorizedPipelining::Allow,
    }
}

fn listener_of(service: &Arc<Service>, written: Written) -> Listener {
    Listener {
        service: Arc::clone(service),
        address: "127.0.0.1:0".parse().expect("address"),
        tls: ListenerTls::None,
        proxy_protocol: None,
        access: written.0,
        limits: written.1,
    }
}

fn rule(allow: bool, from: &str, limits: Option<Limits>) -> AccessRule {
    AccessRule { allow, from: address::parse(from).expect(from), limits }
}

fn allow(from: &str) -> AccessRule {
    rule(true, from, None)
}

fn deny(from: &str) -> AccessRule {
    rule(false, from, None)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn connections(limit: u32) -> Limits {
    Limits { connections: Some(limit), ..Limits::default() }
}

fn connections_per_ip(limit: u32) -> Limits {
    Limits { connections_per_ip: Some(limit), ..Limits::default() }
}

fn rate(count: u32) -> Limits {
    Limits { rate: Some(Rate { count, interval: HOUR }), ..Limits::default() }
}

fn rate_per_ip(count: u32) -> Limits {
    Limits { rate_per_ip: Some(Rate { count, interval: HOUR }), ..Limits::default() }
}

/// Long enough that nothing is given back while a test runs.
const HOUR: Duration = Duration::from_secs(3600);

/// The same on each level in turn.
fn on_each_level(written: &Written, test: impl Fn(Level, House)) {
    let none = Written::default();
    test(Level::Global, House::new(written.clone(), none.clone(), none.clone()));
    test(Level::Service, House::new(none.clone(), written.clone(), none.clone()));
    test(Level::Listener, House::new(none.clone(), none, written.clone()));
}

/// Which of the three doors a level counts.
fn doors_of(level: Level, house: &House) -> Vec<Door> {
    let doors = house.doors();
    match level {
        Level::Listener => doors[..1].to_vec(),
        Level::Service => doors[..2].to_vec(),
        Level::Global => doors,
    }
}
