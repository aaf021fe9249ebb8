//! What may pass the guard, and a proof against the client library itself: what passes, it can read.

use ldap3::LdapResult;
use ldap3::asn1::{PL, Tag, parse_tag};
use proptest::prelude::*;

use super::super::fake::{BIND, EXTENDED, SEARCH, bound, done, entry, message, nested, reference, result, tlv};
use super::*;

const BOUND: u8 = 0x61;

/// Questions 1 (a bind), 2 (a search) and 3 (extended) have been asked.
fn asked() -> Questions {
    let mut questions = Questions::default();
    for (id, operation) in [(1, BIND), (2, SEARCH), (3, EXTENDED)] {
        questions.sent(&message(id, &tlv(operation, b""))).expect("a question");
    }
    questions
}

fn first(message: &[u8]) -> Result<(), Violation> {
    asked().received(message)
}

#[test]
fn the_answer_to_each_question_passes_once() {
    let mut questions = asked();
    for answer in [bound(1, 49), reference(2), entry(2, "uid=a", &[("mailHost", &[b"h"])]), done(2, 0)] {
        assert_eq!(questions.received(&answer), Ok(()));
    }
    assert_eq!(questions.received(&result(3, 0x78, 0)), Ok(()));
    for again in [bound(1, 0), done(2, 0), entry(2, "uid=a", &[]), result(3, 0x78, 0)] {
        assert_eq!(questions.received(&again), Err(Violation::UnknownId));
    }
}

#[test]
fn an_answer_to_another_question_does_not_pass() {
    assert_eq!(first(&bound(0, 0)), Err(Violation::UnknownId));
    assert_eq!(first(&bound(4, 0)), Err(Violation::UnknownId));
    assert_eq!(first(&bound(2, 0)), Err(Violation::WrongKind));
    assert_eq!(first(&bound(3, 0)), Err(Violation::WrongKind));
    assert_eq!(first(&done(1, 0)), Err(Violation::WrongKind));
    assert_eq!(first(&result(2, 0x78, 0)), Err(Violation::WrongKind));
    assert_eq!(first(&message(2, &tlv(0x79, b""))), Err(Violation::WrongKind), "intermediate response");
    assert_eq!(first(&result(0, 0x78, 52)), Err(Violation::Disconnection));
}

#[test]
fn an_abandoned_or_ended_connection_waits_for_nothing() {
    let mut questions = Questions::default();
    assert_eq!(questions.sent(&message(1, &tlv(0x42, b""))), Ok(()));
    assert_eq!(questions.sent(&message(2, &tlv(0x50, b"\x01"))), Ok(()));
    assert_eq!(questions.received(&done(1, 0)), Err(Violation::UnknownId));
    assert_eq!(questions.sent(&message(3, &tlv(0x68, b""))), Err(Violation::WrongKind), "we never add");
}

#[test]
fn what_the_library_panics_on_does_not_pass() {
    let malformed: &[&[u8]] = &[
        b"\x30\x00",
        b"\x30\x03\x04\x01A",
        b"\x30\x03\x02\x01\x01",
        b"\x04\x01A",
        b"\x30\x05\x02\x01\x01\x6d\x00",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x05\x02\x01\x02\x65\x00",
        b"\x30\x05\x02\x01\x02\xa0\x00",
        b"\x30\x06\x02\x00\x61\x02\x0a\x00",
        b"\x30\x0c\x02\x05\x00\x00\x00\x00\x01\x61\x03\x0a\x01\x00",
        b"\x30\x0c\x02\x01\x01\x61\x07\x02\x01\x00\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x24\x00",
        b"\x30\x0d\x02\x01\x01\x61\x08\x0a\x01\x00\x04\x01\xff\x04\x00",
        b"\x30\x0b\x02\x01\x01\x61\x06\x0a\x00\x04\x00\x04\x00",
    ];
    for bytes in malformed {
        assert!(first(bytes).is_err(), "{bytes:02x?}");
    }
}

#[test]
fn results_may_have_what_rfc_4511_adds_and_nothing_else() {
    let with = |part: Vec<u8>| {
        let parts = [tlv(tag::ENUMERATED, b"\0"), tlv(tag::OCTETS, b""), tlv(tag::OCTETS, b""), part];
        first(&message(1, &tlv(BOUND, &parts.concat())))
    };
    assert_eq!(with(tlv(0xa3, &tlv(tag::OCTETS, b"ldap://h/"))), Ok(()));
    assert_eq!(with(tlv(0x87, b"\xff")), Ok(()));
    assert_eq!(with(tlv(0x8a, b"1.2.3")), Ok(()));
    for bad in [tlv(0xa3, &tlv(tag::OCTETS, b"\xff")), tlv(0xa3, &tlv(0x24, b"")), tlv(0x83, b"x"), tlv(0xa7, b"")] {
        assert!(with(bad.clone()).is_err(), "{bad:02x?}");
    }
    assert!(with(tlv(0x8a, b"\xff")).is_err());
}

