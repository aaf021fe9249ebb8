//! A new password of our own bind: taken over unless a server has said that it is wrong.

use super::faults::refusing;
use super::*;
use crate::config::ReloadableSecret;
use crate::directory::{ReloadProblem, Reloaded};

struct Rotated {
    directory: Directory,
    file: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

/// A source whose bind password was `old` and stands in a file that holds `new` now.
fn rotated(source: config::Ldap) -> Rotated {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ldap");
    std::fs::write(&file, "new\n").expect("written");
    let password = ReloadableSecret::new(secret("old"), Some(file.clone()), |_| true);
    let source = config::Ldap { bind: Some(("cn=gate".into(), password)), ..source };
    Rotated { directory: directory_at(source), file, _folder: folder }
}

/// A server that answers a bind with `new` with this code, and other binds with success.
async fn answers_new_with(code: u8) -> Fake {
    Fake::new(move |heard| match heard.operation {
        BIND if is_bind_with(heard, b"new") => say(bound(heard.id, code)),
        BIND => say(bound(heard.id, 0)),
        _ => say(lives_at(heard.id, "mail1")),
    })
    .await
}

fn is_bind_with(heard: &Heard, password: &[u8]) -> bool {
    heard.content.windows(password.len()).any(|window| window == password)
}

fn binds_with(fake: &Fake, password: &[u8]) -> usize {
    fake.heard(BIND).iter().filter(|heard| is_bind_with(heard, password)).count()
}

#[track_caller]
fn is_taken(told: &Reloaded, how: &str) {
    assert!(told.problems.is_empty(), "{:?}", told.problems);
    assert!(matches!(told.read.as_slice(), [line] if line.ends_with(how)), "{:?}", told.read);
}

#[tokio::test]
async fn one_that_the_server_refuses_with_49_is_not_taken_over() {
    let fake = answers_new_with(49).await;
    let rotated = rotated(ldap(vec![url(&fake)]));
    // Each reload tries it once.
    for reloads in 1..=2 {
        let told = rotated.directory.reload().await;
        assert!(told.read.is_empty(), "{:?}", told.read);
        let [problem @ ReloadProblem::WrongSecret { .. }] = told.problems.as_slice() else { panic!("{told:?}") };
        let problem = problem.to_string();
        for words in [
            &*format!("bind_password of ldap ldap://{}: {} holds", fake.address, rotated.file.display()),
            "49 invalidCredentials: the bind DN or its password is wrong",
            "the former password stays in use",
        ] {
            assert!(problem.contains(words), "{words} is not in {problem}");
        }
        assert_eq!(binds_with(&fake, b"new"), reloads);
    }
    assert_eq!(host(&rotated.directory, "alice").await.as_deref(), Some("mail1"));
    assert_eq!(binds_with(&fake, b"old"), 1, "a new connection has the former one");
    std::fs::write(&rotated.file, "old\n").expect("written");
    is_taken(&rotated.directory.reload().await, "(unchanged)");
}

#[tokio::test]
async fn one_that_any_server_takes_is_right() {
    let (lagging, good) = (answers_new_with(49).await, answers_new_with(0).await);
    let rotated = rotated(ldap(vec![refusing().await, url(&lagging), url(&good)]));
    is_taken(&rotated.directory.reload().await, "(changed)");
    assert_eq!(binds_with(&good, b"new"), 1);
}

#[tokio::test]
async fn one_that_nobody_calls_wrong_is_used_although_nobody_could_try_it() {
    let unwilling = answers_new_with(53).await;
    for urls in [vec![refusing().await], vec![url(&unwilling)]] {
        is_taken(&rotated(ldap(urls)).directory.reload().await, "(changed, but not tried)");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_holds_a_reload_up_for_its_time_only() {
    let silent = Fake::new(|_| vec![]).await;
    let rotated = rotated(config::Ldap { timeout: Duration::from_millis(50), ..ldap(vec![url(&silent)]) });
    is_taken(&rotated.directory.reload().await, "(changed, but not tried)");
}
