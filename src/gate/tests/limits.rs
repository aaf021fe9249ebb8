//! Each limit at its edge, on each level, and under threads.

use super::*;

#[test]
fn simultaneous_connections_are_limited_in_all_on_each_level() {
    on_each_level(&Written(vec![], connections(3)), |level, house| {
        let doors = doors_of(level, &house);
        let mut inside: Vec<_> =
            (0..3).map(|n| doors[n % doors.len()].admit(ip(&format!("192.0.2.{n}"))).expect("room")).collect();
        for door in &doors {
            assert_eq!(door.admit(ip("192.0.2.9")).err(), Some(Refusal::TooManyConnections(level)));
        }
        inside.pop();
        let again = doors[0].admit(ip("192.0.2.9")).expect("one has left");
        assert!(doors[0].admit(ip("192.0.2.9")).is_err());
        drop((inside, again));
    });
}

#[test]
fn simultaneous_connections_are_limited_per_address_on_each_level() {
    on_each_level(&Written(vec![], connections_per_ip(2)), |level, house| {
        let doors = doors_of(level, &house);
        let client = ip("192.0.2.1");
        let first = doors[0].admit(client).expect("room");
        let _second = doors[doors.len() - 1].admit(client).expect("room");
        for door in &doors {
            assert_eq!(door.admit(client).err(), Some(Refusal::TooManyConnectionsPerIp(level)));
            drop(door.admit(ip("192.0.2.2")).expect("another address"));
        }
        drop(first);
        drop(doors[0].admit(client).expect("one has left"));
    });
}

#[test]
fn a_rate_is_limited_in_all_on_each_level_and_leaving_gives_nothing_back() {
    on_each_level(&Written(vec![], rate(3)), |level, house| {
        let doors = doors_of(level, &house);
        for n in 0..3 {
            drop(doors[n % doors.len()].admit(ip(&format!("192.0.2.{n}"))).expect("slow enough"));
        }
        for door in &doors {
            assert_eq!(door.admit(ip("192.0.2.9")).err(), Some(Refusal::TooFast(level)));
        }
    });
}

#[test]
fn a_rate_is_limited_per_address_on_each_level() {
    on_each_level(&Written(vec![], rate_per_ip(2)), |level, house| {
        let doors = doors_of(level, &house);
        let client = ip("192.0.2.1");
        drop(doors[0].admit(client).expect("slow enough"));
        drop(doors[doors.len() - 1].admit(client).expect("slow enough"));
        for door in &doors {
            assert_eq!(door.admit(client).err(), Some(Refusal::TooFastPerIp(level)));
        }
        drop(doors[0].admit(ip("192.0.2.2")).expect("another address"));
    });
}

#[test]
fn a_level_counts_only_what_is_its_own() {
    let house = House::new(Written::default(), Written(vec![], connections(2)), Written(vec![], connections(1)));
    let doors = house.doors();
    let client = ip("192.0.2.1");
    let _inside = doors[0].admit(client).expect("room");
    assert_eq!(doors[0].admit(client).err(), Some(Refusal::TooManyConnections(Level::Listener)));
    let _other_listener = doors[1].admit(client).expect("room in the service");
    assert_eq!(doors[1].admit(client).err(), Some(Refusal::TooManyConnections(Level::Service)));
    let _other_service = doors[2].admit(client).expect("no limit there");
}

#[test]
fn what_a_refused_connection_had_taken_is_given_back() {
    // The listener and the service have room, the global level has none: nothing may stay taken below it.
    let both = Limits { connections: Some(5), connections_per_ip: Some(5), ..Limits::default() };
    let house = House::new(Written(vec![], connections(1)), Written(vec![], both), Written(vec![], both));
    let doors = house.doors();
    let client = ip("192.0.2.1");
    let inside = doors[2].admit(client).expect("room");
    for _ in 0..100 {
        assert_eq!(doors[0].admit(client).err(), Some(Refusal::TooManyConnections(Level::Global)));
    }
    drop(inside);
    for _ in 0..100 {
        drop(doors[0].admit(client).expect("nothing was left taken"));
    }
    house.gate.sweep();
    assert_eq!(house.metrics.gate_addresses.get(), 0);
}

