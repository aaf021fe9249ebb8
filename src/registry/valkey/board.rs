//! What gateways tell each other of themselves, on the server: a hash `PREFIX:node:TAG` for each, which is gone when its
//! lease ends, the set `PREFIX:nodes` of their tags, and the stream `PREFIX:orders` of what all of them are to do.
//!
//! On a connection of its own, because much is said here and a login's question must not wait behind it; and on another
//! what the others show is read, megabytes perhaps, because the lease must not wait behind that.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, Value};
use tokio::time::timeout;

use super::{Away, TIMED_OUT, Valkey, label};
use crate::registry::nodes::{Heard, LEASE, Posted};

impl Valkey {
    /// Renews the lease of a node, and asks what was ordered behind an order; its own are among them.
    pub(in crate::registry) async fn renew(&self, tag: u32, name: &str, after: (u64, u64)) -> Result<Heard, Away> {
        let (key, mut pipeline) = (self.node(tag), Pipeline::new());
        pipeline.cmd("HSETNX").arg(&key).arg(NAME).arg(name);
        pipeline.cmd("EXPIRE").arg(&key).arg(LEASE.as_secs());
        pipeline.cmd("SADD").arg(self.nodes()).arg(format!("{tag:x}"));
        pipeline.cmd("TIME");
        let after = format!("({}-{}", after.0, after.1);
        pipeline.cmd("XRANGE").arg(self.orders()).arg(after).arg("+").arg("COUNT").arg(ORDERS_AT_ONCE);
        let mut answers = self.say(&pipeline).await?.into_iter();
        let is_new = answers.next() == Some(Value::Int(1));
        let time: Vec<u64> = answers.nth(2).and_then(|time| redis::from_redis_value(time).ok()).unwrap_or_default();
        let now = match time.as_slice() {
            [seconds, micros] => seconds.saturating_mul(1000).saturating_add(micros / 1000),
            _ => return Err(Away("no time".to_owned())),
        };
        let orders: Vec<(String, Vec<String>)> =
            answers.next().and_then(|orders| redis::from_redis_value(orders).ok()).unwrap_or_default();
        let orders = orders.into_iter().filter_map(|(id, mut fields)| {
            let (time, count) = id.split_once('-')?;
            Some(((time.parse().ok()?, count.parse().ok()?), fields.pop()?))
        });
        Ok(Heard { is_new, now, orders: orders.collect() })
    }

    /// Some pieces of what a node shows.
    pub(in crate::registry) async fn post(&self, tag: u32, pieces: &[(usize, Vec<u8>)]) -> Result<(), Away> {
        let (key, mut pipeline) = (self.node(tag), Pipeline::new());
        for (index, piece) in pieces {
            pipeline.cmd("HSET").arg(&key).arg(index).arg(piece.as_slice());
        }
        self.say(&pipeline).await.map(drop)
    }

    /// What the other nodes show, in the order of their tags; who is gone is forgotten.
    pub(in crate::registry) async fn posted(&self, own: u32) -> Result<Vec<Posted>, Away> {
        let members = self.read(Cmd::new().arg("SMEMBERS").arg(self.nodes())).await?;
        let members: Vec<String> = redis::from_redis_value(members).unwrap_or_default();
        let tags = members.iter().filter_map(|tag| u32::from_str_radix(tag, 16).ok());
        let mut tags: Vec<u32> = tags.filter(|tag| *tag != own).collect();
        tags.sort_unstable();
        let mut found = Vec::new();
        for tag in tags {
            if found.len() == NODES_MAX {
                break;
            }
            let all = self.read(Cmd::new().arg("HGETALL").arg(self.node(tag))).await?;
            let mut fields: HashMap<String, Vec<u8>> = redis::from_redis_value(all).unwrap_or_default();
            match fields.remove(NAME).and_then(|name| String::from_utf8(name).ok()) {
                Some(name) => found.push(Posted { tag, name, pieces: fields.into_values().collect() }),
                None => drop(self.read(Cmd::new().arg("SREM").arg(self.nodes()).arg(format!("{tag:x}"))).await?),
            }
        }
        Ok(found)
    }

    /// To all nodes; who is away for longer than an order lives does not hear of it.
    pub(in crate::registry) async fn order(&self, order: &str) -> Result<(), Away> {
        let (key, mut pipeline) = (self.orders(), Pipeline::new());
        pipeline.cmd("XADD").arg(&key).arg("MAXLEN").arg(ORDERS_MAX).arg("*").arg("order").arg(order);
        pipeline.cmd("EXPIRE").arg(&key).arg(LEASE.as_secs());
        self.say(&pipeline).await.map(drop)
    }

    /// A node ends: its lease is over now.
    pub(in crate::registry) async fn leave(&self, tag: u32) -> Result<(), Away> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("DEL").arg(self.node(tag));
        pipeline.cmd("SREM").arg(self.nodes()).arg(format!("{tag:x}"));
        self.say(&pipeline).await.map(drop)
    }

    async fn read(&self, command: &Cmd) -> Result<Value, Away> {
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command.clone());
        self.say_on(&self.reading, &pipeline).await?.pop().ok_or_else(|| Away("no answer".to_owned()))
    }

    pub(super) async fn say(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Away> {
        self.say_on(&self.board, pipeline).await
    }

    /// One round trip. A connection that failed is made anew by whoever comes next, while the keeper's is there.
    async fn say_on(&self, line: &Line, pipeline: &Pipeline) -> Result<Vec<Value>, Away> {
        let mut connection = self.connection_on(line).await?;
        let answers = timeout(PATIENCE, connection.req_packed_commands(pipeline, 0, pipeline.len())).await;
        let why = match answers {
            Err(_) => TIMED_OUT.to_owned(),
            Ok(Err(error)) => label(&error),
            Ok(Ok(answers)) => match answers.iter().find_map(|answer| match answer {
                Value::ServerError(error) => Some(error.code().to_owned()),
                _ => None,
            }) {
                None => return Ok(answers),
                Some(why) => why,
            },
        };
        if !is_for_good(&why) {
            *line.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Err(Away(why))
    }

    async fn connection_on(&self, line: &Line) -> Result<MultiplexedConnection, Away> {
        if !self.is_connected() {
            *line.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Err(Away("not connected".to_owned()));
        }
        let known = line.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let made = timeout(PATIENCE, self.way.connect(PATIENCE)).await;
        let made = made.unwrap_or_else(|_| Err(TIMED_OUT.to_owned())).map_err(Away)?;
        *line.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
        Ok(made)
    }

    /// There as long as the node lives.
    pub(super) fn node(&self, tag: u32) -> String {
        format!("{}:node:{tag:x}", self.prefix)
    }

    fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    fn orders(&self) -> String {
        format!("{}:orders", self.prefix)
    }
}

/// Whether the server will say so again on the next connection, too: it does not know the command, or we may not use it.
pub(super) fn is_for_good(why: &str) -> bool {
    matches!(why, "ERR" | "NOPERM")
}

/// A connection, once somebody has made it.
pub(super) type Line = Mutex<Option<MultiplexedConnection>>;

const NAME: &str = "name";
/// For every single call; megabytes may come.
const PATIENCE: Duration = Duration::from_secs(2);
/// More gateways than any site has.
const NODES_MAX: usize = 64;
const ORDERS_MAX: usize = 1_000;
const ORDERS_AT_ONCE: usize = 100;
