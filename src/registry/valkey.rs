//! The record on a Valkey or Redis server (6.2 or later), for all gateways that use it.
//!
//! `PREFIX:ip:ADDRESS` is a sorted set of `PROTOCOL:USER` by the time at which they go, with the window as its TTL:
//! reading asks for a bounded number of those still valid, and every write clears those that are not.
//!
//! One connection, made by the keeper only: who asks never waits for a reconnect, but is told at once that the server
//! is away. It counts as there when it has taken a write, which a replica or a full server refuses.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::timeout;

use board::Line;

use super::dial::Way;
use super::seen::{self, Protocols, Seen};
use super::table::USERS_MAX;
use super::{Away, Batch};
use crate::proto::Protocol;

/// See the module.
pub(super) struct Valkey {
    way: Way,
    pub(super) prefix: String,
    /// In seconds.
    window: u64,
    /// The generation tells a connection from the one that was made after it.
    connection: Mutex<Option<(u64, MultiplexedConnection)>>,
    generation: AtomicU64,
    /// This outage was logged.
    is_logged: AtomicBool,
    /// A key that is not ours to read was logged.
    is_odd_logged: AtomicBool,
    /// The other connections, see [`board`].
    board: Line,
    reading: Line,
    /// A script that is refused was logged.
    is_refusal_logged: AtomicBool,
    up: IntGauge,
}

impl Valkey {
    pub(super) fn new(way: Way, prefix: String, window: u64, up: IntGauge) -> Self {
        Self {
            way,
            prefix,
            window,
            connection: Mutex::new(None),
            generation: AtomicU64::new(0),
            is_logged: AtomicBool::new(false),
            is_odd_logged: AtomicBool::new(false),
            board: Line::default(),
            reading: Line::default(),
            is_refusal_logged: AtomicBool::new(false),
            up,
        }
    }

    pub(super) fn current(&self) -> Option<(u64, MultiplexedConnection)> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Tries once. Everything that was written before may be lost.
    pub(super) async fn connect(&self) -> Result<(), Away> {
        // Our own deadline, because the client's does not cover resolving the server's name.
        let connected = timeout(3 * DEADLINE, self.way.connect(DEADLINE)).await;
        let connected = connected.unwrap_or_else(|_| Err(TIMED_OUT.to_owned()));
        let mut connection = connected.map_err(|why| self.is_away(why))?;
        let mut probe = Cmd::new();
        probe.arg("SET").arg(format!("{}:probe", self.prefix)).arg("1").arg("EX").arg(60);
        self.ask(&mut connection, &probe).await.map_err(|why| self.is_away(why))?;
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some((generation, connection));
        self.up.set(1);
        if self.is_logged.swap(false, Ordering::Relaxed) {
            tracing::info!("the registry's store is back");
        }
        Ok(())
    }

