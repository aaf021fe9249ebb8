//! The sections about the process itself: hostname, threads, log, relay, shutdown.

use std::sync::Arc;
use std::time::Duration;

use super::sheet::Fields;
use super::values::{self, DAY};
use crate::config::{Log, LogFormat, LogLevel, Relaying, Shutdown, Splice, Threads};

pub(super) fn hostname(root: &mut Fields<'_>) -> Arc<str> {
    let written = root.take("hostname").and_then(|item| {
        let host = item.read(values::domain)?;
        item.sheet.watch_hostname(&item.place, &host);
        Some(host)
    });
    written.unwrap_or_else(machine).into()
}

fn machine() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| values::domain(name.to_str()?).ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}

pub(super) fn threads(root: &mut Fields<'_>) -> Threads {
    let mut fields = root.section("threads");
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let count = || values::whole::<usize>(1, THREADS_MAX as u64);
    let min = fields.or("min", count(), 1);
    let Some(item) = fields.take("max") else {
        return Threads { min, max: cores.max(min) };
    };
    let max = item.read(count()).unwrap_or(THREADS_MAX);
    if max < min {
        item.fault(format!("`{max}` is less than `min`, which is {min}"));
    }
    Threads { min, max }
}

const THREADS_MAX: usize = 1024;

pub(super) fn log(root: &mut Fields<'_>) -> Log {
    let mut fields = root.section("log");
    let format = fields.take("format").and_then(|item| item.choice(&FORMATS));
    let level = fields.take("level").and_then(|item| item.choice(&LEVELS));
    let logins = fields.take("logins").and_then(|item| item.read(values::truth)).unwrap_or(true);
    Log { format: format.unwrap_or_default(), level: level.unwrap_or_default(), logins }
}

const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

pub(super) fn relay(root: &mut Fields<'_>) -> Relaying {
    let mut fields = root.section("relay");
    let splice = fields.take("splice").and_then(|item| item.choice(&SPLICES)).unwrap_or_default();
    Relaying { splice, buffer: fields.or("buffer", values::size(1, MIB), Relaying::default().buffer) }
}

const SPLICES: [(&str, Splice); 3] = [("auto", Splice::Auto), ("never", Splice::Never), ("always", Splice::Always)];

const MIB: u32 = 1024 * 1024;

pub(super) fn shutdown(root: &mut Fields<'_>) -> Shutdown {
    let mut fields = root.section("shutdown");
    Shutdown { grace: fields.or("grace", values::time(Duration::ZERO, DAY), Duration::from_secs(30)) }
}
