//! Entries as directories write them.

use ldap3::asn1::TagClass;

use super::*;
use crate::proto::Protocol;

fn meaning() -> Meaning {
    let standing = [("locked", Standing::Deny), ("maintenance", Standing::Unavailable), ("active", Standing::Active)];
    Meaning {
        identity: EntryIdentity::new(Some("mail".into()), Some("example.com".into()), 3),
        place: 3,
        host: "mailHost".into(),
        user: Some("uid".into()),
        status: Some("accountStatus".into()),
        services: Some("mailAllowedServiceAccess".into()),
        routing: Some("mailRoutingAddress".into()),
        standing: standing.into_iter().map(|(name, standing)| (name.to_owned(), standing)).collect(),
        flags: vec![(2, Standing::Deny), (0x30, Standing::Unavailable)],
    }
}

fn tag(id: u64, payload: PL) -> StructureTag {
    StructureTag { class: TagClass::Universal, id, payload }
}

fn octets(text: &[u8]) -> StructureTag {
    tag(4, PL::P(text.to_vec()))
}

fn entry(dn: &str, attributes: &[(&str, &[&[u8]])]) -> StructureTag {
    let attributes = attributes.iter().map(|(name, values)| {
        let values = values.iter().map(|value| octets(value)).collect();
        tag(16, PL::C(vec![octets(name.as_bytes()), tag(17, PL::C(values))]))
    });
    tag(4, PL::C(vec![octets(dn.as_bytes()), tag(16, PL::C(attributes.collect()))]))
}

fn route(attributes: &[(&str, &[&[u8]])]) -> Result<Route, Unavailable> {
    meaning().route(entry("uid=alice,dc=x", attributes))
}

fn bad(attributes: &[(&str, &[&[u8]])]) -> String {
    route(attributes).expect_err("a bad entry").to_string()
}

#[test]
fn every_attribute_has_its_place_whatever_its_case() {
    let route = route(&[
        ("MAILHOST", &[b"Mail1.Example.com"]),
        ("UID", &[b"alice", b"al"]),
        ("accountstatus", &[b"Locked"]),
        ("mailAllowedServiceAccess", &[b"+imap:*"]),
        ("other", &[b"\xff"]),
    ])
    .expect("a route");
    assert_eq!((route.host.as_deref(), route.user.as_deref()), (Some("mail1.example.com"), Some("alice")));
    assert_eq!(route.standing, Standing::Deny);
    assert!(route.allows(Protocol::Imap) && !route.allows(Protocol::Pop3));
    assert_eq!(route.entry, Some(route::Entry { source: 3, dn: "uid=alice,dc=x".into() }));
}

#[test]
fn an_entry_is_one_user_by_its_identity_whatever_it_was_found_by() {
    let user = |given: &str| User::new(given, Some("example.com")).expect("a name");
    let by_mail = route(&[("mailHost", &[b"h"]), ("MAIL", &[b"Alice@example.com"])]).expect("a route");
    let by_dn = route(&[("mailHost", &[b"h"]), ("mail", &[b"a@x", b"b@x"])]).expect("a route");
    for given in ["alice", "a.smith@example.com"] {
        assert_eq!(by_mail.identify(&user(given)).name(), "alice@example.com");
        assert_eq!(by_mail.identify(&user(given)).given(), given);
        assert_eq!(by_dn.identify(&user(given)).name(), "dn:3:uid=alice,dc=x");
    }
}

#[test]
fn an_entry_without_a_host_is_a_user_and_takes_no_mail() {
    let nowhere = || entry("uid=alice,dc=x", &[("mailHost", &[])]);
    assert_eq!(meaning().route(nowhere()).expect("a route").host, None);
    let user = User::new("alice", Some("example.com")).expect("a name");
    let problem = meaning().recipient(nowhere(), &user).expect_err("no host").to_string();
    assert!(problem.contains("uid=alice,dc=x: mailHost is missing"), "{problem}");
}

#[test]
fn what_is_not_there_means_as_given_active_and_everything() {
    let route = route(&[("mailHost", &[b"h"])]).expect("a route");
    assert_eq!((route.user.as_deref(), route.standing), (None, Standing::Active));
    assert!(Protocol::ALL.into_iter().all(|protocol| route.allows(protocol)));
}

#[test]
fn the_strictest_status_counts_and_unnamed_ones_do_not() {
    let standing = |values: &[&[u8]]| route(&[("mailHost", &[b"h"]), ("accountStatus", values)]).expect("ok").standing;
    assert_eq!(standing(&[b"active", b"maintenance", b"locked"]), Standing::Deny);
    assert_eq!(standing(&[b"maintenance", b"active"]), Standing::Unavailable);
    assert_eq!(standing(&[b"overquota"]), Standing::Active);
    let unreadable = route(&[("mailHost", &[b"h"]), ("accountStatus", &[b"active", b"\xff"])]);
    assert!(matches!(unreadable, Err(Unavailable::BadEntry(_))), "it might have said no");
}

