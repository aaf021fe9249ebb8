//! Addresses taken apart, and looked up where no server is needed.

use std::path::PathBuf;

use tokio::runtime::Handle;

use super::*;
use crate::config::Source as Written;
use crate::directory::Directory;
use crate::directory::tests::config;
use crate::metrics::Metrics;

fn domains() -> Domains {
    Domains::new(&config(vec![]))
}

fn mailbox(address: &str) -> Mailbox {
    domains().mailbox(address).expect("a mailbox")
}

/// A directory of one users file, and the folder that holds it.
fn directory_of(users: &str) -> (Directory, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.yaml");
    std::fs::write(&file, users).expect("written");
    (directory(&config(vec![Written::File(file)])), folder)
}

fn directory(config: &config::Directory) -> Directory {
    Directory::new(config, Arc::new(Metrics::new().expect("metrics")), Handle::current()).expect("a directory")
}

/// (user, host, address there)
async fn lodging(directory: &Directory, address: &str) -> Option<(String, String, String)> {
    match directory.recipient(address).await.expect("an answer") {
        Recipient::Lives(at) => Some((at.user.name().to_owned(), at.route.host.clone().expect("a host"), at.address)),
        Recipient::Unknown => None,
        Recipient::NotOurs => panic!("{address} is ours"),
    }
}

fn at(user: &str, host: &str, address: &str) -> Option<(String, String, String)> {
    Some((user.to_owned(), host.to_owned(), address.to_owned()))
}

#[test]
fn a_domain_is_ours_in_any_case_and_in_no_other_spelling() {
    for address in ["alice@example.com", "alice@EXAMPLE.Org", "\"a@b\"@x@example.com"] {
        assert_ne!(domains().mailbox(address).err(), Some(Recipient::NotOurs), "{address}");
    }
    for address in [
        "alice@example.com.",
        "alice@example.net",
        "alice@mail.example.com",
        "alice@xexample.com",
        "alice@",
        "alice@[192.0.2.1]",
        "alice@example.com@example.net",
        "alice@\u{212a}example.com",
    ] {
        assert_eq!(domains().mailbox(address).err(), Some(Recipient::NotOurs), "{address}");
    }
}

#[test]
fn a_bare_local_part_belongs_to_the_default_domain() {
    assert_eq!(mailbox("Postmaster").whole.name(), "postmaster@example.com");
    let listed = config::Directory { default_domain: None, ..config(vec![]) };
    let postmaster = Domains::new(&listed).mailbox("postmaster").expect("RFC 5321 §4.5.1: it is always somebody");
    assert_eq!(postmaster.whole.name(), "postmaster@example.com");
    let mut nowhere = domains();
    nowhere.default = None;
    assert_eq!(nowhere.mailbox("postmaster").err(), Some(Recipient::NotOurs));
    nowhere.default = Some("example.net".into());
    assert_eq!(nowhere.mailbox("postmaster").err(), Some(Recipient::NotOurs), "it is not among the domains");
}

#[test]
fn a_name_that_is_nobody_s_is_unknown_without_a_question() {
    let long = format!("{}@example.com", "a".repeat(245));
    for address in [
        "",
        "@example.com",
        "\"a b\"@example.com",
        "\"a@b\"@example.com",
        "j\u{f6}rg@example.com",
        "a\0@example.com",
        &long,
    ] {
        assert_eq!(domains().mailbox(address).err(), Some(Recipient::Unknown), "{address:?}");
    }
}

#[test]
fn an_address_that_says_how_to_go_on_is_nobody_s() {
    // The server might go there for us: it trusts the gateway.
    for local in ["bob%example.net", "bob+x%example.net", "example.net!bob", "bob+example.net!x", "%", "!"] {
        assert_eq!(domains().mailbox(&format!("{local}@example.com")).err(), Some(Recipient::Unknown), "{local}");
        assert_eq!(domains().mailbox(local).err(), Some(Recipient::Unknown), "{local}");
    }
}

