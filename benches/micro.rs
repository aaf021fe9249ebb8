//! Microbenchmarks of what every login passes: `cargo bench --bench micro`.
//!
//! Parsing a login in each protocol, admission past short and long access lists, and a remembered directory answer.
//! What they are to reach: admission with 100,000 networks at most 1 µs and twice that with 10, which is said in a line
//! of its own; an answer at most 1 µs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use portcullis::config::{self, Config};
use portcullis::directory::Directory;
use portcullis::gate::Gate;
use portcullis::metrics::Metrics;
use portcullis::proto::{FrontConfig, Mechanism, Need, Protocol, Tls};

criterion_group!(benches, logins, admission, remembered);
criterion_main!(benches);

/// From nothing to the login that the session is asked to look after: greeting, commands, answers.
fn logins(criterion: &mut Criterion) {
    let config = FrontConfig {
        hostname: "mail.example.com".into(),
        greeting: "ready".into(),
        mechanisms: Arc::new([Mechanism::Plain, Mechanism::Login]),
        tls: Tls::Active,
        cleartext: false,
        bad_commands: 10,
        failed_logins: 3,
        extensions: Arc::new(["SIZE 100000000".into(), "8BITMIME".into()]),
        vouching: false,
        bare_newline: portcullis::proto::smtp::text::BareNewline::Reject,
        unauthorized_pipelining: portcullis::proto::smtp::pipelining::UnauthorizedPipelining::Reject,
    };
    let plain = "AGFsaWNlQGV4YW1wbGUuY29tAHNlY3JldA==";
    for (protocol, name, words) in [
        (Protocol::Imap, "imap LOGIN", "a LOGIN alice@example.com secret\r\n".to_owned()),
        (Protocol::Imap, "imap AUTHENTICATE", format!("a CAPABILITY\r\nb AUTHENTICATE PLAIN {plain}\r\n")),
        (Protocol::Pop3, "pop3 USER PASS", "USER alice@example.com\r\nPASS secret\r\n".to_owned()),
        (Protocol::Submission, "submission AUTH", format!("EHLO client.example.com\r\nAUTH PLAIN {plain}\r\n")),
    ] {
        criterion.bench_function(&format!("login {name}"), |bencher| {
            bencher.iter_batched(
                || (protocol.front(config.clone()), BytesMut::from(words.as_str()), Vec::with_capacity(1024)),
                |(mut front, mut heard, mut say)| {
                    front.greet(&mut say);
                    assert!(matches!(front.step(&mut heard, &mut say), Need::Login(_)));
                    (front, heard, say)
                },
                BatchSize::SmallInput,
            );
        });
    }
}

/// Past deny lists of 10 and of 100,000 networks, with a rate and a count for each address, and out again.
fn admission(criterion: &mut Criterion) {
    let mut doors = [10_u32, 100_000].map(|networks| {
        let config = gateway(networks);
        let gate = Gate::new(&config, metrics());
        let door = gate.door(config.listeners.first().unwrap());
        let mut client = 0_u32;
        let pass = move || {
            client = (client + 1) % 10_000;
            let address = IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::new(192, 168, 0, 0).to_bits() + client));
            drop(black_box(door.admit(address).expect("nobody is refused")));
        };
        (networks, gate, pass)
    });
    for (networks, _, pass) in &mut doors {
        criterion.bench_function(&format!("admission past {networks} networks"), |bencher| bencher.iter(&mut *pass));
    }
    let [(_, _, few), (_, _, many)] = doors;
    ratio(few, many);
}

/// Of the two in turns, because what the machine does between two benchmarks would be in their quotient.
fn ratio(mut few: impl FnMut(), mut many: impl FnMut()) {
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| time(&mut many) / time(&mut few)).collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ROUNDS / 2).unwrap();
    println!(
        "admission past 100,000 networks / past 10: {median:.2} (median of {ROUNDS} rounds in turns; target: 2)\n"
    );
}

fn time(pass: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..20_000).for_each(|_| pass());
    start.elapsed().as_secs_f64()
}

const ROUNDS: usize = 51;

fn remembered(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let directory = Directory::new(&gateway(1).directory, metrics(), runtime.handle().clone()).unwrap();
    let users: Vec<String> = (0..10_000).map(|user| format!("user{user}@example.com")).collect();
    for user in &users {
        let found = runtime.block_on(directory.find(&directory.user(user).unwrap()));
        assert!(found.unwrap().is_some());
    }
    let mut next = 0;
    criterion.bench_function("directory, remembered answer", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % users.len();
            let user = directory.user(users.get(next).unwrap()).unwrap();
            let answer = pin!(directory.find(&user)).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(black_box(answer), Poll::Ready(Ok(Some(_)))), "it had to be asked");
        });
    });
}

fn gateway(networks: u32) -> Config {
    let text = "access:\n  - deny: [203.0.113.0/24]\n\
                limits: { connections: 100000, connections_per_ip: 100, rate_per_ip: 1000000/1s }\n\
                services: { imap: { login: { cleartext: always } } }\n\
                listeners:\n  - { service: imap, address: \"127.0.0.1:143\", tls: none }\n\
                directory: { sources: [ { pool: stores } ] }\n\
                backends: { stores: { servers: [mail1.example.com, mail2.example.com] } }\n";
    let mut config =
        config::parse(text, Path::new("portcullis.yaml")).unwrap_or_else(|problems| panic!("{problems:?}"));
    // A file of so many entries would not be read: a document has a limit of nodes.
    for network in 0..networks {
        // Every other /28, so that none can be merged with its neighbour.
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(11, 0, 0, 0).to_bits() + network * 32);
        let ranges = config::address::parse(&format!("{address}/28")).unwrap_or_else(|_| panic!("{address} is one"));
        config.access.first_mut().unwrap().from.extend(ranges);
    }
    config
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}
