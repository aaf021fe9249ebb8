//! The whole run: what is measured (`scenarios`, `list`), once (`sample`), for everybody in turns (here), and shown (`table`).

mod crowd;
mod list;
mod machine;
mod sample;
mod scenarios;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::time::timeout;

use crate::gateways::{Gateway, Running, Slapd, Wish};
use crate::load::{SharedWay, USERS};
use crate::stage::{Stage, unless_ended};
pub use crowd::Crowd;
pub use list::SCENARIOS;
pub use sample::{Bench, Effort};
pub use scenarios::{Kind, Scenario};

#[derive(clap::Args)]
pub struct Arguments {
    /// Few and short rounds: whether everything works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Only the scenarios whose name begins so, such as login-plain, ldap, noop, download, upload, wait, distant, idle,
    /// silent, held; may be given several times.
    #[arg(long, value_name = "SCENARIO")]
    only: Vec<String>,
    /// Only these gateways.
    #[arg(long = "peer", value_enum, value_name = "NAME")]
    peers: Vec<Gateway>,
    /// Another build of Portcullis.
    #[arg(long, overrides_with = "portcullis", default_value = env!("CARGO_BIN_EXE_portcullis"), hide_default_value = true)]
    portcullis: PathBuf,
    /// Where the table goes; otherwise benches/peers/RESULTS.md if everything was measured, else nowhere.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Measures until it is done or interrupted.
pub async fn run(arguments: Arguments) -> Result<()> {
    unless_ended(measure(arguments)).await
}

/// A figure for each row of a scenario; or why there is none.
pub type Cell = std::result::Result<Vec<Vec<f64>>, String>;
/// Of each gateway.
pub type Cells = BTreeMap<&'static str, Cell>;

async fn measure(arguments: Arguments) -> Result<()> {
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(|scenario| is_chosen(scenario, &arguments.only)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        bail!("no such scenario; there are {}", names.join(", "));
    }
    let peers = if arguments.peers.is_empty() { Gateway::ALL.to_vec() } else { arguments.peers.clone() };
    let effort = if arguments.quick { Effort::QUICK } else { Effort::WHOLE };
    let others = machine::Others::watch();
    let bench = Bench { stage: Stage::set(arguments.portcullis).await?, effort };

    let is_whole = !arguments.quick && arguments.only.is_empty() && arguments.peers.is_empty();
    let file = arguments.output.or_else(|| is_whole.then(|| PathBuf::from(RESULTS)));
    let mut results = Vec::new();
    let mut text = String::new();
    for (at, scenario) in chosen.iter().enumerate() {
        println!("\n{}", scenario.title);
        results.push((*scenario, rounds(scenario, &peers, &bench).await?));
        let left: Vec<&str> = chosen.iter().skip(at + 1).map(|scenario| scenario.name).collect();
        text = table::render(&results, &left, &peers, &bench, &others, arguments.quick);
        // After each, so that an interrupted run has not been for nothing.
        if let Some(file) = &file {
            std::fs::write(file, &text)?;
        }
    }
    println!("\n{text}");
    Ok(())
}

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/RESULTS.md");

fn is_chosen(scenario: &Scenario, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|name| scenario.name.starts_with(name.as_str()))
}

/// Every round has everybody's turn in it, so that a slow minute of the machine is slow for all.
async fn rounds(scenario: &Scenario, peers: &[Gateway], bench: &Bench) -> Result<Cells> {
    let slapd = match scenario.asks_ldap().then(|| Slapd::start(USERS)) {
        Some(starts) => match starts.await {
            Ok(slapd) => Some(slapd),
            Err(error) => return Ok(none_of(peers, &format!("slapd: {error:#}"))),
        },
        None => None,
    };
    let wish = scenario.wish(slapd.as_ref().map_or(0, |slapd| slapd.port));
    let mut cells = Cells::new();
    let mut turns = Vec::new();
    for &peer in peers {
        match scenario.cannot(peer) {
            Some(reason) => drop(cells.insert(peer.name(), Err(reason.to_owned()))),
            None => turns.push((peer, None)),
        }
    }
    for round in 0..scenario.rounds(&bench.effort) {
        for (peer, ready) in &mut turns {
            if matches!(cells.get(peer.name()), Some(Err(_))) {
                continue;
            }
            if scenario.is_fresh() {
                *ready = None;
            }
            let patiently = timeout(PATIENCE, turn(scenario, *peer, ready, &wish, bench)).await;
            match patiently.unwrap_or_else(|_| Err(anyhow!("hangs: no end of a round in {} s", PATIENCE.as_secs()))) {
                Ok(figures) => {
                    let shown: Vec<String> = figures.iter().map(|figure| format!("{figure:.3}")).collect();
                    println!("  round {:<2} {:14} {}", round + 1, peer.name(), shown.join("  "));
                    if let Ok(cell) = cells.entry(peer.name()).or_insert_with(|| Ok(Vec::new())) {
                        cell.push(figures);
                    }
                }
                Err(error) => {
                    println!("  round {:<2} {:14} – {error:#}", round + 1, peer.name());
                    cells.insert(peer.name(), Err(format!("{error:#}")));
                    *ready = None;
                }
            }
            if scenario.is_fresh() {
                *ready = None;
            }
        }
    }
    Ok(cells)
}

fn none_of(peers: &[Gateway], reason: &str) -> Cells {
    peers.iter().map(|peer| (peer.name(), Err(reason.to_owned()))).collect()
}

/// For one turn: thousands of sessions come first, and Perdition takes a process for each.
const PATIENCE: Duration = Duration::from_secs(300);

/// A gateway in front of which the load stands ready.
pub struct Turn {
    running: Running,
    way: SharedWay,
    /// Where it is about others who are on.
    crowd: Option<Crowd>,
}

async fn turn(
    scenario: &Scenario,
    peer: Gateway,
    ready: &mut Option<Turn>,
    wish: &Wish,
    bench: &Bench,
) -> Result<Vec<f64>> {
    if ready.is_none() {
        let running = Running::start(peer, wish, &bench.stage.site).await?;
        let way = bench.way(scenario, &running)?;
        if !scenario.is_fresh() {
            bench.warm_up(&way).await?;
        }
        let crowd = if scenario.has_others() { Some(Crowd::gather(scenario, peer, wish, bench).await?) } else { None };
        *ready = Some(Turn { running, way, crowd });
    }
    bench.sample(scenario, peer, ready.as_mut().context("it was started")?).await
}
