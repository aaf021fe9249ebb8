//! Where and with what the figures were taken; nothing that names the machine.

use std::fs::read_to_string;

use std::time::Instant;

use crate::gateways::{cpu_of, cpus, output};

/// Lines for the table's head.
pub fn facts() -> Vec<String> {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        meminfo.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) >> 20;
    let cpus = cpus();
    vec![
        format!("Machine: {cpus} CPUs ({model}), {memory} GiB, Linux {}.", output("uname", &["-r"])),
        format!("Portcullis {} built by {}, release.", env!("CARGO_PKG_VERSION"), output("rustc", &["--version"])),
        format!("Debian packages: {}.", PACKAGES.map(|name| format!("{name} {}", version(name))).join(", ")),
        if cpus > 1 {
            "The gateway has one CPU for itself, load and sink have another.".to_owned()
        } else {
            "There is one CPU for all: nothing could be pinned apart.".to_owned()
        },
    ]
}

/// What other programs do meanwhile: they share caches, and perhaps the CPUs.
pub struct Others {
    since: Instant,
    busy: f64,
    own: f64,
}

impl Others {
    pub fn watch() -> Self {
        Self { since: Instant::now(), busy: busy(), own: cpu_of(std::process::id()) }
    }

    /// Their share of all CPUs since then, in percent.
    pub fn share(&self) -> f64 {
        let theirs = (busy() - self.busy) - (cpu_of(std::process::id()) - self.own);
        100.0 * theirs.max(0.0) / (self.since.elapsed().as_secs_f64() * cpus() as f64)
    }
}

/// Seconds that all CPUs together have worked: user, nice, system, irq and softirq of proc(5).
fn busy() -> f64 {
    let stat = read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).flat_map(str::parse).collect();
    let ticks: u64 = [0, 1, 2, 5, 6].iter().filter_map(|&at| fields.get(at)).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn version(package: &str) -> String {
    output("dpkg-query", &["-W", "-f", "${Version}", package])
}

const PACKAGES: [&str; 6] = ["nginx", "haproxy", "dovecot-core", "perdition", "slapd", "libssl3"];