#[test]
fn a_connection_that_comes_too_fast_gives_its_places_back() {
    let limits = Limits { connections: Some(1), ..rate_per_ip(1) };
    let house = House::new(Written(vec![], limits), Written::default(), Written::default());
    let door = &house.doors()[0];
    drop(door.admit(ip("192.0.2.1")).expect("first"));
    assert_eq!(door.admit(ip("192.0.2.1")).err(), Some(Refusal::TooFastPerIp(Level::Global)));
    drop(door.admit(ip("192.0.2.2")).expect("the one place is free"));
}

#[test]
fn one_address_that_knocks_too_often_does_not_use_up_the_rate_of_all() {
    let limits = Limits { rate: Some(Rate { count: 3, interval: HOUR }), ..rate_per_ip(1) };
    let house = House::new(Written(vec![], limits), Written::default(), Written::default());
    let door = &house.doors()[0];
    drop(door.admit(ip("192.0.2.1")).expect("first"));
    for _ in 0..10 {
        assert_eq!(door.admit(ip("192.0.2.1")).err(), Some(Refusal::TooFastPerIp(Level::Global)));
    }
    drop(door.admit(ip("192.0.2.2")).expect("second"));
    drop(door.admit(ip("192.0.2.3")).expect("third"));
    assert_eq!(door.admit(ip("192.0.2.4")).err(), Some(Refusal::TooFast(Level::Global)));
}

#[test]
fn ipv6_is_counted_by_its_prefix() {
    let house = House::new(Written(vec![], connections_per_ip(1)), Written::default(), Written::default());
    let door = &house.doors()[0];
    let _inside = door.admit(ip("2001:db8:0:1::")).expect("first");
    let same = door.admit(ip("2001:db8:0:1:ffff:ffff:ffff:ffff")).err();
    assert_eq!(same, Some(Refusal::TooManyConnectionsPerIp(Level::Global)));
    let _above = door.admit(ip("2001:db8:0:2::")).expect("the next prefix");
    let _below = door.admit(ip("2001:db8:0:0:ffff::")).expect("the prefix before");
}

#[test]
fn a_prefix_may_be_as_short_as_32_and_as_long_as_128() {
    let address = ip("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(counted_as(address, 32), ip("2001:db8::"));
    assert_eq!(counted_as(address, 127), ip("2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"));
    assert_eq!(counted_as(address, 128), address);
    assert_eq!(counted_as(ip("192.0.2.1"), 32), ip("192.0.2.1"));
}

#[test]
fn places_are_never_oversold_by_threads() {
    let limits = Limits { connections: Some(40), connections_per_ip: Some(7), ..Limits::default() };
    let house = House::new(Written(vec![], limits), Written(vec![], connections(30)), Written::default());
    let door = &house.doors()[0];
    let start = std::sync::Barrier::new(8);
    let kept: Vec<Permit> = std::thread::scope(|scope| {
        let rush = |seed: usize| {
            let start = &start;
            move || {
                start.wait();
                let mut kept = Vec::new();
                for n in 0..2000_usize {
                    let client = ip(&format!("192.0.2.{}", (n + seed) % 10));
                    match door.admit(client) {
                        Ok(permit) if n % 3 == 0 => kept.push(permit),
                        Ok(_) | Err(_) => {}
                    }
                }
                kept
            }
        };
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(rush(seed))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(kept.len(), 30, "all places of the service are taken, and not one more");
    for n in 0..10 {
        let client = ip(&format!("192.0.2.{n}"));
        assert!(kept.iter().filter(|permit| permit.address == client).count() <= 7);
        assert!(door.admit(client).is_err());
    }
    drop(kept);
    house.gate.sweep();
    assert_eq!(house.metrics.gate_addresses.get(), 0);
    let again: Vec<_> = (0..30).map(|n| door.admit(ip(&format!("198.51.100.{n}")))).collect();
    assert!(again.iter().all(Result::is_ok), "every place came back");
    assert!(door.admit(ip("198.51.100.99")).is_err());
}

#[test]
fn a_permit_is_small() {
    assert!(size_of::<Permit>() <= 40, "{}", size_of::<Permit>());
}
