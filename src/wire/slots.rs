//! A bounded number of connections to a small server of ours, where one that says nothing makes room for the next.
//!
//! The admin side and the look-ups have no login: who connects and stays silent would otherwise hold a place for as long
//! as a slow but honest client may take, and a few hundred such connections would shut out everybody else. Here a newcomer
//! always gets a slot. When all are taken, one connection is told to end, in this order: those that have not yet asked
//! anything, those that wait for their next question, those whose question is being answered; in each group the one that
//! has been there longest.
//!
//! A newcomer's question is on its way: for [`GRACE`] a silent one is spared, or where all others have asked something
//! (or have begun a request whose body never ends) each newcomer would be evicted by the next one. No more than a quarter
//! of the slots is kept so: a crowd of silent newcomers evicts its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// See the module.
pub struct ConnectionSlots {
    most: usize,
    taken: Mutex<Occupants>,
}

#[derive(Default)]
struct Occupants {
    /// Counts connections and what they do, so that it also says who was first.
    moment: u64,
    by_id: HashMap<u64, Occupant>,
}

struct Occupant {
    stage: ConnectionStage,
    since: u64,
    arrived: Instant,
    evicted: Arc<Notify>,
}

/// What a connection does, in the order in which they are evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ConnectionStage {
    /// It has not asked anything yet.
    Silent,
    /// It was answered.
    Waiting,
    /// It has asked.
    Asking,
}

impl ConnectionSlots {
    /// For so many connections at the same time, at least one.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), taken: Mutex::default() })
    }

    /// For a connection that was just accepted; `true`: another one was evicted for it.
    pub fn take(self: &Arc<Self>) -> (ConnectionSlot, bool) {
        let mut taken = self.lock();
        let is_full = taken.by_id.len() >= self.most;
        if is_full {
            let next = taken.next_to_go(self.most / NEWCOMERS_SHARE);
            if let Some(evicted) = next.and_then(|id| taken.by_id.remove(&id)) {
                evicted.evicted.notify_one();
            }
        }
        let (id, evicted) = (taken.next_moment(), Arc::new(Notify::new()));
        let (stage, arrived) = (ConnectionStage::Silent, Instant::now());
        let occupant = Occupant { stage, since: id, arrived, evicted: evicted.clone() };
        taken.by_id.insert(id, occupant);
        (ConnectionSlot { slots: self.clone(), id, evicted }, is_full)
    }

    // Complete at every moment.
    fn lock(&self) -> MutexGuard<'_, Occupants> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupants {
    /// Who makes room; newcomers are spared while they are no more than `share`.
    fn next_to_go(&self, share: usize) -> Option<u64> {
        let now = Instant::now();
        let newcomers = self.by_id.values().filter(|one| one.is_newcomer(now)).count();
        let is_spared = |one: &Occupant| newcomers <= share && one.is_newcomer(now);
        let next = self.by_id.iter().min_by_key(|(_, one)| (is_spared(one), one.stage, one.since));
        next.map(|(id, _)| *id)
    }

    fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

impl Occupant {
    fn is_newcomer(&self, now: Instant) -> bool {
        self.stage == ConnectionStage::Silent && now.duration_since(self.arrived) < GRACE
    }
}

/// A connection's slot, given back when it is dropped.
pub struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    id: u64,
    evicted: Arc<Notify>,
}

impl ConnectionSlot {
    /// A whole question has come.
    pub fn set_asking(&self) {
        self.set(|_| ConnectionStage::Asking);
    }

    /// All that was asked is answered; of one that has not asked yet, this says nothing.
    pub fn set_answered(&self) {
        self.set(|stage| match stage {
            ConnectionStage::Asking => ConnectionStage::Waiting,
            ConnectionStage::Silent | ConnectionStage::Waiting => stage,
        });
    }

    /// Is ready when the connection is to end, because another one has come and there was no room.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }

