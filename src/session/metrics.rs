//! The counters that every session of a listener moves, looked up once: a look-up by labels is a hash and a lock that
//! all workers share.

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::metrics::Metrics;
use crate::proto::Protocol;

/// Those of one protocol.
pub struct Counts {
    /// Connections taken.
    pub connections: IntCounter,
    pub(super) open: IntGauge,
    pub(super) relaying: IntGauge,
    pub(super) granted: IntCounter,
    pub(super) login_seconds: Histogram,
    pub(super) shaken: IntCounter,
}

impl Counts {
    /// They start at nought, and are shown from now on.
    #[must_use]
    pub fn of(protocol: Protocol, metrics: &Metrics) -> Self {
        let of = [protocol.name()];
        Self {
            connections: metrics.connections.with_label_values(&of),
            open: metrics.open.with_label_values(&of),
            relaying: metrics.relaying.with_label_values(&of),
            granted: metrics.logins.with_label_values(&[protocol.name(), GRANTED]),
            login_seconds: metrics.login_seconds.with_label_values(&of),
            shaken: metrics.tls_handshakes.with_label_values(&[COMPLETED]),
        }
    }
}

/// The answer to a login that all others are compared with.
pub(super) const GRANTED: &str = "granted";
pub(super) const COMPLETED: &str = "completed";
