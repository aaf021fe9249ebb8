//! Every metric, once. Labels are `&'static str` from closed enums, or names that the configuration spells out (servers,
//! files of certificates), so that a user, an address, or a host that only the directory names cannot become one.
//!
//! The doc comment of a metric says what its HELP says. Counters of hot paths are resolved once, not looked up.

use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// All that Portcullis counts; one per process, shared behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections taken from a listening socket, by protocol.
    pub connections: IntCounterVec,
    /// Connections open now, by protocol.
    pub open: IntGaugeVec,
    /// Sessions being relayed now, by protocol.
    pub relaying: IntGaugeVec,
    /// Connections refused at the gate, by protocol and reason.
    pub refusals: IntCounterVec,
    /// Sessions ended, by protocol and ending.
    pub endings: IntCounterVec,
    /// Logins answered, by protocol and answer.
    pub logins: IntCounterVec,
    /// From a login's arrival to its answer, in seconds, by protocol.
    pub login_seconds: HistogramVec,
    /// Recipients asked for on port 25, by verdict.
    pub recipients: IntCounterVec,
    /// Transactions opened at a back-end, by outcome.
    pub transactions: IntCounterVec,
    /// Bytes relayed, by protocol and direction (up = from the client).
    pub bytes: IntCounterVec,
    /// TLS handshakes with clients, by outcome.
    pub tls_handshakes: IntCounterVec,
    /// Directory answers, by where they came from.
    pub directory_answers: IntCounterVec,
    /// Whether a directory source answers, by its place in `directory.sources`, from 0.
    pub directory_up: IntGaugeVec,
    /// One question to a directory source, in seconds.
    pub directory_seconds: Histogram,
    /// Users in the directory cache.
    pub directory_cached: IntGauge,
    /// Recipients in the directory cache.
    pub directory_cached_recipients: IntGauge,
    /// Connections to back-ends that sessions needed, by server and outcome; of those that are `known_down` none was tried.
    pub backend_connects: IntCounterVec,
    /// Whether a back-end answered the last attempt, by server and protocol; of a pattern's hosts, whether all did.
    pub backend_up: IntGaugeVec,
    /// Connections to back-ends open now.
    pub backend_open: IntGauge,
    /// Worker threads running now.
    pub workers: IntGauge,
    /// Errors of accept(2), EMFILE above all.
    pub accept_errors: IntCounter,
    /// Sessions ended by a panic.
    pub panics: IntCounter,
    /// Reloads, by outcome.
    pub reloads: IntCounterVec,
    /// When the certificates that clients are shown expire, in seconds since 1970, by file.
    pub certificate_expiry: IntGaugeVec,
    /// Addresses in the tables of the gate.
    pub gate_addresses: IntGauge,
    /// Addresses whose window is open, as this gateway knows it.
    pub windows: IntGauge,
    /// Logins that were to open a window, by outcome.
    pub records: IntCounterVec,
    /// Addresses written to the registry's store, by outcome.
    pub registry_writes: IntCounterVec,
    /// Whether the registry's store answers.
    pub registry_up: IntGauge,
    /// Sessions that an administrator ended, by what was named.
    pub kicks: IntCounterVec,
    /// Questions of other MTAs, by protocol and answer.
    pub lookups: IntCounterVec,
    /// Requests and connections refused on the admin side, by reason.
    pub admin_refusals: IntCounterVec,
    /// Always 1; which version runs is its label.
    pub build_info: IntGaugeVec,
}

