//! What every run stands on: certificates and a sink in a folder of their own, this process on the load's CPU, and the
//! end of all that was started, however the run ends.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::certs::Certs;
use crate::gateways::{self, Process, Site, pinned};
use crate::sink;

/// Dropping it ends the sink and removes the folder.
pub struct Stage {
    pub site: Site,
    pub certs: Certs,
    /// The limit of descriptors of each process.
    pub descriptors: u64,
    _sink: Process,
    _folder: TempDir,
}

impl Stage {
    /// `portcullis` is the build that is looked at.
    pub async fn set(portcullis: PathBuf) -> Result<Self> {
        let mut set = CpuSet::new();
        set.set(pinned::load());
        sched_setaffinity(None, &set)?;
        let descriptors = gateways::raise_descriptors()?;
        let folder = tempfile::Builder::new().prefix("peers-run-").tempdir()?;
        let (certs, ports) = (Certs::make(folder.path())?, sink::Ports::free());
        let mut verb = vec!["sink".to_owned(), format!("--folder={}", folder.path().display())];
        verb.extend(ports.as_arguments());
        let mut sink = Process::start(&std::env::current_exe()?, &verb, folder.path(), pinned::load())?;
        // The last port that it opens.
        listens(&mut sink, ports.auth).await.context("the sink")?;
        let site = Site { certs: folder.path().to_owned(), sink: ports, portcullis };
        Ok(Self { site, certs, descriptors, _sink: sink, _folder: folder })
    }
}

/// Waits until a server that was just started takes connections.
pub async fn listens(process: &mut Process, port: u16) -> Result<()> {
    // Under valgrind that may take long; one that has ended is noticed at once.
    for _ in 0..2_400 {
        process.lives()?;
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("does not listen on port {port}; it says: {}", process.log())
}

/// Does the work until it is done or somebody ends it; either way what it started ends with it.
pub async fn unless_ended<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminated = signal(SignalKind::terminate())?;
    // The terminal was closed.
    let mut hung_up = signal(SignalKind::hangup())?;
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
        _ = hung_up.recv() => bail!("hung up"),
    }
}
