//! How many instructions an operation takes: valgrind's callgrind counts those of the program, not the kernel's, and
//! counts the same whatever else the machine does.

use std::collections::HashMap;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Look;
use super::cpu::readable;
use crate::gateways::{Running, Site, Wish, find};
use crate::load::{Crew, Round, Work};

/// Markdown: instructions of an operation, in all and by function: what a long run takes more than a short one.
///
/// `watched` has the build whose allocator is the C library's, as in the other views by valgrind.
pub async fn look(look: &Look<'_>, watched: &Site) -> Result<String> {
    let (before, few) = count(look, watched, look.seconds / 4.0).await?;
    let (mut found, many) = count(look, watched, look.seconds).await?;
    ensure!(many.operations > few.operations, "the longer run did less than the short one: the machine is too busy");
    found.subtract(&before);
    let (unit, count) = match look.load.work {
        Work::Download | Work::Upload => ("of a megabyte", (many.octets - few.octets) as f64 / 1e6),
        Work::Login | Work::Noop => ("each", (many.operations - few.operations) as f64),
    };
    let mut page = format!(
        "{:.0} instructions of the program {unit} (callgrind, {} operations; the kernel's are not counted).\n\n\
         | share | instructions | function |\n|---:|---:|---|\n",
        found.all as f64 / count,
        many.operations - few.operations,
    );
    let mut sorted: Vec<(String, i64)> = found.functions.into_iter().collect();
    sorted.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
    for (function, instructions) in sorted.into_iter().take(look.lines) {
        let share = instructions as f64 / found.all as f64 * 100.0;
        let _ = writeln!(page, "| {share:.1} % | {:.1} | `{function}` |", instructions as f64 / count);
    }
    Ok(page)
}

/// What a gateway takes from its start to its end, with so much work between.
async fn count(look: &Look<'_>, watched: &Site, seconds: f64) -> Result<(Found, Round)> {
    let folder = tempfile::Builder::new().prefix("peers-callgrind-").tempdir()?;
    // nginx's worker, which runs as a user of its own, writes there too.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777))?;
    let under = [
        find("valgrind", "valgrind")?.display().to_string(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}/out.%p", folder.path().display()),
    ];
    let wish = Wish { under: under.to_vec(), ..look.wish.clone() };
    let mut running = Running::start(look.peer, &wish, watched).await?;
    let way = look.bench.way(look.scenario, &running)?;
    // What is done once has been done; more of it under valgrind would only take time.
    Round::of_logins(&way, look.load.clients, WARM_UP).await?;
    let mut crew = Crew::assemble(look.load, &way).await?;
    let round = crew.work(Duration::from_secs_f64(seconds)).await?;
    crew.leave().await?;
    running.end().await?;
    Ok((Found::of(folder.path())?, round))
}

#[derive(Default)]
struct Found {
    all: i64,
    functions: HashMap<String, i64>,
}

impl Found {
    /// Of what callgrind_annotate(1) says: `1,234  file:function [object]`.
    fn of(folder: &Path) -> Result<Self> {
        let mut found = Self::default();
        // One of each process.
        for file in std::fs::read_dir(folder)? {
            let said = Command::new(find("callgrind_annotate", "valgrind")?)
                .args(["--threshold=99.9", "--show-percs=no", "--auto=no"])
                .arg(file?.path())
                .output()
                .context("callgrind_annotate")?;
            let text = String::from_utf8_lossy(&said.stdout);
            for line in text.lines() {
                let Some((number, what)) = line.trim_start().split_once(' ') else { continue };
                let Ok(number) = number.replace(',', "").parse::<i64>() else { continue };
                match what.trim() {
                    "PROGRAM TOTALS" => found.all += number,
                    what => *found.functions.entry(function(what)).or_default() += number,
                }
            }
        }
        ensure!(found.all > 0, "callgrind_annotate says nothing");
        Ok(found)
    }

    fn subtract(&mut self, other: &Self) {
        self.all -= other.all;
        for (function, instructions) in &other.functions {
            *self.functions.entry(function.clone()).or_default() -= instructions;
        }
    }
}

/// Without the file in front and the object behind.
fn function(what: &str) -> String {
    let what = what.rsplit_once(" [").map_or(what, |(function, _)| function);
    let what = what.split_once(':').filter(|(_, name)| !name.starts_with(':')).map_or(what, |(_, name)| name);
    readable(what.trim_end_matches("'2")).replace('|', "\\|")
}

const WARM_UP: Duration = Duration::from_secs(1);
