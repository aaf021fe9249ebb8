//! Sessions that stay: logged in and idle, or silent before the login.

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::way::SharedWay;
use super::words;
use crate::talk::Talk;

/// They end when it is dropped.
#[derive(Default)]
pub struct Held {
    sessions: Vec<Talk>,
}

impl Held {
    /// Lets more come, a few at a time, until there are as many.
    pub async fn grow(&mut self, way: &SharedWay, silent: bool, sessions: usize) -> Result<()> {
        while self.sessions.len() < sessions {
            let mut some = JoinSet::new();
            for _ in 0..AT_ONCE.min(sessions - self.sessions.len()) {
                some.spawn(come(way.clone(), silent));
            }
            while let Some(session) = some.join_next().await {
                let at = self.sessions.len();
                self.sessions.push(session?.with_context(|| format!("with {at} sessions held"))?);
            }
        }
        Ok(())
    }

    /// Fails when one of them has been lost meanwhile.
    pub async fn all_live(&mut self) -> Result<()> {
        let count = self.sessions.len();
        for (at, session) in self.sessions.iter_mut().enumerate() {
            session.say("DONE\r\n").await.with_context(|| format!("session {at} of {count} was lost"))?;
            session.line().await?.with_context(|| format!("session {at} of {count} was lost"))?;
        }
        Ok(())
    }
}

async fn come(way: SharedWay, silent: bool) -> Result<Talk> {
    let mut talk = way.connect().await?;
    if silent {
        way.language.greeted(&mut talk).await?;
    } else {
        way.language.log_in(&mut talk).await?;
        words::idle(&mut talk).await?;
    }
    Ok(talk)
}

/// So few that what logins need for a moment, and leave to the allocator, is little beside what stays.
const AT_ONCE: usize = 16;
