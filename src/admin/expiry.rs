//! When the certificates expire that clients are shown, as the metric has it.

use prometheus::core::Collector;

use crate::metrics::Metrics;

/// Their files, and the last second in which each is valid, since 1970.
pub(super) fn expiries(metrics: &Metrics) -> Vec<(String, i64)> {
    let families = metrics.certificate_expiry.collect();
    let series = families.iter().flat_map(|family| family.get_metric());
    let expiry = series.filter_map(|one| Some((one.get_label().first()?.value().to_owned(), one.get_gauge())));
    expiry.map(|(file, gauge)| (file, gauge.get_value() as i64)).collect()
}
