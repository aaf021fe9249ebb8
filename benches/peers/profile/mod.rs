//! Where one gateway's CPU (`cpu`, `instructions`, and `blocks` for its allocations) or memory (`heap`) goes in one
//! scenario: the reasons behind a figure of the table.
//!
//! Its Markdown is printed and kept below the scenario's heading in PROFILES.md, fit for a table's "why".

mod areas;
mod blocks;
mod cpu;
mod heap;
mod instructions;
mod massif;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::gateways::{Gateway, Site, Slapd, Wish};
use crate::load::{Load, USERS, Work};
use crate::measure::{Bench, Effort, Kind, SCENARIOS, Scenario};
use crate::stage::{Stage, unless_ended};

/// Runs one gateway in a scenario's load, and says where its CPU goes (perf) and what
/// a login allocates (valgrind's DHAT) or, for idle and silent sessions, which
/// allocations they hold (valgrind's massif, twice: before and after most of them have come).
///
/// The section of that scenario in PROFILES.md beside the results is replaced.
#[derive(clap::Args)]
pub struct Arguments {
    /// By its whole name, such as login-plain, noop-tls, others-plain, silent-plain, idle-tls.
    scenario: String,
    /// Another gateway's CPU; without its symbols that says only which calls of the kernel it takes.
    #[arg(long, value_enum, default_value = "portcullis", value_name = "NAME")]
    peer: Gateway,
    /// Clients or sessions at once; otherwise the most that the scenario is measured with.
    #[arg(long)]
    clients: Option<usize>,
    /// Octets of a message in bulk; otherwise the most that the scenario is measured with.
    #[arg(long)]
    message: Option<u64>,
    /// Counts instructions (valgrind's callgrind) instead of taking samples: other programs do not disturb that.
    #[arg(long)]
    instructions: bool,
    /// How long samples are taken.
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// For memory: sessions between the first look and the second.
    #[arg(long, default_value_t = 1_000)]
    sessions: usize,
    /// Lines of the table of symbols or of allocations.
    #[arg(long, default_value_t = 40)]
    lines: usize,
    /// Another build of Portcullis, which needs its symbols.
    #[arg(long, overrides_with = "portcullis", default_value = env!("CARGO_BIN_EXE_portcullis"), hide_default_value = true)]
    portcullis: PathBuf,
    /// The same with the C library's allocator: valgrind sees no other.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_portcullis"), hide_default_value = true)]
    watched: PathBuf,
    /// Where the section goes instead; - for nowhere.
    #[arg(long, default_value = PROFILES, hide_default_value = true)]
    output: PathBuf,
}

/// Looks until it is done or interrupted.
pub async fn run(arguments: Arguments) -> Result<()> {
    unless_ended(profile(arguments)).await
}

async fn profile(arguments: Arguments) -> Result<()> {
    let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == arguments.scenario) else {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        bail!("no such scenario; there are {}", names.join(", "));
    };
    if let Some(reason) = scenario.cannot(arguments.peer) {
        bail!("{} {reason}", arguments.peer.name());
    }
    let effort = Effort { sessions: arguments.sessions, ..Effort::WHOLE };
    let bench = Bench { stage: Stage::set(arguments.portcullis.clone()).await?, effort };
    let watched = Site { portcullis: arguments.watched, ..bench.stage.site.clone() };
    let found = match scenario.kind {
        Kind::Memory { silent } => {
            heap::look(scenario, arguments.peer, silent, arguments.lines, &bench, &watched).await?
        }
        Kind::Cpu { .. } | Kind::Others { .. } => {
            let slapd = if scenario.asks_ldap() { Some(Slapd::start(USERS).await?) } else { None };
            let wish = scenario.wish(slapd.as_ref().map_or(0, |slapd| slapd.port));
            let (peer, lines, seconds) = (arguments.peer, arguments.lines, arguments.seconds);
            let load = load(scenario, arguments.clients, arguments.message)?;
            let look = Look { scenario, load, peer, seconds, lines, wish, bench: &bench };
            if arguments.instructions {
                instructions::look(&look, &watched).await?
            } else {
                let mut found = cpu::look(&look).await?;
                if load.work == Work::Login && peer == Gateway::Portcullis {
                    found += &blocks::look(scenario, peer, lines, look.wish, &bench, &watched).await?;
                }
                found
            }
        }
        Kind::Wait | Kind::Distant | Kind::Held | Kind::Who => {
            bail!("{} is nothing that goes on for a while; look at login-plain or login-tls", scenario.name)
        }
    };
    let mut heading = format!("## {}: {}, {}", scenario.name, scenario.title, arguments.peer.name());
    if let Some(clients) = arguments.clients {
        heading += &format!(", {clients} at once");
    }
    if let Some(message) = arguments.message {
        heading += &format!(", messages of {message} octets");
    }
    if arguments.instructions {
        heading += ", instructions";
    }
    let section = format!("{heading}\n\n{}\n", found.trim_end());
    println!("\n{section}");
    if arguments.output != Path::new("-") {
        let before = std::fs::read_to_string(&arguments.output).unwrap_or_else(|_| HEAD.to_owned());
        std::fs::write(&arguments.output, with_section(&before, &heading, &section))?;
    }
    Ok(())
}

/// What the views of CPU look at, and for how long.
struct Look<'a> {
    scenario: &'a Scenario,
    load: Load,
    peer: Gateway,
    seconds: f64,
    /// Of the table of functions.
    lines: usize,
    wish: Wish,
    bench: &'a Bench,
}

/// The largest that the scenario is measured with, or what was asked for.
fn load(scenario: &Scenario, clients: Option<usize>, message: Option<u64>) -> Result<Load> {
    let load = match scenario.kind {
        Kind::Cpu { sizes, .. } => sizes.last().map(|size| size.load),
        Kind::Others { load, .. } => Some(load),
        Kind::Wait | Kind::Distant | Kind::Memory { .. } | Kind::Held | Kind::Who => None,
    };
    let Some(load) = load else { bail!("{} is nothing that goes on for a while", scenario.name) };
    Ok(Load { clients: clients.unwrap_or(load.clients), message: message.unwrap_or(load.message), ..load })
}

/// The page with that section in the place of the one it had, or behind all others.
fn with_section(page: &str, heading: &str, section: &str) -> String {
    let mut parts: Vec<String> = page.split("\n## ").map(ToOwned::to_owned).collect();
    let own = format!("{}\n", section.trim_start_matches("## ").trim_end());
    let title = heading.trim_start_matches("## ");
    match parts.iter().skip(1).position(|part| part.lines().next() == Some(title)) {
        Some(at) => parts[at + 1] = own,
        None => parts.push(own),
    }
    parts.join("\n## ")
}

const PROFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/PROFILES.md");

const HEAD: &str =
    "# Where the CPU and the bytes go\n\nWritten by `benches/peers/run --profile SCENARIO`, one section each.\n";
