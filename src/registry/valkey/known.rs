//! What gateways remember of users together, on the server: a hash `PREFIX:known:USER` of facts, each with its time
//! before it, and the sorted set `PREFIX:known` of those users by when they were heard of, so that they have a bound.
//!
//! On the connection of the board: no login waits for it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use redis::{Pipeline, Value};

use super::board::is_for_good;
use super::{Away, Valkey};
use crate::registry::known::{Fact, KEPT, LAST, News, Recalled, VISIT, VISITS_MAX};

impl Valkey {
    /// In one round trip. A server that refuses it for good counts as told: it would be told in vain for ever.
    pub(in crate::registry) async fn remember(&self, news: &[News], users_max: usize) -> Result<(), Away> {
        let (prefix, mut pipeline) = (self.known(""), Pipeline::new());
        for one in news {
            let tell = pipeline.cmd("EVAL").arg(REMEMBER).arg(2).arg(self.known(&one.user)).arg(self.users_known());
            tell.arg(&*one.user).arg(&prefix).arg(KEPT).arg(users_max).arg(VISITS_MAX).arg(LAST).arg(VISIT);
            tell.arg(one.failures);
            for fact in &one.facts {
                tell.arg(&fact.of).arg(fact.at).arg(&fact.what);
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        match self.run(&pipeline).await {
            Err(Away(why)) if !is_for_good(&why) => Err(Away(why)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What we would not have written is left out.
    pub(in crate::registry) async fn recall(&self, user: &str) -> Result<Recalled, Away> {
        let mut ask = Pipeline::new();
        ask.cmd("EVAL").arg(RECALL).arg(1).arg(self.known(user));
        let all = self.run(&ask).await?.pop().unwrap_or(Value::Nil);
        let mut fields: HashMap<Vec<u8>, Vec<u8>> = redis::from_redis_value(all).unwrap_or_default();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let failures = fields.remove(&b"failures"[..]).and_then(text).and_then(|count| count.parse().ok());
        let fact = |(of, said): (Vec<u8>, Vec<u8>)| {
            let (of, said) = (text(of)?, text(said)?);
            let (at, what) = said.split_once(' ')?;
            Some(Fact { of, at: at.parse().ok()?, what: what.to_owned() })
        };
        let mut facts: Vec<Fact> = fields.into_iter().filter_map(fact).collect();
        facts.sort_unstable_by(|one, other| one.of.cmp(&other.of));
        Ok(Recalled { facts, failures: failures.unwrap_or_default() })
    }

    async fn run(&self, scripts: &Pipeline) -> Result<Vec<Value>, Away> {
        let answers = self.say(scripts).await;
        if let Err(Away(why)) = &answers
            && is_for_good(why)
            && !self.is_refusal_logged.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(problem = %why, "the registry's store refuses EVAL: of users' logins each gateway knows its own only");
        }
        answers
    }

    fn known(&self, user: &str) -> String {
        format!("{}:known:{user}", self.prefix)
    }

    fn users_known(&self) -> String {
        format!("{}:known", self.prefix)
    }
}

/// KEYS: the hash, if it is one.
const RECALL: &str = "\
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return {} end
return redis.call('HGETALL', KEYS[1])";

/// KEYS: the hash, the set. ARGV: the user, what a user's key begins with, the TTL, the bound of users, that of
/// addresses, what a login's name and an address's begin with, how many failures; then name, time and text of each fact.
///
/// It ends without an error whatever it finds, for one bad key must not hold up the news of all others. A clock that is
/// ahead is put right by the server's. Who never logged in stands before all who did, and goes first. A name leaves the
/// set when its hash ends.
const REMEMBER: &str = "\
local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end
if not is(KEYS[1], 'hash') or not is(KEYS[2], 'zset') then return 0 end
local function at(text) return tonumber(string.match(text or '', '^%d+') or '0') end
local function begins(text, with) return string.sub(text, 1, #with) == with end
local now = tonumber(redis.call('TIME')[1])
for i = 9, #ARGV, 3 do
  local time = math.min(tonumber(ARGV[i + 1]), now)
  if at(redis.call('HGET', KEYS[1], ARGV[i])) <= time then
    redis.call('HSET', KEYS[1], ARGV[i], string.format('%d %s', time, ARGV[i + 2]))
  end
end
if ARGV[8] ~= '0' then redis.pcall('HINCRBY', KEYS[1], 'failures', ARGV[8]) end
local stranger, kept = now - 4294967296, tonumber(ARGV[3])
local visits, all, heard = {}, redis.call('HGETALL', KEYS[1]), stranger
for i = 1, #all, 2 do
  if begins(all[i], ARGV[6]) then heard = now end
  if begins(all[i], ARGV[7]) then table.insert(visits, {at(all[i + 1]), all[i]}) end
end
table.sort(visits, function(one, other) return one[1] > other[1] end)
for i = tonumber(ARGV[5]) + 1, #visits do redis.call('HDEL', KEYS[1], visits[i][2]) end
redis.call('ZADD', KEYS[2], 'GT', heard, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', stranger - kept)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '(' .. stranger, now - kept)
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4])
if over > 0 then
  local gone = redis.call('ZPOPMIN', KEYS[2], over)
  for i = 1, #gone, 2 do redis.call('DEL', ARGV[2] .. gone[i]) end
end
return 1";
