//! A round: a crew of clients does one thing over and over until the time is up.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
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

/// So much of it at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    pub work: Work,
    pub clients: usize,
    /// Octets of a message, where messages are what is moved.
    pub message: u64,
}

/// What came of it.
#[derive(Default)]
pub struct Round {
    pub operations: u64,
    pub octets: u64,
    /// From the connection to the login's yes, of each login.
    pub waits: Vec<Duration>,
}

/// Clients that are ready for their work: logged in, unless logging in is what they do.
pub struct Crew {
    load: Load,
    way: SharedWay,
    talks: Vec<Option<Talk>>,
}

impl Load {
    pub const fn of(work: Work, clients: usize) -> Self {
        Self { work, clients, message: MESSAGE }
    }
}

impl Crew {
    pub async fn assemble(load: Load, way: &SharedWay) -> Result<Self> {
        let mut talks = Vec::new();
        for _ in 0..load.clients {
            talks.push(if load.work == Work::Login { None } else { Some(arrive(way).await?) });
        }
        Ok(Self { load, way: way.clone(), talks })
    }

    /// Everything that was begun in time is also finished; one failure fails the round.
    pub async fn work(&mut self, time: Duration) -> Result<Round> {
        let (load, end) = (self.load, Instant::now() + time);
        let mut all = JoinSet::new();
        for talk in self.talks.drain(..) {
            let way = self.way.clone();
            all.spawn(async move {
                match talk {
                    None => logins(&way, end).await.map(|round| (round, None)),
                    Some(talk) => commands(load, &way, talk, end).await.map(|(round, talk)| (round, Some(talk))),
                }
            });
        }
        let mut sum = Round::default();
        while let Some(one) = all.join_next().await {
            let (round, talk) = one??;
            sum.add(round);
            self.talks.push(talk);
        }
        ensure!(sum.operations > 0, "nothing was finished in time");
        Ok(sum)
    }

    pub async fn leave(self) -> Result<()> {
        for mut talk in self.talks.into_iter().flatten() {
            self.way.language.log_out(&mut talk).await?;
        }
        Ok(())
    }
}

impl Round {
    pub async fn of_logins(way: &SharedWay, clients: usize, time: Duration) -> Result<Self> {
        Crew::assemble(Load::of(Work::Login, clients), way).await?.work(time).await
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

async fn arrive(way: &SharedWay) -> Result<Talk> {
    let mut talk = way.connect().await?;
    way.language.log_in(&mut talk).await?;
    Ok(talk)
}

async fn logins(way: &SharedWay, end: Instant) -> Result<Round> {
    let mut round = Round::default();
    while Instant::now() < end {
        let start = Instant::now();
        let mut talk = arrive(way).await?;
        round.waits.push(start.elapsed());
        way.language.log_out(&mut talk).await?;
        round.operations += 1;
    }
    Ok(round)
}

async fn commands(load: Load, way: &SharedWay, mut talk: Talk, end: Instant) -> Result<(Round, Talk)> {
    let mut round = Round::default();
    while Instant::now() < end {
        round.octets += command(load, way, &mut talk).await?;
        round.operations += 1;
    }
    Ok((round, talk))
}

async fn command(Load { work, message, .. }: Load, way: &SharedWay, talk: &mut Talk) -> Result<u64> {
    match work {
        Work::Download => words::download(talk, message).await.map(|()| message),
        Work::Upload => words::upload(talk, message).await.map(|()| message),
        Work::Login | Work::Noop => way.language.noop(talk).await.map(|()| 0),
    }
}

/// Octets of a message in bulk where nothing else is said: large, so that the figure is the relay's.
const MESSAGE: u64 = 16 << 20;
