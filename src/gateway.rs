//! The running program: builds the parts from the configuration, starts workers and admin, reloads, drains.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::admin;
use crate::backend::Backends;
use crate::config::{Config, ListenerTls, Problem};
use crate::directory::{self, Directory};
use crate::drain::Drain;
use crate::gate::Gate;
use crate::listener::Listener;
use crate::lookup;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::proto::Protocol;
use crate::registry::{self, Registry};
use crate::roster::Roster;
use crate::session::{self, ConcurrentLogins, Counts, ListenerContext, Parts, RefusalTime};
use crate::wire::relay::{ByteCounters, RelayConfig};
use crate::wire::{socket, tls, tls_client};
use crate::worker::Workers;

mod reload;

/// See the module. Its own runtime is the control runtime: directory questions, supervision and admin run there.
pub struct Gateway {
    config: Config,
    parts: Arc<Parts>,
    listeners: Vec<Arc<Listener>>,
    acceptors: Vec<tls::Acceptor>,
    /// Those that clients are shown now.
    certificates: ArcSwap<tls::Certificates>,
    admin: Option<SocketAddr>,
    drain: Drain,
    chores: Vec<JoinHandle<()>>,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartProblem {
    /// An address cannot be bound.
    #[error("cannot listen on {0}: {1}{hint}", hint = cure(.1))]
    Bind(SocketAddr, io::Error),
    /// Certificates towards clients.
    #[error(transparent)]
    Tls(#[from] tls::SetupProblem),
    /// Authorities towards back-ends.
    #[error(transparent)]
    TlsClient(#[from] tls_client::TlsSetupProblem),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] directory::SetupProblem),
    /// The record of logins.
    #[error(transparent)]
    Registry(#[from] registry::SetupProblem),
    /// A thread or a runtime.
    #[error("no worker can be started: {0}")]
    Worker(io::Error),
    /// A mistake of ours.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Gateway {
    /// Binds every listener, all or nothing, then starts to serve. Call it on the control runtime.
    ///
    /// # Errors
    /// [`StartProblem`]; nothing runs then.
    pub async fn start(config: Config) -> Result<Self, StartProblem> {
        log_warnings(config.warnings.at(OffsetDateTime::now_utc()));
        let metrics = Arc::new(Metrics::new()?);
        let sockets =
            config.listeners.iter().map(|listener| bind(listener.address)).collect::<Result<Vec<_>, StartProblem>>()?;
        let own: Vec<SocketAddr> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let roster = Roster::new(config.ipv6_prefix);
        let registry = Registry::open(config.after_pop.as_ref(), &config.store, metrics.clone(), &Handle::current())?;
        let directory = Directory::new(&config.directory, metrics.clone(), Handle::current())?;
        let parts = Arc::new(Parts {
            backends: Backends::new(&config.backends, &own, &metrics)?,
            nodes: Nodes::new(roster.clone(), registry.clone(), directory.clone(), metrics.clone(), &config.hostname),
            directory,
            registry,
            roster,
            metrics: metrics.clone(),
            hostname: config.hostname.clone(),
            logs_logins: config.log.logins,
            logins_under_way: ConcurrentLogins::default(),
            recipient_lookups: ConcurrentLogins::default(),
        });
        let gate = Gate::new(&config, metrics);
        let certificates = config.tls.as_ref().map(tls::Certificates::load).transpose();
        let certificates = certificates.map_err(tls::SetupProblem::from)?.unwrap_or_default();
        let acceptors = Protocol::ALL
            .iter()
            .filter_map(|protocol| Some((*protocol, config.tls.as_ref()?)))
            .map(|(protocol, tls)| Ok((protocol, tls::Acceptor::new(tls, &certificates, protocol.alpn())?)))
            .collect::<Result<Vec<_>, StartProblem>>()?;
        let mut refusals: HashMap<Protocol, Arc<RefusalTime>> = HashMap::new();
        let listeners: Vec<Arc<Listener>> = std::iter::zip(&config.listeners, sockets)
            .map(|(listener, socket)| {
                let protocol = listener.service.protocol;
                let acceptor = acceptors.iter().find(|(of, _)| *of == protocol).map(|(_, acceptor)| acceptor.clone());
                let address = socket.local_addr().unwrap_or(listener.address);
                let refusals =
                    refusals.entry(protocol).or_insert_with(|| Arc::new(RefusalTime::new(listener.service.check)));
                let context = ListenerContext {
                    name: format!("{} {address}", protocol.name()).into(),
                    address,
                    service: listener.service.clone(),
                    tls: listener.tls,
                    acceptor: acceptor.filter(|_| listener.tls != ListenerTls::None),
                    door: gate.door(listener),
                    counts: Counts::of(protocol, &parts.metrics),
                    relay_config: Arc::new(RelayConfig {
                        protocol,
                        relaying: config.relay,
                        meter: ByteCounters {
                            up: parts.metrics.bytes.with_label_values(&[protocol.name(), "up"]),
                            down: parts.metrics.bytes.with_label_values(&[protocol.name(), "down"]),
                        },
                    }),
                    greeting: session::greeting(&parts.hostname, &listener.service),
                    refusals: refusals.clone(),
                    proxy_protocol: listener.proxy_protocol.clone(),
                };
                Arc::new(Listener::new(Arc::new(context), socket))
            })
            .collect();
        let mut gateway = Self {
            parts,
            listeners,
            acceptors: acceptors.into_iter().map(|(_, acceptor)| acceptor).collect(),
            certificates: ArcSwap::from_pointee(certificates),
            admin: None,
            drain: Drain::new(),
            chores: Vec::new(),
            config,
        };
        gateway.show_expiry();
        match gateway.start_chores(gate) {
            Ok(()) => Ok(gateway),
            Err(problem) => {
                gateway.drain.stop();
                gateway.drain.cut();
                gateway.chores.iter().for_each(JoinHandle::abort);
                Err(problem)
            }
        }
    }

    fn start_chores(&mut self, gate: Gate) -> Result<(), StartProblem> {
        self.chores.push(tokio::spawn(self.parts.nodes.clone().keep()));
        self.parts.directory.watch();
        if let Some(admin) = &self.config.admin {
            let socket = bind(admin.address)?;
            let listener = TcpListener::from_std(socket).map_err(|error| StartProblem::Bind(admin.address, error))?;
            self.admin = listener.local_addr().ok();
            let is_offered =
                |protocol: &Protocol| self.listeners.iter().any(|one| one.context().protocol() == *protocol);
            let offered: Vec<Protocol> = Protocol::ALL.into_iter().filter(is_offered).collect();
            let from_memory = admin::FromMemory::of(self.config.listeners.iter());
            let (parts, drain) = (self.parts.clone(), self.drain.clone());
            let serving = admin::serve(listener, admin.clone(), offered, from_memory, parts, drain);
            self.chores.push(tokio::spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "the admin listener has failed");
                }
            }));
        }
        for asked in &self.config.lookups {
            let listener = TcpListener::from_std(bind(asked.address)?);
            let listener = listener.map_err(|error| StartProblem::Bind(asked.address, error))?;
            tracing::info!(protocol = asked.protocol.name(), address = %asked.address, "answering other MTAs");
            let parts = &self.parts;
            self.chores.push(tokio::spawn(lookup::serve(
                listener,
                asked.clone(),
                parts.registry.clone(),
                parts.directory.clone(),
                parts.metrics.clone(),
                self.drain.clone(),
            )));
        }
        let workers =
            Workers::start(self.config.threads, self.listeners.clone(), self.parts.clone(), self.drain.clone())
                .map_err(StartProblem::Worker)?;
        self.chores.push(tokio::spawn(workers.supervise(BEAT)));
        for protocol in self.config.services.keys().copied() {
            let parts = self.parts.clone();
            self.chores.push(tokio::spawn(async move {
                while parts.backends.learn(protocol, &parts.hostname).await {
                    tokio::time::sleep(LEARN).await;
                }
            }));
        }
        let parts = self.parts.clone();
        self.chores.push(tokio::spawn(async move { parts.backends.recheck().await }));
        let parts = self.parts.clone();
        self.chores.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                parts.backends.sweep();
                gate.sweep();
            }
        }));
        Ok(())
    }

    /// Where it listens, in the configuration's order: the real ports where that said 0.
    pub fn addresses(&self) -> impl Iterator<Item = (&ListenerContext, SocketAddr)> {
        self.listeners.iter().filter_map(|listener| Some((listener.context(), listener.address().ok()?)))
    }

    /// Where the HTTP side listens.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    fn show_expiry(&self) {
        for certificate in self.certificates.load().statuses() {
            let file = certificate.file.display().to_string();
            let expiry = self.parts.metrics.certificate_expiry.with_label_values(&[&file]);
            expiry.set(certificate.not_after.unix_timestamp());
        }
    }

    /// Stops accepting, tells who has not logged in goodbye, lets sessions finish for `shutdown.grace` (or until
    /// `hurry` is ready), then cuts. Returns how many sessions were still open and had to be cut.
    pub async fn stop(self, hurry: impl Future<Output = ()>) -> i64 {
        let Self { config, parts, listeners, drain, chores, .. } = self;
        drain.stop();
        listeners.iter().for_each(|listener| listener.close());
        let patience = async {
            tokio::select! {
                () = tokio::time::sleep(config.shutdown.grace) => {}
                () = hurry => {}
            }
        };
        tokio::select! {
            _ = drain.finished() => {}
            () = patience => {}
        }
        let cut = Protocol::ALL.map(|protocol| parts.metrics.open.with_label_values(&[protocol.name()]).get());
        drain.cut();
        let _ = tokio::time::timeout(STOP_TIMEOUT, async {
            while drain.busy() > 0 {
                tokio::time::sleep(STOP_POLL).await
            }
        })
        .await;
        let _ = tokio::time::timeout(STOP_TIMEOUT, parts.registry.flush()).await;
        // What a chore tells other gateways at this moment, of at most a hundred users, may be lost.
        chores.iter().for_each(JoinHandle::abort);
        let _ = tokio::time::timeout(STOP_TIMEOUT, parts.nodes.leave()).await;
        cut.iter().sum()
    }
}

fn log_warnings(warnings: Vec<Problem>) {
    for problem in warnings {
        tracing::warn!(%problem, "the configuration can be used, but look at this");
    }
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StartProblem> {
    socket::listen(address).map_err(|error| StartProblem::Bind(address, error))
}

/// What an operator does about it.
fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need root, or the capability that packaging/portcullis.service gives"
        }
        io::ErrorKind::AddrInUse => "; another program, or another listener of this configuration, has it",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has it",
        _ => "",
    }
}

/// How often the workers' load is looked at.
const BEAT: Duration = Duration::from_secs(1);
/// How often back-ends are asked what they offer to who sends mail.
const LEARN: Duration = Duration::from_secs(60);
/// How often the tables of the gate and of the back-ends are swept.
const SWEEP: Duration = Duration::from_secs(60);
/// For workers to drop what was cut, and for the store to take what is new.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_POLL: Duration = Duration::from_millis(5);
