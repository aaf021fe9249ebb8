//! Recipients: in which forms a server is asked for an address, and what its answers mean.

use std::collections::HashMap as Map;

use super::filters::{Filter, equal, request};
use super::*;
use crate::directory::{Lodging, Recipient};

type Attributes = &'static [(&'static str, &'static [&'static [u8]])];

/// A server that knows these addresses, each with the attributes of its entry.
async fn knows(entries: &[(&'static str, Attributes)]) -> Fake {
    let entries: Map<&str, Attributes> = entries.iter().copied().collect();
    Fake::new(searches(move |heard| {
        let found = entries.get(asked(heard).as_str()).map(|attributes| entry(heard.id, "uid=alice", attributes));
        say([found.unwrap_or_default(), done(heard.id, 0)].concat())
    }))
    .await
}

/// The address that a search for a recipient asks for.
fn asked(heard: &Heard) -> String {
    let Filter::Or(either) = request(heard).filter else { panic!("the recipients' filter") };
    let [Filter::Equal(_, address), Filter::Equal(_, same)] = &either[..] else { panic!("{either:?}") };
    assert_eq!(address, same);
    address.clone()
}

fn questions(fake: &Fake) -> Vec<String> {
    fake.heard(SEARCH).iter().map(asked).collect()
}

async fn lodging(directory: &Directory, address: &str) -> Lodging {
    match directory.recipient(address).await.expect("an answer") {
        Recipient::Lives(lodging) => lodging,
        other => panic!("{address}: {other:?}"),
    }
}

async fn astray(entries: &[(&'static str, Attributes)], address: &str) -> String {
    let fake = knows(entries).await;
    let problem = directory(&fake).recipient(address).await.expect_err("no answer");
    assert!(matches!(problem, Unavailable::BadEntry(_)) && !problem.is_outage(), "{problem}");
    problem.to_string()
}

const HOST: (&str, &[&[u8]]) = ("mailHost", &[b"mail1"]);

/// Who the entry is that has no `mail`.
const ENTRY: &str = "dn:0:uid=alice";

#[tokio::test]
async fn an_address_is_asked_for_as_it_is_then_without_its_tag_then_by_its_domain() {
    let fake = knows(&[]).await;
    assert_eq!(directory(&fake).recipient("Alice+Tag@Example.org").await, Ok(Recipient::Unknown));
    assert_eq!(questions(&fake), ["alice+tag@example.org", "alice@example.org", "@example.org"]);
    let fake = knows(&[("alice@example.com", &[HOST])]).await;
    let found = lodging(&directory(&fake), "alice+Tag").await;
    assert_eq!((found.user.name(), found.address.as_str()), (ENTRY, "alice+Tag"));
    assert_eq!(questions(&fake), ["alice+tag@example.com", "alice@example.com"]);
}

#[tokio::test]
async fn a_domain_s_own_entry_takes_who_is_not_known() {
    let fake = knows(&[("@example.com", &[HOST]), ("bob@example.com", &[("mailHost", &[b"mail2"])])]).await;
    let directory = directory(&fake);
    let found = lodging(&directory, "any+x@example.com").await;
    assert_eq!((found.user.name(), found.route.host.as_deref()), (ENTRY, Some("mail1")));
    assert_eq!(found.address, "any+x@example.com");
    assert_eq!(lodging(&directory, "bob@example.com").await.route.host.as_deref(), Some("mail2"));
    assert_eq!(directory.recipient("any@example.org").await, Ok(Recipient::Unknown));
}

#[tokio::test]
async fn a_filter_that_cannot_tell_a_domain_is_not_asked_for_one() {
    let fake = Fake::new(searches(|heard| say(done(heard.id, 0)))).await;
    let mut config = ldap(vec![url(&fake)]);
    config.recipient_filter = "(|(mail={user})(uid={local}*))".into();
    assert_eq!(directory_at(config).recipient("alice@example.com").await, Ok(Recipient::Unknown));
    assert_eq!(fake.heard(SEARCH).len(), 1);
}

#[tokio::test]
async fn metacharacters_in_a_recipient_are_part_of_one_value() {
    let locals = [
        "*",
        "(",
        ")",
        "\\",
        "*)(uid=*",
        "alice)(|(uid=*",
        "\\2a",
        "\\5c2a",
        ")(objectclass=*))(&(uid=",
        "alice,ou=admins",
        "#41",
        "a;b<c=d",
        "{user}",
    ];
    let fake = knows(&[]).await;
    let directory = directory(&fake);
    for local in locals {
        assert_eq!(directory.recipient(&format!("{local}@example.com")).await, Ok(Recipient::Unknown), "{local}");
    }
    let expected = locals.iter().flat_map(|local| [format!("{local}@example.com"), "@example.com".to_owned()]);
    assert_eq!(questions(&fake), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_tag_is_never_part_of_a_filter_either() {
    let fake = knows(&[]).await;
    assert_eq!(directory(&fake).recipient("*)(+cn=*)@example.com").await, Ok(Recipient::Unknown));
    assert_eq!(questions(&fake), ["*)(+cn=*)@example.com", "*)(@example.com", "@example.com"]);
}

#[tokio::test]
async fn a_domain_that_is_not_ours_never_reaches_a_server() {
    let fake = knows(&[]).await;
    let directory = directory(&fake);
    for domain in ["x,dc=evil", "*", "example.com)(o=*", "\\2a", "example.*", "example.com.", ""] {
        assert_eq!(directory.recipient(&format!("alice@{domain}")).await, Ok(Recipient::NotOurs), "{domain}");
    }
    for address in ["a\0@example.com", "\"a b\"@example.com", " a@example.com", "a\r\n@example.com"] {
        assert_eq!(directory.recipient(address).await, Ok(Recipient::Unknown), "{address:?}");
    }
    assert!(fake.heard(SEARCH).is_empty());
}

#[tokio::test]
async fn the_domain_is_one_value_in_a_filter_of_its_parts() {
    let fake = Fake::new(searches(|heard| say(done(heard.id, 0)))).await;
    let mut config = ldap(vec![url(&fake)]);
    config.recipient_filter = "(&(uid={local})(o={domain}))".into();
    let _ = directory_at(config).recipient("*@example.com").await;
    let sent: Vec<_> = fake.heard(SEARCH).iter().map(|heard| request(heard).filter).collect();
    let both = |local| Filter::And(vec![equal("uid", local), equal("o", "example.com")]);
    assert_eq!(sent, [both("*"), both("")]);
}

#[tokio::test]
async fn two_entries_are_ambiguous_for_recipients_too() {
    let one = |heard: &Heard| entry(heard.id, "uid=a", &[HOST]);
    let two = |heard: &Heard| [entry(heard.id, "uid=a", &[HOST]), entry(heard.id, "uid=b", &[HOST])].concat();
    let fake = Fake::new(searches(move |heard| say([two(heard), done(heard.id, 0)].concat()))).await;
    assert_eq!(directory(&fake).recipient("alice@example.com").await, Err(Unavailable::Ambiguous));
    for (code, expected) in [(4, None), (3, Some(3)), (11, Some(11))] {
        let fake = Fake::new(searches(move |heard| say([one(heard), done(heard.id, code)].concat()))).await;
        let refused = |code| Unavailable::Refused { code, text: "said so".into() };
        let expected = expected.map_or(Unavailable::Ambiguous, refused);
        assert_eq!(directory(&fake).recipient("alice@example.com").await, Err(expected));
        assert_eq!(fake.heard(SEARCH).len(), 1, "no other form is tried");
    }
}

#[tokio::test]
async fn a_source_that_is_down_ends_the_question_of_a_recipient() {
    let fake = Fake::new(searches(|_| vec![Say::Close])).await;
    let two = directory_of(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)]))), Source::Pool("rest".into())]);
    assert!(matches!(two.recipient("alice@example.com").await, Err(Unavailable::Down(_))));
    let fake = knows(&[]).await;
    let two = directory_of(vec![Source::Ldap(Box::new(ldap(vec![url(&fake)]))), Source::Pool("rest".into())]);
    assert_eq!(lodging(&two, "alice@example.com").await.route.host.as_deref(), Some("rest"));
}

