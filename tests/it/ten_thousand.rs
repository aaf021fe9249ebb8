//! Thousands of messages while the servers behind are killed: whoever was told that a message was taken finds it in a
//! queue, once; nobody's is there twice.
//!
//! Each attempt to send has a name of its own. An attempt that was not acknowledged may have been taken all the same (its
//! answer died with the server), but never twice; the message is then sent again by another name.
//!
//! `PORTCULLIS_MESSAGES=500` tries fewer, `PORTCULLIS_SEED=1` others.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::postfix::{Ports, Postfix};
use crate::support::site;
use crate::support::smtp::{hello, plan, start_and_learn};
use crate::support::wait;

/// Who sends at the same time.
const SENDERS: u64 = 6;
/// Messages between two kills, at most.
const KILLED_WITHIN: u64 = 80;
/// Recipients, by the server where they live.
const LOCALS: [&[&str]; 2] = [&["alice", "frank", "ivan"], &["bob", "erin", "peggy"]];

/// What happens, the same for the same seed but for what the scheduler adds (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What all senders share.
struct Trial<'g> {
    gateway: &'g Gateway,
    /// Messages that are still to be begun.
    left: AtomicUsize,
    acknowledged: AtomicUsize,
    is_up: [AtomicBool; 2],
    has_failed: AtomicBool,
}

/// One attempt, by its name: where it went, and whether it was acknowledged.
type Attempts = Vec<(String, usize, bool)>;

impl Trial<'_> {
    fn open(&self) -> Client {
        let mut client = self.gateway.connect("smtp");
        client.expect("220 ");
        hello(&mut client);
        client
    }

    /// Sends messages, each until it is acknowledged.
    fn send(&self, sender: u64, seed: u64) -> Attempts {
        let (mut chance, mut client, mut attempts) = (Chance(seed ^ sender << 32), self.open(), Attempts::new());
        while self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            let server = usize::from(chance.below(2) == 1);
            loop {
                let name = format!("attempt-{sender}-{}-", attempts.len());
                let is_acknowledged = attempt(&mut client, &name, LOCALS[server], &mut chance);
                attempts.push((name, server, is_acknowledged));
                if is_acknowledged {
                    self.acknowledged.fetch_add(1, SeqCst);
                    break;
                }
                client.ask_for("RSET", "250 ");
                wait::until_true("the server to come back", wait::SOON, || {
                    assert!(!self.has_failed.load(SeqCst), "nobody restarts it");
                    self.is_up[server].load(SeqCst)
                });
            }
        }
        client.ask_for("QUIT", "221 ");
        attempts
    }

    /// Kills one server or the other again and again; how often.
    fn kill(&self, servers: &mut [Postfix; 2], messages: usize, seed: u64) -> usize {
        let (mut chance, mut kills) = (Chance(!seed), 0);
        loop {
            let next = self.acknowledged.load(SeqCst) + 1 + usize::try_from(chance.below(KILLED_WITHIN)).unwrap();
            if next >= messages {
                return kills;
            }
            wait::until_true("messages to be taken", wait::SOON, || self.acknowledged.load(SeqCst) >= next);
            let victim = usize::from(chance.below(2) == 1);
            self.is_up[victim].store(false, SeqCst);
            servers[victim].kill();
            servers[victim].restart();
            self.is_up[victim].store(true, SeqCst);
            kills += 1;
        }
    }
}

/// One transaction by this name; whether it was acknowledged. The session is there afterwards.
fn attempt(client: &mut Client, name: &str, locals: &[&str], chance: &mut Chance) -> bool {
    client.ask_for(&format!("MAIL FROM:<{name}@elsewhere.example.net>"), "250 ");
    let recipients = usize::try_from(1 + chance.below(locals.len() as u64)).unwrap();
    for local in &locals[..recipients] {
        if !said_yes(&client.ask(&format!("RCPT TO:<{local}@example.org>"))) {
            return false;
        }
    }
    let long = if chance.below(10) == 0 { 200_000 } else { 200 };
    let lines = usize::try_from(chance.below(long) / 40).unwrap();
    let text = format!("Subject: {name}\r\n\r\n{}", "A line of forty characters, about that.\r\n".repeat(lines));
    let (start, rest) = text.split_at(usize::try_from(chance.below(text.len() as u64)).unwrap());
    if chance.below(3) == 0 {
        for (bytes, last) in [(start, ""), (rest, " LAST")] {
            if bytes.is_empty() && last.is_empty() {
                continue;
            }
            client.send(format!("BDAT {}{last}\r\n{bytes}", bytes.len()));
            if !said_yes(&client.line()) {
                return false;
            }
        }
        return true;
    }
    let answer = client.ask("DATA");
    if !answer.starts_with("354 ") {
        assert!(answer.starts_with("451 4."), "{answer}");
        return false;
    }
    client.send(start);
    client.send(rest);
    said_yes(&client.ask("."))
}

