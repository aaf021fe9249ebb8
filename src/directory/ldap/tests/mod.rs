//! LDAP as the directory asks it, against a server that says what a test wants.
//!
//! Time is not paused: paused time runs on while bytes are under way on a socket.

mod faults;
mod filters;
mod malformed;
mod passwords;
mod recipients;
mod refusals;
mod rotation;
mod tls;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::fake::{BIND, Fake, Heard, SEARCH, Say, bound, done, entry, reference};
use crate::config::{self, ClientTls, LdapUrl, Source, Standing};
use crate::directory::{Directory, NameProblem, PasswordAnswer, Reach, Route, Unavailable};
use crate::metrics::Metrics;
use crate::secret::Secret;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const TIMEOUT: Duration = Duration::from_secs(4);

fn url(fake: &Fake) -> LdapUrl {
    LdapUrl { ldaps: false, host: fake.address.ip().to_string(), port: fake.address.port() }
}

fn secret(text: &str) -> Secret {
    Secret::new(text).expect("a secret")
}

fn ldap(urls: Vec<LdapUrl>) -> config::Ldap {
    config::Ldap {
        urls,
        starttls: false,
        tls: ClientTls::default(),
        bind: Some(("cn=gate".into(), secret("service-password").into())),
        base: "dc=example,dc=com".into(),
        filter: "(&(objectClass=person)(|(mail={user})(uid={local})))".into(),
        recipient_filter: "(|(mail={user})(mailLocalAddress={user}))".into(),
        host_attribute: "mailHost".into(),
        identity_attribute: Some("mail".into()),
        user_attribute: Some("uid".into()),
        status_attribute: Some("accountStatus".into()),
        services_attribute: None,
        routing_attribute: Some("mailRoutingAddress".into()),
        status: HashMap::from([("locked".into(), Standing::Deny)]),
        status_flags: Vec::new(),
        timeout: TIMEOUT,
        connections: 2,
    }
}

/// Nothing is remembered, so that every question reaches the server.
fn directory_of(sources: Vec<Source>) -> Directory {
    let cache = directory_config(Vec::new()).cache;
    directory_with(sources, cache)
}

fn directory_with(sources: Vec<Source>, cache: config::Cache) -> Directory {
    let config = config::Directory { cache, ..directory_config(sources) };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    Directory::new(&config, metrics, Handle::current()).expect("a directory")
}

/// Two domains, and nothing is remembered.
fn directory_config(sources: Vec<Source>) -> config::Directory {
    let ttl = Duration::from_secs(300);
    config::Directory {
        default_domain: Some("example.com".into()),
        domains: vec!["example.com".into(), "example.org".into()],
        recipient_delimiter: Some('+'),
        hosts: Arc::default(),
        protocols: Vec::new(),
        sources,
        cache: config::Cache { entries: 0, ttl, negative_ttl: ttl, stale: Duration::from_secs(3600) },
    }
}

fn directory_at(ldap: config::Ldap) -> Directory {
    directory_of(vec![Source::Ldap(Box::new(ldap))])
}

fn directory(fake: &Fake) -> Directory {
    directory_at(ldap(vec![url(fake)]))
}

async fn find(directory: &Directory, name: &str) -> Result<Option<Arc<Route>>, Unavailable> {
    directory.find(&directory.user(name).expect("a name")).await
}

async fn host(directory: &Directory, name: &str) -> Option<String> {
    find(directory, name).await.expect("an answer").and_then(|route| route.host.clone())
}

async fn problem(directory: &Directory, name: &str) -> Unavailable {
    find(directory, name).await.expect_err("no answer")
}

fn say(bytes: Vec<u8>) -> Vec<Say> {
    vec![Say::Bytes(bytes)]
}

/// Binds succeed, and searches are answered as the test says.
fn searches(
    answer: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static,
) -> impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static {
    move |heard| match heard.operation {
        BIND => say(bound(heard.id, 0)),
        SEARCH => answer(heard),
        _ => vec![],
    }
}

/// One entry with this host.
fn lives_at(id: u32, host: &str) -> Vec<u8> {
    let entry = entry(id, "uid=alice,dc=example,dc=com", &[("MailHost", &[host.as_bytes()]), ("uid", &[b"al"])]);
    [entry, done(id, 0)].concat()
}

#[tokio::test]
async fn one_entry_says_where_a_user_lives() {
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "Mail1")))).await;
    let directory = directory(&fake);
    let route = find(&directory, "alice").await.expect("an answer").expect("known");
    assert_eq!(
        (route.host.as_deref(), route.user.as_deref(), route.standing),
        (Some("mail1"), Some("al"), Standing::Active)
    );
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
    assert_eq!((fake.connections(), fake.heard(BIND).len(), fake.heard(SEARCH).len()), (1, 1, 2));
    assert!(directory.state().answers());
}

#[tokio::test]
async fn no_entry_is_nobody_and_the_next_source_is_asked() {
    let fake = Fake::new(searches(move |heard| say(done(heard.id, 0)))).await;
    assert_eq!(host(&directory(&fake), "alice").await, None);
    let two = directory_of(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)]))), Source::Pool("rest".into())]);
    assert_eq!(host(&two, "alice").await.as_deref(), Some("rest"));
}

#[tokio::test]
async fn a_source_that_is_down_ends_the_question() {
    let fake = Fake::new(searches(|_| vec![Say::Close])).await;
    let two = directory_of(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)]))), Source::Pool("rest".into())]);
    assert!(matches!(problem(&two, "alice").await, Unavailable::Down(_)));
}