#[tokio::test]
async fn all_forms_are_asked_for_under_one_deadline() {
    let timeout = Duration::from_millis(600);
    // The second form is the name without its tag, or the domain.
    for (address, filter) in [("alice+tag", "(uid={local})"), ("alice", "(mail={user})")] {
        let slow = move |heard: &Heard| vec![Say::Wait(timeout * 2 / 3), Say::Bytes(done(heard.id, 0))];
        let fake = Fake::new(searches(slow)).await;
        let mut config = ldap(vec![url(&fake)]);
        (config.timeout, config.recipient_filter) = (timeout, filter.into());
        let answer = directory_at(config).recipient(address).await;
        assert_eq!(answer, Err(Unavailable::TimedOut(timeout)), "{address}");
    }
}

#[tokio::test]
async fn a_routing_address_beside_a_host_is_what_the_back_end_is_told() {
    let fake = knows(&[("sales@example.com", &[HOST, ("mailRoutingAddress", &[b"Alice@mail1.internal"])])]).await;
    let found = lodging(&directory(&fake), "sales+x").await;
    assert_eq!((found.route.host.as_deref(), found.address.as_str()), (Some("mail1"), "Alice@mail1.internal"));
    assert_eq!(found.user.name(), ENTRY);
    assert_eq!(
        request(&fake.heard(SEARCH)[0]).attributes,
        ["mailHost", "uid", "accountStatus", "mailRoutingAddress", "mail"]
    );
}