    /// Every outage is one line.
    fn is_away(&self, why: String) -> Away {
        self.up.set(0);
        if !self.is_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(problem = %why, "the registry's store is away: addresses are not vouched for until it is back");
        }
        Away(why)
    }

    pub(super) fn lost(&self, generation: u64, why: String) -> Away {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.as_ref().is_none_or(|(current, _)| *current != generation) {
            return Away(why);
        }
        *connection = None;
        drop(connection);
        self.is_away(why)
    }

    pub(super) async fn ask(&self, connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, String> {
        match timeout(DEADLINE, connection.req_packed_command(command)).await {
            Err(_) => Err(TIMED_OUT.to_owned()),
            Ok(Err(error)) => Err(label(&error)),
            Ok(Ok(Value::ServerError(error))) => Err(error.code().to_owned()),
            Ok(Ok(value)) => Ok(value),
        }
    }

    /// Who counts at an address, as the server knows it.
    pub(super) async fn users(&self, address: IpAddr, now: u64) -> Result<Vec<Seen>, Away> {
        let (generation, mut connection) = self.current().ok_or_else(|| Away("not connected".to_owned()))?;
        let mut command = Cmd::new();
        command.arg("ZRANGEBYSCORE").arg(self.key(address)).arg(format!("({now}")).arg("+inf").arg("WITHSCORES");
        command.arg("LIMIT").arg(0).arg(Protocol::ALL.len() * (USERS_MAX + 1));
        match self.ask(&mut connection, &command).await {
            Ok(value) => Ok(read(value, now, self.window)),
            Err(why) if why == WRONG_TYPE => Err(self.is_odd(why)),
            Err(why) => Err(self.lost(generation, why)),
        }
    }

    /// One round trip.
    pub(super) async fn write(&self, batch: &Batch, now: u64) -> Result<(), Away> {
        let (generation, mut connection) = self.current().ok_or_else(|| Away("not connected".to_owned()))?;
        let mut pipeline = Pipeline::new();
        for (address, users) in batch.iter().filter(|(_, users)| !users.is_empty()) {
            let key = self.key(*address);
            pipeline.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(now);
            let adding = pipeline.cmd("ZADD").arg(&key).arg("GT");
            for seen in users {
                for protocol in seen.protocols.iter() {
                    adding.arg(seen.until).arg(format!("{}:{}", protocol.name(), seen.user));
                }
            }
            pipeline.cmd("EXPIRE").arg(&key).arg(self.window);
        }
        let commands = pipeline.len();
        if commands == 0 {
            return Ok(());
        }
        let answers = match timeout(DEADLINE, connection.req_packed_commands(&pipeline, 0, commands)).await {
            Err(_) => return Err(self.lost(generation, TIMED_OUT.to_owned())),
            Ok(Err(error)) if error.code() == Some(WRONG_TYPE) => return Err(self.is_odd(WRONG_TYPE.to_owned())),
            Ok(Err(error)) => return Err(self.lost(generation, label(&error))),
            Ok(Ok(answers)) => answers,
        };
        for answer in answers {
            match answer {
                // That key is another's: it stays as it is, and its address is not vouched for.
                Value::ServerError(error) if error.code() == WRONG_TYPE => drop(self.is_odd(WRONG_TYPE.to_owned())),
                Value::ServerError(error) => return Err(self.lost(generation, error.code().to_owned())),
                _ => {}
            }
        }
        Ok(())
    }

    fn is_odd(&self, why: String) -> Away {
        if !self.is_odd_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(problem = %why, prefix = %self.prefix, "a key of the registry holds something else; it stays as it is");
        }
        Away(why)
    }

    fn key(&self, address: IpAddr) -> String {
        format!("{}:ip:{address}", self.prefix)
    }
}

/// Member, score, member, score …; what we would not have written is left out.
fn read(value: Value, now: u64, window: u64) -> Vec<Seen> {
    let Value::Array(items) = value else { return Vec::new() };
    let mut users = Vec::new();
    for pair in items.chunks(2) {
        if let [member, score] = pair {
            seen::merge(&mut users, read_one(member, score, now, window).into_iter().collect());
        }
    }
    users
}

fn read_one(member: &Value, score: &Value, now: u64, window: u64) -> Option<Seen> {
    let member: String = redis::from_redis_value_ref(member).ok()?;
    let score: f64 = redis::from_redis_value_ref(score).ok()?;
    let (protocol, user) = member.split_once(':')?;
    let is_protocol = !protocol.is_empty() && protocol.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // A window that ends later than any that begins now was written by a clock gone wrong, or not by us.
    let is_time = score.is_finite() && score > now as f64 && score <= (now + window + SKEW) as f64;
    (is_protocol && is_time && seen::is_name(user)).then(|| Seen {
        user: user.into(),
        until: (score as u64).min(now + window),
        protocols: Protocols::read(protocol),
    })
}

/// What a log may show of an error: not its text, which a server chooses.
pub(super) fn label(error: &RedisError) -> String {
    error.code().unwrap_or(error.category()).to_owned()
}

/// For every single call.
pub(super) const DEADLINE: Duration = Duration::from_millis(300);
/// How far the clocks of gateways may differ, in seconds.
const SKEW: u64 = 60;
const TIMED_OUT: &str = "timed out";
const WRONG_TYPE: &str = "WRONGTYPE";

mod board;
mod known;
mod seats;
mod switches;

#[cfg(test)]
#[path = "valkey_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
mod board_tests;
#[cfg(test)]
mod known_tests;
