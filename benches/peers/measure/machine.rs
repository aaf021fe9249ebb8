//! Where and with what the figures were taken; nothing that names the machine.

use std::fs::read_to_string;

use crate::gateways::{cpus, output};

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
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let cpus = cpus();
    vec![
        format!(
            "Machine: {cpus} CPUs ({model}), {memory} GiB, Linux {}; load average at the start {load}.",
            output("uname", &["-r"])
        ),
        format!("Portcullis {} built by {}, release.", env!("CARGO_PKG_VERSION"), output("rustc", &["--version"])),
        format!("Debian packages: {}.", PACKAGES.map(|name| format!("{name} {}", version(name))).join(", ")),
        if cpus > 1 {
            "The gateway has one CPU for itself, load and sink have another.".to_owned()
        } else {
            "There is one CPU for all: nothing could be pinned apart.".to_owned()
        },
    ]
}

fn version(package: &str) -> String {
    output("dpkg-query", &["-W", "-f", "${Version}", package])
}

const PACKAGES: [&str; 6] = ["nginx", "haproxy", "dovecot-core", "perdition", "slapd", "libssl3"];
