//! How servers are counted in the metrics: what attempts came to, and how many servers are down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounter;

use super::health::Change;
use crate::metrics::Metrics;
use crate::proto::Protocol;

/// Servers that the metrics show as one. The labels come from the configuration alone: a server that it names, or a
/// pattern by which the directory may name any number of hosts.
#[derive(Debug)]
pub(super) struct Series {
    label: Box<str>,
    /// How many of them are down.
    down: Mutex<BTreeMap<Protocol, usize>>,
    /// Looked up once.
    connected: IntCounter,
    metrics: Arc<Metrics>,
}

impl Series {
    pub(super) fn new(label: &str, metrics: &Arc<Metrics>) -> Arc<Self> {
        let connected = metrics.backend_connects.with_label_values(&[label, Outcome::Connected.label()]);
        Arc::new(Self { label: label.into(), down: Mutex::default(), connected, metrics: metrics.clone() })
    }

    pub(super) fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Connected => self.connected.inc(),
            other => self.metrics.backend_connects.with_label_values(&[&self.label, other.label()]).inc(),
        }
    }

    pub(super) fn moved(&self, protocol: Protocol, change: Change) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let count = down.entry(protocol).or_default();
        *count = match change {
            Change::Same => *count,
            Change::Down => count.saturating_add(1),
            Change::UpAgain => count.saturating_sub(1),
        };
        // Under the lock, so that the last to change it is the last to say so.
        let gauge = self.metrics.backend_up.with_label_values(&[&self.label, protocol.name()]);
        gauge.set(i64::from(*count == 0));
    }
}

/// What an attempt came to; the label is a metric's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Connected,
    /// Not tried: the server was known to be down, and no other could stand in.
    KnownDown,
    Failed,
    TimedOut,
    TlsFailed,
    Loop,
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::KnownDown => "known_down",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::TlsFailed => "tls_failed",
            Self::Loop => "loop",
        }
    }
}
