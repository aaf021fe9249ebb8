//! What the files of `grafana/` ask of Prometheus, and the metrics that the sources have: the rules of the house compare
//! the two, and a test runs every query.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A query of a panel or of an alert.
#[derive(Debug, Clone)]
pub struct Query {
    /// Whose: a file and a title.
    pub of: String,
    /// PromQL; Grafana's variables are still in it.
    pub expr: String,
}

/// A metric of `src/metrics.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// With its prefix, as in the exposition.
    pub name: String,
    /// A histogram is asked for by its series `_bucket`, `_sum` and `_count`.
    pub is_histogram: bool,
}

impl Metric {
    /// Whether this is a name of one of its series.
    pub fn has(&self, series: &str) -> bool {
        let suffix = series.strip_prefix(&self.name);
        if self.is_histogram { matches!(suffix, Some("_bucket" | "_sum" | "_count")) } else { suffix == Some("") }
    }
}

/// Every dashboard, by its file's name.
pub fn dashboards() -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = folder("dashboards").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() >= 4, "only {} dashboards", files.len());
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let board = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, board)
    };
    files.into_iter().map(read).collect()
}

/// The panels of a dashboard that show something; rows are headings.
pub fn panels(board: &Value) -> Vec<&Value> {
    let panels: Vec<&Value> = list(&board["panels"]).iter().filter(|panel| panel["type"] != "row").collect();
    assert!(panels.len() >= 5, "only {} panels", panels.len());
    panels
}

/// What all panels ask.
pub fn panel_queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (file, board) in dashboards() {
        for panel in panels(&board) {
            let of = format!("{file}: {}", word(&panel["title"]));
            let asked = list(&panel["targets"]).iter().map(|target| word(&target["expr"]));
            queries.extend(asked.map(|expr| Query { of: of.clone(), expr: expr.to_owned() }));
        }
    }
    queries
}

/// The alert rules for Prometheus, as written.
pub fn alerts() -> Vec<Value> {
    list(&yaml("prometheus-rules.yaml")["groups"][0]["rules"]).to_vec()
}

/// What all alerts ask.
pub fn alert_queries() -> Vec<Query> {
    let query = |rule: Value| Query { of: word(&rule["alert"]).to_owned(), expr: word(&rule["expr"]).to_owned() };
    alerts().into_iter().map(query).collect()
}

/// A YAML file of `grafana/`.
pub fn yaml(file: &str) -> Value {
    let text = std::fs::read_to_string(folder(file)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("grafana/{file}: {error}"))
}

/// `grafana/` and what is below it.
pub fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana").join(below)
}

/// A value that is a text, and not an empty one.
#[track_caller]
pub fn word(value: &Value) -> &str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{value} is no text"))
}

/// A value that is a list.
#[track_caller]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// The metrics that the text of `src/metrics.rs` registers.
pub fn metrics() -> Vec<Metric> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut metrics = Vec::new();
    for (call, is_histogram) in CALLS {
        for (at, _) in text.match_indices(call) {
            if text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
                continue;
            }
            let argument = text[at + call.len()..].trim_start();
            let argument = argument.strip_prefix("&r,").unwrap_or(argument).trim_start();
            let name = argument.strip_prefix('"').and_then(|rest| rest.split('"').next());
            metrics.extend(name.map(|name| Metric { name: format!("portcullis_{name}"), is_histogram }));
        }
    }
    let fields = text.lines().filter(|line| line.starts_with("    pub ") && line.contains(": "));
    let fields = fields.filter(|line| FIELDS.iter().any(|kind| line.contains(&format!(": {kind}")))).count();
    assert_eq!(
        metrics.len(),
        fields,
        "src/metrics.rs registers its metrics in a way that is not known here: {metrics:?}"
    );
    metrics.extend(PROCESS.map(|name| Metric { name: format!("process_{name}"), is_histogram: false }));
    metrics
}

/// What the collector of the process registers.
const PROCESS: [&str; 7] = [
    "cpu_seconds_total",
    "open_fds",
    "max_fds",
    "virtual_memory_bytes",
    "resident_memory_bytes",
    "start_time_seconds",
    "threads",
];

/// How `src/metrics.rs` registers.
const CALLS: [(&str, bool); 6] = [
    ("counter(", false),
    ("counters(", false),
    ("gauge(", false),
    ("gauges(", false),
    ("seconds(", true),
    ("histogram(", true),
];

/// What a metric is kept in there.
const FIELDS: [&str; 3] = ["IntCounter", "IntGauge", "Histogram"];

/// The names of the series that a query selects: what is ours by its prefix, and all that is followed by labels or a
/// range.
pub fn series(expr: &str) -> BTreeSet<String> {
    let bare: String = expr.split('"').step_by(2).collect();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let mut found = BTreeSet::new();
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(is_part) {
        let end = rest[start..].find(|letter| !is_part(letter)).map_or(rest.len(), |length| start + length);
        let (name, behind) = (&rest[start..end], &rest[end..]);
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_name && (name.starts_with("portcullis_") || behind.starts_with(['{', '['])) {
            found.insert(name.to_owned());
        }
        rest = behind;
    }
    assert!(!found.is_empty(), "{expr} selects nothing");
    found
}
