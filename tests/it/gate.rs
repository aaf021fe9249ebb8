//! Who may come in: each limit at its edge on each level, and the access lists.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::{ports, wait};

/// No login happens here, so nobody needs to stand behind the gateway.
fn plan() -> Plan {
    let nobody = ports::free();
    Plan::before_one(nobody, nobody)
}

fn comes_in(gateway: &Gateway, source: &str, listener: &str) -> Option<Client> {
    let mut client = gateway.connect_from(source, listener);
    match client.try_line() {
        Ok(line) if line.starts_with("* OK ") || line.starts_with("+OK") => Some(client),
        Ok(line) => {
            let goodbye = if listener.starts_with("imap") { "* BYE " } else { "-ERR " };
            assert!(line.starts_with(goodbye), "turned away without the protocol's words: {line:?}");
            assert_eq!(client.closed(), "");
            None
        }
        Err(end) => panic!("neither greeted nor turned away: {end}"),
    }
}

/// Where limits may stand, and who is not concerned by a limit there: another listener.
const LEVELS: [(&str, Option<&str>); 3] =
    [("limits", None), ("services.imap.limits", Some("pop3")), ("listeners.imap.limits", Some("imap2"))];

const HERE: &str = "127.0.0.21";
const THERE: &str = "127.0.0.22";

fn limited(level: &str, limits: &str) -> Gateway {
    Gateway::start(&plan().listener("imap2", "imap", "starttls").set(level, limits))
}

#[test]
fn the_total_of_simultaneous_connections_is_limited_on_each_level() {
    for (level, unconcerned) in LEVELS {
        let gateway = limited(level, "{ connections: 2 }");
        let first = comes_in(&gateway, HERE, "imap").expect("the first");
        let _second = comes_in(&gateway, THERE, "imap").expect("the last that has room");
        assert!(comes_in(&gateway, HERE, "imap").is_none(), "{level}: one too many");
        assert!(unconcerned.is_none_or(|listener| comes_in(&gateway, HERE, listener).is_some()), "{level}");
        drop(first);
        wait::until(&format!("{level}: the place that was given back"), wait::SOON, || {
            comes_in(&gateway, HERE, "imap")
        });
    }
}

#[test]
fn the_simultaneous_connections_of_one_address_are_limited_on_each_level() {
    for (level, unconcerned) in LEVELS {
        let gateway = limited(level, "{ connections_per_ip: 2 }");
        let first = comes_in(&gateway, HERE, "imap").expect("the first");
        let _second = comes_in(&gateway, HERE, "imap").expect("the last that has room");
        assert!(comes_in(&gateway, HERE, "imap").is_none(), "{level}: one too many");
        assert!(comes_in(&gateway, THERE, "imap").is_some(), "{level}: another address has its own");
        assert!(unconcerned.is_none_or(|listener| comes_in(&gateway, HERE, listener).is_some()), "{level}");
        drop(first);
        wait::until(&format!("{level}: the place that was given back"), wait::SOON, || {
            comes_in(&gateway, HERE, "imap")
        });
    }
}

#[test]
fn the_rate_of_new_connections_is_limited_on_each_level() {
    for (level, unconcerned) in LEVELS {
        let gateway = limited(level, "{ rate: 3/1h }");
        for source in [HERE, THERE, HERE] {
            assert!(comes_in(&gateway, source, "imap").is_some(), "{level}: within the rate");
        }
        assert!(comes_in(&gateway, THERE, "imap").is_none(), "{level}: one too many, though the others have gone");
        assert!(unconcerned.is_none_or(|listener| comes_in(&gateway, HERE, listener).is_some()), "{level}");
    }
}

#[test]
fn the_rate_of_one_address_is_limited_on_each_level() {
    for (level, unconcerned) in LEVELS {
        let gateway = limited(level, "{ rate_per_ip: 2/1h }");
        for _ in 0..2 {
            assert!(comes_in(&gateway, HERE, "imap").is_some(), "{level}: within the rate");
        }
        assert!(comes_in(&gateway, HERE, "imap").is_none(), "{level}: one too many");
        assert!(comes_in(&gateway, THERE, "imap").is_some(), "{level}: another address has its own");
        assert!(unconcerned.is_none_or(|listener| comes_in(&gateway, HERE, listener).is_some()), "{level}");
    }
}

#[test]
fn a_rate_gives_room_again_when_its_interval_has_passed() {
    let gateway = limited("limits", "{ rate_per_ip: 1/300ms }");
    assert!(comes_in(&gateway, HERE, "imap").is_some());
    wait::until("room in the rate", Duration::from_secs(5), || comes_in(&gateway, HERE, "imap"));
}

#[test]
fn every_level_that_sets_a_limit_must_have_room() {
    let plan = plan()
        .set("limits", "{ connections: 3 }")
        .set("services.imap.limits", "{ connections: 2 }")
        .set("listeners.imap.limits", "{ connections: 1 }")
        .listener("imap2", "imap", "starttls");
    let gateway = Gateway::start(&plan);
    let _one = comes_in(&gateway, HERE, "imap").expect("room on all levels");
    assert!(comes_in(&gateway, HERE, "imap").is_none(), "the listener is full");
    let _two = comes_in(&gateway, HERE, "imap2").expect("another listener of the service has room");
    assert!(comes_in(&gateway, HERE, "imap2").is_none(), "the service is full");
    let _three = comes_in(&gateway, HERE, "pop3").expect("another service has room");
    assert!(comes_in(&gateway, HERE, "pop3").is_none(), "all is full");
}

