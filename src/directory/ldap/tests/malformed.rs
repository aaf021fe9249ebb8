//! Answers that crash, hang or confuse the client library when they reach it. None may.

use super::super::fake::{message, nested, result, tlv};
use super::*;

/// What a search that is answered so ends with; always at once, and the next connection works.
async fn end_of(answer: Vec<u8>) -> Unavailable {
    let fake = Fake::new(searches(move |heard| match heard.connection {
        0 | 1 => say(answer.clone()),
        _ => say(lives_at(heard.id, "mail1")),
    }))
    .await;
    let directory = directory(&fake);
    let began = std::time::Instant::now();
    let problem = problem(&directory, "alice").await;
    assert!(began.elapsed() < TIMEOUT / 2, "at once");
    assert_eq!(fake.connections(), 2, "asked once, and once more");
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"), "another connection");
    problem
}

async fn nonsense(answer: Vec<u8>) -> String {
    match end_of(answer).await {
        Unavailable::BadAnswer(why) => why,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn malformed_answers_cost_a_connection_and_nothing_more() {
    let answers: [&[u8]; 8] = [
        b"\x30\x00",
        b"\x30\x03\x04\x01A",
        b"\x30\x03\x02\x01\x01",
        b"\x04\x01A",
        b"\x30\x05\x02\x01\x01\x6d\x00",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x05\x02\x01\x02\x6d\x00",
        b"\x30\x05\x02\x01\x02\x65\x00",
    ];
    for answer in answers {
        nonsense(answer.to_vec()).await;
    }
}

#[tokio::test]
async fn an_empty_answer_to_a_bind_harms_nobody() {
    let fake = Fake::new(|heard| match (heard.operation, heard.connection) {
        (BIND, 0) => say(b"\x30\x05\x02\x01\x01\x61\x00".to_vec()),
        (BIND, _) => say(bound(heard.id, 0)),
        _ => say(lives_at(heard.id, "mail1")),
    })
    .await;
    let directory = directory(&fake);
    assert!(problem(&directory, "alice").await.to_string().contains("malformed"));
    assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
}

#[tokio::test]
async fn nesting_is_bounded() {
    for depth in [100, 8000, 150_000] {
        assert!(nonsense(nested(depth)).await.contains("16 levels"), "{depth}");
    }
    assert!(nonsense(nested(200_000)).await.contains("1 MiB"));
}

#[tokio::test]
async fn garbage_is_recognised_at_once() {
    assert!(nonsense(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await.contains("not LDAP"));
    assert!(nonsense(b"\x16\x03\x01".to_vec()).await.contains("not LDAP"));
}

#[tokio::test]
async fn a_notice_of_disconnection_is_the_end() {
    let problem = end_of(result(0, 0x78, 52)).await;
    assert!(matches!(&problem, Unavailable::Down(why) if why.contains("notice of disconnection")), "{problem}");
}

#[tokio::test]
async fn ids_of_other_questions_end_the_connection() {
    for id in [0, 1, 3, 77] {
        assert!(nonsense(lives_at(id, "evil")).await.contains("answer to no question"), "{id}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_twice_ends_the_connection_and_serves_once() {
    let fake = Fake::new(searches(|heard| say(lives_at(heard.id, "mail1").repeat(2)))).await;
    let directory = directory(&fake);
    for asked in 1..=3 {
        assert_eq!(host(&directory, "alice").await.as_deref(), Some("mail1"));
        assert_eq!(fake.heard(SEARCH).len(), asked);
    }
}

#[tokio::test]
async fn sizes_are_bounded() {
    let big = b"\x30\x84\x7f\xff\xff\xff".to_vec();
    assert!(nonsense(big).await.contains("1 MiB"));
    let value = vec![b'x'; 50_000_000];
    assert!(nonsense(entry(2, "uid=a", &[("mailHost", &[&value])])).await.contains("1 MiB"));
    let values = vec![&b"x"[..]; 100_000];
    assert!(nonsense(entry(2, "uid=a", &[("mailHost", &values)])).await.contains("4096 elements"));
}

#[tokio::test]
async fn attributes_that_are_no_text_are_a_bad_entry() {
    for value in [&b"\xff\xfe"[..], &[b'h'; 300], b"h\r\nXCLIENT LOGIN=x", b""] {
        let answer = move |id| [entry(id, "uid=a", &[("mailHost", &[value])]), done(id, 0)].concat();
        let fake = Fake::new(searches(move |heard| say(answer(heard.id)))).await;
        let directory = directory(&fake);
        assert!(matches!(problem(&directory, "alice").await, Unavailable::BadEntry(_)), "{value:?}");
        assert!(directory.state().answers());
    }
}

#[tokio::test]
async fn an_entry_without_a_dn_is_nobody_s() {
    let fake =
        Fake::new(searches(|heard| say([entry(heard.id, "", &[("mailHost", &[b"h"])]), done(heard.id, 0)].concat())))
            .await;
    assert!(matches!(problem(&directory(&fake), "alice").await, Unavailable::BadEntry(_)));
}

#[tokio::test]
async fn an_answer_may_come_octet_by_octet() {
    let fake = Fake::new(searches(|heard| {
        lives_at(heard.id, "mail1").into_iter().map(|octet| Say::Bytes(vec![octet])).collect()
    }))
    .await;
    assert_eq!(host(&directory(&fake), "alice").await.as_deref(), Some("mail1"));
}

#[tokio::test]
async fn an_intermediate_answer_is_none_to_us() {
    assert!(nonsense(message(2, &tlv(0x79, b""))).await.contains("wrong kind"));
}
