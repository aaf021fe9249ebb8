//! The configuration that Portcullis runs on.
//!
//! What was written is a [`raw`] tree with a line at every value; [`check`] turns it into the types below and lists
//! **all** problems on the way. Behind that border every value is valid: no `Option` that must be `Some`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::proto::{Mechanism, Protocol};
use crate::secret::Secret;

pub mod address;
pub mod check;
pub mod raw;

pub use address::AddressRange;
pub use check::{Problem, load, parse};

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
    /// The HTTP side, where it is wanted.
    pub admin: Option<Admin>,
    /// How to stop.
    pub shutdown: Shutdown,
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
}

/// PEM files; they were readable and matched each other when the configuration was checked.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
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

/// One line of an access list.
#[derive(Debug, Clone)]
pub struct AccessRule {
    /// Whether these addresses may come in.
    pub allow: bool,
    /// Which; never empty. `any` is the two ranges that hold every address.
    pub from: Vec<AddressRange>,
    /// For these addresses, in place of the same limits of the level that the rule stands on; allow rules only.
    pub limits: Option<Limits>,
}

/// Flow control of one level; `None` = no limit here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous, in all.
    pub connections: Option<u32>,
    /// Simultaneous, one address.
    pub connections_per_ip: Option<u32>,
    /// New in an interval, in all.
    pub rate: Option<Rate>,
    /// New in an interval, one address.
    pub rate_per_ip: Option<Rate>,
}

/// `120/1m`: a count of at least 1 in an interval of at least 1 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub interval: Duration,
}

/// One protocol as it is offered.
#[derive(Debug)]
pub struct Service {
    /// Which.
    pub protocol: Protocol,
    /// The service's access list.
    pub access: Vec<AccessRule>,
    /// The service's limits.
    pub limits: Limits,
    /// SASL mechanisms offered, best first; never empty.
    pub mechanisms: Arc<[Mechanism]>,
    /// May a password come without TLS?
    pub cleartext: Cleartext,
    /// Who checks the password.
    pub check: PasswordCheck,
    /// Wrong commands in one session, then it is dropped; at least 1.
    pub bad_commands: u32,
    /// Failed logins in one session, then it is dropped; at least 1.
    pub failed_logins: u32,
    /// From the connection to the login, in all.
    pub login_timeout: Duration,
    /// Without a byte either way while relaying.
    pub idle_timeout: Duration,
    /// The greeting's text.
    pub greeting: Arc<str>,
}

/// May a password come without TLS?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cleartext {
    /// No.
    #[default]
    Never,
    /// From a loopback peer that no PROXY header announced.
    Loopback,
    /// Yes.
    Always,
}

/// Who checks the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordCheck {
    /// The back-end, by being logged in to.
    #[default]
    Backend,
    /// The directory, by an LDAP bind with the user's DN.
    Directory,
    /// First the directory, then the back-end.
    Both,
}

/// One bound address.
#[derive(Debug)]
pub struct Listener {
    /// What it offers.
    pub service: Arc<Service>,
    /// Where; port 0 = any free one.
    pub address: SocketAddr,
    /// Which TLS.
    pub tls: ListenerTls,
    /// Peers that must send a PROXY header; `None` = nobody may.
    pub proxy_protocol: Option<Vec<AddressRange>>,
    /// The listener's access list.
    pub access: Vec<AccessRule>,
    /// The listener's limits.
    pub limits: Limits,
}

/// Which TLS a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTls {
    /// None.
    None,
    /// On request: STARTTLS, STLS.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// Where users live.
#[derive(Debug)]
pub struct Directory {
    /// Added to a bare user name; lower case.
    pub default_domain: Option<String>,
    /// Asked in order; the first that knows the user decides. At least one.
    pub sources: Vec<Source>,
    /// What is remembered of the answers.
    pub cache: Cache,
}

/// One place that may know a user.
#[derive(Debug)]
pub enum Source {
    /// An LDAP server.
    Ldap(Box<Ldap>),
    /// A YAML file of users, read at start and on SIGHUP.
    File(PathBuf),
    /// Everyone, hashed over the pool of this name (which exists).
    Pool(String),
}

