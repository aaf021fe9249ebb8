//! The figures as a page: medians, ratios, targets, and what could not be measured.

use std::fmt::Write;

use super::machine::{Others, facts};
use super::sample::{Bench, CLIENTS, FEW, STREAMS};
use super::scenarios::{Row, Scenario, Target, Unit};
use super::{Cell, Cells};
use crate::gateways::Gateway;

/// The whole page; `left` are the scenarios that are still to be measured.
pub fn render(
    results: &[(&Scenario, Cells)],
    left: &[&str],
    peers: &[Gateway],
    bench: &Bench,
    others: &Others,
    quick: bool,
) -> String {
    let mut page = String::from("# Portcullis beside its peers\n\nWritten by `benches/peers/run`.\n\n");
    if quick {
        page += "**A quick run: a smoke test, not figures.**\n\n";
    }
    if !left.is_empty() {
        let _ = writeln!(page, "**Cut short. Not measured: {}.**\n", left.join(", "));
    }
    for line in facts() {
        let _ = writeln!(page, "- {line}");
    }
    let _ = writeln!(page, "- Other programs used {:.0} % of all CPUs meanwhile.", others.share());
    let effort = &bench.effort;
    let _ = writeln!(
        page,
        "- {} rounds of {} s ({} on fresh processes for memory and sessions held), interleaved. A cell is the median of \
         the rounds; in brackets ours divided by theirs (median of the rounds' ratios).\n\
         - CPU: user and system time of the gateway's processes. nginx's auth server and slapd are not counted; nobody \
         writes a line of log for a session (Dovecot cannot be told so: it logs to /dev/null). {CLIENTS} clients at once where no number is said, {STREAMS} in bulk, {FEW} where the wait is the figure.\n\
         - Each peer is set up as its manual advises whoever wants speed; the files under `startup/` say how.\n\
         - Memory: growth of proportional set size for {} sessions (Perdition {}) after the first 200 (5).\n\
         - TLS: 1.3, X25519 (Perdition knows P-256 only), AES-128-GCM, ECDSA P-256.\n\
         - Sessions held: {} of the 9,000 wanted; others on: {} of 5,000 (two gateways side by side, with them and \
         without). A process may have {} descriptors here.\n",
        effort.rounds,
        effort.time.as_secs_f64(),
        effort.fresh_rounds,
        effort.sessions,
        effort.sessions / 40,
        bench.held_in_all(),
        bench.others(),
        bench.stage.descriptors,
    );
    page += "| scenario | |";
    for peer in peers {
        let _ = write!(page, " {} |", peer.name());
    }
    page += " target | |\n|---|---|";
    page += &"---|".repeat(peers.len() + 2);
    page.push('\n');
    for (scenario, cells) in results {
        for (at, row) in scenario.rows().iter().enumerate() {
            line(&mut page, scenario, row, at, cells, peers);
        }
    }
    reasons(&mut page, results);
    if page.contains("**missed") {
        page += "\nWhere the CPU and the bytes of what is missed go: [PROFILES.md](PROFILES.md), written by \
                 `benches/peers/run --profile SCENARIO`.\n";
    }
    page
}

fn line(page: &mut String, scenario: &Scenario, row: &Row, at: usize, cells: &Cells, peers: &[Gateway]) {
    let _ = write!(page, "| {} | {} |", scenario.title, row.what);
    let ours = column(cells, Gateway::Portcullis, at);
    for &peer in peers {
        let theirs = column(cells, peer, at);
        let _ = match (median_of(&theirs), ratio(&ours, &theirs)) {
            (None, _) => write!(page, " – |"),
            (Some(figure), Some(ratio)) if peer != Gateway::Portcullis => {
                write!(page, " {} ({ratio:.2}) |", shown(figure, row.unit))
            }
            (Some(figure), _) => write!(page, " {} |", shown(figure, row.unit)),
        };
    }
    let (target, reached) = match row.target {
        Target::Unset => (String::new(), None),
        Target::AtMost(most) => (format!("≤ {}", shown(most, row.unit)), median_of(&ours).map(|figure| figure / most)),
        Target::Of(peer, share) => {
            let reached = ratio(&ours, &column(cells, peer, at)).map(|ratio| ratio / share);
            (format!("≤ {share:.2} × {}", peer.name()), reached)
        }
    };
    let verdict = match reached {
        Some(share) if share <= 1.0 => "met".to_owned(),
        Some(share) if share < 1.01 => "**missed by less than 1 %**".to_owned(),
        Some(share) => format!("**missed by {:.0} %**", (share - 1.0) * 100.0),
        None => String::new(),
    };
    let _ = writeln!(page, " {target} | {verdict} |");
}

/// Why a cell is empty.
fn reasons(page: &mut String, results: &[(&Scenario, Cells)]) {
    let mut lines = Vec::new();
    for (scenario, cells) in results {
        for (peer, cell) in cells {
            if let Err(reason) = cell
                && !reason.is_empty()
            {
                lines.push(format!("- {peer}, {}: {reason}", scenario.title));
            }
        }
    }
    if !lines.is_empty() {
        let _ = write!(page, "\nWhy there is no figure (–):\n\n{}\n", lines.join("\n"));
    }
}

fn column(cells: &Cells, peer: Gateway, at: usize) -> Vec<f64> {
    match cells.get(peer.name()) {
        Some(Cell::Ok(rounds)) => rounds.iter().map(|figures| figures[at]).collect(),
        _ => Vec::new(),
    }
}

fn ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(our, their)| our / their).collect();
    median_of(&ratios)
}

fn median_of(figures: &[f64]) -> Option<f64> {
    (!figures.is_empty()).then(|| median(figures))
}

/// The middle one, or what lies between the two middle ones.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

fn shown(figure: f64, unit: Unit) -> String {
    match unit {
        Unit::Microseconds if figure < 30.0 => format!("{figure:.1} µs"),
        Unit::Microseconds => format!("{figure:.0} µs"),
        Unit::Milliseconds if figure < 30.0 => format!("{figure:.2} ms"),
        Unit::Milliseconds => format!("{figure:.0} ms"),
        Unit::SecondsPerGigabyte => format!("{figure:.2} s/GB"),
        Unit::Bytes => format!("{figure:.0} B"),
        Unit::Times => format!("{figure:.2}"),
    }
}