#[test]
fn a_tag_begins_at_the_first_delimiter_behind_something() {
    let users = |address: &str| mailbox(address).users().map(|user| user.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(users("Alice+Tag+x@example.com"), ["alice+tag+x@example.com", "alice@example.com"]);
    assert_eq!(users("alice+@example.com"), ["alice+@example.com", "alice@example.com"]);
    assert_eq!(users("alice-tag@example.com"), ["alice-tag@example.com"]);
    assert_eq!(users("+tag@example.com"), ["+tag@example.com"], "nothing would be left");
    let mut plain = domains();
    plain.delimiter = None;
    assert_eq!(plain.mailbox("alice+tag@example.com").expect("a mailbox").users().count(), 1);
}

#[tokio::test]
async fn a_recipient_is_a_user_s_name_or_one_of_the_user_s_addresses() {
    let users = "alice: { host: mail1, addresses: [A.Smith@example.com, sales@example.org] }\nbob: mail2\n";
    let (directory, _folder) = directory_of(users);
    assert_eq!(lodging(&directory, "Alice@Example.com").await, at("alice@example.com", "mail1", "Alice@Example.com"));
    for address in ["a.smith@example.com", "Sales@Example.Org"] {
        assert_eq!(lodging(&directory, address).await, at("alice@example.com", "mail1", address));
    }
    assert_eq!(lodging(&directory, "bob").await, at("bob@example.com", "mail2", "bob"));
    assert_eq!(lodging(&directory, "sales@example.com").await, None);
    assert_eq!(directory.recipient("alice@example.net").await, Ok(Recipient::NotOurs));
    let by_alias = directory.user("sales@example.org").expect("a name");
    assert_eq!(directory.find(&by_alias).await, Ok(None), "an address is no name to log in with");
}

#[tokio::test]
async fn a_tag_is_ignored_where_it_is_not_known_and_kept_for_the_back_end() {
    let (directory, _folder) = directory_of("alice: { host: mail1, addresses: [sales] }\nalice+boss: mail2\n");
    assert_eq!(lodging(&directory, "alice+Tag").await, at("alice@example.com", "mail1", "alice+Tag"));
    assert_eq!(
        lodging(&directory, "sales+x@example.com").await,
        at("alice@example.com", "mail1", "sales+x@example.com")
    );
    assert_eq!(lodging(&directory, "alice+boss").await, at("alice+boss@example.com", "mail2", "alice+boss"));
    assert_eq!(lodging(&directory, "bob+tag").await, None);
}

#[tokio::test]
async fn a_domain_catches_what_is_not_known_for_a_user_or_for_everyone() {
    let (directory, _folder) =
        directory_of("alice: { host: mail1, addresses: [\"@example.com\"] }\nbob: mail2\n\"@example.org\": stores\n");
    assert_eq!(lodging(&directory, "bob+x@example.com").await, at("bob@example.com", "mail2", "bob+x@example.com"));
    assert_eq!(lodging(&directory, "any@example.com").await, at("alice@example.com", "mail1", "any@example.com"));
    assert_eq!(
        lodging(&directory, "any+x@example.org").await,
        at("any@example.org", "stores", "any+x@example.org"),
        "a pool is to choose as it does for the user"
    );
}

#[tokio::test]
async fn a_pool_knows_everyone_in_our_domains_behind_those_who_know_better() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.yaml");
    std::fs::write(&file, "alice: mail1\n").expect("written");
    let directory = directory(&config(vec![Written::File(file), Written::Pool("stores".into())]));
    assert_eq!(
        lodging(&directory, "alice+tag").await,
        at("alice@example.com", "mail1", "alice+tag"),
        "a source is asked without the tag before the next one is asked at all"
    );
    assert_eq!(lodging(&directory, "bob+tag").await, at("bob@example.com", "stores", "bob+tag"));
    assert_eq!(directory.recipient("bob@example.net").await, Ok(Recipient::NotOurs));
    assert_eq!(directory.recipient("\"b b\"@example.com").await, Ok(Recipient::Unknown));
}

#[tokio::test]
async fn a_user_and_a_recipient_of_one_name_are_remembered_apart() {
    let (directory, _folder) = directory_of("alice: { host: mail1, addresses: [sales] }\n");
    assert_eq!(lodging(&directory, "sales").await.map(|at| at.0).as_deref(), Some("alice@example.com"));
    let user = directory.user("sales").expect("a name");
    assert_eq!(directory.find(&user).await, Ok(None));
    assert!(lodging(&directory, "sales").await.is_some(), "the user's answer is not the recipient's");
}

#[tokio::test]
async fn one_answer_serves_for_every_spelling_of_an_address() {
    let (directory, folder) = directory_of("alice: mail1\n");
    assert_eq!(lodging(&directory, "alice@example.com").await, at("alice@example.com", "mail1", "alice@example.com"));
    std::fs::write(folder.path().join("users.yaml"), "alice: mail2\n").expect("written");
    for address in ["ALICE@example.com", "Alice"] {
        assert_eq!(lodging(&directory, address).await, at("alice@example.com", "mail1", address), "remembered");
    }
    assert!(directory.reload().await.problems.is_empty());
    assert_eq!(lodging(&directory, "alice").await, at("alice@example.com", "mail2", "alice"), "forgotten");
}

#[tokio::test]
async fn a_status_is_told_and_decides_nothing_here() {
    let (directory, _folder) = directory_of("alice: { host: mail1, status: locked }\n");
    let Ok(Recipient::Lives(lodging)) = directory.recipient("alice").await else { panic!("known") };
    assert_eq!(lodging.route.standing, Standing::Deny);
}

#[tokio::test]
async fn without_domains_nobody_s_mail_is_ours() {
    let mut config = config(vec![Written::Pool("stores".into())]);
    config.domains.clear();
    assert_eq!(directory(&config).recipient("alice@example.com").await, Ok(Recipient::NotOurs));
    let no_file = config::Directory { sources: vec![Written::File(PathBuf::from("no/such/file"))], ..config };
    assert_eq!(Directory::check(&no_file).len(), 1);
}
