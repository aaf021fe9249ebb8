//! Passwords, checked by a bind.

use super::super::fake::tlv;
use super::*;

const PASSWORD: &str = "correct horse";

/// Searches find alice; our own bind succeeds; hers is answered as the test says.
fn binds(
    answer: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static,
) -> impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static {
    move |heard| match heard.operation {
        BIND if is_ours(heard) => say(bound(heard.id, 0)),
        BIND => answer(heard),
        _ => say(lives_at(heard.id, "mail1")),
    }
}

fn is_ours(bind: &Heard) -> bool {
    bind.content.windows(7).any(|window| window == b"cn=gate")
}

async fn check(directory: &Directory, password: &str) -> Result<PasswordAnswer, Unavailable> {
    let route = find(directory, "alice").await.expect("an answer").expect("known");
    directory.check_password(&route, &secret(password), CLIENT).await
}

fn hers(fake: &Fake) -> Vec<Heard> {
    fake.heard(BIND).into_iter().filter(|bind| !is_ours(bind)).collect()
}

#[tokio::test]
async fn a_password_is_checked_with_the_dn_that_was_found() {
    let right = tlv(0x80, PASSWORD.as_bytes());
    let fake =
        Fake::new(binds(move |heard| say(bound(heard.id, if heard.content.ends_with(&right) { 0 } else { 49 })))).await;
    let directory = directory(&fake);
    assert_eq!(check(&directory, PASSWORD).await, Ok(PasswordAnswer::Right));
    assert_eq!(check(&directory, "wrong").await, Ok(PasswordAnswer::Wrong));
    assert_eq!(check(&directory, PASSWORD).await, Ok(PasswordAnswer::Right));
    let binds = hers(&fake);
    let dn = tlv(4, b"uid=alice,dc=example,dc=com");
    assert!(binds.len() == 3 && binds.iter().all(|bind| bind.content.windows(dn.len()).any(|window| window == dn)));
    assert_eq!(fake.connections(), 2, "one for searches, one for binds, and it is kept");
}

#[tokio::test]
async fn an_empty_password_is_wrong_and_never_sent() {
    let fake = Fake::new(binds(|heard| say(bound(heard.id, 0)))).await;
    assert_eq!(check(&directory(&fake), "").await, Ok(PasswordAnswer::Wrong));
    assert!(hers(&fake).is_empty());
}

#[tokio::test]
async fn result_codes_tell_a_wrong_password_from_a_directory_that_is_away() {
    for (code, answer) in [(0, PasswordAnswer::Right), (49, PasswordAnswer::Wrong), (19, PasswordAnswer::Wrong)] {
        let fake = Fake::new(binds(move |heard| say(bound(heard.id, code)))).await;
        assert_eq!(check(&directory(&fake), PASSWORD).await, Ok(answer), "{code}");
    }
    for code in [1, 8, 13, 51, 52, 80] {
        let fake = Fake::new(binds(move |heard| say(bound(heard.id, code)))).await;
        assert!(matches!(check(&directory(&fake), PASSWORD).await, Err(Unavailable::Refused { .. })), "{code}");
        assert_eq!(hers(&fake).len(), 1);
    }
}

#[tokio::test]
async fn a_bind_that_was_sent_is_not_sent_again() {
    let fake = Fake::new(binds(|_| vec![Say::Close])).await;
    let problem = check(&directory(&fake), PASSWORD).await.expect_err("no answer");
    assert!(matches!(problem, Unavailable::Down(_)), "{problem}");
    assert_eq!(hers(&fake).len(), 1);
}

#[tokio::test]
async fn a_bind_that_is_not_answered_costs_one_deadline() {
    let fake = Fake::new(binds(|_| vec![])).await;
    let mut config = ldap(vec![url(&fake)]);
    config.timeout = Duration::from_millis(400);
    let timed_out = Unavailable::TimedOut(config.timeout);
    assert_eq!(check(&directory_at(config), PASSWORD).await, Err(timed_out));
    assert_eq!(hers(&fake).len(), 1);
}

#[tokio::test]
async fn a_malformed_answer_to_a_bind_is_no_answer() {
    let answers = [&b"\x30\x05\x02\x01\x01\x61\x00"[..], b"\x30\x00", b"HTTP/1.1 400"];
    for answer in answers {
        let fake = Fake::new(binds(move |_| say(answer.to_vec()))).await;
        let directory = directory(&fake);
        assert!(matches!(check(&directory, PASSWORD).await, Err(Unavailable::BadAnswer(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn an_unsolicited_success_is_no_right_password() {
    // Behind the answer that refuses one password stands one that would accept the next.
    let fake = Fake::new(binds(|heard| say([bound(heard.id, 49), bound(heard.id + 1, 0)].concat()))).await;
    let directory = directory(&fake);
    for _ in 0..3 {
        assert_eq!(check(&directory, "wrong").await, Ok(PasswordAnswer::Wrong));
    }
}

/// A directory that answers a wrong password never, which is as slow as can be, and a right one at once.
#[tokio::test]
async fn guesses_that_a_slow_directory_has_not_answered_keep_nobody_out() {
    for addresses in [1, 100] {
        let right = tlv(0x80, PASSWORD.as_bytes());
        let is_right = move |heard: &Heard| heard.content.ends_with(&right);
        let fake = Fake::new(binds(move |heard| if is_right(heard) { say(bound(heard.id, 0)) } else { vec![] })).await;
        let mut config = ldap(vec![url(&fake)]);
        // No guess ends before the test does, however slow the machine is.
        config.timeout = Duration::from_secs(600);
        let directory = directory_at(config);
        let route = find(&directory, "alice").await.expect("an answer").expect("known");
        let mut guesses = tokio::task::JoinSet::new();
        for n in 0..500_u16 {
            let (directory, route) = (directory.clone(), Arc::clone(&route));
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(n % addresses).expect("few")));
            guesses.spawn(async move { directory.check_password(&route, &secret("guess"), address).await });
        }
        let most = if addresses == 1 { 16 } else { 100 };
        while hers(&fake).len() < most {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..50 {
            assert_eq!(check(&directory, PASSWORD).await, Ok(PasswordAnswer::Right), "{addresses} addresses");
        }
        assert_eq!(hers(&fake).len(), most + 50, "all guesses that were sent are still in flight");
    }
}
