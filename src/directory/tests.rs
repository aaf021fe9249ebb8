//! The directory as a session sees it, without a server.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;
use crate::config::Source as Written;

pub(super) fn config(sources: Vec<Written>) -> config::Directory {
    let cache = config::Cache {
        entries: 100,
        ttl: Duration::from_secs(300),
        negative_ttl: Duration::from_secs(30),
        stale: Duration::from_secs(3600),
    };
    config::Directory {
        default_domain: Some("example.com".into()),
        domains: vec!["example.com".into(), "example.org".into()],
        recipient_delimiter: Some('+'),
        hosts: Arc::default(),
        protocols: Vec::new(),
        sources,
        cache,
    }
}

fn directory(sources: Vec<Written>) -> Result<Directory, SetupProblem> {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    Directory::new(&config(sources), metrics, Handle::current())
}

async fn host(directory: &Directory, name: &str) -> Option<String> {
    let user = directory.user(name).expect("a name");
    directory.find(&user).await.expect("an answer").and_then(|route| route.host.clone())
}

#[tokio::test]
async fn the_first_source_that_knows_the_user_decides() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.yaml");
    std::fs::write(&file, "alice: mail1\n").expect("written");
    let directory = directory(vec![Written::File(file), Written::Pool("Stores".into())]).expect("a directory");
    assert_eq!(host(&directory, "ALICE").await.as_deref(), Some("mail1"));
    assert_eq!(host(&directory, "bob").await.as_deref(), Some("Stores"), "the pool's own name");
    assert!(directory.state().answers());
}

#[tokio::test]
async fn a_reload_reads_the_users_again_or_leaves_them_as_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.yaml");
    std::fs::write(&file, "alice: mail1\n").expect("written");
    let directory = directory(vec![Written::File(file.clone())]).expect("a directory");
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    std::fs::write(&file, "alice: [mail2]\n").expect("written");
    let problems = directory.reload().await.problems;
    assert!(problems.first().expect("a bad file").to_string().contains("users.yaml:1: alice: "));
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    std::fs::write(&file, "alice: mail2\n").expect("written");
    let told = directory.reload().await;
    assert!(told.problems.is_empty(), "{:?}", told.problems);
    assert_eq!(told.read, [format!("users file {} (1 change)", file.display())]);
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail2"));
    assert_eq!(host(&directory, "bob").await, None);
}

#[tokio::test]
async fn a_users_file_that_is_not_there_is_a_problem_at_start() {
    let problem = directory(vec![Written::File("no/such/file".into())]).err().expect("a problem");
    assert!(problem.to_string().starts_with("no/such/file: "), "{problem}");
}

#[tokio::test]
async fn a_password_that_no_source_has_cannot_be_checked() {
    let directory = directory(vec![Written::Pool("stores".into())]).expect("a directory");
    let user = directory.user("alice").expect("a name");
    let route = directory.find(&user).await.expect("an answer").expect("known");
    let password = Secret::new("x").expect("a password");
    assert_eq!(
        directory.check_password(&route, &password, Ipv4Addr::LOCALHOST.into()).await,
        Ok(PasswordAnswer::CannotCheck)
    );
}

#[test]
fn a_directory_whose_runtime_is_gone_answers_that_it_cannot() {
    let control = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let directory = Directory::new(&config(vec![Written::Pool("stores".into())]), metrics, control.handle().clone());
    let directory = directory.expect("a directory");
    drop(control);
    let session = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let user = directory.user("alice").expect("a name");
    assert_eq!(session.block_on(directory.find(&user)), Err(Unavailable::Lost));
}