    fn set(&self, change: impl FnOnce(ConnectionStage) -> ConnectionStage) {
        let mut taken = self.slots.lock();
        let now = taken.next_moment();
        if let Some(one) = taken.by_id.get_mut(&self.id) {
            let stage = change(one.stage);
            if stage != one.stage {
                (one.stage, one.since) = (stage, now);
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.lock().by_id.remove(&self.id);
    }
}

/// For a newcomer's question to arrive.
pub const GRACE: Duration = Duration::from_secs(1);
/// Newcomers are spared in one of so many slots.
const NEWCOMERS_SHARE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    /// Which of them were told to end; who was, is told once.
    fn evicted(slots: &[&ConnectionSlot]) -> Vec<usize> {
        let is_evicted = |slot: &ConnectionSlot| {
            let mut told = std::pin::pin!(slot.evicted());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            told.as_mut().poll(&mut context).is_ready()
        };
        slots.iter().enumerate().filter(|(_, slot)| is_evicted(slot)).map(|(at, _)| at).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_silent_one_goes_first_then_who_waits_then_who_asks() {
        let slots = ConnectionSlots::new(4);
        let [asks, waited, waits, silent] = [(); 4].map(|()| slots.take().0);
        silent.set_answered();
        [&waited, &waits, &asks].iter().for_each(|slot| slot.set_asking());
        waits.set_answered();
        waited.set_answered();
        let all = [&asks, &waited, &waits, &silent];
        assert_eq!(evicted(&all), [0_usize; 0]);
        let mut newcomers = Vec::new();
        // The first newcomer does not say anything either, and makes room for the second.
        for expected in [vec![3], vec![]] {
            advance(GRACE).await;
            newcomers.push(slots.take());
            assert!(newcomers.iter().all(|(_, evicts)| *evicts));
            assert_eq!(evicted(&all), expected);
        }
        drop(newcomers);
        let asked: Vec<_> = (0..2).map(|_| slots.take()).inspect(|(slot, _)| slot.set_asking()).collect();
        assert_eq!(evicted(&all), [2], "it has waited longest since its answer");
        assert!(asked[1].1 && slots.take().1);
        assert_eq!(evicted(&all), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_is_spared_for_a_second_though_it_alone_has_not_asked() {
        let slots = ConnectionSlots::new(16);
        let unfinished: Vec<_> = (0..16).map(|_| slots.take().0).inspect(ConnectionSlot::set_asking).collect();
        let unfinished: Vec<_> = unfinished.iter().collect();
        let newcomer = slots.take().0;
        let next: Vec<_> = (0..4).map(|_| slots.take().0).collect();
        assert_eq!(evicted(&unfinished), [0, 1, 2, 3, 4], "who has been there longest");
        assert_eq!(evicted(&[&newcomer]), [0_usize; 0]);
        // They are more than a quarter now.
        let crowd: Vec<_> = (0..11).map(|_| slots.take().0).collect();
        assert_eq!(evicted(&unfinished), [0_usize; 0], "a crowd of newcomers evicts its own");
        assert_eq!((evicted(&[&newcomer]), evicted(&next.iter().collect::<Vec<_>>())), (vec![0], vec![0, 1, 2, 3]));
        let crowd: Vec<_> = crowd.iter().collect();
        assert_eq!(evicted(&crowd), [0, 1, 2, 3, 4, 5]);
        // Only one is left to spare, and its time is over.
        crowd.iter().skip(7).for_each(|slot| slot.set_asking());
        advance(GRACE).await;
        let _last = slots.take();
        assert_eq!((evicted(&crowd), evicted(&unfinished)), (vec![6], vec![]));
    }

    #[test]
    fn a_slot_is_given_back_once() {
        let slots = ConnectionSlots::new(1);
        let (first, evicts) = slots.take();
        assert!(!evicts);
        let (second, evicts) = slots.take();
        assert!(evicts && evicted(&[&first, &second]) == [0]);
        first.set_answered();
        drop(first);
        assert!(slots.take().1, "the second one still has its slot");
        drop(second);
        assert!(!slots.take().1);
    }
}
