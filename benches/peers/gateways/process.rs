//! A server of a run: its processes, what they use, and their end.

use std::fs::{File, read_to_string};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::thread::{CpuSet, sched_getaffinity};

/// Which CPU does what: the first two that there are for us, or one for all.
pub mod pinned {
    pub fn gateway() -> usize {
        super::CPUS.first().copied().unwrap_or(0)
    }

    pub fn load() -> usize {
        super::CPUS.get(1).copied().unwrap_or_else(gateway)
    }
}

/// A started program and all that descends from it. Dropping it ends them all.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it in `folder`, with a log there, on one CPU (if there is more than one).
    pub fn start(program: &Path, arguments: &[String], folder: &Path, cpu: usize) -> Result<Self> {
        let log = folder.join(format!("output.{}", arguments.len()));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(find("taskset", "util-linux")?);
        command.arg("--cpu-list").arg(cpu.to_string());
        // Should this process be killed, its children are told.
        command.arg(find("setpriv", "util-linux")?).args(["--pdeathsig", "TERM", "--"]).arg(program).args(arguments);
        command.current_dir(folder).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = command.spawn().with_context(|| program.display().to_string())?;
        Ok(Self { child, log })
    }

    /// Fails, with its log, when it has ended.
    pub fn lives(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("ended at its start ({status}): {}", self.log());
        }
        Ok(())
    }

    pub fn is_told_to_end(&self) {
        if let Some(id) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(id, Signal::TERM);
        }
    }

    /// Waits until it has ended, well or not.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("does not end: {}", self.log())
    }

    /// The last of what it has printed.
    pub fn log(&self) -> String {
        let log = read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }

    /// It and all that descends from it.
    pub fn ids(&self) -> Vec<u32> {
        tree(self.child.id())
    }

    /// Seconds of user and system time of the whole tree, with its dead.
    pub fn cpu(&self) -> f64 {
        cpu_of(self.child.id())
    }

    /// Bytes of proportional set size of the whole tree.
    pub fn memory(&self) -> f64 {
        let kilobytes: u64 = tree(self.child.id()).into_iter().filter_map(proportional_set_size).sum();
        kilobytes as f64 * 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(group) = Pid::from_raw(self.child.id().cast_signed()) else { return };
        if matches!(self.child.try_wait(), Ok(None)) {
            self.is_told_to_end();
        }
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Workers that would finish their sessions first are not waited for.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Seconds of user and system time of a process and all that descends from it, with those that have ended.
pub fn cpu_of(id: u32) -> f64 {
    tree(id).into_iter().filter_map(seconds).sum()
}

/// The kernel tells ticks of all threads, dead ones too, and nanoseconds of those that live: each is short of the truth,
/// by up to two ticks a process in one case, by the dead in the other.
fn seconds(id: u32) -> Option<f64> {
    let [user, system, dead_user, dead_system] = ticks(id)?;
    let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
    let own = ((user + system) as f64 * tick).max(nanoseconds(id) as f64 / 1e9);
    Some(own + (dead_user + dead_system) as f64 * tick)
}

/// The first field of each thread's schedstat.
fn nanoseconds(id: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else { return 0 };
    let of = |task: std::fs::DirEntry| {
        let counted = read_to_string(task.path().join("schedstat")).unwrap_or_default();
        counted.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.flatten().map(of).sum()
}

fn tree(root: u32) -> Vec<u32> {
    let mut tree = vec![root];
    let mut at = 0;
    while at < tree.len() {
        tree.extend(children(tree[at]));
        at += 1;
    }
    tree
}

fn children(id: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    let of = |task: std::fs::DirEntry| read_to_string(task.path().join("children")).unwrap_or_default();
    let all: Vec<String> = tasks.flatten().map(of).collect();
    all.iter().flat_map(|line| line.split_whitespace()).filter_map(|id| id.parse().ok()).collect()
}

/// utime, stime, cutime and cstime: fields 14 to 17 of proc(5), counted behind the name, which may contain anything.
fn ticks(id: u32) -> Option<[u64; 4]> {
    let stat = read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<u64> = fields.split(' ').skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    fields.try_into().ok()
}

fn proportional_set_size(id: u32) -> Option<u64> {
    let rollup = read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// How many CPUs there are for us.
pub fn cpus() -> usize {
    CPUS.len()
}

/// Those of this process as it was started; later it is pinned to one of them.
static CPUS: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let allowed = sched_getaffinity(None);
    allowed.map_or_else(|_| vec![0], |set| (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
});

/// Where a program lies; servers lie where an ordinary user's PATH does not look.
pub fn find(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"])
        .map(|folder| Path::new(folder).join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("{program} is missing: install {package}"))
}

/// What a short program says, on either of its outputs; nothing when there is none.
pub fn output(program: &str, arguments: &[&str]) -> String {
    let Ok(done) = Command::new(program).args(arguments).output() else { return String::new() };
    let said = [done.stdout, done.stderr].concat();
    String::from_utf8_lossy(&said).trim().to_owned()
}
