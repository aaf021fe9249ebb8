//! Ports of the loopback network that nobody uses.
//!
//! A site has one port for IMAP on all its back-ends, so a port is taken only when it is free on every address that
//! the tests give to servers. It lies below the range from which the kernel takes the ports of outgoing connections;
//! a client's own port could otherwise sit on it before the server binds.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// Where servers of the tests may stand.
pub const ADDRESSES: [Ipv4Addr; 4] =
    [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 11), Ipv4Addr::new(127, 0, 0, 12), Ipv4Addr::new(127, 0, 0, 13)];

/// A port that is free on all of [`ADDRESSES`] and was given to nobody else in this process.
pub fn free() -> u16 {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    (0..TRIES)
        .map(|_| FIRST + random() % (LAST - FIRST))
        .find(|&port| ADDRESSES.iter().all(|&address| TcpListener::bind((address, port)).is_ok()) && taken.insert(port))
        .expect("a free port on the loopback network")
}

fn random() -> u16 {
    let hash = RandomState::new().hash_one(());
    u16::try_from(hash & 0xffff).expect("sixteen bits")
}

const FIRST: u16 = 10_240;
const LAST: u16 = 32_000;
const TRIES: usize = 1_000;
