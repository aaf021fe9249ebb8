//! Many sessions that are on and idle, at a gateway of their own: what they cost others, and who lists them.
//!
//! Two gateways of one build, with them and without, are measured in turns: what the machine does meanwhile, it does to
//! both.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::interval;

use super::sample::Bench;
use super::scenarios::Scenario;
use crate::gateways::{Gateway, Running, Wish};
use crate::load::{Held, Load, SharedWay};
use crate::talk::Talk;

/// They end when it is dropped, and so does the gateway.
pub struct Crowd {
    held: Held,
    way: SharedWay,
    running: Running,
}

impl Crowd {
    pub async fn gather(scenario: &Scenario, peer: Gateway, wish: &Wish, bench: &Bench) -> Result<Self> {
        let running = Running::start(peer, wish, &bench.stage.site).await?;
        let way = bench.way(scenario, &running)?;
        bench.warm_up(&way).await?;
        let mut held = Held::default();
        held.grow(&way, false, bench.others()).await?;
        Ok(Self { held, way, running })
    }

    pub fn into_parts(self) -> (Running, SharedWay, Held) {
        (self.running, self.way, self.held)
    }

    /// CPU of `load` at the gateway where nobody else is, at this one, and the ratio.
    pub async fn beside(
        &mut self,
        bench: &Bench,
        load: Load,
        (quiet_way, quiet): (&SharedWay, &Running),
        watched: bool,
    ) -> Result<Vec<f64>> {
        // Two of them take a second at least, so that one question more or less is not many a second.
        let time = bench.effort.time.max(Duration::from_millis(500));
        // Without, with, with, without: whoever becomes slower over the round is slower for both.
        let before = Bench::cpu_for(time, load, quiet_way, quiet).await?;
        let mut watcher = JoinSet::new();
        if watched {
            watcher.spawn(watch(self.running.admin()));
        }
        let with = Bench::cpu_for(time, load, &self.way, &self.running).await?
            + Bench::cpu_for(time, load, &self.way, &self.running).await?;
        if let Some(ended) = watcher.try_join_next() {
            ended??;
        }
        drop(watcher);
        let without = before + Bench::cpu_for(time, load, quiet_way, quiet).await?;
        self.held.all_live().await?;
        Ok(vec![without / 2.0, with / 2.0, with / without])
    }

    /// Milliseconds of CPU of the command that lists them, of the same in JSON, and of the gateway for both.
    pub fn listed(&mut self, bench: &Bench) -> Result<Vec<f64>> {
        let before = self.running.cpu();
        let table = self.list(bench, &[])?;
        let json = self.list(bench, &["--json"])?;
        Ok(vec![table, json, (self.running.cpu() - before) * 1e3])
    }

    /// What wait4(2) tells of the command's process.
    fn list(&self, bench: &Bench, arguments: &[&str]) -> Result<f64> {
        let mut who = Command::new(&bench.stage.site.portcullis);
        who.args(["who", "--admin", &format!("http://{}", self.running.admin())]).args(arguments);
        let before = of_children()?;
        let done = who.env_remove("PORTCULLIS_TOKEN").output().context("portcullis who")?;
        let used = of_children()? - before;
        ensure!(done.status.success(), "who: {}", String::from_utf8_lossy(&done.stderr).trim());
        let said = String::from_utf8_lossy(&done.stdout);
        let listed = said.matches("127.0.0.1:").count();
        ensure!(listed >= bench.others(), "who lists {listed} sessions of {}", bench.others());
        Ok(used)
    }
}

/// Milliseconds of user and system time of all children that have been waited for: nobody else waits meanwhile.
fn of_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e3)
}

/// Asks for the page of who is on, once a second until it is dropped; returns only when that fails.
async fn watch(admin: SocketAddr) -> Result<()> {
    let mut second = interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let mut talk = Talk::over(TcpStream::connect(admin).await?);
        talk.say(format!("GET / HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")).await?;
        let status = talk.line().await?.context("the page's answer broke off")?;
        ensure!(status.starts_with(b"HTTP/1.1 200"), "the page: {}", String::from_utf8_lossy(&status));
        talk.drain().await?;
    }
}
