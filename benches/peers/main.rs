//! Ours beside nginx mail, HAProxy, Dovecot and Perdition: the same load, the same back-end, one run, one table.
//!
//! `benches/peers/run` installs the peers and starts `measure`. `profile` says where
//! the CPU and the bytes go. The other two verbs are parts, for looking at one gateway by hand (with strace, say): a back-end that says yes, and a client that does one thing over and over.

#![allow(clippy::indexing_slicing, unreachable_pub)]

mod certs;
mod gateways;
mod load;
mod measure;
mod profile;
mod sink;
mod stage;
mod talk;

#[path = "../../tests/it/support/ports.rs"]
#[allow(clippy::expect_used)]
mod ports;

use clap::Parser;

#[derive(Parser)]
#[command(name = "peers", about = "Measures mail gateways side by side")]
struct Arguments {
    /// Given by `cargo bench` to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Measures every scenario with every gateway and writes the table.
    Measure(measure::Arguments),
    /// Says where one gateway's CPU or memory goes in one scenario.
    Profile(profile::Arguments),
    /// An IMAP, POP3 and SMTP server that says yes to everything, and nginx's auth_http answer.
    Sink(sink::Arguments),
    /// One kind of load against one address.
    Load(load::Arguments),
}

fn main() -> anyhow::Result<()> {
    let verb = Arguments::parse().verb;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match verb {
            Verb::Measure(arguments) => measure::run(arguments).await,
            Verb::Profile(arguments) => profile::run(arguments).await,
            Verb::Sink(arguments) => sink::run(arguments).await,
            Verb::Load(arguments) => load::run(arguments).await,
        }
    })
}
