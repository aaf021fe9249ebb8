//! A server that answers, but not usefully: a base that is not there, and searches that it refuses.

use super::*;

/// Codes that no user's name explains.
const REFUSALS: [u8; 9] = [1, 2, 8, 12, 13, 49, 50, 53, 80];

async fn refusing_searches(code: u8) -> Fake {
    Fake::new(searches(move |heard| say(done(heard.id, code)))).await
}

#[tokio::test]
async fn a_base_that_is_not_there_is_an_outage_and_never_an_unknown_user() {
    for code in [10, 32, 34] {
        let fake = refusing_searches(code).await;
        let two = directory_of(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)]))), Source::Pool("rest".into())]);
        let problem = problem(&two, "alice").await;
        assert!(matches!(&problem, Unavailable::Base { base, .. } if base == "dc=example,dc=com"), "{problem}");
        assert!(problem.is_outage() && two.recipient("alice@example.com").await.is_err());
        let said = problem.to_string();
        assert!(
            said.starts_with(&format!("directory does not search below base dc=example,dc=com: {code} ")),
            "{said}"
        );
        assert!(said.ends_with("is `base` right, and may the gateway's bind search there?"), "{said}");
        assert!(matches!(two.state().reach(), Reach::NeverAnswered { why: Some(Unavailable::Base { .. }) }));
    }
}

#[tokio::test]
async fn a_directory_that_refuses_every_search_has_never_answered() {
    for code in REFUSALS {
        let fake = refusing_searches(code).await;
        let directory = directory(&fake);
        let problem = problem(&directory, "alice").await;
        assert!(problem.is_outage(), "{problem}");
        assert_eq!(directory.state().reach(), Reach::NeverAnswered { why: Some(problem) });
    }
}

#[tokio::test]
async fn what_a_name_may_explain_is_no_outage_until_a_probe_for_nobody_hears_the_same() {
    for code in [3, 11, 18, 21] {
        let fake = refusing_searches(code).await;
        let directory = directory(&fake);
        let problem = problem(&directory, "alice").await;
        assert!(!problem.is_outage(), "{problem}");
        assert_eq!(directory.state().reach(), Reach::NeverAnswered { why: None });
        directory.watch();
        while directory.state().reach() == (Reach::NeverAnswered { why: None }) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(directory.state().reach(), Reach::NeverAnswered { why: Some(problem) });
    }
}

#[tokio::test]
async fn a_probe_searches_as_a_login_does() {
    let fake = refusing_searches(0).await;
    let directory = directory(&fake);
    directory.watch();
    while !directory.state().answers() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let asked = fake.heard(SEARCH);
    let content = &asked.first().expect("a probe").content;
    for text in ["dc=example,dc=com", "portcullis-probe@probe.invalid"] {
        assert!(content.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}

#[tokio::test]
async fn a_remembered_user_is_served_while_the_base_may_not_be_read() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let fake = Fake::new(searches(move |heard| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => say(lives_at(heard.id, "mail1")),
        _ => say(done(heard.id, 32)),
    }))
    .await;
    // Due to be asked for again at once.
    let (ttl, stale) = (Duration::ZERO, Duration::from_secs(3600));
    let cache = config::Cache { entries: 100, ttl, negative_ttl: ttl, stale };
    let directory = directory_with(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)])))], cache);
    for _ in 0..3 {
        assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    }
    assert!(matches!(directory.state().reach(), Reach::Away { why: Unavailable::Base { .. }, .. }));
    assert!(matches!(problem(&directory, "bob").await, Unavailable::Base { .. }));
}
