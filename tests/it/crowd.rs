//! Many at once, and many times: what a hostile crowd costs in memory, and that nobody else notices it.
//!
//! C and G numbers are those of the catalogue of hostile input that the project started from.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::plan::Plan;
use crate::support::{ports, site};

/// Nobody stands behind it.
fn alone() -> Plan {
    let nobody = ports::free();
    Plan::before_one(nobody, nobody).service("login.cleartext", "always")
}

#[test]
fn an_announced_literal_that_never_comes_ends_at_the_login_deadline_c09() {
    let gateway = Gateway::start(&alone().service("timeouts", "{ login: 1s }"));
    for announced in ["a LOGIN {5}", "a LOGIN alice {12}", "a AUTHENTICATE PLAIN"] {
        let start = Instant::now();
        let mut client = gateway.connect("imap");
        client.expect("* OK ");
        client.ask_for(announced, "+ ");
        let rest = client.try_line();
        assert!(rest.as_ref().is_ok_and(|line| line.starts_with("* BYE ")), "{announced}: {rest:?}");
        assert_eq!(client.closed(), "");
        let took = start.elapsed();
        assert!(took > Duration::from_millis(900) && took < Duration::from_secs(6), "{announced}: {took:?}");
    }
    gateway.is_calm();
}

/// So many given up attempts in one session, and then its end, by RST or politely.
fn gives_up(gateway: &Gateway, mail: Mail, times: usize) {
    let (attempt, answers) = match mail {
        Mail::Imap => ("a AUTHENTICATE PLAIN\r\n*\r\n", ["+ ", "a BAD"]),
        Mail::Pop3 => ("AUTH PLAIN\r\n*\r\n", ["+ ", "-ERR"]),
    };
    let mut client = gateway.connect(mail.name());
    client.expect(mail.ok());
    client.send(attempt.repeat(times));
    for _ in 0..times {
        for answer in answers {
            client.expect(answer);
        }
    }
    // And one that is left in the middle.
    client.send(attempt.split_inclusive('\n').next().unwrap_or_default());
    client.reset();
}

#[test]
fn twenty_thousand_attempts_given_up_leave_no_memory_behind_c46() {
    let gateway = Gateway::start(&alone().service("errors", "{ commands: 101, logins: 101 }"));
    let round = |sessions: usize| {
        for mail in BOTH {
            (0..sessions).for_each(|_| gives_up(&gateway, mail, 100));
        }
        gateway.is_calm();
    };
    round(10);
    let before = gateway.memory();
    round(100);
    let grown = gateway.memory_at_its_peak().saturating_sub(before);
    assert!(grown < 2 * 1024 * 1024, "{grown} bytes more");
}

#[test]
fn unfinished_parentheses_cost_no_more_than_their_bytes_c27() {
    const CROWD: usize = 300;
    let gateway = Gateway::start(&alone());
    let mut crowd: Vec<Client> = (0..CROWD)
        .map(|number| {
            let mail = BOTH[number % 2];
            let mut client = gateway.connect(mail.name());
            client.expect(mail.ok());
            client
        })
        .collect();
    let before = gateway.memory();
    for client in &mut crowd {
        client.send("a NOOP ".to_owned() + &"(".repeat(2993));
    }
    // They are all heard when they are all answered; the most that was held is remembered by the kernel.
    for client in &mut crowd {
        client.send("\r\n");
    }
    for (number, client) in crowd.iter_mut().enumerate() {
        client.expect(if number % 2 == 0 { "a BAD" } else { "-ERR" });
    }
    let each = gateway.memory_at_its_peak().saturating_sub(before) / CROWD as u64;
    assert!(each < 8192, "{each} bytes more a connection");
    drop(crowd);
    gateway.is_calm();
}

/// One hostile client of each kind, at a plain listener; and whether the gateway has dealt with it within bounds.
fn misbehave(gateway: &Gateway, mail: Mail, kind: usize) {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    let said = match kind {
        0 => b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n".to_vec(),
        1 => hello,
        2 => vec![b'x'; 100_000],
        3 => b"a LOGIN {99999999999999999999}\r\n".to_vec(),
        4 => b"a LOGIN {2147483648+}\r\nx".to_vec(),
        5 => b"a LOGIN alice {3+}\r\n\xff\0\r\nAUTH PLAIN\r\n====\r\n".to_vec(),
        6 => b"a ID ((((((((\r\nb NOOP )\r\n".to_vec(),
        _ => b"\r\n".repeat(5000),
    };
    let mut client = gateway.connect(mail.name());
    // It may be told to go before it has said all.
    let _ = client.try_send(said);
    if kind.is_multiple_of(2) {
        client.half_close();
        while client.try_line().is_ok() {}
    } else {
        client.reset();
    }
}

#[test]
fn fifty_logins_among_garbage_all_succeed_g29() {
    const GARBAGE: usize = 3;
    let gateway = Gateway::start(&site::shared().plan());
    let (over, tries) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..GARBAGE {
            let (gateway, over, tries) = (&gateway, &over, &tries);
            scope.spawn(move || {
                for round in thread.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    misbehave(gateway, BOTH[round % 2], round / 2 % 8);
                    tries.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..50 {
                let (mail, user) = (BOTH[number % 2], ["alice", "bob", "erin"][number % 3]);
                let mut client = mail.session(&gateway, user);
                assert_eq!(mail.server_of(&mut client), if user == "alice" { "one" } else { "two" });
            }
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(tries.load(Ordering::Relaxed) > 20, "there was garbage: {tries:?}");
    gateway.is_calm();
    assert!(gateway.metric("logins_total", &["granted"]) > 49.5);
}
