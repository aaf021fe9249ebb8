//! One turn of one gateway: what it used, for how much.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::Turn;
use super::scenarios::{Kind, Scenario};
use crate::gateways::{Gateway, Running};
use crate::load::{Crew, Distance, Held, Language, Load, Round, SharedWay, Tls, Way, Work};
use crate::stage::Stage;

/// Where the samples are taken.
pub struct Bench {
    pub stage: Stage,
    pub effort: Effort,
}

/// How often and how long.
pub struct Effort {
    pub rounds: usize,
    pub fresh_rounds: usize,
    pub time: Duration,
    pub warm_up: Duration,
    /// Sessions whose memory is measured.
    pub sessions: usize,
    /// Sessions that are held, descriptors permitting.
    pub held: usize,
    /// Sessions of others that are on, descriptors permitting.
    pub others: usize,
    /// Logins from afar.
    pub distant: usize,
}

impl Effort {
    pub const QUICK: Self = Self {
        rounds: 2,
        fresh_rounds: 1,
        time: Duration::from_millis(250),
        warm_up: Duration::from_millis(100),
        sessions: 300,
        held: 1_000,
        others: 1_000,
        distant: 3,
    };
    pub const WHOLE: Self = Self {
        rounds: 5,
        fresh_rounds: 3,
        time: Duration::from_millis(800),
        warm_up: Duration::from_millis(400),
        sessions: 2_000,
        held: 9_000,
        others: 5_000,
        distant: 11,
    };
}

impl Bench {
    /// How the load of a scenario comes.
    pub fn way(&self, scenario: &Scenario, running: &Running) -> Result<SharedWay> {
        let language = if let Kind::Cpu { language, .. } = scenario.kind { language } else { Language::Imap };
        let address = running.address(language, scenario.tls)?;
        Ok(Arc::new(Way::to(address, language, scenario.tls, &self.stage.certs)?))
    }

    /// What happens only once has happened; every client has a TLS session to continue, every user's place is known.
    pub async fn warm_up(&self, way: &SharedWay) -> Result<()> {
        for _ in 0..10 {
            Round::of_logins(way, CLIENTS, self.effort.warm_up).await?;
            if way.share_resumed() > 0.99 || way.tls != Tls::Resumed {
                break;
            }
        }
        Ok(())
    }

    /// A figure for each of the scenario's rows.
    pub async fn sample(&self, scenario: &Scenario, peer: Gateway, turn: &mut Turn) -> Result<Vec<f64>> {
        let Turn { running, way, crowd } = turn;
        let crowd = crowd.as_mut().context("nobody else is on");
        match scenario.kind {
            Kind::Cpu { sizes, .. } => {
                let mut figures = Vec::new();
                for size in sizes {
                    figures.push(self.cpu(size.load, way, running).await?);
                }
                let resumed = way.share_resumed() * 100.0;
                ensure!(scenario.tls != Tls::Resumed || resumed > 90.0, "resumes only {resumed:.0} % of its sessions");
                Ok(figures)
            }
            Kind::Wait => {
                let round = Round::of_logins(way, FEW, self.effort.time).await?;
                Ok(vec![round.median().as_secs_f64() * 1e3])
            }
            Kind::Distant => Ok(vec![self.distant(way).await?]),
            Kind::Memory { silent } => Ok(vec![self.memory(silent, peer, way, running).await?]),
            Kind::Held => self.held(way, running).await,
            Kind::Others { load, watched } => crowd?.beside(self, load, (way, running), watched).await,
            Kind::Who => crowd?.listed(self),
        }
    }

    /// How many sessions are held in the end: a session takes two descriptors of a gateway.
    pub fn held_in_all(&self) -> usize {
        self.effort.held.min(self.room())
    }

    /// How many others are on where that is the question.
    pub fn others(&self) -> usize {
        self.effort.others.min(self.room())
    }

    fn room(&self) -> usize {
        usize::try_from(self.stage.descriptors / 2).unwrap_or(usize::MAX).saturating_sub(500)
    }

    async fn cpu(&self, load: Load, way: &SharedWay, running: &Running) -> Result<f64> {
        Self::cpu_for(self.effort.time, load, way, running).await
    }

    /// Microseconds of an operation or seconds of a gigabyte.
    pub async fn cpu_for(time: Duration, load: Load, way: &SharedWay, running: &Running) -> Result<f64> {
        let mut crew = Crew::assemble(load, way).await?;
        let before = running.cpu();
        let round = crew.work(time).await?;
        // The gateway has the last connections to close still, or its children to bury.
        sleep(Duration::from_millis(30)).await;
        let used = running.cpu() - before;
        crew.leave().await?;
        Ok(match load.work {
            Work::Download | Work::Upload => used / (round.octets as f64 / 1e9),
            Work::Login | Work::Noop => used * 1e6 / round.operations as f64,
        })
    }

    async fn distant(&self, way: &SharedWay) -> Result<f64> {
        let mut waits = Vec::new();
        for _ in 0..self.effort.distant {
            waits.push(Distance(ROUND_TRIP).login(way).await?.as_secs_f64() * 1e3);
        }
        Ok(super::table::median(&waits))
    }

    pub async fn memory(&self, silent: bool, peer: Gateway, way: &SharedWay, running: &Running) -> Result<f64> {
        let forks = peer == Gateway::Perdition;
        let (first, more) = if forks { (5, self.effort.sessions / 40) } else { (200, self.effort.sessions) };
        let mut held = Held::default();
        // What is allocated once is not a session's; those who caused it stay, so that nobody uses it again.
        held.grow(way, silent, first).await?;
        sleep(SETTLED).await;
        let before = running.memory();
        held.grow(way, silent, first + more).await?;
        sleep(SETTLED).await;
        let grown = running.memory() - before;
        if !silent {
            held.all_live().await?;
        }
        Ok(grown / more as f64)
    }

    async fn held(&self, way: &SharedWay, running: &Running) -> Result<Vec<f64>> {
        let mut held = Held::default();
        held.grow(way, false, 100).await?;
        Round::of_logins(way, CLIENTS, self.effort.warm_up).await?;
        let logins = Load::of(Work::Login, CLIENTS);
        let few = self.cpu(logins, way, running).await?;
        held.grow(way, false, self.held_in_all()).await?;
        let many = self.cpu(logins, way, running).await?;
        held.all_live().await?;
        Ok(vec![few, many, many / few])
    }
}

/// Clients at once where nothing else is said: enough that one who waits (nginx's for Nagle's sake) does not leave the gateway without work.
pub const CLIENTS: usize = 32;
/// … where the wait itself is the figure.
pub const FEW: usize = 8;
/// … that move bulk.
pub const STREAMS: usize = 4;
const ROUND_TRIP: Duration = Duration::from_millis(40);
const SETTLED: Duration = Duration::from_millis(500);