#[test]
fn a_refusal_takes_no_place_on_the_levels_that_had_room() {
    let plan = plan().set("limits", "{ connections: 2 }").set("listeners.imap.limits", "{ connections: 1 }");
    let gateway = Gateway::start(&plan);
    let _imap = comes_in(&gateway, HERE, "imap").expect("room");
    for _ in 0..5 {
        assert!(comes_in(&gateway, HERE, "imap").is_none(), "the listener is full");
    }
    assert!(comes_in(&gateway, HERE, "pop3").is_some(), "the refused ones have left the global place alone");
}

#[test]
fn simultaneous_arrivals_never_pass_a_limit_together() {
    let gateway = limited("limits", "{ connections: 5 }");
    let arrivals: Vec<_> = (0..40).map(|_| gateway.connect_from(HERE, "imap")).collect();
    let greeted = arrivals.into_iter().filter_map(|mut client| {
        let line = client.try_line().ok()?;
        line.starts_with("* OK ").then_some(client)
    });
    assert_eq!(greeted.collect::<Vec<_>>().len(), 5);
}

#[test]
fn an_access_list_tells_an_address_a_network_and_a_range_at_their_edges() {
    let list = "[ { deny: [127.0.1.1, 127.0.2.0/30, 127.0.3.5-127.0.3.9] } ]";
    let gateway = Gateway::start(&plan().set("access", list));
    let denied = ["127.0.1.1", "127.0.2.0", "127.0.2.3", "127.0.3.5", "127.0.3.7", "127.0.3.9"];
    let allowed = ["127.0.1.0", "127.0.1.2", "127.0.1.255", "127.0.2.4", "127.0.3.4", "127.0.3.10", HERE];
    for source in denied {
        assert!(comes_in(&gateway, source, "imap").is_none(), "{source} is in the list");
        assert!(comes_in(&gateway, source, "pop3").is_none(), "{source} is in the list");
    }
    for source in allowed {
        assert!(comes_in(&gateway, source, "imap").is_some(), "{source} is not in the list");
    }
    gateway.metric_becomes("refusals_total", &["imap"], 6.0);
    gateway.metric_becomes("refusals_total", &["pop3"], 6.0);
}

#[test]
fn the_first_match_decides_and_nothing_matched_is_allowed() {
    let list = "[ { allow: [127.0.1.1] }, { deny: [127.0.1.0/24] }, { allow: [127.0.1.2] } ]";
    let gateway = Gateway::start(&plan().set("access", list));
    assert!(comes_in(&gateway, "127.0.1.1", "imap").is_some(), "allowed before it is denied");
    assert!(comes_in(&gateway, "127.0.1.2", "imap").is_none(), "denied before it is allowed");
    assert!(comes_in(&gateway, "127.0.2.1", "imap").is_some(), "in no line");
}

#[test]
fn a_listeners_list_is_read_before_its_services_and_that_before_the_global_one() {
    let plan = plan()
        .listener("imap2", "imap", "starttls")
        .set("listeners.imap2.access", "[ { allow: [127.0.1.1] }, { deny: [127.0.1.2] } ]")
        .set("services.imap.access", "[ { deny: [127.0.1.1] }, { allow: [127.0.1.2, 127.0.1.3] } ]")
        .set("access", "[ { deny: [127.0.1.2, 127.0.1.3, 127.0.1.4] } ]");
    let gateway = Gateway::start(&plan);
    let table = [
        ("127.0.1.1", "imap2", true, "the listener allows what the service denies"),
        ("127.0.1.1", "imap", false, "the service denies"),
        ("127.0.1.1", "pop3", true, "nobody says anything"),
        ("127.0.1.2", "imap2", false, "the listener denies what the service allows"),
        ("127.0.1.2", "imap", true, "the service allows what all deny"),
        ("127.0.1.2", "pop3", false, "all deny"),
        ("127.0.1.3", "imap2", true, "the listener is silent, the service allows"),
        ("127.0.1.4", "imap2", false, "listener and service are silent, all deny"),
    ];
    for (source, listener, allowed, why) in table {
        assert_eq!(comes_in(&gateway, source, listener).is_some(), allowed, "{source} at {listener}: {why}");
    }
}

#[test]
fn deny_any_closes_a_listener_to_everyone_else() {
    let plan = plan().set("listeners.imap.access", "[ { allow: [127.0.1.0/24] }, { deny: any } ]");
    let gateway = Gateway::start(&plan);
    assert!(comes_in(&gateway, "127.0.1.9", "imap").is_some());
    assert!(comes_in(&gateway, "127.0.2.9", "imap").is_none());
    assert!(comes_in(&gateway, "127.0.2.9", "pop3").is_some(), "another listener stays open");
}

#[test]
fn an_allowed_address_may_have_limits_of_its_own_in_place_of_the_levels() {
    let plan = plan()
        .set("access", "[ { allow: [127.0.1.1], limits: { connections_per_ip: 3 } } ]")
        .set("limits", "{ connections_per_ip: 1 }");
    let gateway = Gateway::start(&plan);
    let _trusted: Vec<_> = (0..3).map(|_| comes_in(&gateway, "127.0.1.1", "imap").expect("three may")).collect();
    assert!(comes_in(&gateway, "127.0.1.1", "imap").is_none(), "a fourth may not");
    let _one = comes_in(&gateway, "127.0.1.2", "imap").expect("one may");
    assert!(comes_in(&gateway, "127.0.1.2", "imap").is_none(), "a second may not");
}

#[test]
fn who_is_turned_away_from_a_listener_with_implicit_tls_sees_the_connection_close() {
    let gateway = Gateway::start(&plan().set("access", "[ { deny: [127.0.1.1] } ]"));
    for listener in ["imaps", "pop3s"] {
        let mut client = gateway.connect_from("127.0.1.1", listener);
        let heard = client.closed();
        assert!(!heard.contains("OK"), "{heard:?}");
    }
}
