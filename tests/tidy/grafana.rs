//! The dashboards and alerts against the metrics: none is forgotten, none is made up, and each says what it is about.

use std::collections::BTreeSet;

use serde_json::Value;

#[path = "../it/support/grafana.rs"]
mod reader;

use reader::{Query, list, word};

#[test]
fn every_metric_is_in_a_dashboard() {
    let shown: BTreeSet<String> =
        reader::panel_queries().iter().flat_map(|query| reader::series(&query.expr)).collect();
    let metrics = reader::metrics();
    let missing: Vec<&str> = metrics
        .iter()
        .filter(|metric| !shown.iter().any(|series| metric.has(series)))
        .map(|metric| metric.name.as_str())
        .collect();
    assert!(missing.is_empty(), "metrics of src/metrics.rs that no panel of grafana/dashboards shows: {missing:?}");
}

#[test]
fn every_panel_and_alert_asks_for_metrics_that_there_are() {
    let metrics = reader::metrics();
    let exists = |series: &str| series == "up" || metrics.iter().any(|metric| metric.has(series));
    let mut faults = Vec::new();
    for Query { of, expr } in reader::panel_queries().into_iter().chain(reader::alert_queries()) {
        faults.extend(reader::series(&expr).iter().filter(|name| !exists(name)).map(|name| format!("{of}: {name}")));
    }
    assert!(faults.is_empty(), "no such metrics:\n{}", faults.join("\n"));
}

#[test]
fn the_reader_of_queries_sees_every_series() {
    let expr = r#"sum by (le, portcullis) (rate(portcullis_a_bucket{b="c{d}"}[5m])) / on (e) f{g="h"} > up or j[1m]"#;
    let found: Vec<String> = reader::series(expr).into_iter().collect();
    assert_eq!(found, ["f", "j", "portcullis_a_bucket"]);
}

#[test]
fn every_panel_says_what_it_shows_and_stands_in_its_own_place() {
    let mut boards = BTreeSet::new();
    for (file, board) in reader::dashboards() {
        assert!(boards.insert(word(&board["uid"]).to_owned()), "{file}: a second board with this uid");
        word(&board["title"]);
        word(&board["description"]);
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in list(&board["panels"]) {
            let title = word(&panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {title}: a second panel with this id");
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(x + w <= 24, "{file}: {title} is beyond the right edge");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{file}: {title} lies on another panel");
            }
        }
        for panel in reader::panels(&board) {
            let title = word(&panel["title"]);
            assert!(word(&panel["description"]).ends_with('.'), "{file}: {title} has no description");
            word(&panel["fieldConfig"]["defaults"]["unit"]);
            for asked in list(&panel["targets"]).iter().chain([panel]) {
                assert_eq!(asked["datasource"]["uid"], "${datasource}", "{file}: {title}");
            }
        }
    }
}

#[test]
fn every_alert_is_the_same_for_prometheus_and_for_grafana_and_says_what_to_look_at() {
    let source = reader::yaml("datasources/prometheus.yaml")["datasources"][0]["uid"].clone();
    let text = std::fs::read_to_string(reader::folder("alerting/portcullis.yaml")).unwrap();
    assert!(!text.contains('$'), "Grafana puts environment variables in place of what follows a dollar sign");
    let grafana = reader::yaml("alerting/portcullis.yaml");
    let (ours, theirs) = (reader::alerts(), list(&grafana["groups"][0]["rules"]));
    let name = |rules: &[Value], key: &str| rules.iter().map(|rule| word(&rule[key]).to_owned()).collect::<Vec<_>>();
    assert_eq!(name(&ours, "alert"), name(theirs, "title"));
    assert_eq!(name(theirs, "uid").iter().collect::<BTreeSet<_>>().len(), theirs.len(), "uids");
    for (ours, theirs) in std::iter::zip(&ours, theirs) {
        let alert = word(&ours["alert"]);
        for key in ["for", "labels", "annotations"] {
            assert_eq!(ours[key], theirs[key], "{alert}: {key}");
        }
        let (query, condition) = (&theirs["data"][0], &theirs["data"][1]);
        assert_eq!(ours["expr"], query["model"]["expr"], "{alert}");
        assert_eq!(query["datasourceUid"], source, "{alert}");
        assert_eq!(condition["refId"], theirs["condition"], "{alert}");
        assert_eq!(condition["model"]["expression"], query["refId"], "{alert}");
        assert!(["critical", "warning"].contains(&word(&ours["labels"]["severity"])), "{alert}");
        assert!(word(&ours["annotations"]["summary"]).ends_with('.'), "{alert}");
        assert!(word(&ours["annotations"]["description"]).contains("ook "), "{alert} does not say what to look at");
    }
}
