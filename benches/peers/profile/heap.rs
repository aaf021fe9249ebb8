//! Where a session's bytes are: allocations that massif sees before and after a thousand sessions have come.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::massif::{Heap, Place};
use crate::gateways::{Gateway, Running, Site, find, output};
use crate::load::Held;
use crate::measure::{Bench, Scenario};

/// Markdown: bytes a session by the place that allocates them.
///
/// `watched` has the build that valgrind can watch; what a session takes is measured of the one that is used.
pub async fn look(
    scenario: &Scenario,
    peer: Gateway,
    silent: bool,
    lines: usize,
    bench: &Bench,
    watched: &Site,
) -> Result<String> {
    let (valgrind, vgdb) = (find("valgrind", "valgrind")?, find("vgdb", "valgrind")?);
    let folder = tempfile::Builder::new().prefix("peers-massif-").tempdir()?;
    let sessions = bench.effort.sessions;

    let wish = scenario.wish(0);
    let running = Running::start(peer, &wish, &bench.stage.site).await?;
    let way = bench.way(scenario, &running)?;
    let resident = bench.memory(silent, peer, &way, &running).await?;
    drop(running);

    let out = folder.path().join("massif.out").display().to_string();
    let under = [
        valgrind.display().to_string(),
        "--tool=massif".to_owned(),
        format!("--massif-out-file={out}"),
        // All of it: what is less than a byte a session is left out below.
        "--threshold=0.001".to_owned(),
        "--depth=60".to_owned(),
        "--fullpath-after=".to_owned(),
        "--detailed-freq=1000000".to_owned(),
    ];
    let wish = crate::gateways::Wish { under: under.to_vec(), ..scenario.wish(0) };
    let running = Running::start(peer, &wish, watched).await?;
    let way = bench.way(scenario, &running)?;
    let id = running.ids().first().copied().context("no process")?;
    let mut held = Held::default();
    let mut heaps = Vec::new();
    for count in [FIRST, FIRST + sessions] {
        held.grow(&way, silent, count).await?;
        sleep(SETTLED).await;
        let file = folder.path().join(format!("heap.{count}"));
        let said = output(
            &vgdb.display().to_string(),
            &[&format!("--pid={id}"), "detailed_snapshot", &file.display().to_string()],
        );
        ensure!(file.is_file(), "vgdb: {said}");
        heaps.push(Heap::read(&file)?);
    }
    let [before, after] = heaps.as_slice() else { unreachable!("two looks") };
    Ok(page(before, after, sessions as f64, resident, lines))
}

fn page(before: &Heap, after: &Heap, sessions: f64, resident: f64, lines: usize) -> String {
    let each = |after: u64, before: u64| (after as f64 - before as f64) / sessions;
    let (useful, extra) = (each(after.useful, before.useful), each(after.extra, before.extra));
    let rest = resident - useful;
    let mut page = format!(
        "A session takes {resident:.0} B of memory (proportional set size, {sessions:.0} sessions). {useful:.0} B were \
         asked for; the allocator's classes of size, pages and what logins gave back make {rest:+.0} B (glibc's heads and \
         rounding alone: {extra:+.0} B).\n\n| B a session | what | allocated by \
         |\n|---:|---|---|\n"
    );
    let mut grown: Vec<(&Place, f64)> = after
        .sites
        .iter()
        .map(|(site, bytes)| (site, each(*bytes, before.sites.get(site).copied().unwrap_or(0))))
        .filter(|(_, bytes)| bytes.abs() >= 0.5)
        .collect();
    grown.sort_by(|(site, more), (other, less)| less.total_cmp(more).then(site.cmp(other)));
    for (Place { what, by }, bytes) in grown.into_iter().take(lines) {
        let _ = writeln!(page, "| {bytes:.0} | `{what}` | {by} |");
    }
    page
}

/// Those who cause what is allocated once.
const FIRST: usize = 200;
const SETTLED: Duration = Duration::from_millis(1_500);
