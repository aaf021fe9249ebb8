//! The clients of the bench: what they do (`words`), how they come (`way`), and how much of it (`rounds`, `held`).

mod held;
mod rounds;
mod shim;
mod way;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::certs::Certs;

pub use held::Held;
pub use rounds::{Crew, Load, Round, Work};
pub use shim::Distance;
pub use way::{SharedWay, Tls, USERS, Way};
pub use words::Language;

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(value_enum)]
    work: Work,
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, value_enum, default_value = "none")]
    tls: Tls,
    #[arg(long, value_enum, default_value = "imap")]
    language: Language,
    /// Where the certificate's authority lies; for TLS.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Octets of a message, for bulk.
    #[arg(long)]
    message: Option<u64>,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// Does one thing for a while and says how often.
pub async fn run(arguments: Arguments) -> Result<()> {
    crate::gateways::raise_descriptors()?;
    let certs = Certs::in_folder(&arguments.folder);
    let way = Arc::new(Way::to(arguments.address, arguments.language, arguments.tls, &certs)?);
    let time = Duration::from_secs_f64(arguments.seconds);
    let mut load = Load::of(arguments.work, arguments.clients);
    load.message = arguments.message.unwrap_or(load.message);
    let mut crew = Crew::assemble(load, &way).await?;
    let round = crew.work(time).await?;
    crew.leave().await?;
    println!("{} operations, {} octets, median {:?}", round.operations, round.octets, round.median());
    Ok(())
}
