//! Places of users' sessions, on the server: the hash `PREFIX:seats:PROTOCOL:USER` of session ids and addresses.
//!
//! Those of a node whose lease is over do not count, and go with the next question.

use redis::{Cmd, Pipeline, Value};

use super::{Away, DEADLINE, TIMED_OUT, Valkey, label};
use crate::config::UserLimits;
use crate::registry::seats::{Answer, Place};
use redis::aio::ConnectionLike;
use tokio::time::timeout;

impl Valkey {
    /// One round trip, in which nobody else takes the place that is found.
    pub(in crate::registry) async fn take(&self, tag: u32, place: &Place, limits: UserLimits) -> Result<Answer, Away> {
        let most = |limit: Option<u32>| limit.map(|most| most.to_string()).unwrap_or_default();
        let mut ask = Cmd::new();
        ask.arg("EVAL").arg(TAKE).arg(1).arg(self.seats(place));
        ask.arg(format!("{}:node:", self.prefix)).arg(format!("{tag:x}")).arg(field(tag, place));
        ask.arg(place.address.to_string()).arg(most(limits.connections)).arg(most(limits.connections_per_ip)).arg(TTL);
        let (generation, mut connection) = self.current().ok_or_else(|| Away("not connected".to_owned()))?;
        let answer = self.ask(&mut connection, &ask).await.map_err(|why| self.lost(generation, why))?;
        match redis::from_redis_value::<(u8, u32)>(answer) {
            Ok((1, count)) => Ok(Answer::FullInAll(count)),
            Ok((2, count)) => Ok(Answer::FullHere(count)),
            _ => Ok(Answer::Taken),
        }
    }

    /// Says again which places are held, for a server that may have forgotten them.
    pub(in crate::registry) async fn hold(&self, tag: u32, places: &[Place]) -> Result<(), Away> {
        let mut pipeline = Pipeline::new();
        for place in places {
            let key = self.seats(place);
            pipeline.cmd("HSET").arg(&key).arg(field(tag, place)).arg(place.address.to_string());
            pipeline.cmd("EXPIRE").arg(&key).arg(TTL);
        }
        self.tell_all(&pipeline).await
    }

    /// Gives places back.
    pub(in crate::registry) async fn free(&self, tag: u32, places: &[Place]) -> Result<(), Away> {
        let mut pipeline = Pipeline::new();
        for place in places {
            pipeline.cmd("HDEL").arg(self.seats(place)).arg(field(tag, place));
        }
        self.tell_all(&pipeline).await
    }

    async fn tell_all(&self, pipeline: &Pipeline) -> Result<(), Away> {
        let (generation, mut connection) = self.current().ok_or_else(|| Away("not connected".to_owned()))?;
        match timeout(DEADLINE, connection.req_packed_commands(pipeline, 0, pipeline.len())).await {
            Err(_) => Err(self.lost(generation, TIMED_OUT.to_owned())),
            Ok(Err(error)) => Err(self.lost(generation, label(&error))),
            Ok(Ok(answers)) => match answers.into_iter().find(|answer| matches!(answer, Value::ServerError(_))) {
                Some(Value::ServerError(error)) => Err(self.lost(generation, error.code().to_owned())),
                _ => Ok(()),
            },
        }
    }

    fn seats(&self, place: &Place) -> String {
        format!("{}:seats:{}:{}", self.prefix, place.protocol.name(), place.user)
    }
}

fn field(tag: u32, place: &Place) -> String {
    format!("{tag:x}-{:x}", place.number)
}

/// KEYS: the hash. ARGV: what a node's key begins with, our tag, the place, its address, the limits, the TTL.
const TAKE: &str = "\
local all, here, alive = 0, 0, {}
local held = redis.call('HGETALL', KEYS[1])
for i = 1, #held, 2 do
  local tag = string.match(held[i], '^[^-]+') or ''
  if alive[tag] == nil then
    alive[tag] = tag == ARGV[2] or redis.call('EXISTS', ARGV[1] .. tag) == 1
  end
  if not alive[tag] then
    redis.call('HDEL', KEYS[1], held[i])
  elseif held[i] ~= ARGV[3] then
    all = all + 1
    if held[i + 1] == ARGV[4] then here = here + 1 end
  end
end
if ARGV[5] ~= '' and all >= tonumber(ARGV[5]) then return {1, all} end
if ARGV[6] ~= '' and here >= tonumber(ARGV[6]) then return {2, here} end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[7])
return {0, all + 1}";

/// In seconds; places that are held are told again much sooner.
const TTL: u64 = 600;
