//! What attempts say of a server.

use std::time::Duration;

use super::*;
use crate::metrics::Metrics;

fn health() -> (Health, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    (Health::new(INTERVAL, &Series::new("mail1.example.com", &metrics)), metrics)
}

#[tokio::test(start_paused = true)]
async fn each_protocol_has_a_state_of_its_own_and_only_changes_are_told() {
    let (health, metrics) = health();
    let note = |protocol, problem| health.note(protocol, Instant::now(), problem);
    let up = |protocol: Protocol| metrics.backend_up.with_label_values(&["mail1.example.com", protocol.name()]).get();
    assert_eq!(note(Protocol::Imap, Some(("refused", Sign::Spoke))), Change::Down);
    assert_eq!(note(Protocol::Submission, None), Change::Same, "it was not down before");
    assert_eq!(note(Protocol::Imap, Some(("refused", Sign::Spoke))), Change::Same);
    assert_eq!((up(Protocol::Imap), up(Protocol::Submission)), (0, 1));
    let reached = |health: &Health| {
        let known = health.known().into_iter();
        known.map(|(protocol, last)| Reached { protocol, port: 1, last }).collect::<Vec<_>>()
    };
    assert_eq!(State::of(&reached(&health)), State::Degraded);
    assert_eq!(note(Protocol::Imap, None), Change::UpAgain);
    assert_eq!((up(Protocol::Imap), State::of(&reached(&health))), (1, State::Up));
    note(Protocol::Imap, Some(("refused", Sign::Spoke)));
    note(Protocol::Submission, Some(("refused", Sign::Spoke)));
    assert_eq!(State::of(&reached(&health)), State::Down);
    assert_eq!(State::of(&[]), State::Unknown);
}

#[test]
fn a_server_is_up_or_down_only_where_it_was_tried_by_all_protocols() {
    let reached = |last: LastAttempt| Reached { protocol: Protocol::Imap, port: 143, last };
    let (not_tried, up) = (LastAttempt::NotTried, LastAttempt::Answered);
    let down = LastAttempt::Failed { since: SystemTime::UNIX_EPOCH, why: "refused".into() };
    for (attempts, expected) in [
        (&[][..], State::Unknown),
        (&[&not_tried, &not_tried], State::Unknown),
        (&[&up, &up], State::Up),
        (&[&up, &not_tried], State::PartlyTried),
        (&[&up, &down], State::Degraded),
        (&[&down, &not_tried], State::Degraded),
        (&[&up, &down, &not_tried], State::Degraded),
        (&[&down, &down], State::Down),
    ] {
        let attempts: Vec<_> = attempts.iter().map(|&last| reached(last.clone())).collect();
        assert_eq!(State::of(&attempts), expected, "{attempts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_is_down_since_the_first_attempt_that_failed() {
    let (health, _) = health();
    let fail = |why| {
        health.note(Protocol::Imap, Instant::now(), Some((why, Sign::Spoke)));
    };
    let last = || health.known().remove(&Protocol::Imap).expect("it was tried");
    let before = SystemTime::now();
    fail("first");
    let LastAttempt::Failed { since, .. } = last() else { panic!("{:?}", last()) };
    assert!(since >= before && since <= SystemTime::now());
    fail("second");
    assert_eq!(last(), LastAttempt::Failed { since, why: "second".into() });
    health.note(Protocol::Imap, Instant::now(), None);
    assert_eq!(last(), LastAttempt::Answered);
    fail("third");
    assert!(matches!(last(), LastAttempt::Failed { since: again, .. } if again >= since));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_old_news_where_a_later_attempt_was_answered() {
    let (health, _) = health();
    let before = Instant::now();
    tokio::time::advance(Duration::from_secs(5)).await;
    health.note(Protocol::Imap, Instant::now(), None);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(health.note(Protocol::Imap, before, Some(("login: timed out", Sign::Spoke))), Change::Same);
    assert_eq!(health.note(Protocol::Imap, Instant::now(), Some(("greeting: timed out", Sign::Spoke))), Change::Down);
    assert_eq!(
        health.note(Protocol::Imap, before, Some(("login: timed out", Sign::Spoke))),
        Change::Same,
        "and it stays down"
    );
}

#[tokio::test(start_paused = true)]
async fn servers_of_one_pattern_are_up_together_and_one_that_is_forgotten_counts_no_more() {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let series = Series::new("*.stores.example.com", &metrics);
    let (one, two) = (Health::new(INTERVAL, &series), Health::new(INTERVAL, &series));
    let up = || metrics.backend_up.with_label_values(&["*.stores.example.com", "imap"]).get();
    one.note(Protocol::Imap, Instant::now(), None);
    two.note(Protocol::Imap, Instant::now(), Some(("refused", Sign::Spoke)));
    one.note(Protocol::Imap, Instant::now(), Some(("refused", Sign::Spoke)));
    one.note(Protocol::Imap, Instant::now(), None);
    assert_eq!(up(), 0, "the other is still down");
    drop(two);
    assert_eq!(up(), 1);
    drop(one);
    assert_eq!(up(), 1);
}

const INTERVAL: Duration = Duration::from_secs(5);

fn note(health: &Health, sign: Option<Sign>) -> Reach {
    health.note(Protocol::Imap, Instant::now(), sign.map(|sign| ("no", sign)));
    health.reach(Protocol::Imap)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_rechecked_now_and_then_until_it_answers() {
    let (health, _) = health();
    assert_eq!(note(&health, Some(Sign::Silent)), Reach::Suspect);
    assert_eq!(health.reach(Protocol::Pop3), Reach::Reachable, "another program, perhaps");
    assert_eq!(health.start_rechecks(), []);
    tokio::time::advance(INTERVAL).await;
    assert_eq!(health.start_rechecks(), [Protocol::Imap]);
    assert_eq!(note(&health, Some(Sign::Silent)), Reach::Suspect);
    assert_eq!(health.start_rechecks(), [], "one is under way");
    assert_eq!(note(&health, Some(Sign::StillSilent)), Reach::Unreachable);
    health.rechecked(Protocol::Imap);
    assert_eq!(note(&health, Some(Sign::Silent)), Reach::Unreachable);
    assert_eq!(health.start_rechecks(), []);
    tokio::time::advance(INTERVAL).await;
    assert_eq!(health.start_rechecks(), [Protocol::Imap]);
    assert_eq!(note(&health, None), Reach::Reachable);
    health.rechecked(Protocol::Imap);
    tokio::time::advance(INTERVAL).await;
    assert_eq!(health.start_rechecks(), [], "logins find out again");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_early_keeps_nobody_from_a_server_but_has_it_looked_at() {
    let (health, _) = health();
    assert_eq!(note(&health, Some(Sign::LeftEarly)), Reach::Reachable);
    tokio::time::advance(INTERVAL).await;
    assert_eq!(health.start_rechecks(), [Protocol::Imap]);
    assert_eq!(note(&health, Some(Sign::StillSilent)), Reach::Unreachable);
    assert_eq!(note(&health, Some(Sign::LeftEarly)), Reach::Unreachable, "nor does it end what the gateway has seen");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_is_tried_by_each_login_however_those_end() {
    let (health, _) = health();
    assert_eq!(note(&health, Some(Sign::StillSilent)), Reach::Unreachable);
    assert_eq!(note(&health, Some(Sign::Spoke)), Reach::Reachable);
    tokio::time::advance(INTERVAL).await;
    assert_eq!(health.start_rechecks(), []);
    assert!(health.problem(Protocol::Imap).is_some(), "it is down all the same");
}
