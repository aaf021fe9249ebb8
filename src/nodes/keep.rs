//! The task by which a gateway shows itself to the others and hears what is ordered.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use super::known::ROUNDS;
use super::seen::Shown;
use super::{Nodes, Order, PIECE_MAX, ROUTE};
use crate::node_id::node_id;
use crate::proto::Protocol;
use crate::registry::{Away, Heard};
use crate::roster::{Filter, PIECES};

/// What was told so far.
struct Told {
    /// Changes to each piece, and what it was like.
    pieces: Vec<Option<(u64, u64)>>,
    hasher: RandomState,
    /// When bytes and times were told.
    whole: Option<Instant>,
    /// The last order that was heard of; none before this gateway's start is.
    order: Option<(u64, u64)>,
}

impl Nodes {
    /// For as long as it is polled; returns at once where there can be no others.
    pub async fn keep(self) {
        if !self.0.registry.is_shared() {
            return;
        }
        self.0.roster.want_news();
        let mut told = Told { pieces: vec![None; PIECES], hasher: RandomState::new(), whole: None, order: None };
        loop {
            // While the store is away, who asks is told so; what is to be told is told later.
            let _ = self.beat(&mut told).await;
            tokio::time::sleep(BEAT).await;
        }
    }

    /// This gateway ends, and nobody [keeps](Self::keep) it: the others need not wait for its lease, and what it has
    /// heard stays, as far as it can be told while this is polled.
    pub async fn leave(&self) {
        self.0.registry.leave(node_id()).await;
        let _ = self.tell_news(usize::MAX).await;
    }

    async fn beat(&self, told: &mut Told) -> Result<(), Away> {
        let heard = self.0.registry.renew(node_id(), &self.0.name, told.order.unwrap_or((u64::MAX, 0))).await?;
        if heard.is_new {
            told.pieces.fill(None);
        }
        self.obey(heard, told);
        self.show(told).await?;
        self.tell_news(ROUNDS).await
    }

    /// Each order once, and none that is old.
    fn obey(&self, heard: Heard, told: &mut Told) {
        let begin = (heard.now, 0);
        // A clock that was put back, or a start, begins anew.
        let known = told.order.filter(|known| *known <= (heard.now.saturating_add(SKEW), 0));
        told.order = Some(heard.orders.iter().map(|(id, _)| *id).fold(known.unwrap_or(begin), std::cmp::max));
        if known.is_none() {
            return;
        }
        for ((time, _), order) in heard.orders {
            if time.saturating_add(ORDER_LIFE) >= heard.now
                && let Ok(order) = serde_json::from_str::<Order>(&order)
                && order.from != node_id()
            {
                self.carry_out(&order);
            }
        }
    }

    fn carry_out(&self, order: &Order) {
        if order.of == ROUTE {
            return self.forget(order);
        }
        let Some(of) = KINDS.into_iter().find(|kind| *kind == order.of) else { return };
        let count = match (order.session, order.filter()) {
            (Some((to, number)), _) if to == node_id() => usize::from(self.0.roster.kick_one(number)),
            (None, Some(filter)) => self.0.roster.kick(&filter),
            _ => return,
        };
        self.0.metrics.kicks.with_label_values(&[of]).inc_by(count as u64);
        let (by, from) = (&*order.by, "another gateway");
        tracing::info!(by, from, act = "drop", of, what = &*order.what, count, "administrator");
    }

    fn forget(&self, order: &Order) {
        let directory = &self.0.directory;
        let Some(Ok(user)) = order.user.as_deref().map(|name| directory.named(name)) else { return };
        let (by, from, forgotten) = (&*order.by, "another gateway", directory.forget(&user));
        tracing::info!(by, from, act = "forget_route", what = user.name(), forgotten, "administrator");
    }

    async fn show(&self, told: &mut Told) -> Result<(), Away> {
        let is_time = told.whole.is_none_or(|then| then.elapsed() >= WHOLE);
        let mut batch = Vec::new();
        for index in 0..PIECES {
            let (changes, known) = (self.0.roster.changes(index), told.pieces.get(index).copied().flatten());
            if is_time || known.is_none_or(|(then, _)| then != changes) {
                let shown = Shown::of(&self.0.roster.piece(index, PIECE_MAX));
                let Ok(text) = serde_json::to_vec(&shown) else { continue };
                let likeness = told.hasher.hash_one(&text);
                if known.is_none_or(|(_, then)| then != likeness) {
                    batch.push((index, changes, likeness, text));
                }
            }
            if batch.len() == AT_ONCE || (index + 1 == PIECES && !batch.is_empty()) {
                self.post(&mut batch, told).await?;
            }
        }
        if is_time {
            told.whole = Some(Instant::now());
        }
        Ok(())
    }

    async fn post(&self, batch: &mut Vec<(usize, u64, u64, Vec<u8>)>, told: &mut Told) -> Result<(), Away> {
        let (mut pieces, mut likenesses) = (Vec::new(), Vec::new());
        for (index, changes, likeness, text) in batch.drain(..) {
            pieces.push((index, text));
            likenesses.push((index, changes, likeness));
        }
        self.0.registry.post(node_id(), &pieces).await?;
        for (index, changes, likeness) in likenesses {
            if let Some(known) = told.pieces.get_mut(index) {
                *known = Some((changes, likeness));
            }
        }
        Ok(())
    }
}

impl Order {
    /// `None` when it would be for all sessions, or for what we do not know.
    fn filter(&self) -> Option<Filter> {
        let protocol = match &self.protocol {
            None => None,
            Some(name) => Some(Protocol::named(name)?),
        };
        let (user, backend) = (self.user.as_deref().map(Into::into), self.backend.as_deref().map(Into::into));
        let is_one = user.is_some() || backend.is_some() || self.client.is_some();
        is_one.then_some(Filter { user, protocol, client: self.client, backend })
    }
}

const KINDS: [&str; 4] = ["session", "user", "address", "backend"];
/// How soon the others see who came or went, and an order is carried out.
const BEAT: Duration = Duration::from_millis(500);
/// How often the others see how much was moved.
const WHOLE: Duration = Duration::from_secs(5);
/// Pieces in one round trip.
const AT_ONCE: usize = 8;
/// In milliseconds: who hears of an order later leaves it.
const ORDER_LIFE: u64 = 10_000;
/// In milliseconds: order numbers may be so far ahead of the server's clock.
const SKEW: u64 = 1_000;