impl Metrics {
    /// A fresh set in a registry of its own.
    ///
    /// # Errors
    /// Two metrics of one name: a mistake in this file, found by its test.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = Registry::new();
        // `process_cpu_seconds_total`, `process_open_fds`, … as every client library for Prometheus names them.
        r.register(Box::new(ProcessCollector::for_self()))?;
        let metrics = Self {
            connections: counters(
                &r,
                "connections_total",
                "Connections taken from a listening socket.",
                &["protocol"],
            )?,
            open: gauges(&r, "connections", "Client connections open now.", &["protocol"])?,
            relaying: gauges(&r, "sessions", "Sessions logged in and being relayed now.", &["protocol"])?,
            refusals: counters(&r, "refusals_total", "Connections refused at the gate.", &["protocol", "reason"])?,
            endings: counters(&r, "session_endings_total", "Sessions ended.", &["protocol", "ending"])?,
            logins: counters(&r, "logins_total", "Logins answered.", &["protocol", "answer"])?,
            login_seconds: seconds(&r, "login_seconds", "From a login's arrival to its answer.", &["protocol"])?,
            recipients: counters(&r, "recipients_total", "Recipients asked for on port 25.", &["verdict"])?,
            transactions: counters(&r, "transactions_total", "Transactions opened at a back-end.", &["outcome"])?,
            bytes: counters(
                &r,
                "relayed_bytes_total",
                "Bytes relayed; up is from the client.",
                &["protocol", "direction"],
            )?,
            tls_handshakes: counters(&r, "tls_handshakes_total", "TLS handshakes with clients.", &["outcome"])?,
            directory_answers: counters(&r, "directory_answers_total", "Answers of the directory.", &["answer"])?,
            directory_up: gauges(
                &r,
                "directory_up",
                "Whether a directory source answers, by its place in directory.sources, from 0.",
                &["source"],
            )?,
            directory_seconds: register(
                &r,
                Histogram::with_opts(histogram("directory_seconds", "One question to a directory source."))?,
            )?,
            directory_cached: gauge(&r, "directory_cached_users", "Users in the directory cache.")?,
            directory_cached_recipients: gauge(
                &r,
                "directory_cached_recipients",
                "Recipients in the directory cache.",
            )?,
            backend_connects: counters(
                &r,
                "backend_connects_total",
                "Connections to back-ends that sessions needed, by outcome.",
                &["server", "outcome"],
            )?,
            backend_up: gauges(
                &r,
                "backend_up",
                "Whether a back-end answered the last attempt; of the hosts that a pattern matches, whether all did.",
                &["server", "protocol"],
            )?,
            backend_open: gauge(&r, "backend_connections", "Connections to back-ends open now.")?,
            workers: gauge(&r, "workers", "Worker threads running now.")?,
            accept_errors: counter(
                &r,
                "accept_errors_total",
                "Errors of accept, running out of descriptors above all.",
            )?,
            panics: counter(&r, "panics_total", "Sessions ended by a panic.")?,
            reloads: counters(&r, "reloads_total", "Reloads.", &["outcome"])?,
            certificate_expiry: gauges(
                &r,
                "certificate_expiry_timestamp_seconds",
                "When a certificate that clients are shown expires, in seconds since 1970.",
                &["certificate"],
            )?,
            gate_addresses: gauge(&r, "gate_addresses", "Addresses in the tables of the gate.")?,
            windows: gauge(&r, "registry_windows", "Addresses whose window is open, as this gateway knows it.")?,
            records: counters(&r, "registry_records_total", "Logins that were to open a window.", &["outcome"])?,
            registry_writes: counters(
                &r,
                "registry_writes_total",
                "Addresses written to the registry's store.",
                &["outcome"],
            )?,
            registry_up: gauge(&r, "registry_up", "Whether the registry's store answers.")?,
            kicks: counters(&r, "kicks_total", "Sessions that an administrator ended.", &["by"])?,
            lookups: counters(&r, "lookups_total", "Questions of other MTAs.", &["protocol", "answer"])?,
            admin_refusals: counters(
                &r,
                "admin_refusals_total",
                "Requests and connections refused on the admin side.",
                &["reason"],
            )?,
            build_info: gauges(&r, "build_info", "Always 1; which version runs is its label.", &["version"])?,
            registry: r,
        };
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(metrics)
    }

    /// The exposition in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}

fn register<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: M,
) -> Result<M, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("portcullis")
}

fn histogram(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).namespace("portcullis").buckets(BUCKETS.to_vec())
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    register(registry, IntCounter::with_opts(opts(name, help))?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    register(registry, IntGauge::with_opts(opts(name, help))?)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(opts(name, help), labels)?)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    register(registry, IntGaugeVec::new(opts(name, help), labels)?)
}

fn seconds(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
    register(registry, HistogramVec::new(histogram(name, help), labels)?)
}

const BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_once_and_renders() {
        let metrics = Metrics::new().expect("no two metrics share a name");
        metrics.connections.with_label_values(&["imap"]).inc();
        let page = String::from_utf8(metrics.render().expect("renders")).expect("text");
        assert!(page.contains("portcullis_connections_total{protocol=\"imap\"} 1"), "{page}");
        let version = env!("CARGO_PKG_VERSION");
        assert!(page.contains(&format!("portcullis_build_info{{version=\"{version}\"}} 1")), "{page}");
    }
}