#[test]
fn controls_must_have_their_shape() {
    let with = |control: &[u8]| {
        let answer = tlv(BOUND, b"\x0a\x01\x00\x04\x00\x04\x00");
        first(&message(1, &[answer, tlv(0xa0, control)].concat()))
    };
    let control = |parts: &[Vec<u8>]| tlv(tag::SEQUENCE, &parts.concat());
    let (oid, value) = (tlv(tag::OCTETS, b"1.2.3"), tlv(tag::OCTETS, b"\xff"));
    assert_eq!(with(b""), Ok(()));
    assert_eq!(with(&control(std::slice::from_ref(&oid))), Ok(()));
    assert_eq!(with(&control(&[oid.clone(), tlv(tag::BOOLEAN, b"\xff"), value.clone()])), Ok(()));
    assert_eq!(with(&control(&[oid.clone(), value.clone()])), Ok(()));
    for bad in [
        oid.clone(),
        control(&[]),
        control(&[tlv(tag::OCTETS, b"\xff")]),
        control(&[oid.clone(), tlv(tag::BOOLEAN, b"")]),
        control(&[oid.clone(), tlv(0x21, b"")]),
        control(&[oid.clone(), value.clone(), value.clone()]),
        control(&[oid, tlv(tag::INTEGER, b"\x01")]),
    ] {
        assert!(with(&bad).is_err(), "{bad:02x?}");
    }
}

#[test]
fn entries_and_references_are_64_and_not_one_more() {
    let mut questions = asked();
    for _ in 0..ANSWERS_MAX {
        assert_eq!(questions.received(&reference(2)), Ok(()));
    }
    assert_eq!(questions.received(&reference(2)), Err(Violation::Flood));
}

#[test]
fn an_entry_must_have_its_shape() {
    let attributes = |content: &[u8]| {
        first(&message(2, &tlv(0x64, &[tlv(tag::OCTETS, b"uid=a"), tlv(tag::SEQUENCE, content)].concat())))
    };
    assert_eq!(attributes(b""), Ok(()));
    for bad in [
        tlv(tag::OCTETS, b"x"),
        tlv(tag::SEQUENCE, b""),
        tlv(tag::SEQUENCE, &tlv(tag::OCTETS, b"x")),
        tlv(tag::SEQUENCE, &[tlv(tag::OCTETS, b"x"), tlv(tag::OCTETS, b"x")].concat()),
        tlv(tag::SEQUENCE, &[tlv(tag::OCTETS, b"x"), tlv(tag::SET, &tlv(tag::SET, b""))].concat()),
    ] {
        assert!(attributes(&bad).is_err(), "{bad:02x?}");
    }
    assert!(first(&nested(200_000)).is_err());
}

/// Answers as servers give them, to be spoilt.
fn answers() -> Vec<Vec<u8>> {
    let parts = b"\x0a\x01\x0a\x04\x00\x04\x00\xa3\x0b\x04\x09ldap://h/";
    let control = tlv(0xa0, &tlv(tag::SEQUENCE, b"\x04\x03a.b\x01\x01\xff\x04\x01x"));
    vec![
        bound(1, 0),
        message(1, &[tlv(BOUND, parts), control.clone()].concat()),
        done(2, 4),
        message(2, &[tlv(0x65, parts), control].concat()),
        entry(2, "uid=a,dc=x", &[("mailHost", &[b"h", b"i"]), ("uid", &[])]),
        reference(2),
        message(3, &tlv(0x78, b"\x0a\x01\x00\x04\x00\x04\x00\x8a\x031.2\x8b\x01x")),
    ]
}

/// What the library does with a message before it reaches us; panics where the library does.
fn as_the_library_reads(message: &[u8]) {
    let (rest, tree) = parse_tag(message).expect("whole");
    assert!(rest.is_empty());
    let mut parts = tree.expect_constructed().expect("constructed");
    if parts.len() == 3 {
        let controls = parts.pop().expect("controls").expect_constructed().expect("constructed");
        for control in controls {
            let parts = control.expect_constructed().expect("constructed");
            let texts = parts.into_iter().map(|part| part.expect_primitive().expect("primitive"));
            assert!(texts.take(1).all(|text| String::from_utf8(text).is_ok()));
        }
    }
    let operation = parts.pop().expect("an operation");
    let id = parts.pop().and_then(|id| id.expect_primitive()).expect("an id");
    assert!(!id.is_empty() && parts.is_empty());
    match operation.id {
        1 | 5 | 24 => drop(LdapResult::from(Tag::StructureTag(operation))),
        4 | 19 => assert!(matches!(operation.payload, PL::C(_))),
        other => panic!("unrecognized op id: {other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_the_library_can_read(
        which in 0..7_usize,
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
    ) {
        let mut message = answers().swap_remove(which);
        for (at, octet, how) in spoils {
            let at = at.index(message.len());
            match how {
                0 => message[at] = octet,
                1 => message[at] ^= 1 << (octet % 8),
                _ => message.insert(at, octet),
            }
        }
        if first(&message).is_ok() {
            as_the_library_reads(&message);
        }
    }

    #[test]
    fn no_bytes_at_all_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = super::super::ber::frame(&bytes);
        let _ = first(&bytes);
        let _ = first(&tlv(tag::SEQUENCE, &bytes));
        let _ = starttls_granted(&tlv(tag::SEQUENCE, &bytes));
    }
}