#[tokio::test]
async fn two_entries_are_ambiguous_however_the_server_says_it() {
    let two = |heard: &Heard| [entry(heard.id, "uid=a", &[]), entry(heard.id, "uid=b", &[])].concat();
    let fake = Fake::new(searches(move |heard| say([two(heard), done(heard.id, 0)].concat()))).await;
    assert_eq!(problem(&directory(&fake), "alice").await, Unavailable::Ambiguous);
    let fake = Fake::new(searches(move |heard| say([two(heard), done(heard.id, 4)].concat()))).await;
    assert_eq!(problem(&directory(&fake), "alice").await, Unavailable::Ambiguous);
    let one = |heard: &Heard| [entry(heard.id, "uid=a", &[("mailHost", &[b"h"])]), done(heard.id, 4)].concat();
    let fake = Fake::new(searches(move |heard| say(one(heard)))).await;
    assert_eq!(problem(&directory(&fake), "alice").await, Unavailable::Ambiguous);
}

#[tokio::test]
async fn every_other_result_code_is_no_answer() {
    for code in [1, 2, 3, 11, 50, 51, 52, 53, 80] {
        let fake = Fake::new(searches(move |heard| say(done(heard.id, code)))).await;
        let text = "said so".to_owned();
        assert_eq!(problem(&directory(&fake), "alice").await, Unavailable::Refused { code: code.into(), text });
    }
}

#[tokio::test]
async fn references_are_not_followed_and_a_flood_of_them_ends_the_connection() {
    let some = |id| [vec![reference(id); 3].concat(), lives_at(id, "mail1"), vec![]].concat();
    let fake = Fake::new(searches(move |heard| say(some(heard.id)))).await;
    assert_eq!(host(&directory(&fake), "alice").await.as_deref(), Some("mail1"));
    let fake = Fake::new(searches(|heard| say(reference(heard.id).repeat(100_000)))).await;
    let problem = problem(&directory(&fake), "alice").await;
    assert!(matches!(&problem, Unavailable::BadAnswer(why) if why.contains("64 entries")), "{problem}");
}

#[tokio::test]
async fn a_user_is_found_by_every_alias_remembered_once_and_found_again_by_its_identity() {
    let alice = |heard: &Heard| {
        let attributes: &[(&str, &[&[u8]])] = &[("mailHost", &[b"mail1"]), ("mail", &[b"Alice@Example.com"])];
        [entry(heard.id, "uid=alice,dc=example,dc=com", attributes), done(heard.id, 0)].concat()
    };
    let fake = Fake::new(searches(move |heard| say(alice(heard)))).await;
    let times = config::Cache { entries: 100, ..directory_config(Vec::new()).cache };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let written =
        config::Directory { cache: times, ..directory_config(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)])))]) };
    let directory = Directory::new(&written, metrics.clone(), Handle::current()).expect("a directory");
    for given in ["a.smith", "ALICE@example.org", "alice", "a.smith"] {
        let asked = directory.user(given).expect("a name");
        let route = directory.find(&asked).await.expect("an answer").expect("known");
        assert_eq!(route.identify(&asked).name(), "alice@example.com", "{given}");
    }
    assert_eq!((fake.heard(SEARCH).len(), metrics.directory_cached.get()), (3, 1), "asked by name, kept by user");
    let (user, _) = directory.find_identity(&"alice@example.com".into()).await.expect("an answer").expect("known");
    assert_eq!(user.name(), "alice@example.com");
    let (user, _) = directory.resolve("A.Smith").await.expect("an answer").expect("known");
    assert_eq!(user.name(), "alice@example.com");
    assert!(directory.find_identity(&"a.smith@example.com".into()).await.expect("an answer").is_none(), "an alias");
    assert!(directory.find_identity(&"dn:1:uid=alice".into()).await.expect("an answer").is_none(), "another source's");
    assert!(directory.forget(&directory.user("a.smith").expect("a name")), "by any alias");
    assert_eq!(metrics.directory_cached.get(), 0);
}

#[tokio::test]
async fn entries_that_share_an_identity_are_never_taken_for_each_other() {
    let twin = |heard: &Heard| {
        let second = heard.content.windows(5).any(|window| window == b"twin2");
        let (dn, host) = if second { ("uid=twin2,dc=x", &b"mail2"[..]) } else { ("uid=twin1,dc=x", &b"mail1"[..]) };
        [entry(heard.id, dn, &[("mailHost", &[host]), ("mail", &[b"twins@example.com"])]), done(heard.id, 0)].concat()
    };
    let fake = Fake::new(searches(move |heard| say(twin(heard)))).await;
    let times = config::Cache { entries: 100, ..directory_config(Vec::new()).cache };
    let directory = directory_with(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)])))], times);
    for _ in 0..3 {
        assert_eq!(host(&directory, "twin1").await.as_deref(), Some("mail1"));
        assert_eq!(host(&directory, "twin2").await.as_deref(), Some("mail2"));
    }
}

#[tokio::test]
async fn a_name_in_a_domain_that_is_not_served_is_nobodys_and_no_server_is_asked() {
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1")))).await;
    let directory = directory(&fake);
    for name in ["alice@example.net", "alice@example.com.", "alice@sub.example.com", "alice@com", "alice@."] {
        assert_eq!(directory.user(name).err(), Some(NameProblem::ForeignDomain), "{name}");
    }
    assert!(fake.heard(SEARCH).is_empty());
}

#[tokio::test]
async fn a_service_bind_that_is_refused_is_a_directory_that_is_down() {
    let fake = Fake::new(|heard| say(bound(heard.id, 49))).await;
    let problem = problem(&directory(&fake), "alice").await;
    assert!(matches!(&problem, Unavailable::Down(why) if why.contains("bind is refused with 49")), "{problem}");
    assert!(!problem.to_string().contains("service-password"));
}
