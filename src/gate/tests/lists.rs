//! Access lists, their levels, and what is counted of refusals.

use super::*;

#[test]
fn without_lists_and_limits_everyone_comes_in() {
    let house = House::new(Written::default(), Written::default(), Written::default());
    for door in house.doors() {
        let _permits: Vec<_> =
            ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"].map(|client| door.admit(ip(client)).expect("in")).into();
    }
}

#[test]
fn the_first_match_over_listener_service_and_global_decides() {
    let house = House::new(
        Written(vec![deny("192.0.2.1"), allow("192.0.2.2"), deny("192.0.2.3"), deny("192.0.2.5")], Limits::default()),
        Written(vec![allow("192.0.2.1"), deny("192.0.2.2"), deny("192.0.2.4")], Limits::default()),
        Written(vec![allow("192.0.2.4"), deny("192.0.2.2-192.0.2.9")], Limits::default()),
    );
    let doors = house.doors();
    let denied = |level| Some(Refusal::Denied(level));
    for (client, at_listener, at_service, elsewhere) in [
        ("192.0.2.1", None, None, denied(Level::Global)),
        ("192.0.2.2", denied(Level::Listener), denied(Level::Service), None),
        ("192.0.2.3", denied(Level::Listener), denied(Level::Global), denied(Level::Global)),
        ("192.0.2.4", None, denied(Level::Service), None),
        ("192.0.2.6", denied(Level::Listener), None, None),
        ("192.0.2.10", None, None, None),
    ] {
        let client = ip(client);
        for (door, expected) in doors.iter().zip([at_listener, at_service, elsewhere]) {
            assert_eq!(door.admit(client).err(), expected, "{client}");
            assert_eq!(door.admit_peer(client).err(), expected, "{client} as peer");
        }
    }
    assert_eq!(house.refused("imap", "denied"), 12);
    assert_eq!(house.refused("pop3", "denied"), 4);
}

#[test]
fn an_ipv4_client_on_an_ipv6_socket_is_the_ipv4_client() {
    let lists = Written(vec![deny("192.0.2.0/24")], connections_per_ip(1));
    let house = House::new(lists, Written::default(), Written::default());
    let door = &house.doors()[0];
    assert_eq!(door.admit(ip("::ffff:192.0.2.1")).err(), Some(Refusal::Denied(Level::Global)));
    let _inside = door.admit(ip("::ffff:198.51.100.1")).expect("in");
    let refusal = door.admit(ip("198.51.100.1")).err();
    assert_eq!(refusal, Some(Refusal::TooManyConnectionsPerIp(Level::Global)));
}

#[test]
fn lists_come_before_places_and_places_before_rates() {
    let limits = Limits { connections: Some(1), ..rate(2) };
    let house = House::new(Written(vec![deny("192.0.2.66")], limits), Written::default(), Written::default());
    let door = &house.doors()[0];
    for _ in 0..10 {
        assert_eq!(door.admit(ip("192.0.2.66")).err(), Some(Refusal::Denied(Level::Global)));
    }
    let inside = door.admit(ip("192.0.2.1")).expect("room");
    for _ in 0..10 {
        assert_eq!(door.admit(ip("192.0.2.1")).err(), Some(Refusal::TooManyConnections(Level::Global)));
    }
    drop(inside);
    drop(door.admit(ip("192.0.2.1")).expect("neither the denied nor the refused have used up the rate"));
    assert_eq!(door.admit(ip("192.0.2.1")).err(), Some(Refusal::TooFast(Level::Global)));
}

#[test]
fn a_balancer_is_asked_for_on_the_lists_only() {
    let limits = Limits { connections: Some(0), connections_per_ip: Some(0), ..rate(1) };
    let house = House::new(Written(vec![deny("192.0.2.1")], limits), Written::default(), Written::default());
    let door = &house.doors()[0];
    for _ in 0..10 {
        assert_eq!(door.admit_peer(ip("10.0.0.1")), Ok(()));
    }
    assert_eq!(door.admit_peer(ip("192.0.2.1")), Err(Refusal::Denied(Level::Global)));
}

#[test]
fn refusals_are_counted_by_protocol_and_reason() {
    let limits = Limits { connections: Some(1), ..Limits::default() };
    let house = House::new(Written(vec![], limits), Written::default(), Written::default());
    let doors = house.doors();
    let _inside = doors[0].admit(ip("192.0.2.1")).expect("in");
    let _ = (doors[0].admit(ip("192.0.2.1")), doors[1].admit(ip("192.0.2.1")), doors[2].admit(ip("192.0.2.1")));
    assert_eq!(house.refused("imap", "too_many_connections"), 2);
    assert_eq!(house.refused("pop3", "too_many_connections"), 1);
}

#[test]
fn every_refusal_has_a_label_of_its_own_and_last_words() {
    let all = [
        Refusal::Denied(Level::Global),
        Refusal::TooManyConnections(Level::Global),
        Refusal::TooManyConnectionsPerIp(Level::Service),
        Refusal::TooFast(Level::Listener),
        Refusal::TooFastPerIp(Level::Global),
    ];
    let labels: std::collections::HashSet<_> = all.iter().map(|refusal| refusal.label()).collect();
    assert_eq!(labels.len(), all.len());
    assert_eq!(all[0].goodbye(), crate::proto::Goodbye::Forbidden);
    assert!(all[1..].iter().all(|refusal| refusal.goodbye() == crate::proto::Goodbye::TooMany));
    assert_eq!(all[2].to_string(), "too many connections from this address (service limit)");
}
