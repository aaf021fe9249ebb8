//! How many allocations a login takes, and which lines ask for them: valgrind's DHAT counts.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::massif::{Frame, Place, place};
use crate::gateways::{Gateway, Running, Site, Wish, find};
use crate::load::Round;
use crate::measure::{Bench, Scenario};

/// Markdown: allocations a login by place; `watched` has the build that valgrind can watch.
pub async fn look(
    scenario: &Scenario,
    peer: Gateway,
    lines: usize,
    wish: Wish,
    bench: &Bench,
    watched: &Site,
) -> Result<String> {
    let folder = tempfile::Builder::new().prefix("peers-dhat-").tempdir()?;
    let out = folder.path().join("dhat.out");
    let under = [
        find("valgrind", "valgrind")?.display().to_string(),
        "--tool=dhat".to_owned(),
        format!("--dhat-out-file={}", out.display()),
        "--num-callers=40".to_owned(),
        "--fullpath-after=".to_owned(),
    ];
    let mut running = Running::start(peer, &Wish { under: under.to_vec(), ..wish }, watched).await?;
    let way = bench.way(scenario, &running)?;
    let logins = Round::of_logins(&way, FEW, TIME).await?.operations;
    running.end().await?;
    page(&out, logins as f64, lines)
}

fn page(file: &Path, logins: f64, lines: usize) -> Result<String> {
    let text = std::fs::read_to_string(file).context("DHAT has written nothing")?;
    let found: Value = serde_json::from_str(&text)?;
    let frames: Vec<Frame> = found["ftbl"]
        .as_array()
        .context("DHAT's frames")?
        .iter()
        .map(|frame| Frame::of(frame.as_str().and_then(|text| text.split_once(": ")).map_or("", |(_, frame)| frame)))
        .collect();
    let mut sums: HashMap<Place, (f64, f64)> = HashMap::new();
    for point in found["pps"].as_array().context("DHAT's points")? {
        let stack = point["fs"].as_array().context("a stack")?.iter().filter_map(Value::as_u64);
        let stack: Vec<Frame> = stack.filter_map(|at| frames.get(usize::try_from(at).ok()?).copied()).collect();
        let sum = sums.entry(place(&stack)).or_default();
        sum.0 += point["tbk"].as_f64().unwrap_or(0.0);
        sum.1 += point["tb"].as_f64().unwrap_or(0.0);
    }
    // What happens once, at the start, is less than that for each of so many.
    let mut often: Vec<(Place, f64, f64)> =
        sums.into_iter().map(|(site, (blocks, bytes))| (site, blocks / logins, bytes / blocks)).collect();
    often.retain(|(_, each, _)| *each >= 0.5);
    often.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    ensure!(!often.is_empty(), "DHAT saw no allocation of a login");
    let all: f64 = often.iter().map(|(_, each, _)| each).sum();
    let bytes: f64 = often.iter().map(|(_, each, size)| each * size).sum();
    let mut page = format!(
        "\nA login allocates {all:.0} times, {bytes:.0} B in all ({logins:.0} logins).\n\n| times | B each | what | by \
         |\n|---:|---:|---|---|\n"
    );
    for (Place { what, by }, each, size) in often.into_iter().take(lines) {
        let _ = writeln!(page, "| {each:.1} | {size:.0} | `{what}` | {by} |");
    }
    Ok(page)
}

const FEW: usize = 16;
const TIME: Duration = Duration::from_secs(10);
