//! The roster as sessions and administrators use it.

use std::collections::BTreeSet;

use super::*;

fn arrive(roster: &Roster, protocol: Protocol, user: &str, client: &str, backend: &str) -> Guest {
    let mut guest = roster.guest(protocol, &"imap 127.0.0.1:143".into(), client.parse().expect("an address"));
    let facts = guest.facts().expect("nobody else has it");
    facts.user = Some(user.into());
    facts.backend = Some(backend.into());
    guest.logged_in();
    guest
}

fn numbers(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.number).collect()
}

#[test]
fn a_session_is_on_from_its_login_to_its_end() {
    let roster = Roster::new(64);
    let mut guest = roster.guest(Protocol::Imap, &"imap".into(), "192.0.2.1:5000".parse().expect("an address"));
    assert_eq!(roster.page(&Filter::default(), 0, 10).total, 0, "not before the login");
    guest.logged_in();
    guest.logged_in();
    assert_eq!(numbers(&roster.page(&Filter::default(), 0, 10)), [guest.number], "and only once");
    assert_eq!(read_id(&guest.id()), Some((crate::node_id::node_id(), guest.number)));
    drop(guest);
    assert_eq!(roster.page(&Filter::default(), 0, 10).total, 0);
}

#[test]
fn an_id_is_read_as_it_was_written_and_nothing_else_is() {
    assert_eq!(read_id(&id(0x8000_000a, 255)), Some((0x8000_000a, 255)));
    for text in ["", "-", "-1", "1-", "1", "+1-1", "1-+1", "1-1-1", "100000000-1", "1-10000000000000000", "g-1", "é-1"]
    {
        assert_eq!(read_id(text), None, "{text}");
    }
}

#[test]
fn a_piece_changes_when_somebody_comes_or_goes_and_all_pieces_are_the_whole() {
    let roster = Roster::new(64);
    let before: Vec<u64> = (0..PIECES).map(|piece| roster.changes(piece)).collect();
    let on: Vec<Guest> = (0..100).map(|_| arrive(&roster, Protocol::Pop3, "alice", "192.0.2.1:5000", "one")).collect();
    let pieces: Vec<Piece> = (0..PIECES).map(|piece| roster.piece(piece, 1)).collect();
    let counted: usize = pieces.iter().flat_map(|piece| piece.counts).map(|(_, count)| count).sum();
    assert_eq!((counted, pieces.iter().map(|piece| piece.entries.len()).sum::<usize>()), (100, PIECES), "one of each");
    let then: Vec<u64> = (0..PIECES).map(|piece| roster.changes(piece)).collect();
    assert!(before.iter().zip(&then).all(|(before, then)| before < then));
    drop(on);
    assert!((0..PIECES).zip(then).all(|(piece, then)| roster.changes(piece) > then));
}

#[test]
fn whoever_leaves_nobody_else_is_lost() {
    let roster = Roster::new(64);
    let mut on: Vec<Guest> =
        (0..1000).map(|_| arrive(&roster, Protocol::Imap, "alice", "192.0.2.1:5000", "one")).collect();
    while !on.is_empty() {
        let leaving = (on.len() * 7 + 3) % on.len();
        on.swap_remove(leaving);
        if on.len().is_multiple_of(50) {
            let expected: BTreeSet<u64> = on.iter().map(|guest| guest.number).collect();
            let seen: BTreeSet<u64> = numbers(&roster.page(&Filter::default(), 0, 2000)).into_iter().collect();
            assert_eq!(seen, expected);
        }
    }
    assert!(roster.0.shards.iter().all(|shard| lock(shard).is_empty()));
}

#[test]
fn pages_follow_each_other_without_a_gap_or_a_repetition() {
    let roster = Roster::new(64);
    let on: Vec<Guest> = (0..250).map(|_| arrive(&roster, Protocol::Imap, "alice", "192.0.2.1:5000", "one")).collect();
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = roster.page(&Filter::default(), after, 100);
        assert_eq!(page.total, 250);
        seen.extend(numbers(&page));
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(seen, on.iter().map(|guest| guest.number).collect::<Vec<_>>());
    assert_eq!(roster.page(&Filter::default(), 0, 250).next, None, "exactly full is the last");
}