#[tokio::test]
async fn a_routing_address_without_a_host_is_looked_up_once() {
    let fake = knows(&[
        ("sales@example.com", &[("mailRoutingAddress", &[b"Alice+s@Example.org"])]),
        ("alice@example.org", &[HOST, ("uid", &[b"al"])]),
    ])
    .await;
    let found = lodging(&directory(&fake), "sales").await;
    assert_eq!((found.user.name(), found.route.user.as_deref()), (ENTRY, Some("al")));
    assert_eq!((found.route.host.as_deref(), found.address.as_str()), (Some("mail1"), "Alice+s@Example.org"));
    assert_eq!(questions(&fake), ["sales@example.com", "alice+s@example.org", "alice@example.org"]);
}

#[tokio::test]
async fn the_stricter_status_of_a_routed_address_and_its_goal_counts() {
    for (first, then) in [(&b"locked"[..], &b"active"[..]), (b"active", b"locked")] {
        let standing = move |heard: &Heard| match asked(heard).as_str() {
            "sales@example.com" => {
                let to: (&str, &[&[u8]]) = ("mailRoutingAddress", &[b"alice@example.com"]);
                entry(heard.id, "uid=s", &[to, ("accountStatus", &[first])])
            }
            _ => entry(heard.id, "uid=a", &[HOST, ("accountStatus", &[then])]),
        };
        let fake = Fake::new(searches(move |heard| say([standing(heard), done(heard.id, 0)].concat()))).await;
        assert_eq!(lodging(&directory(&fake), "sales").await.route.standing, Standing::Deny);
    }
}

