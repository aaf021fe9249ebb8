//! One server, and what it shares with the others of its pool.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::health::{Change, Health, LastAttempt, Reached, Sign, State};
use super::lease::Places;
use super::offers::Offered;
use super::resolve::Resolved;
use super::series::Series;
use crate::config::{self, BackendLogin, BackendTls};
use crate::metrics::Metrics;
use crate::proto::Protocol;
use crate::wire::tls::Connector;
use crate::wire::tls_client::{self, TlsSetupProblem};

/// One server that users live on.
#[derive(Debug)]
pub struct Server {
    name: Arc<str>,
    /// A name or an address; resolved when needed.
    pub(super) address: Box<str>,
    /// In place of the pool's port, where the directory named one.
    port: Option<u16>,
    pub(super) weight: u32,
    pub(super) places: Option<Arc<Places>>,
    pub(super) resolved: Arc<Resolved>,
    /// Whether it answers, at this port.
    pub(super) health: Health,
    /// Connections to it now, those of logins under way included.
    pub(super) open: Arc<AtomicUsize>,
    /// What it said to EHLO.
    pub(super) offered: Offered,
    pub(super) settings: Arc<Settings>,
}

impl Server {
    /// A server of the configuration.
    pub(super) fn listed(server: &config::Server, settings: &Arc<Settings>) -> Self {
        let series = Series::new(&server.name, &settings.metrics);
        Self::new(&server.name, &server.address, None, server.weight, settings, &series)
    }

    /// A server that the directory named, as a pattern with this series allows.
    pub(super) fn found(name: &str, port: Option<u16>, settings: &Arc<Settings>, series: &Arc<Series>) -> Self {
        Self::new(name, name, port, 1, settings, series)
    }

    /// The same server, the same places, another port.
    pub(super) fn with_port(&self, port: u16) -> Self {
        Self {
            name: self.name.clone(),
            address: self.address.clone(),
            port: Some(port),
            weight: self.weight,
            places: self.places.clone(),
            resolved: self.resolved.clone(),
            health: self.health.of_another_port(),
            open: self.open.clone(),
            offered: self.offered.clone(),
            settings: self.settings.clone(),
        }
    }

    fn new(
        name: &str,
        address: &str,
        port: Option<u16>,
        weight: u32,
        settings: &Arc<Settings>,
        series: &Arc<Series>,
    ) -> Self {
        let places = settings.config.max_connections.map(|max| Arc::new(Places::new(max)));
        Self {
            name: name.into(),
            address: address.into(),
            port,
            weight,
            places,
            resolved: Arc::default(),
            health: Health::new(settings.config.recheck_interval, series),
            open: Arc::default(),
            offered: Offered::default(),
            settings: settings.clone(),
        }
    }

    /// Takes note of how an attempt ended that began at `started`; only a change is logged.
    pub(super) fn note(&self, protocol: Protocol, started: Instant, failed: Option<(&str, Sign)>) {
        let change = self.health.note(protocol, started, failed);
        let (backend, address, port) = (&*self.name, &*self.address, self.port(protocol));
        let (protocol, problem) = (protocol.name(), failed.map_or("", |(problem, _)| problem));
        match change {
            Change::Same => {}
            Change::Down => tracing::warn!(backend, protocol, address, port, problem, "the back-end is down"),
            Change::UpAgain => tracing::info!(backend, protocol, address, port, "the back-end is up again"),
        }
    }

