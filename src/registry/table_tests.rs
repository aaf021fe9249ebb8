//! The table by its edges: windows, living sessions, room, clocks.

use super::*;
use Protocol::{Imap, Pop3};

const WINDOW: u64 = 900;
const START: u64 = 1_000_000;

fn table() -> Table {
    Table::new(WINDOW, 4, START)
}

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn names(table: &mut Table, now: u64, address: IpAddr) -> Vec<String> {
    table.users(now, address).iter().map(|seen| seen.user.to_string()).collect()
}

#[test]
fn a_window_ends_its_length_after_the_session_and_not_a_second_later() {
    let mut table = table();
    let (id, _) = table.entered(START, ip(1), "alice", Imap);
    table.left(START + 10, ip(1), id);
    assert_eq!(names(&mut table, START + 10 + WINDOW - 1, ip(1)), ["alice"]);
    assert_eq!(names(&mut table, START + 10 + WINDOW, ip(1)), [""; 0]);
    assert_eq!(names(&mut table, START + 10, ip(2)), [""; 0], "another address");
}

#[test]
fn while_a_session_lives_the_window_stays_open_and_is_moved_on() {
    let mut table = table();
    let (first, _) = table.entered(START, ip(1), "alice", Imap);
    let (second, _) = table.entered(START, ip(1), "alice", Pop3);
    assert_eq!(first, second, "one user, one entry");
    assert_eq!(table.users(START, ip(1))[0].protocols.to_string(), "imap+pop3");
    let late = START + 10 * WINDOW;
    assert!(!table.sweep(late, 100));
    assert_eq!(table.users(late, ip(1))[0].until, late + WINDOW, "a late sweep refreshes");
    assert_eq!(table.refresh(late + 5, None, 100), None);
    assert_eq!(table.users(late + 5, ip(1))[0].until, late + 5 + WINDOW);
    table.left(late + 6, ip(1), first);
    assert_eq!(names(&mut table, late + 6 + WINDOW, ip(1)), ["alice"], "one session is left");
    table.left(late + 7, ip(1), first);
    assert_eq!(table.refresh(late + 500, None, 100), None);
    assert_eq!(names(&mut table, late + 7 + WINDOW, ip(1)), [""; 0]);
}

#[test]
fn what_is_over_is_swept_and_the_store_is_told() {
    let mut table = table();
    for last in 1..=3 {
        let (id, _) = table.entered(START + u64::from(last), ip(last), "alice", Imap);
        table.left(START + u64::from(last), ip(last), id);
    }
    assert_eq!(table.take_changed(START + 3, 100).len(), 3);
    assert!(table.sweep(START + WINDOW + 2, 1), "there may be more");
    assert!(!table.sweep(START + WINDOW + 2, 100));
    assert_eq!(table.len(), 1);
    let mut gone = table.take_changed(START + WINDOW + 2, 100);
    gone.sort_by_key(|(address, _)| *address);
    assert_eq!(gone, [(ip(1), vec![]), (ip(2), vec![])]);
    assert_eq!(table.take_changed(START + WINDOW + 2, 100), []);
}

#[test]
fn a_full_table_forgets_what_would_go_first() {
    let mut table = table();
    for last in 1..=4 {
        let (id, crowded) = table.entered(START + 10 - u64::from(last), ip(last), "alice", Imap);
        table.left(START + 10 - u64::from(last), ip(last), id);
        assert!(!crowded);
    }
    let now = START + 20;
    let (_, crowded) = table.entered(now, ip(5), "bob", Imap);
    assert!(crowded && table.len() == 4);
    let left: Vec<usize> = (1..=5).map(|last| names(&mut table, now, ip(last)).len()).collect();
    assert_eq!(left.iter().sum::<usize>(), 4);
    assert!(names(&mut table, now, ip(5)) == ["bob"]);
}

#[test]
fn an_address_has_sixteen_users_and_the_living_stay() {
    let mut table = table();
    table.entered(START, ip(1), "living", Imap);
    for user in 0..USERS_MAX + 5 {
        let (id, crowded) = table.entered(START + 1, ip(1), &format!("user{user}"), Imap);
        assert_eq!(crowded, user + 1 >= USERS_MAX, "{user}");
        table.left(START + 1, ip(1), id);
    }
    let users = names(&mut table, START + 1, ip(1));
    assert_eq!(users.len(), USERS_MAX);
    assert!(users.contains(&"living".to_owned()) && users.contains(&"user20".to_owned()));
}

#[test]
fn a_session_whose_entry_made_room_does_not_end_the_next_ones_window() {
    let mut table = table();
    let (old, _) = table.entered(START, ip(1), "alice", Imap);
    for last in 2..=5 {
        table.entered(START + 1, ip(last), "bob", Imap);
    }
    assert_eq!(names(&mut table, START + 1, ip(1)), [""; 0], "it made room");
    let (new, _) = table.entered(START + 2, ip(1), "alice", Imap);
    assert_ne!(old, new);
    table.left(START + 2, ip(1), old);
    assert_eq!(names(&mut table, START + 5 * WINDOW, ip(1)), ["alice"], "the new session lives");
}

#[test]
fn a_clock_that_is_put_back_makes_no_window_longer() {
    let mut table = table();
    let (id, _) = table.entered(START, ip(1), "alice", Imap);
    table.left(START, ip(1), id);
    let later = START + 600;
    assert_eq!(names(&mut table, later, ip(1)), ["alice"]);
    let back = later - 100_000;
    assert_eq!(table.users(back, ip(1))[0].until, back + 300, "what was left is left");
    assert_eq!(names(&mut table, back + 300, ip(1)), [""; 0]);
    assert!(!table.sweep(back + 300, 100));
    assert_eq!(table.len(), 0);
}

#[test]
fn what_is_restored_is_no_longer_than_a_window_and_not_over() {
    let mut table = table();
    let seen = |user: &str, until| Seen { user: user.into(), until, protocols: Protocols::default().with(Pop3) };
    table.restore(START, ip(1), vec![seen("alice", START + 5), seen("gone", START), seen("odd", START + 9 * WINDOW)]);
    table.restore(START, ip(2), vec![seen("gone", START - 1)]);
    table.restore(START, ip(3), vec![seen("fine", START + 1)]);
    assert_eq!(table.users(START, ip(1)), [seen("alice", START + 5), seen("odd", START + WINDOW)]);
    assert_eq!(table.len(), 2);
    let mut told: Vec<_> = table.take_changed(START, 9).into_iter().map(|(address, _)| address).collect();
    told.sort();
    assert_eq!(told, [ip(1), ip(2)], "what the store has right it is not told");
}

#[test]
fn a_store_that_lost_everything_is_told_again_piece_by_piece() {
    let mut table = Table::new(WINDOW, 100, START);
    for last in 0..25 {
        table.entered(START, ip(last), "alice", Imap);
    }
    assert_eq!((table.take_changed(START, 10).len(), table.take_changed(START, 100).len()), (10, 15));
    let (mut after, mut rounds) = (None, 0);
    loop {
        after = table.tell_again(after, 10);
        rounds += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((rounds, table.take_changed(START, 100).len()), (3, 25));
    let (mut after, mut rounds) = (None, 0);
    while rounds == 0 || after.is_some() {
        after = table.refresh(START + 1, after, 10);
        rounds += 1;
    }
    assert_eq!((rounds, table.take_changed(START, 100).len()), (3, 25));
}
