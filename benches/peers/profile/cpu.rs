//! Where the CPU goes: samples of perf(1), summed by area and by symbol.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

use super::Look;
use super::areas::{Place, area};
use crate::gateways::{Process, Running, find, output, pinned};
use crate::load::{Crew, Work};
use crate::measure::Crowd;

/// Markdown: areas, then symbols.
pub async fn look(look: &Look<'_>) -> Result<String> {
    let &Look { scenario, load, peer, seconds, lines, ref wish, bench } = look;
    let perf = find("perf", "linux-perf")?;
    may_look()?;
    let (running, way, _held) = if scenario.has_others() {
        Crowd::gather(scenario, peer, wish, bench).await?.into_parts()
    } else {
        let running = Running::start(peer, wish, &bench.stage.site).await?;
        let way = bench.way(scenario, &running)?;
        bench.warm_up(&way).await?;
        (running, way, Default::default())
    };

    let folder = tempfile::Builder::new().prefix("peers-perf-").tempdir()?;
    let data = folder.path().join("data").display().to_string();
    let event = event(&perf);
    let ids: Vec<String> = running.ids().iter().map(ToString::to_string).collect();
    let mut crew = Crew::assemble(load, &way).await?;
    // Kernel stacks say which call a sample is in; of user code the innermost function is enough.
    let arguments = ["record", "-q", "-e", event, "-F", FREQUENCY, "-g", "-o", &data, "-p"];
    let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    arguments.extend([ids.join(","), "--".to_owned(), "sleep".to_owned(), seconds.to_string()]);
    let mut recorder = Process::start(&perf, &arguments, folder.path(), pinned::load())?;
    let before = running.cpu();
    // perf takes a moment to begin; it has to end first.
    let round = crew.work(Duration::from_secs_f64(seconds + 1.0)).await?;
    let used = running.cpu() - before;
    crew.leave().await?;
    let status = recorder.ended().await.context("perf")?;
    ensure!(status.success(), "perf: {status}: {}", recorder.log());

    let script = Command::new(&perf).args(["script", "-i", &data, "-F", "ip,sym,dso"]).output()?;
    let text = String::from_utf8_lossy(&script.stdout);
    let (unit, count) = match load.work {
        Work::Download | Work::Upload => ("s/GB", round.octets as f64 / 1e9),
        Work::Login | Work::Noop => ("µs", round.operations as f64 / 1e6),
    };
    let sums = Sums::of(&text);
    ensure!(sums.samples > 0, "perf has taken no sample: {}", recorder.log());
    let per = used / count;
    let mut page = format!(
        "{} samples of `{event}` in {seconds} s; {per:.3} {unit} each in all (while perf looks). {}.\n\n",
        sums.samples,
        kernel()
    );
    table(&mut page, &["area", unit], &sums.areas, usize::MAX, sums.samples, per);
    page.push('\n');
    table(&mut page, &["function", unit], &sums.symbols, lines, sums.samples, per);
    Ok(page)
}

#[derive(Default)]
struct Sums {
    samples: u64,
    areas: HashMap<String, u64>,
    symbols: HashMap<String, u64>,
}

impl Sums {
    /// Of what `perf script` says: a stack is lines, and an empty one ends it.
    fn of(text: &str) -> Self {
        let mut sums = Self::default();
        for block in text.split("\n\n") {
            let stack: Vec<Place> = block.lines().filter_map(place).collect();
            let Some(inner) = stack.first() else { continue };
            sums.samples += 1;
            *sums.areas.entry(area(&stack)).or_default() += 1;
            let whose = if inner.is_kernel() { "kernel" } else { file_name(inner.file) };
            *sums.symbols.entry(format!("{whose}: `{}`", readable(inner.symbol))).or_default() += 1;
        }
        sums
    }
}

/// `    ffffffff816d0840 step_into ([kernel.kallsyms])`
fn place(line: &str) -> Option<Place<'_>> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (symbol, file) = rest.rsplit_once(" (")?;
    Some(Place { symbol: symbol.trim(), file: file.trim_end_matches(')') })
}

fn file_name(file: &str) -> &str {
    Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or(file)
}

/// Without the hash behind a symbol.
pub(super) fn readable(symbol: &str) -> &str {
    match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => symbol,
    }
}

fn table(page: &mut String, heads: &[&str; 2], sums: &HashMap<String, u64>, lines: usize, all: u64, per: f64) {
    let _ = writeln!(page, "| share | {} | {} |\n|---:|---:|---|", heads[1], heads[0]);
    let mut sorted: Vec<(&String, &u64)> = sums.iter().collect();
    sorted.sort_by(|(one, more), (other, less)| less.cmp(more).then(one.cmp(other)));
    for (name, count) in sorted.into_iter().take(lines) {
        let share = *count as f64 / all as f64;
        let _ = writeln!(page, "| {:.1} % | {:.2} | {} |", share * 100.0, share * per, name.replace('|', "\\|"));
    }
}

/// Most of the time is the kernel's, whose functions only root is told unless the machine's owner says otherwise.
fn may_look() -> Result<()> {
    let setting = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().parse::<i32>().unwrap_or(0)
    };
    let may = geteuid().is_root() || (setting("perf_event_paranoid") < 2 && setting("kptr_restrict") == 0);
    ensure!(
        may,
        "perf may not look into the kernel: be root, or sysctl kernel.perf_event_paranoid=1 kernel.kptr_restrict=0"
    );
    Ok(())
}

/// Cycles where the machine lets them be counted; virtual machines often do not.
fn event(perf: &Path) -> &'static str {
    let tried = output(&perf.display().to_string(), &["stat", "-x,", "-e", "cycles", "true"]);
    let counts = tried.lines().any(|line| line.split(',').next().is_some_and(|count| count.parse::<u64>().is_ok()));
    if counts { "cycles" } else { "cpu-clock" }
}

fn kernel() -> String {
    format!("Linux {}", output("uname", &["-r"]))
}

/// Samples a second: odd, so that nothing that beats is met at the same point always.
const FREQUENCY: &str = "1999";
