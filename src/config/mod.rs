//! The configuration that Portcullis runs on.
//!
//! What was written is a [`raw`] tree with a line at every value; [`check`] turns it into the types below and lists
//! **all** problems on the way. Behind that border every value is valid: no `Option` that must be `Some`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::proto::Protocol;

pub mod address;
mod certificate;
pub mod check;
mod hosts;
pub mod pem;
mod pool;
pub mod raw;
mod registry;
mod reloadable;
mod service;
mod source;
mod warnings;

pub use address::AddressRange;
pub use certificate::{CertificateProblem, CertificateStatus};
pub use check::{
    Problem, Severity, WrittenAddress, WrittenUser, WrittenUsers, load, login_protocol, parse, parse_users, presets,
    read_users,
};
pub use hosts::KnownHosts;
pub use pool::{BackendLogin, BackendTls, Pool, Server, Storage};
pub use registry::{AfterPop, Lookup, LookupProtocol, Store};
pub use reloadable::{ReloadableSecret, Reread, RereadProblem};
pub use service::{AccessRule, Cleartext, Limits, Listener, ListenerTls, PasswordCheck, Rate, Service, UserLimits};
pub use source::{Cache, Directory, Ldap, LdapUrl, Source, Standing};
pub use warnings::{Place, Warnings};

/// Everything. Sessions hold it, or a part of it, behind an `Arc`.
#[derive(Debug)]
pub struct Config {
    /// Said in greetings.
    pub hostname: Arc<str>,
    /// How many worker threads.
    pub threads: Threads,
    /// How to log.
    pub log: Log,
    /// What clients are shown; `Some` whenever a listener speaks TLS.
    pub tls: Option<Tls>,
    /// The global access list, in order.
    pub access: Vec<AccessRule>,
    /// The global limits.
    pub limits: Limits,
    /// IPv6 addresses are counted by prefixes of this length, 32..=128.
    pub ipv6_prefix: u8,
    /// The services that listeners use.
    pub services: HashMap<Protocol, Arc<Service>>,
    /// At least one.
    pub listeners: Vec<Listener>,
    /// Where users live.
    pub directory: Directory,
    /// Pools of back-ends, by name; at least one.
    pub backends: Vec<Pool>,
    /// Which logins vouch for their address; `None` = no record is kept.
    pub after_pop: Option<AfterPop>,
    /// Where the record is kept.
    pub store: Store,
    /// Where other MTAs may ask; empty without `after_pop`.
    pub lookups: Vec<Lookup>,
    /// How bytes are moved.
    pub relay: Relaying,
    /// The HTTP side, where it is wanted.
    pub admin: Option<Admin>,
    /// How to stop.
    pub shutdown: Shutdown,
    /// What somebody should look at.
    pub warnings: Warnings,
}

/// Worker threads: 1 ≤ min ≤ max ≤ 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// At start, and when idle.
    pub min: usize,
    /// When all are busy.
    pub max: usize,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// One line of text, or of JSON, a record.
    pub format: LogFormat,
    /// The least level that is written.
    pub level: LogLevel,
    /// Whether each login is a line, besides each session's end.
    pub logins: bool,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Levels; sessions end at info.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// What clients are shown.
#[derive(Debug, Clone)]
pub struct Tls {
    /// At least one; the first is the default, the others are chosen by SNI.
    pub certificates: Vec<Certificate>,
    /// The lowest version that is spoken.
    pub minimum: TlsVersion,
    /// Whether the greeting goes with the server's first flight, where TLS 1.3 comes first.
    pub early_greeting: bool,
}

/// PEM files; they were readable and matched each other when the configuration was checked.
#[derive(Debug, Clone, Default)]
pub struct Certificate {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Where the configuration names the chain.
    pub certificate_place: Place,
    /// The same for the key.
    pub key_place: Place,
}

/// TLS versions worth speaking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// How a server that we connect to is verified.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// PEM file of the authorities; `None` = the system's.
    pub ca: Option<PathBuf>,
    /// `false` = any certificate will do (said loudly at start).
    pub skip_verification: bool,
}

/// How bytes are moved between a client and its back-end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relaying {
    /// Whether they may stay in the kernel.
    pub splice: Splice,
    /// How many are read at once where they do not, 1 to 1 MiB; one buffer a thread.
    pub buffer: u32,
}

impl Default for Relaying {
    /// 32 KiB fit the first-level cache; 64 KiB measured worse than both 32 and 128 KiB.
    fn default() -> Self {
        Self { splice: Splice::Auto, buffer: 32 * 1024 }
    }
}

/// When splice(2) moves the bytes, where neither side has TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Splice {
    /// While there are many.
    #[default]
    Auto,
    /// Not at all.
    Never,
    /// From the first byte on, for tests.
    Always,
}

/// The HTTP side.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who may use the API; with none, who asks on loopback may read.
    pub tokens: Arc<[Token]>,
    /// Names by which it may be asked, besides `hostname`, `localhost` and every IP address; in lower case.
    pub hosts: Arc<[String]>,
    /// What `/readyz` says while a directory source is away.
    pub ready: Ready,
}

/// What `/readyz` says while a directory source is away, once the directory has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ready {
    /// Ready, but degraded, as long as somebody can be served.
    #[default]
    Lenient,
    /// Not ready.
    Strict,
}

/// Who may use the API.
#[derive(Debug)]
pub struct Token {
    /// As the log calls whoever has it.
    pub name: String,
    /// At least 16 bytes.
    pub secret: ReloadableSecret,
    /// What it is good for.
    pub may: May,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Look.
    Read,
    /// Look and act.
    Admin,
}

/// How to stop.
#[derive(Debug, Clone, Copy)]
pub struct Shutdown {
    /// How long sessions may go on after SIGTERM.
    pub grace: Duration,
}
