//! Protocols switched off, on the server: the hash `PREFIX:off` with a field `PROTOCOL:USER` for each, and a count of
//! changes beside it, so that a gateway asks for the whole only when something has changed.

use redis::{Cmd, Value};

use super::{Away, Valkey};
use crate::proto::Protocol;
use crate::registry::seen::{self, Protocols};
use crate::registry::switches::{Off, USERS_MAX};

impl Valkey {
    /// Told to the server when it returns.
    pub(in crate::registry) async fn switch(&self, user: &str, protocol: Protocol, on: bool) -> Result<(), Away> {
        let field = format!("{}:{user}", protocol.name());
        let mut change = Cmd::new();
        if on {
            change.arg("HDEL").arg(self.off()).arg(field);
        } else {
            change.arg("HSET").arg(self.off()).arg(field).arg(1);
        }
        self.tell(&change).await?;
        self.tell(Cmd::new().arg("INCR").arg(self.version_key())).await?;
        Ok(())
    }

    /// A server that was started empty hears all of it.
    pub(in crate::registry) async fn tell_switches(&self, off: &Off) -> Result<(), Away> {
        for (user, protocols) in off {
            for protocol in protocols.iter() {
                let field = format!("{}:{user}", protocol.name());
                self.tell(Cmd::new().arg("HSET").arg(self.off()).arg(field).arg(1)).await?;
            }
        }
        self.tell(Cmd::new().arg("INCR").arg(self.version_key())).await?;
        Ok(())
    }

    /// How often something was switched; `None` = never, or the server has forgotten it.
    pub(in crate::registry) async fn switches_version(&self) -> Result<Option<u64>, Away> {
        let answer = self.tell(Cmd::new().arg("GET").arg(self.version_key())).await?;
        Ok(redis::from_redis_value(answer).unwrap_or_default())
    }

    /// All that is switched off.
    pub(in crate::registry) async fn switches(&self) -> Result<Off, Away> {
        let mut off = Off::new();
        let Value::Array(items) = self.tell(Cmd::new().arg("HKEYS").arg(self.off())).await? else { return Ok(off) };
        for item in items.iter().take(USERS_MAX * Protocol::ALL.len()) {
            let field: String = redis::from_redis_value_ref(item).unwrap_or_default();
            let Some((protocol, user)) = field.split_once(':').filter(|(_, user)| seen::is_name(user)) else {
                continue;
            };
            let known = off.entry(user.into()).or_default();
            *known = known.and(Protocols::read(protocol));
        }
        off.retain(|_, protocols| !protocols.is_empty());
        Ok(off)
    }

    async fn tell(&self, command: &Cmd) -> Result<Value, Away> {
        let (generation, mut connection) = self.current().ok_or_else(|| Away("not connected".to_owned()))?;
        self.ask(&mut connection, command).await.map_err(|why| self.lost(generation, why))
    }

    fn off(&self) -> String {
        format!("{}:off", self.prefix)
    }

    fn version_key(&self) -> String {
        format!("{}:off:version", self.prefix)
    }
}
