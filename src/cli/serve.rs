//! `portcullis serve`: the gateway, until a signal says otherwise.

use std::path::Path;

use anyhow::{Context, bail};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config, LogFormat, LogLevel};
use crate::gateway::Gateway;
use crate::logging;
use crate::registry::Registry;

/// What is asked for at one start, not by the configuration.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Options {
    /// If the file of `registry.store` is damaged, rename it to FILE.damaged-TIME and begin a new one.
    ///
    /// Logins of the last minutes are forgotten, and protocols that were switched off for users are on again. A file that
    /// is not damaged stays as it is.
    #[arg(long)]
    recreate_store: bool,
    /// Let a crash write a core dump and a debugger attach; for developers: users' passwords are in memory.
    #[arg(long)]
    core_dumps: bool,
}

pub(super) fn serve(file: &Path, options: Options) -> anyhow::Result<()> {
    // Before the first secret is read.
    if !options.core_dumps {
        forbid_core_dumps();
    }
    let config = match config::load(file) {
        Ok(config) => config,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            bail!("{} has problems, see above", file.display());
        }
    };
    let _logging = start_logging(&config);
    tracing::info!("portcullis {} starts with {}", env!("CARGO_PKG_VERSION"), file.display());
    if options.core_dumps {
        tracing::warn!("core dumps are allowed: one would hold users' passwords");
    }
    if options.recreate_store {
        Registry::recreate_if_damaged(&config.store).context("cannot start")?;
    }
    on_control(run(config, |_| {}))
}

/// Nobody but root can read this process's memory from now on, and a crash writes none of it to a disk.
///
/// The limit alone is not enough: the kernel does not look at it where core dumps go to a program (core(5)).
fn forbid_core_dumps() {
    let forbidden = prctl::set_dumpable(false).and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0));
    if let Err(error) = forbidden {
        eprintln!("portcullis: core dumps cannot be forbidden: {error}");
    }
}

/// Runs on the control runtime. At the end nothing is waited for that could hang, such as a name being resolved.
pub(super) fn on_control(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let control = Builder::new_current_thread().enable_all().build()?;
    let done = control.block_on(work);
    control.shutdown_background();
    done
}

/// Every session needs two descriptors: take what the system allows.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(hard)
    });
    match raised {
        Ok(descriptors) => tracing::info!(descriptors, "file descriptors allowed"),
        Err(error) => tracing::warn!(%error, "the limit of file descriptors stays as it is"),
    }
}

/// Until SIGTERM or SIGINT; `started` is told when everything listens.
pub(super) async fn run(config: Config, started: impl FnOnce(&Gateway)) -> anyhow::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    let (mut first_user, mut second_user) =
        (signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    raise_descriptor_limit();
    let gateway = Gateway::start(config).await.context("cannot start")?;
    for (context, address) in gateway.addresses() {
        tracing::info!(protocol = context.protocol().name(), %address, tls = context.tls.name(), "listening");
    }
    if let Some(address) = gateway.admin_address() {
        tracing::info!(protocol = "http", %address, "listening");
    }
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    started(&gateway);
    loop {
        tokio::select! {
            _ = hang_up.recv() => tokio::select! {
                () = gateway.reload() => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            },
            _ = first_user.recv() => tracing::info!(
                "SIGUSR1: there is no log file to reopen; the log goes to standard error, and whoever reads that rotates it"
            ),
            _ = second_user.recv() => tracing::info!("SIGUSR2 means nothing here; SIGHUP reloads, SIGTERM stops"),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("stopping");
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    let hurry = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    match gateway.stop(hurry).await {
        0 => tracing::info!("stopped; every session had ended"),
        cut => tracing::info!(sessions_cut = cut, "stopped; the sessions that were still open were cut"),
    }
    Ok(())
}

pub(super) fn start_logging(config: &Config) -> tracing_appender::non_blocking::WorkerGuard {
    let form = match config.log.format {
        LogFormat::Text => logging::Form::Text,
        LogFormat::Json => logging::Form::Json,
    };
    let filter = match config.log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "portcullis=debug,info",
        LogLevel::Trace => "portcullis=trace,info",
    };
    logging::start(form, filter)
}