/// An LDAP server and what its entries mean.
#[derive(Debug)]
pub struct Ldap {
    /// Tried in order; at least one.
    pub urls: Vec<LdapUrl>,
    /// Whether `ldap://` is upgraded with StartTLS (RFC 4511 §4.14).
    pub starttls: bool,
    /// How the server is verified.
    pub tls: ClientTls,
    /// DN and password; `None` = anonymous.
    pub bind: Option<(String, Secret)>,
    /// The base DN.
    pub base: String,
    /// A filter with `{user}`, `{local}`, `{domain}`; it parsed as RFC 4515 with a sample user put in.
    pub filter: String,
    /// Which attribute holds the host: a server's name, a pool's name, or host:port.
    pub host_attribute: String,
    /// Which attribute holds the user name at the back-end; `None` = as given.
    pub user_attribute: Option<String>,
    /// Which attribute holds the status.
    pub status_attribute: Option<String>,
    /// Which attribute holds the services that the user may use.
    pub services_attribute: Option<String>,
    /// What the status attribute's values mean, lower case; other values = active.
    pub status: HashMap<String, Standing>,
    /// For one question, connecting included.
    pub timeout: Duration,
    /// Connections for searches, 1..=64.
    pub connections: usize,
}

/// What a status value means for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// May log in.
    Active,
    /// May not.
    Deny,
    /// Not now.
    Unavailable,
}

/// `ldap://host:389` or `ldaps://host:636`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapUrl {
    /// Implicit TLS.
    pub ldaps: bool,
    /// A name or an address.
    pub host: String,
    /// 389 or 636 by default.
    pub port: u16,
}

/// How a server that we connect to is verified.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// PEM file of the authorities; `None` = the system's.
    pub ca: Option<PathBuf>,
    /// `false` = any certificate will do (said loudly at start).
    pub skip_verification: bool,
}

/// What is remembered of the directory's answers.
#[derive(Debug, Clone, Copy)]
pub struct Cache {
    /// How many users; 0 = nothing is remembered.
    pub entries: usize,
    /// How long an answer is fresh.
    pub ttl: Duration,
    /// How long "nobody knows this user" is fresh.
    pub negative_ttl: Duration,
    /// How long after its time an answer still serves while every source is down.
    pub stale: Duration,
}

/// Back-ends that are set up alike.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Named servers; may be empty only when `matches` is not.
    pub servers: Vec<Server>,
    /// Hosts that the directory may also name, lower case: `*.stores.example.com` (one or more labels for the star)
    /// or a whole name.
    pub matches: Vec<String>,
    /// The port of each protocol.
    pub ports: HashMap<Protocol, u16>,
    /// TLS towards them.
    pub tls: BackendTls,
    /// How they are verified.
    pub verify: ClientTls,
    /// For the TCP connection, over all addresses of the server.
    pub connect_timeout: Duration,
    /// From the connection to the login's answer.
    pub login_timeout: Duration,
    /// At one server; `None` = no limit.
    pub max_connections: Option<u32>,
    /// How long a login waits for a place at a full server.
    pub wait: Duration,
    /// Used in turn; empty = the kernel chooses.
    pub source_addresses: Vec<IpAddr>,
    /// How users are logged in.
    pub login: BackendLogin,
    /// Whether back-ends are told who is behind us.
    pub identity: bool,
    /// Other servers of the pool to try when one is down, for users who live anywhere in the pool.
    pub retry: u32,
}

/// One server of a pool.
#[derive(Debug, Clone)]
pub struct Server {
    /// The name that the directory uses, that TLS verifies, and that logs say; lower case.
    pub name: String,
    /// Where to connect; the name when it was not given.
    pub address: String,
    /// Share of the pool's users, at least 1.
    pub weight: u32,
}

/// TLS towards a back-end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendTls {
    /// None.
    #[default]
    None,
    /// STARTTLS or STLS; the login fails where it is not offered.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// How users are logged in at a back-end.
#[derive(Debug, Clone)]
pub enum BackendLogin {
    /// With the user's own credential.
    Replay,
    /// By a master user; only where the directory checks the password.
    Master {
        /// The master's name.
        user: String,
        /// The master's password.
        password: Secret,
    },
}

/// The HTTP side.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
}

/// How to stop.
#[derive(Debug, Clone, Copy)]
pub struct Shutdown {
    /// How long sessions may go on after SIGTERM.
    pub grace: Duration,
}
