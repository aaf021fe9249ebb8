//! What the machine has to give: threads and file descriptors.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::fake::{Fake, Step};
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::plan::Plan;
use crate::support::{site, wait};

/// A back-end that, once a user is in, says more than anybody wants to hear; for as long as `flowing`.
fn firehose(flowing: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let flowing = flowing.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let flowing = flowing.clone();
            thread::spawn(move || pour(stream, &flowing));
        }
    });
    port
}

fn pour(mut stream: TcpStream, flowing: &AtomicBool) -> std::io::Result<()> {
    stream.write_all(b"* OK [CAPABILITY IMAP4rev1] firehose\r\n")?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let tag = line.split(' ').next().unwrap_or_default();
        stream.write_all(format!("{tag} OK [CAPABILITY IMAP4rev1] yes\r\n").as_bytes())?;
        let water = b"* 1 EXISTS\r\n".repeat(10_000);
        while line.contains("LOGIN") && flowing.load(Ordering::Relaxed) {
            stream.write_all(&water)?;
        }
    }
    Ok(())
}

#[test]
fn a_busy_gateway_takes_another_thread_and_gives_it_back_without_losing_anybody() {
    let flowing = Arc::new(AtomicBool::new(true));
    let port = firehose(&flowing);
    let plan = Plan::before_one(port, port).set("threads", "{ min: 1, max: 2 }").service("login.cleartext", "always");
    // Whatever the environment says: the load is to end soon after the water does.
    let gateway = Gateway::start(&plan.set("relay.buffer", "32KiB"));
    gateway.metric_becomes("workers", &[], 1.0);
    let mut patient = Mail::Imap.open(&gateway);
    let drinkers: Vec<_> = (0..6)
        .map(|_| {
            let mut stream = TcpStream::connect(gateway.address("imap")).unwrap();
            stream.write_all(b"a LOGIN alice pw\r\n").unwrap();
            thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()))
        })
        .collect();
    wait::until_true("a second worker", Duration::from_secs(30), || gateway.metric("workers", &[]) > 1.5);
    patient.ask_for("v NOOP", "v OK");
    Mail::Imap.open(&gateway).ask_for("v NOOP", "v OK");

    flowing.store(false, Ordering::Relaxed);
    let mut late: Vec<_> = (0..10).map(|_| Mail::Imap.open(&gateway)).collect();
    wait::until_true("one worker again", Duration::from_secs(60), || gateway.metric("workers", &[]) < 1.5);
    // Those of the worker that retires stay with it.
    for client in late.iter_mut().chain([&mut patient]) {
        client.ask_for("v NOOP", "v OK");
    }
    assert_eq!(gateway.metric("sessions", &[]), 6.0, "nobody was lost");
    drop(gateway);
    drinkers.into_iter().for_each(|drinker| drop(drinker.join()));
}

/// The time that a process has spent on a processor.
pub fn cpu(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // User and system time, in hundredths of a second.
    Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
}

fn descriptors(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

#[test]
fn when_descriptors_run_short_who_comes_is_told_so_and_without_any_it_waits() {
    let fake = Fake::start(vec![Step::Serve(Mail::Imap)]);
    let plan = Plan::before_one(fake.port, fake.port).service("login.cleartext", "always");
    let gateway = Gateway::start_with_descriptors(64, &plan);
    let mut inside = Vec::new();
    let refused = loop {
        let mut client = gateway.connect("imap");
        match client.try_line() {
            Ok(line) if line.starts_with("* OK") => inside.push(client),
            other => break other.expect("an answer"),
        }
        assert!(inside.len() < 64, "there are no more descriptors than that");
    };
    assert!(refused.starts_with("* BYE ") && !inside.is_empty(), "{refused}");
    gateway.logged(&["connection refused", "descriptors"]);
    assert!(gateway.metric("refusals_total", &["descriptors"]) >= 1.0);
    // Those that are left are for the back-ends of who is inside: with two logins, all are used.
    let mut crowd = inside.split_off(inside.len() - 2);
    for client in &mut crowd {
        Mail::Imap.login(client, "alice");
    }
    let outside: Vec<_> = (0..20).map(|_| TcpStream::connect(gateway.address("imap")).unwrap()).collect();
    gateway.logged(&["accept failed"]);
    let (before, start) = (cpu(gateway.id()), Instant::now());
    wait::until_true("two seconds to pass", wait::SOON, || start.elapsed() > Duration::from_secs(2));
    let spent = cpu(gateway.id()) - before;
    assert!(spent < Duration::from_millis(500), "it spins: {spent:?} in two seconds");
    drop((crowd, inside, outside));
    wait::until_true("a place inside", wait::SOON, || {
        gateway.connect("imap").try_line().is_ok_and(|line| line.starts_with("* OK"))
    });
    assert!(gateway.metric("accept_errors_total", &[]) >= 1.0);
}

#[test]
fn sessions_of_every_kind_leave_no_descriptor_behind() {
    let gateway = Gateway::start_open(&site::shared().plan().set("threads", "{ min: 1, max: 1 }"));
    let live = |rounds: usize| {
        for round in 0..rounds {
            for mail in BOTH {
                mail.session(&gateway, "alice").reset();
                drop(mail.session(&gateway, "bob"));
                mail.try_login(&mut mail.open(&gateway), "alice", "wrong");
                let mut half = gateway.connect(mail.name());
                half.send(if round % 2 == 0 { "a STARTTLS\r\n" } else { "STLS\r\n" });
            }
        }
        gateway.metric_becomes("connections", &[], 0.0);
        gateway.metric_becomes("backend_connections", &[], 0.0);
    };
    // What is opened once, for good, is open then.
    live(2);
    let before = descriptors(gateway.id());
    live(25);
    wait::until_true("the descriptors to be as before", wait::SOON, || descriptors(gateway.id()) <= before);
}
