//! What a server sees of a user's name: one value, whatever is in it.

use super::super::ber::{Element, Reader};
use super::*;

/// A search request, RFC 4511 §4.5.1.
pub(super) struct Request {
    base: String,
    size_limit: Vec<u8>,
    pub(super) filter: Filter,
    pub(super) attributes: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Equal(String, String),
    Other(u8),
}

fn text(element: Element<'_>) -> String {
    String::from_utf8(element.content.to_vec()).expect("text")
}

fn elements(content: &[u8]) -> Vec<Element<'_>> {
    let mut reader = Reader::new(content);
    std::iter::from_fn(|| reader.next().expect("BER")).collect()
}

fn filter(element: Element<'_>) -> Filter {
    let parts = || elements(element.content);
    match element.tag {
        0xa0 => Filter::And(parts().into_iter().map(filter).collect()),
        0xa1 => Filter::Or(parts().into_iter().map(filter).collect()),
        0xa3 => Filter::Equal(text(parts()[0]), text(parts()[1])),
        other => Filter::Other(other),
    }
}

pub(super) fn request(heard: &Heard) -> Request {
    let parts = elements(&heard.content);
    Request {
        base: text(parts[0]),
        size_limit: parts[3].content.to_vec(),
        filter: filter(parts[6]),
        attributes: elements(parts[7].content).into_iter().map(text).collect(),
    }
}

pub(super) fn equal(attribute: &str, value: &str) -> Filter {
    Filter::Equal(attribute.to_owned(), value.to_owned())
}

#[tokio::test]
async fn a_search_asks_for_two_entries_and_the_attributes_that_mean_something() {
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1")))).await;
    host(&directory(&fake), "alice").await;
    let request = request(&fake.heard(SEARCH)[0]);
    assert_eq!((request.base.as_str(), request.size_limit.as_slice()), ("dc=example,dc=com", &[2][..]));
    assert_eq!(request.attributes, ["mailHost", "uid", "accountStatus", "mailRoutingAddress", "mail"]);
}

#[tokio::test]
async fn metacharacters_in_a_name_are_part_of_one_value() {
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1")))).await;
    let directory = directory(&fake);
    let locals = [
        "*",
        "(",
        ")",
        "\\",
        "*)(uid=*",
        "alice)(|(uid=*",
        "\\2a",
        ")(objectclass=*))(&(uid=",
        "alice,ou=admins",
        "alice+cn=x",
        "#41",
        "a;b<c=d",
        "{user}",
    ];
    for (asked, local) in locals.into_iter().enumerate() {
        host(&directory, local).await;
        let sent = request(&fake.heard(SEARCH)[asked]).filter;
        let either = Filter::Or(vec![equal("mail", &format!("{local}@example.com")), equal("uid", local)]);
        assert_eq!(sent, Filter::And(vec![equal("objectClass", "person"), either]), "{local}");
    }
}

#[tokio::test]
async fn metacharacters_in_a_domain_are_part_of_one_value() {
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1")))).await;
    let mut config = ldap(vec![url(&fake)]);
    config.filter = "(&(uid={local})(o={domain}))".into();
    let directory = Directory::new(
        &config::Directory {
            default_domain: None,
            domains: Vec::new(),
            ..directory_config(vec![Source::Ldap(Box::new(config))])
        },
        Arc::new(Metrics::new().expect("metrics")),
        Handle::current(),
    );
    let directory = directory.expect("a directory");
    for (asked, domain) in ["x,dc=evil", "*", "x)(o=*", "\\2a"].into_iter().enumerate() {
        host(&directory, &format!("alice@{domain}")).await;
        let sent = request(&fake.heard(SEARCH)[asked]).filter;
        assert_eq!(sent, Filter::And(vec![equal("uid", "alice"), equal("o", domain)]));
    }
}