/// Everything else is a reason to come back: nobody must bounce a message because a server was killed.
fn said_yes(answer: &str) -> bool {
    assert!(answer.starts_with("250 ") || answer.starts_with("451 4."), "{answer}");
    answer.starts_with("250 ")
}

/// How many messages of each attempt a server has.
fn counts(server: &Postfix) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for message in server.queue() {
        let text = String::from_utf8_lossy(&message);
        let at = text.find("Subject: attempt-").expect("one of ours") + "Subject: ".len();
        // Behind it is the next record, whatever that looks like.
        let name = text[at..].match_indices('-').nth(2).map(|(end, _)| &text[at..=at + end]).expect("its end");
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn every_message_that_was_acknowledged_is_in_a_queue_exactly_once() {
    let seed = number("PORTCULLIS_SEED", 20_261_121);
    let messages = usize::try_from(number("PORTCULLIS_MESSAGES", 10_000)).unwrap();
    let ports = Ports::free();
    let mut servers =
        [("one", 11), ("two", 12)].map(|(name, last)| Postfix::holding(name, Ipv4Addr::new(127, 0, 0, last), ports));
    let gateway = start_and_learn(&plan(site::shared(), ports), "CHUNKING");
    let trial = Trial {
        gateway: &gateway,
        left: AtomicUsize::new(messages),
        acknowledged: AtomicUsize::new(0),
        is_up: [AtomicBool::new(true), AtomicBool::new(true)],
        has_failed: AtomicBool::new(false),
    };
    let start = Instant::now();
    let (attempts, kills) = std::thread::scope(|scope| {
        let trial = &trial;
        let senders: Vec<_> = (1..=SENDERS).map(|sender| scope.spawn(move || trial.send(sender, seed))).collect();
        let kills = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trial.kill(&mut servers, messages, seed)));
        trial.has_failed.store(kills.is_err(), SeqCst);
        let attempts: Attempts = senders.into_iter().flat_map(|sender| sender.join().expect("a sender")).collect();
        (attempts, kills.expect("the servers come back"))
    });
    let took = start.elapsed();
    let counts = servers.each_ref().map(counts);
    let acknowledged = attempts.iter().filter(|attempt| attempt.2).count();
    let (mut lost, mut twice, mut unheard, mut astray) = (0, 0, 0, 0);
    for (name, server, is_acknowledged) in &attempts {
        let here = counts[*server].get(name).copied().unwrap_or(0);
        lost += usize::from(*is_acknowledged && here == 0);
        twice += usize::from(here > 1);
        unheard += usize::from(!is_acknowledged && here == 1);
        astray += usize::from(counts[1 - server].contains_key(name));
    }
    let tally = format!(
        "seed {seed}: {acknowledged} acknowledged in {took:.1?}, {} attempts refused, {unheard} of them taken unheard, \
         {kills} kills, {lost} lost, {twice} twice, {astray} astray",
        attempts.len() - acknowledged
    );
    println!("{tally}");
    assert_eq!((acknowledged, lost, twice, astray), (messages, 0, 0, 0), "{tally}");
    assert!(kills > messages / 200 && took > Duration::ZERO, "{tally}");
    let held: usize = counts.iter().flat_map(HashMap::values).sum();
    assert_eq!(held, acknowledged + unheard, "{tally}");
    gateway.metric_becomes("transactions_total", &["accepted"], acknowledged as f64);
    gateway.is_calm();
}
