//! The gateways under test: how each is started in front of the sink, on free ports, from files in a folder of its own.

mod process;
mod slapd;
mod startup;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::load::{Language, Tls};
use crate::stage::listens;
use crate::{ports, sink};

pub use process::{Process, cpu_of, cpus, find, output, pinned};
pub use slapd::Slapd;

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Gateway {
    Portcullis,
    Nginx,
    Haproxy,
    Dovecot,
    Perdition,
}

impl Gateway {
    pub const ALL: [Self; 5] = [Self::Portcullis, Self::Nginx, Self::Haproxy, Self::Dovecot, Self::Perdition];

    pub fn name(self) -> &'static str {
        match self {
            Self::Portcullis => "Portcullis",
            Self::Nginx => "nginx mail",
            Self::Haproxy => "HAProxy (TCP)",
            Self::Dovecot => "Dovecot",
            Self::Perdition => "Perdition",
        }
    }

    /// Its program, and the package that brings it.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Portcullis => ("portcullis", "this crate"),
            Self::Nginx => ("nginx", "nginx-light and libnginx-mod-mail"),
            Self::Haproxy => ("haproxy", "haproxy"),
            Self::Dovecot => ("dovecot", "dovecot-core"),
            Self::Perdition => ("perdition", "perdition"),
        }
    }

    /// Its own address of the sink, so that nobody meets the ports that another has used up.
    fn sink(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 0, 20 + self as u8)
    }
}

/// Who says where a user lives. Only ours can ask a directory; the others are told one server.
#[derive(Clone, Default)]
pub enum Directory {
    #[default]
    OneServer,
    Ldap {
        port: u16,
        remembered: u32,
    },
}

/// What a scenario wants of a gateway.
#[derive(Clone, Default)]
pub struct Wish {
    pub tls_behind: bool,
    pub directory: Directory,
    /// One line of log for each session.
    pub logs: bool,
    /// Threads that serve, beyond the first.
    pub more_workers: usize,
    /// The program that runs it, with its arguments: valgrind, say.
    pub under: Vec<String>,
}

/// What all gateways of a run share.
#[derive(Clone)]
pub struct Site {
    /// Where the certificates lie.
    pub certs: PathBuf,
    pub sink: sink::Ports,
    /// The release build under test.
    pub portcullis: PathBuf,
}

/// A gateway that runs; it ends when this is dropped.
pub struct Running {
    processes: Vec<Process>,
    ports: Ports,
    _folder: TempDir,
}

/// Where it listens.
#[derive(Clone, Copy)]
struct Ports {
    imap: u16,
    imaps: u16,
    pop3: u16,
    submission: u16,
    /// Only ours has an admin side.
    admin: u16,
}

impl Running {
    pub async fn start(gateway: Gateway, wish: &Wish, site: &Site) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("peers-").tempdir()?;
        let free = ports::free;
        let ports = Ports { imap: free(), imaps: free(), pop3: free(), submission: free(), admin: free() };
        let commands = startup::commands(gateway, wish, site, ports, folder.path())?;
        let (program, package) = gateway.program();
        // It is started in a folder of its own.
        let ours = std::path::absolute(&site.portcullis)?;
        let program = if gateway == Gateway::Portcullis { ours } else { find(program, package)? };
        let start = |arguments: &Vec<String>| {
            let (first, arguments) = match wish.under.split_first() {
                Some((first, rest)) => {
                    let program = [program.display().to_string()];
                    (PathBuf::from(first), [rest, &program, arguments].concat())
                }
                None => (program.clone(), arguments.clone()),
            };
            Process::start(&first, &arguments, folder.path(), pinned::gateway())
        };
        let processes = commands.iter().map(start).collect::<Result<Vec<_>>>()?;
        let mut running = Self { processes, ports, _folder: folder };
        let mut ways = vec![(Language::Imap, Tls::None), (Language::Imap, Tls::Full), (Language::Pop3, Tls::None)];
        if wish.tls_behind || gateway == Gateway::Perdition {
            ways.truncate(2);
        }
        for (at, (language, tls)) in ways.into_iter().enumerate() {
            let port = running.address(language, tls)?.port();
            // Perdition has a process for each port.
            let which = at.min(running.processes.len() - 1);
            let process = &mut running.processes[which];
            listens(process, port).await.with_context(|| gateway.name())?;
        }
        Ok(running)
    }

    pub fn address(&self, language: Language, tls: Tls) -> Result<SocketAddr> {
        let port = match (language, tls) {
            (Language::Imap, Tls::None) => self.ports.imap,
            (Language::Imap, _) => self.ports.imaps,
            (Language::Pop3, Tls::None) => self.ports.pop3,
            (Language::Submission, Tls::None) => self.ports.submission,
            _ => bail!("only IMAP is measured over TLS"),
        };
        Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), port).into())
    }

    /// Where ours is asked who is on.
    pub fn admin(&self) -> SocketAddr {
        (IpAddr::V4(Ipv4Addr::LOCALHOST), self.ports.admin).into()
    }

    /// Seconds of CPU that its processes have used so far, with those that have ended.
    pub fn cpu(&self) -> f64 {
        self.processes.iter().map(Process::cpu).sum()
    }

    /// Bytes of memory that are its own now.
    pub fn memory(&self) -> f64 {
        self.processes.iter().map(Process::memory).sum()
    }

    /// Asks its processes to end, and waits until they have written down what they wanted to.
    pub async fn end(&mut self) -> Result<()> {
        for process in &mut self.processes {
            process.is_told_to_end();
            process.ended().await?;
        }
        Ok(())
    }

    /// All its processes at this moment.
    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().flat_map(Process::ids).collect()
    }
}

/// Raises the limit of file descriptors to what this process may have, and says what that is.
pub fn raise_descriptors() -> Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(1 << 20))
}
