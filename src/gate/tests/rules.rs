//! Allow rules with limits of their own.

use super::*;

#[test]
fn a_rule_s_limit_stands_in_for_that_of_its_level() {
    let lists = vec![rule(true, "10.0.0.0/8", Some(connections_per_ip(3)))];
    on_each_level(&Written(lists, connections_per_ip(1)), |level, house| {
        let door = &house.doors()[0];
        let _inside: Vec<_> = (0..3).map(|_| door.admit(ip("10.0.0.1")).expect("the rule's limit")).collect();
        assert_eq!(door.admit(ip("10.0.0.1")).err(), Some(Refusal::TooManyConnectionsPerIp(level)));
        let _other = door.admit(ip("10.0.0.2")).expect("another address of the rule");
        let _stranger = door.admit(ip("192.0.2.1")).expect("the level's limit");
        assert!(door.admit(ip("192.0.2.1")).is_err());
    });
}

#[test]
fn a_rule_s_limit_in_all_is_shared_by_its_addresses_and_by_nobody_else() {
    let lists = vec![rule(true, "10.0.0.0/8", Some(connections(2))), allow("any")];
    let house = House::new(Written(lists, connections(1)), Written::default(), Written::default());
    let doors = house.doors();
    let _rule: Vec<_> =
        ["10.0.0.1", "10.0.0.2"].iter().zip(&doors).map(|(client, door)| door.admit(ip(client)).expect("in")).collect();
    assert_eq!(doors[2].admit(ip("10.0.0.3")).err(), Some(Refusal::TooManyConnections(Level::Global)));
    let _level = doors[0].admit(ip("192.0.2.1")).expect("the level's own place is free");
    assert!(doors[0].admit(ip("192.0.2.2")).is_err());
}

#[test]
fn keys_that_a_rule_does_not_set_and_other_levels_still_count() {
    let lists = vec![rule(true, "10.0.0.0/8", Some(Limits { connections: Some(9), ..rate_per_ip(9) }))];
    let global = Limits { connections: Some(1), connections_per_ip: Some(2), ..rate_per_ip(1) };
    let house = House::new(Written(lists, global), Written(vec![], connections(4)), Written(vec![], connections(3)));
    let doors = house.doors();
    let _pair: Vec<_> = (0..2).map(|_| doors[0].admit(ip("10.0.0.1")).expect("in")).collect();
    assert_eq!(doors[0].admit(ip("10.0.0.1")).err(), Some(Refusal::TooManyConnectionsPerIp(Level::Global)));
    let _third = doors[0].admit(ip("10.0.0.2")).expect("in");
    assert_eq!(doors[0].admit(ip("10.0.0.2")).err(), Some(Refusal::TooManyConnections(Level::Listener)));
    let _fourth = doors[1].admit(ip("10.0.0.2")).expect("in");
    assert_eq!(doors[1].admit(ip("10.0.0.3")).err(), Some(Refusal::TooManyConnections(Level::Service)));
}

#[test]
fn a_rule_that_does_not_decide_sets_no_limit() {
    // The listener's rule decides; the global rule with the wider limit is not reached.
    let global = vec![rule(true, "10.0.0.0/8", Some(connections_per_ip(100)))];
    let house = House::new(
        Written(global, connections_per_ip(1)),
        Written::default(),
        Written(vec![allow("10.0.0.1")], Limits::default()),
    );
    let door = &house.doors()[0];
    let _inside = door.admit(ip("10.0.0.1")).expect("in");
    assert_eq!(door.admit(ip("10.0.0.1")).err(), Some(Refusal::TooManyConnectionsPerIp(Level::Global)));
    let _others: Vec<_> = (0..100).map(|_| door.admit(ip("10.0.0.2")).expect("the global rule decides")).collect();
}

#[test]
fn a_sweep_counts_the_addresses_of_all_tables() {
    let per_ip = Limits { connections_per_ip: Some(5), ..rate_per_ip(5) };
    let lists = vec![rule(true, "10.0.0.0/8", Some(per_ip))];
    let house = House::new(Written(lists, per_ip), Written(vec![], per_ip), Written(vec![], per_ip));
    let doors = house.doors();
    let inside = [doors[0].admit(ip("192.0.2.1")).expect("in"), doors[0].admit(ip("10.0.0.1")).expect("in")];
    house.gate.sweep();
    assert_eq!(house.metrics.gate_addresses.get(), 12);
    drop(inside);
    house.gate.sweep();
    assert_eq!(house.metrics.gate_addresses.get(), 6, "who is gone is known to the rates only");
    drop(doors);
    house.gate.sweep();
    assert_eq!(house.metrics.gate_addresses.get(), 4, "a listener that is gone is forgotten");
}
