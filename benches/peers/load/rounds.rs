//! A round: several clients do one thing over and over until the time is up.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::way::SharedWay;
use super::words;
use crate::talk::Talk;

/// What a client does over and over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Work {
    /// Connect, log in, log out.
    Login,
    Noop,
    Download,
    Upload,
}

/// What came of it.
#[derive(Default)]
pub struct Round {
    pub operations: u64,
    pub octets: u64,
    /// From the connection to the login's yes, of each login.
    pub waits: Vec<Duration>,
}

impl Round {
    /// Everything that was begun in time is also finished; one failure fails the round.
    pub async fn run(work: Work, way: &SharedWay, clients: usize, time: Duration) -> Result<Self> {
        let end = Instant::now() + time;
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let way = way.clone();
            all.spawn(async move {
                match work {
                    Work::Login => logins(&way, end).await,
                    _ => commands(work, &way, end).await,
                }
            });
        }
        let mut sum = Self::default();
        while let Some(one) = all.join_next().await {
            sum.add(one??);
        }
        Ok(sum)
    }

    pub fn median(&self) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort();
        waits.get(waits.len() / 2).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.octets += other.octets;
        self.waits.extend(other.waits);
    }
}

async fn logins(way: &SharedWay, end: Instant) -> Result<Round> {
    let mut round = Round::default();
    while Instant::now() < end {
        let start = Instant::now();
        let mut talk = way.connect().await?;
        way.language.log_in(&mut talk).await?;
        round.waits.push(start.elapsed());
        way.language.log_out(&mut talk).await?;
        round.operations += 1;
    }
    Ok(round)
}

async fn commands(work: Work, way: &SharedWay, end: Instant) -> Result<Round> {
    let mut round = Round::default();
    let mut talk = way.connect().await?;
    way.language.log_in(&mut talk).await?;
    while Instant::now() < end {
        round.octets += command(work, way, &mut talk).await?;
        round.operations += 1;
    }
    way.language.log_out(&mut talk).await?;
    Ok(round)
}

async fn command(work: Work, way: &SharedWay, talk: &mut Talk) -> Result<u64> {
    match work {
        Work::Download => words::download(talk, MESSAGE).await.map(|()| MESSAGE),
        Work::Upload => words::upload(talk, MESSAGE).await.map(|()| MESSAGE),
        Work::Login | Work::Noop => way.language.noop(talk).await.map(|()| 0),
    }
}

/// Octets of a message in bulk: large, so that the figure is the relay's.
const MESSAGE: u64 = 32 << 20;