    /// As the directory and the log call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both are one server at one port.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.port == other.port
    }

    /// The same, for whoever keeps it.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// A name or an address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The name of its pool.
    #[must_use]
    pub fn pool(&self) -> &str {
        self.settings.name()
    }

    /// How it is by each protocol by which clients are led here, or by which it was tried.
    #[must_use]
    pub fn reached(&self) -> Vec<Reached> {
        let mut known = self.health.known();
        for served in &self.settings.config.served {
            known.entry(*served).or_insert(LastAttempt::NotTried);
        }
        known.into_iter().map(|(protocol, last)| Reached { protocol, port: self.port(protocol), last }).collect()
    }

    /// How it is by all of them.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(&self.reached())
    }

    /// Whether it is down, by one protocol at least.
    #[must_use]
    pub fn is_down(&self) -> bool {
        match self.state() {
            State::Unknown | State::Up | State::PartlyTried => false,
            State::Degraded | State::Down => true,
        }
    }

    /// Connections to it now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many there may be.
    #[must_use]
    pub fn max_connections(&self) -> Option<u32> {
        self.settings.config.max_connections
    }

    /// How users are logged in here.
    #[must_use]
    pub fn login(&self) -> &BackendLogin {
        &self.settings.config.login
    }

    /// Whether it is told who is behind us.
    #[must_use]
    pub fn wants_identity(&self) -> bool {
        self.settings.config.identity
    }

    /// Whether STARTTLS comes before everything else in this protocol.
    #[must_use]
    pub fn wants_starttls(&self, protocol: Protocol) -> bool {
        self.settings.config.tls.of(protocol) == BackendTls::StartTls
    }

    pub(super) fn port(&self, protocol: Protocol) -> u16 {
        self.port.or_else(|| self.settings.config.ports.get(&protocol).copied()).unwrap_or_else(|| protocol.port())
    }

    /// `None` when the pool speaks no TLS, or the name is none that a certificate could have.
    pub(super) fn connector(&self) -> Option<Connector> {
        let name = ServerName::try_from(self.name.to_string()).ok()?;
        Some(Connector::new(self.settings.tls.clone()?, name))
    }
}

/// What all servers of a pool share.
#[derive(Debug)]
pub(super) struct Settings {
    pub config: config::Pool,
    pub own: Vec<SocketAddr>,
    pub metrics: Arc<Metrics>,
    /// What the directory may name besides, and its series in the metrics.
    patterns: Vec<(String, Arc<Series>)>,
    tls: Option<Arc<rustls::ClientConfig>>,
    next_source: AtomicUsize,
}

impl Settings {
    pub fn new(pool: &config::Pool, own: &[SocketAddr], metrics: &Arc<Metrics>) -> Result<Self, TlsSetupProblem> {
        let tls = match pool.tls {
            BackendTls::None => None,
            BackendTls::StartTls | BackendTls::Implicit => Some(tls_client::client_config(&pool.verify, &[])?),
        };
        if tls.is_some() && pool.verify.skip_verification {
            tracing::warn!(pool = pool.name, "verify: false, so anybody between may pose as these back-ends");
        }
        Ok(Self {
            config: pool.clone(),
            own: own.to_vec(),
            metrics: metrics.clone(),
            patterns: pool.matches.iter().map(|text| (text.clone(), Series::new(text, metrics))).collect(),
            tls,
            next_source: AtomicUsize::new(0),
        })
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Whether the directory may name this host, the very name or one or more labels for a leading `*`; and what counts
    /// it, if so.
    pub fn allows(&self, host: &str) -> Option<&Arc<Series>> {
        let is_it = |pattern: &str| match pattern.strip_prefix('*') {
            Some(suffix) => host.strip_suffix(suffix).is_some_and(|labels| !labels.is_empty()),
            None => host == pattern,
        };
        self.patterns.iter().find(|(pattern, _)| is_it(pattern)).map(|(_, series)| series)
    }

    /// The source addresses of the right family, in turn.
    pub fn source_for(&self, to: IpAddr) -> Option<IpAddr> {
        let mut of_family = self.config.source_addresses.iter().filter(|source| source.is_ipv4() == to.is_ipv4());
        let count = of_family.clone().count();
        let turn = self.next_source.fetch_add(1, Ordering::Relaxed).checked_rem(count)?;
        of_family.nth(turn).copied()
    }

    /// Whether a connection has come back to the gateway itself; its near end is asked for where that decides.
    pub fn is_own(&self, peer: SocketAddr, local: impl Fn() -> Option<SocketAddr>) -> bool {
        let here = || peer.ip().is_loopback() || local().is_some_and(|local| peer.ip() == local.ip());
        let is_it = |own: &SocketAddr| own.ip() == peer.ip() || (own.ip().is_unspecified() && here());
        self.own.iter().any(|own| own.port() == peer.port() && is_it(own))
    }
}