#[test]
fn each_filter_finds_its_own_and_kicks_nobody_else() {
    let roster = Roster::new(64);
    let on = [
        arrive(&roster, Protocol::Imap, "alice", "192.0.2.1:5000", "one"),
        arrive(&roster, Protocol::Pop3, "alice", "192.0.2.2:5000", "one"),
        arrive(&roster, Protocol::Imap, "bob", "192.0.2.1:5001", "two"),
    ];
    let found = |filter: &Filter| {
        let page = numbers(&roster.page(filter, 0, 10));
        on.iter().map(|guest| page.contains(&guest.number)).collect::<Vec<_>>()
    };
    let filter = Filter::default;
    assert_eq!(found(&Filter { user: Some("alice".into()), ..filter() }), [true, true, false]);
    assert_eq!(found(&Filter { protocol: Some(Protocol::Imap), ..filter() }), [true, false, true]);
    assert_eq!(found(&Filter { client: "192.0.2.1".parse().ok(), ..filter() }), [true, false, true]);
    assert_eq!(found(&Filter { backend: Some("two".into()), ..filter() }), [false, false, true]);
    let both = Filter { user: Some("alice".into()), client: "192.0.2.2".parse().ok(), ..filter() };
    assert_eq!(found(&both), [false, true, false]);
    assert_eq!(roster.kick(&both), 1);
    assert!(roster.kick_one(on[2].number) && !roster.kick_one(4711));
    assert_eq!(on.each_ref().map(|guest| guest.activity().is_kicked()), [false, true, true]);
    assert_eq!(roster.counts().into_iter().map(|(_, count)| count).sum::<usize>(), 3, "until they end by themselves");
}

#[test]
fn sessions_come_and_go_on_many_threads() {
    let roster = Roster::new(64);
    std::thread::scope(|scope| {
        for user in ["a", "b", "c", "d"] {
            let roster = &roster;
            scope.spawn(move || {
                for _ in 0..2000 {
                    let held = [(); 3].map(|()| arrive(roster, Protocol::Imap, user, "192.0.2.1:5000", "one"));
                    let mine = Filter { user: Some(user.into()), ..Filter::default() };
                    assert_eq!(roster.page(&mine, 0, 10).total, held.len());
                }
            });
        }
    });
    assert_eq!(roster.page(&Filter::default(), 0, 10).total, 0);
}

#[test]
fn a_users_sessions_are_limited_in_all_and_from_one_address() {
    let roster = Roster::new(64);
    let limits = UserLimits { connections: Some(3), connections_per_ip: Some(2) };
    let sit = |user: &str, protocol, client: &str| {
        let mut guest = roster.guest(protocol, &"imap".into(), client.parse().expect("an address"));
        guest.facts().expect("nobody else has it").user = Some(user.into());
        guest.sit_down(limits).map(|()| guest)
    };
    let first = sit("alice", Protocol::Imap, "[2001:db8::1]:1").expect("room");
    let second = sit("alice", Protocol::Imap, "[2001:db8::2]:1").expect("room");
    assert_eq!(sit("alice", Protocol::Imap, "[2001:db8::3]:1").err(), Some(Full::PerAddress(2)), "one /64");
    let third = sit("alice", Protocol::Imap, "192.0.2.1:1").expect("from elsewhere");
    assert_eq!(sit("alice", Protocol::Imap, "192.0.2.2:1").err(), Some(Full::InAll(3)));
    assert!(sit("alice", Protocol::Pop3, "192.0.2.1:1").is_ok() && sit("bob", Protocol::Imap, "192.0.2.1:1").is_ok());
    drop(first);
    let mut again = sit("alice", Protocol::Imap, "192.0.2.1:1").expect("a place was given back");
    again.stand_up();
    let last = sit("alice", Protocol::Imap, "192.0.2.2:1").expect("given back after a refusal too");
    drop((second, third, last, again));
    assert!(roster.0.seats.is_empty(), "nobody is remembered");
}