#[tokio::test]
async fn a_routing_address_that_leads_nowhere_is_an_entry_to_be_mended() {
    const TO_BOB: Attributes = &[("mailRoutingAddress", &[b"bob@example.com"])];
    const AWAY: Attributes = &[("mailRoutingAddress", &[b"bob@elsewhere.example"])];
    const NONSENSE: Attributes = &[HOST, ("mailRoutingAddress", &[b"b@x> NOTIFY=NEVER"])];
    const TWO: Attributes = &[HOST, ("mailRoutingAddress", &[b"b@x", b"c@x"])];
    for (entries, why) in [
        (&[("alice@example.com", TO_BOB)][..], "is routed to bob@example.com, which nobody knows"),
        (&[("alice@example.com", AWAY)], "is routed to bob@elsewhere.example, which is no address of ours"),
        (&[("alice@example.com", TO_BOB), ("bob@example.com", AWAY)], "which has no host either"),
        (&[("alice@example.com", NONSENSE)], "mailRoutingAddress is not an address"),
        (&[("alice@example.com", TWO)], "mailRoutingAddress has more than one value"),
        (&[("alice@example.com", &[])], "mailHost is missing"),
    ] {
        let problem = astray(entries, "alice@example.com").await;
        assert!(problem.contains(why), "{problem}");
    }
    let loop_of_one: &[(&str, Attributes)] = &[("bob@example.com", TO_BOB)];
    assert!(astray(loop_of_one, "bob").await.contains("which has no host either"));
}

#[tokio::test]
async fn a_user_who_logs_in_has_no_host_by_a_routing_address() {
    let to: (&str, &[&[u8]]) = ("mailRoutingAddress", &[b"bob@example.com"]);
    let fake =
        Fake::new(searches(move |heard| say([entry(heard.id, "uid=a", &[to]), done(heard.id, 0)].concat()))).await;
    assert_eq!(find(&directory(&fake), "alice").await.expect("an answer").expect("known").host, None);
}

#[tokio::test]
async fn users_and_recipients_are_asked_for_with_their_own_filters_and_remembered_apart() {
    let fake = Fake::new(searches(|heard| match request(heard).filter {
        Filter::And(_) => say(lives_at(heard.id, "login")),
        _ => say(lives_at(heard.id, "mail")),
    }))
    .await;
    let directory = remembering(ldap(vec![url(&fake)]));
    for _ in 0..2 {
        assert_eq!(host(&directory, "alice").await.as_deref(), Some("login"));
        assert_eq!(lodging(&directory, "alice").await.route.host.as_deref(), Some("mail"));
    }
    assert_eq!(fake.heard(SEARCH).len(), 2, "each once");
}

#[tokio::test]
async fn many_who_ask_for_one_recipient_are_one_question() {
    let fake = Fake::new(searches(|heard| {
        vec![Say::Wait(Duration::from_millis(100)), Say::Bytes(lives_at(heard.id, "mail1"))]
    }))
    .await;
    let directory = remembering(ldap(vec![url(&fake)]));
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(
                async move { lodging(&directory, "alice@example.com").await.route.host.clone().expect("a host") },
            )
        })
        .collect();
    for host in waiting {
        assert_eq!(host.await.expect("no panic"), "mail1");
    }
    assert_eq!(fake.heard(SEARCH).len(), 1);
}

#[tokio::test]
async fn an_old_answer_about_a_recipient_serves_while_the_directory_is_down() {
    let fake = knows(&[("alice@example.com", &[HOST])]).await;
    let mut config = ldap(vec![url(&fake)]);
    config.timeout = Duration::from_millis(400);
    let cache = config::Cache {
        entries: 100,
        ttl: Duration::from_millis(1),
        negative_ttl: Duration::from_secs(30),
        stale: Duration::from_secs(3600),
    };
    let directory = directory_with(vec![Source::Ldap(Box::new(config))], cache);
    assert_eq!(lodging(&directory, "alice").await.route.host.as_deref(), Some("mail1"));
    drop(fake);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(lodging(&directory, "alice").await.route.host.as_deref(), Some("mail1"));
    assert!(directory.recipient("bob@example.com").await.is_err_and(|problem| problem.is_outage()));
}

fn remembering(config: config::Ldap) -> Directory {
    let ttl = Duration::from_secs(300);
    let cache = config::Cache { entries: 100, ttl, negative_ttl: ttl, stale: ttl };
    directory_with(vec![Source::Ldap(Box::new(config))], cache)
}
