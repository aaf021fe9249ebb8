//! What the cache promises, in paused time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::advance;

use super::*;
use crate::directory::Route;
use crate::metrics::Metrics;

type Answer = super::Answer<Route>;

/// A cache and a source whose answers are scripted and whose questions are counted.
struct World {
    cache: Arc<Cache<Route>>,
    counts: Arc<Counts>,
    remembered: IntGauge,
    asked: Arc<AtomicUsize>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    gate: Option<Arc<Notify>>,
}

impl World {
    fn new(entries: usize) -> Self {
        let times = config::Cache {
            entries,
            ttl: Duration::from_secs(300),
            negative_ttl: Duration::from_secs(30),
            stale: Duration::from_secs(3600),
        };
        let metrics = Metrics::new().expect("metrics");
        let (counts, remembered) = (Arc::new(Counts::new(&metrics)), metrics.directory_cached.clone());
        let cache = Arc::new(Cache::new(times, Arc::clone(&counts), remembered.clone(), Handle::current()));
        Self { cache, counts, remembered, asked: Arc::default(), answers: Arc::default(), gate: None }
    }

    fn will_answer(&self, answer: Answer) {
        self.answers.lock().expect("lock").push_back(answer);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn find(&self, user: &str) -> Answer {
        let (asked, answers, gate) = (Arc::clone(&self.asked), Arc::clone(&self.answers), self.gate.clone());
        let question = || async move {
            asked.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = gate {
                gate.notified().await;
            }
            let answer = answers.lock().expect("lock").pop_front();
            answer.expect("a question that was not expected")
        };
        self.cache.find(&user.into(), question).await
    }
}

fn at(host: &str) -> Answer {
    Ok(Some(Arc::new(Route::to(host))))
}

fn down() -> Answer {
    Err(Unavailable::Down("refused".into()))
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_remembered_for_its_time_and_a_tenth_more_or_less() {
    let world = World::new(100);
    world.will_answer(at("mail1"));
    world.will_answer(at("mail2"));
    assert_eq!(world.find("alice").await, at("mail1"));
    advance(Duration::from_secs(269)).await;
    assert_eq!(world.find("alice").await, at("mail1"));
    advance(Duration::from_secs(62)).await;
    assert_eq!(world.find("alice").await, at("mail2"));
    assert_eq!((world.asked(), world.counts.cached.get(), world.counts.found.get()), (2, 1, 2));
    assert_eq!(world.remembered.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_remembered_for_a_shorter_time() {
    let world = World::new(100);
    world.will_answer(Ok(None));
    world.will_answer(at("mail1"));
    assert_eq!(world.find("alice").await, Ok(None));
    advance(Duration::from_secs(26)).await;
    assert_eq!(world.find("alice").await, Ok(None));
    advance(Duration::from_secs(8)).await;
    assert_eq!(world.find("alice").await, at("mail1"));
    assert_eq!((world.asked(), world.counts.negative.get(), world.counts.unknown.get()), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_ask_for_one_user_are_one_question() {
    let mut world = World::new(100);
    let gate = Arc::new(Notify::new());
    world.gate = Some(Arc::clone(&gate));
    world.will_answer(at("mail1"));
    let world = Arc::new(world);
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.find("alice").await })
        })
        .collect();
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    for answer in waiting {
        assert_eq!(answer.await.expect("no panic"), at("mail1"));
    }
    assert_eq!((world.asked(), world.counts.found.get()), (1, 100));
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_does_not_take_the_question_along() {
    let mut world = World::new(100);
    let gate = Arc::new(Notify::new());
    world.gate = Some(Arc::clone(&gate));
    world.will_answer(at("mail1"));
    let impatient = tokio::time::timeout(Duration::from_secs(1), world.find("alice")).await;
    assert!(impatient.is_err());
    gate.notify_one();
    assert_eq!(world.find("alice").await, at("mail1"));
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_question_wakes_all_who_wait_and_the_next_may_ask_again() {
    let world = World::new(100);
    let (first, second) = tokio::join!(world.find("alice"), world.find("alice"));
    assert_eq!((first, second), (Err(Unavailable::Lost), Err(Unavailable::Lost)));
    world.will_answer(at("mail1"));
    assert_eq!(world.find("alice").await, at("mail1"));
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_serves_while_the_directory_is_down_and_no_longer_than_it_may() {
    let world = World::new(100);
    for answer in [at("mail1"), down(), down(), down()] {
        world.will_answer(answer);
    }
    assert_eq!(world.find("alice").await, at("mail1"));
    advance(Duration::from_secs(331)).await;
    assert_eq!(world.find("alice").await, at("mail1"), "stale");
    assert_eq!(world.find("alice").await, at("mail1"), "stale, and known to be down: not asked");
    assert_eq!(world.asked(), 2);
    advance(DOWN).await;
    assert_eq!(world.find("alice").await, at("mail1"), "asked again");
    assert_eq!((world.asked(), world.counts.stale.get()), (3, 3));
    advance(Duration::from_secs(3601)).await;
    assert_eq!(world.find("alice").await, down(), "too old");
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_gives_way_to_any_new_one() {
    let world = World::new(100);
    for answer in [at("mail1"), Err(Unavailable::Ambiguous), Ok(None), down()] {
        world.will_answer(answer);
    }
    assert_eq!(world.find("alice").await, at("mail1"));
    advance(Duration::from_secs(331)).await;
    assert_eq!(world.find("alice").await, Err(Unavailable::Ambiguous), "no outage");
    assert_eq!(world.find("alice").await, Ok(None));
    advance(Duration::from_secs(34)).await;
    assert_eq!(world.find("alice").await, down(), "nobody is never stale");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_remembered() {
    let world = World::new(100);
    for answer in [down(), at("mail1")] {
        world.will_answer(answer);
    }
    assert_eq!(world.find("alice").await, down());
    assert_eq!(world.find("alice").await, at("mail1"));
}

#[tokio::test(start_paused = true)]
async fn without_entries_nothing_is_remembered() {
    let world = World::new(0);
    for answer in [at("mail1"), at("mail2"), Ok(None), down()] {
        world.will_answer(answer.clone());
        assert_eq!(world.find("alice").await, answer);
    }
    assert_eq!(world.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_all_was_forgotten_is_not_remembered() {
    let mut world = World::new(100);
    let gate = Arc::new(Notify::new());
    world.gate = Some(Arc::clone(&gate));
    world.will_answer(at("old"));
    world.will_answer(at("new"));
    let world = Arc::new(world);
    let old = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.find("alice").await }
    });
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    world.cache.retain(|_, _| false);
    gate.notify_one();
    assert_eq!(old.await.expect("no panic"), at("old"));
    gate.notify_one();
    assert_eq!(world.find("alice").await, at("new"));
    assert_eq!(world.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_unknown_names_do_not_push_out_a_known_one() {
    let world = World::new(64);
    world.will_answer(at("mail1"));
    assert_eq!(world.find("alice").await, at("mail1"));
    for n in 0..1000 {
        world.will_answer(Ok(None));
        assert_eq!(world.find(&format!("guess{n}")).await, Ok(None));
    }
    assert_eq!(world.find("alice").await, at("mail1"));
    assert_eq!(world.asked(), 1001);
    assert!(world.cache.tables.as_ref().expect("on").unknown.len() <= 64);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_source_forgets_what_it_changes_and_leaves_the_rest_and_its_stale_answers() {
    let world = World::new(100);
    for answer in [at("mail1"), at("mail2"), Ok(None), at("mail9"), down()] {
        world.will_answer(answer);
    }
    for (name, answer) in [("alice", at("mail1")), ("bob", at("mail2")), ("nobody", Ok(None))] {
        assert_eq!(world.find(name).await, answer);
    }
    world.cache.retain(|name, route| name != "bob" && route.is_none_or(|route| route.host.as_deref() == Some("mail1")));
    assert_eq!(world.remembered.get(), 1);
    assert_eq!((world.find("alice").await, world.find("nobody").await), (at("mail1"), Ok(None)));
    assert_eq!(world.asked(), 3);
    assert_eq!(world.find("bob").await, at("mail9"), "asked again");
    advance(Duration::from_secs(331)).await;
    assert_eq!(world.find("alice").await, at("mail1"), "stale");
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_a_change_overtakes_is_answered_from_memory_all_the_same() {
    let mut world = World::new(100);
    world.will_answer(at("mail1"));
    world.will_answer(down());
    assert_eq!(world.find("alice").await, at("mail1"));
    advance(Duration::from_secs(331)).await;
    let gate = Arc::new(Notify::new());
    world.gate = Some(Arc::clone(&gate));
    let world = Arc::new(world);
    let asking = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.find("alice").await }
    });
    while world.asked() == 1 {
        tokio::task::yield_now().await;
    }
    world.cache.retain(|_, _| true);
    gate.notify_one();
    assert_eq!(asking.await.expect("no panic"), at("mail1"));
}

#[tokio::test(start_paused = true)]
async fn while_one_asks_whether_the_directory_is_back_the_others_do_not_wait() {
    let mut world = World::new(100);
    for user in ["alice", "bob"] {
        world.will_answer(at("mail1"));
        assert_eq!(world.find(user).await, at("mail1"));
    }
    advance(Duration::from_secs(400)).await;
    world.will_answer(down());
    assert_eq!(world.find("alice").await, at("mail1"));
    advance(DOWN + Duration::from_secs(1)).await;
    let gate = Arc::new(Notify::new());
    world.gate = Some(Arc::clone(&gate));
    world.will_answer(down());
    let world = Arc::new(world);
    let asking = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.find("alice").await }
    });
    while world.asked() < 4 {
        tokio::task::yield_now().await;
    }
    let bob = tokio::time::timeout(Duration::from_secs(1), world.find("bob")).await;
    assert_eq!(bob.expect("no wait for alice's question"), at("mail1"));
    gate.notify_one();
    assert_eq!(asking.await.expect("no panic"), at("mail1"));
    assert_eq!(world.asked(), 4);
}
