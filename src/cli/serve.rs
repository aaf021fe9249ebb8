//! `portcullis serve`: the gateway, until a signal says otherwise.

use std::path::Path;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config, LogFormat, LogLevel};
use crate::gateway::Gateway;
use crate::logging;

pub(super) fn serve(file: &Path) -> anyhow::Result<()> {
    let config = match config::load(file) {
        Ok(config) => config,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            bail!("{} has problems, see above", file.display());
        }
    };
    let _logging = start_logging(&config);
    on_control(run(config, |_| {}))
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
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    raise_descriptor_limit();
    let gateway = Gateway::start(config).await.context("cannot start")?;
    for (entrance, address) in gateway.addresses() {
        tracing::info!(protocol = entrance.protocol().name(), %address, tls = entrance.tls.name(), "listening");
    }
    if let Some(address) = gateway.admin_address() {
        tracing::info!(protocol = "http", %address, "listening");
    }
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    started(&gateway);
    loop {
        tokio::select! {
            _ = hang_up.recv() => gateway.reload(),
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
    let cut = gateway.stop(hurry).await;
    tracing::info!(workers_cut = cut, "stopped");
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