#[test]
fn a_host_that_is_doubled_or_hostile_is_a_bad_entry() {
    assert!(bad(&[("mailHost", &[b"h1", b"h2"])]).contains("uid=alice,dc=x: mailHost has more than one value"));
    for host in [&b"h\r\nXCLIENT LOGIN=x"[..], b"", b"\xff\xfe", b"a b", &[b'h'; 300]] {
        assert!(bad(&[("mailHost", &[host])]).contains("not a host's name"), "{host:?}");
    }
}

#[test]
fn a_user_name_or_service_that_cannot_be_read_is_a_bad_entry() {
    let host: (&str, &[&[u8]]) = ("mailHost", &[b"h"]);
    assert!(bad(&[host, ("uid", &[b"a\r\nb"])]).contains("uid is unusable"));
    assert!(bad(&[host, ("uid", &[&[b'u'; 256]])]).contains("uid is unusable"));
    assert!(bad(&[host, ("mailAllowedServiceAccess", &[b"\xff"])]).contains("unreadable"));
    assert!(bad(&[host, ("mailAllowedServiceAccess", &[b"+:*"])]).contains("unreadable"));
}

#[test]
fn an_entry_without_a_dn_is_nobody_s() {
    assert!(meaning().route(entry("", &[("mailHost", &[b"h"])])).is_err_and(|problem| !problem.is_outage()));
    for payload in [PL::P(vec![]), PL::C(vec![]), PL::C(vec![octets(b"\xff"), tag(16, PL::C(vec![]))])] {
        assert!(meaning().route(tag(4, payload)).is_err());
    }
}

#[test]
fn a_dn_in_a_log_is_one_short_line() {
    let entry = entry(&format!("uid=a\r\nb,{}", "x".repeat(10_000)), &[]);
    let problem = meaning().route(entry).expect_err("no name").to_string();
    assert!(problem.len() < 400 && !problem.contains(['\r', '\n']), "{problem:?}");
}

#[test]
fn a_status_that_is_a_number_has_flags_and_all_bits_of_one_count() {
    let standing =
        |status: &[u8]| route(&[("mailHost", &[b"h"]), ("accountStatus", &[status])]).expect("a route").standing;
    // 512: a normal account; 2: disabled; 65536: the password never expires.
    for (status, expected) in [
        (&b"512"[..], Standing::Active),
        (b"514", Standing::Deny),
        (b"66050", Standing::Deny),
        (b"66048", Standing::Active),
        (b"528", Standing::Active),
        (b"560", Standing::Unavailable),
        (b"562", Standing::Deny),
        (b"-2147483646", Standing::Deny),
        (b"99999999999999999999", Standing::Active),
        (b"2x", Standing::Active),
    ] {
        assert_eq!(standing(status), expected, "{}", String::from_utf8_lossy(status));
    }
}

#[test]
fn what_keeps_a_user_out_is_told_with_its_attribute_and_value() {
    let told = |attribute: &str, values: &[&[u8]], protocol| {
        let route = route(&[("mailHost", &[b"h"]), (attribute, values)]).expect("a route");
        route.permits(protocol).map_or_else(|why| why.to_string(), |()| "nothing".to_owned())
    };
    let status = |values: &[&[u8]]| told("accountStatus", values, Protocol::Imap);
    assert_eq!(status(&[b"active", b"maintenance", b"Locked"]), "status deny (accountStatus=`Locked`)");
    assert_eq!(status(&[b"active", b"maintenance"]), "status unavailable (accountStatus=`maintenance`)");
    assert_eq!(status(&[b"514"]), "status deny (accountStatus=`514`, flag 2)");
    assert_eq!(status(&[b"active", b"overquota"]), "nothing");
    let services = |values: &[&[u8]], protocol| told("mailAllowedServiceAccess", values, protocol);
    let said = "service not allowed (mailAllowedServiceAccess=`+imap:*$-pop3:*`)";
    assert_eq!(services(&[b"+imap:*$-pop3:*"], Protocol::Pop3), said);
    assert_eq!(services(&[b"+imap:*$-pop3:*"], Protocol::Imap), "nothing");
    assert_eq!(
        services(&[b"imap", b"smtp"], Protocol::Pop3),
        "service not allowed (mailAllowedServiceAccess=`imap, smtp`)"
    );
}
