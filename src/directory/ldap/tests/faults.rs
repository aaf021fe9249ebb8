//! Servers that are slow, away, or come back.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::*;

/// A port that nobody listens on any more.
pub(super) async fn refusing() -> LdapUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    LdapUrl { ldaps: false, host: "127.0.0.1".into(), port }
}

/// One that gives up soon.
fn impatient(urls: Vec<LdapUrl>) -> Directory {
    let mut config = ldap(urls);
    config.timeout = SOON;
    directory_at(config)
}

async fn times_out(directory: &Directory) {
    let began = Instant::now();
    assert_eq!(problem(directory, "alice").await, Unavailable::TimedOut(SOON));
    assert!((SOON..SOON * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
}

const SOON: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_server_that_never_answers_a_bind_costs_one_deadline() {
    let fake = Fake::new(|_| vec![]).await;
    let began = Instant::now();
    let problem = problem(&impatient(vec![url(&fake)]), "alice").await;
    assert!(matches!(problem, Unavailable::TimedOut(_) | Unavailable::Down(_)), "{problem}");
    assert!(began.elapsed() < SOON * 2);
}

#[tokio::test]
async fn a_server_that_never_answers_a_search_costs_one_deadline_and_its_connection() {
    let fake = Fake::new(searches(|_| vec![])).await;
    let directory = impatient(vec![url(&fake)]);
    times_out(&directory).await;
    assert!(!directory.state().answers());
    let connections = fake.connections();
    times_out(&directory).await;
    assert!(fake.connections() > connections, "the silent connection is not used again");
}

#[tokio::test]
async fn a_server_that_drips_costs_one_deadline() {
    let drip = |heard: &Heard| {
        let references = (0..60).flat_map(|_| [Say::Bytes(reference(heard.id)), Say::Wait(SOON / 8)]);
        references.collect()
    };
    let fake = Fake::new(searches(drip)).await;
    times_out(&impatient(vec![url(&fake)])).await;
}

#[tokio::test]
async fn a_late_answer_is_nobody_s() {
    let fake = Fake::new(searches(|heard| match heard.connection {
        0 => vec![Say::Wait(SOON + SOON / 4), Say::Bytes(lives_at(heard.id, "late"))],
        _ => vec![Say::Wait(SOON / 2), Say::Bytes(lives_at(heard.id, "mail2"))],
    }))
    .await;
    let directory = impatient(vec![url(&fake)]);
    times_out(&directory).await;
    assert_eq!(host(&directory, "bob").await.as_deref(), Some("mail2"));
}

#[tokio::test]
async fn a_search_whose_connection_ends_is_asked_once_more() {
    let fake = Fake::new(searches(|heard| match heard.connection {
        0 => vec![Say::Close],
        _ => say(lives_at(heard.id, "mail1")),
    }))
    .await;
    assert_eq!(host(&directory(&fake), "alice").await.as_deref(), Some("mail1"));
    assert_eq!(fake.heard(SEARCH).len(), 2);
    let fake = Fake::new(searches(|_| vec![Say::Close])).await;
    assert!(matches!(problem(&directory(&fake), "alice").await, Unavailable::Down(_)));
    assert_eq!(fake.heard(SEARCH).len(), 2);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_opened_anew() {
    let fake = Fake::new(searches(|heard| match heard.connection {
        0 => vec![Say::Bytes(lives_at(heard.id, "mail1")), Say::Close],
        _ => say(lives_at(heard.id, "mail2")),
    }))
    .await;
    let directory = directory(&fake);
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail2"));
}

#[tokio::test]
async fn a_thousand_searches_survive_a_restart_of_the_server() {
    let fake = Fake::new(searches(|heard| match (heard.connection, heard.id) {
        (0 | 1, 30..) => vec![Say::Close],
        _ => say(lives_at(heard.id, "mail1")),
    }))
    .await;
    let directory = directory(&fake);
    let asking: Vec<_> = (0..1000)
        .map(|n| {
            let directory = directory.clone();
            tokio::spawn(async move { host(&directory, &format!("user{n}")).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.expect("no panic").as_deref(), Some("mail1"));
    }
    assert_eq!(fake.connections(), 4);
}

#[tokio::test]
async fn no_more_than_64_searches_are_in_flight_on_a_connection() {
    let fake = Fake::new(searches(|_| vec![])).await;
    let mut config = ldap(vec![url(&fake)]);
    (config.connections, config.timeout) = (1, SOON);
    let directory = directory_at(config);
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..65 {
        let directory = directory.clone();
        asking.spawn(async move { find(&directory, &format!("user{n}")).await });
    }
    // The 65th waits for a place, and is refused when half of its time is over; the others still have theirs.
    let first = asking.join_next().await.expect("an end").expect("no panic");
    assert_eq!(first, Err(Unavailable::Overloaded));
    assert_eq!((fake.heard(SEARCH).len(), fake.connections()), (64, 1));
}

#[tokio::test]
async fn ten_thousand_questions_to_a_slow_server_are_answered_or_refused_in_time() {
    let fake =
        Fake::new(searches(|heard| vec![Say::Wait(Duration::from_millis(2)), Say::Bytes(lives_at(heard.id, "mail1"))]))
            .await;
    let directory = directory(&fake);
    let began = Instant::now();
    let asking: Vec<_> = (0..10_000)
        .map(|n| {
            let directory = directory.clone();
            tokio::spawn(async move { find(&directory, &format!("user{n}")).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for asked in asking {
        match asked.await.expect("no panic") {
            Ok(route) => answered += usize::from(route.is_some()),
            Err(Unavailable::Overloaded) => refused += 1,
            Err(problem) => panic!("{problem}"),
        }
    }
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    assert!(answered >= 128 && refused > 0, "{answered} answered, {refused} refused");
    assert_eq!((answered + refused, fake.connections()), (10_000, 2));
}

#[tokio::test]
async fn the_next_server_is_asked_when_the_first_is_away_and_then_goes_first() {
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1")))).await;
    let closing = Fake::new(|_| vec![Say::Close]).await;
    let directory = directory_at(ldap(vec![refusing().await, url(&closing), url(&fake)]));
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    assert_eq!(closing.connections(), 1);
    assert!(directory.reload().await.problems.is_empty());
    // The second of two connections is opened while the first is busy: it goes to the good server straight away.
    let (one, two) = tokio::join!(host(&directory, "alice"), host(&directory, "bob"));
    assert_eq!((one.as_deref(), two.as_deref()), (Some("mail1"), Some("mail1")));
    assert_eq!(closing.connections(), 1);
}

#[tokio::test]
async fn a_hanging_server_leaves_time_for_the_next() {
    let hanging = Fake::new(|_| vec![]).await;
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1")))).await;
    let directory = impatient(vec![url(&hanging), url(&fake)]);
    let began = Instant::now();
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    assert!(began.elapsed() < SOON);
}

#[tokio::test]
async fn a_server_that_is_busy_or_unavailable_passes_the_question_on() {
    for code in [51, 52] {
        let busy = Fake::new(searches(move |heard| say(done(heard.id, code)))).await;
        let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1")))).await;
        let directory = directory_at(ldap(vec![url(&busy), url(&fake)]));
        assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    }
}

#[tokio::test]
async fn when_all_servers_are_away_all_are_tried_all_the_same() {
    let closing = Fake::new(|_| vec![Say::Close]).await;
    let directory = directory_at(ldap(vec![refusing().await, url(&closing)]));
    for asked in 1..=3 {
        let problem = problem(&directory, "alice").await;
        assert!(matches!(problem, Unavailable::Down(_)), "{problem}");
        assert_eq!(closing.connections(), asked);
    }
}

#[tokio::test]
async fn a_directory_that_comes_back_is_noticed_without_a_question() {
    let fake = Fake::new(searches(|heard| match heard.connection {
        0 | 1 => vec![Say::Close],
        _ => say(done(heard.id, 0)),
    }))
    .await;
    let directory = directory(&fake);
    problem(&directory, "alice").await;
    assert!(matches!(directory.state().reach(), Reach::NeverAnswered { why: Some(Unavailable::Down(_)) }));
    directory.watch();
    while !directory.state().answers() {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(fake.heard(SEARCH).len(), 3);
}

#[tokio::test]
async fn an_idle_directory_that_goes_away_is_noticed_without_a_question() {
    let is_away = Arc::new(AtomicBool::new(false));
    let fake = Fake::new({
        let is_away = Arc::clone(&is_away);
        searches(move |heard| if is_away.load(Ordering::SeqCst) { vec![Say::Close] } else { say(done(heard.id, 0)) })
    })
    .await;
    let directory = directory(&fake);
    assert_eq!(directory.state().reach(), Reach::NeverAnswered { why: None });
    directory.watch();
    while !directory.state().answers() {
        sleep(Duration::from_millis(1)).await;
    }
    is_away.store(true, Ordering::SeqCst);
    while directory.state().answers() {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(matches!(directory.state().reach(), Reach::Away { why: Unavailable::Down(_), .. }));
}

#[tokio::test]
async fn a_password_that_cannot_be_checked_is_no_state_but_has_the_directory_probed() {
    let fake = Fake::new(|heard| match heard.operation {
        BIND if heard.content.windows(7).any(|window| window == b"cn=gate") => say(bound(heard.id, 0)),
        BIND => vec![Say::Close],
        _ => say(lives_at(heard.id, "mail1")),
    })
    .await;
    let directory = directory(&fake);
    let route = find(&directory, "alice").await.expect("an answer").expect("known");
    directory.check_password(&route, &secret("x"), CLIENT).await.expect_err("no answer");
    assert!(directory.state().answers());
    directory.watch();
    while fake.heard(SEARCH).len() < 3 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(directory.state().answers());
}
