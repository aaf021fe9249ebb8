//! A mail site: one directory, two back-ends, on the same ports at two addresses.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use super::dovecot::{Dovecot, Ports};
use super::plan::Plan;
use super::slapd::Slapd;

/// The servers behind a gateway.
pub struct Site {
    /// Who lives where.
    pub slapd: Slapd,
    /// `one.stores.example.org`, 127.0.0.11: alice's.
    pub one: Dovecot,
    /// `two.stores.example.org`, 127.0.0.12: bob's.
    pub two: Dovecot,
}

/// The site that all tests share; they leave its mailboxes but for what they appended, and never stop its servers.
pub fn shared() -> &'static Site {
    static SITE: LazyLock<Site> = LazyLock::new(Site::start);
    &SITE
}

impl Site {
    /// A site of one's own, to stop its servers.
    pub fn start() -> Self {
        let ports = Ports::free();
        let two = std::thread::spawn(move || Dovecot::start("two", Ipv4Addr::new(127, 0, 0, 12), ports));
        let slapd = Slapd::start();
        let one = Dovecot::start("one", Ipv4Addr::new(127, 0, 0, 11), ports);
        Self { slapd, one, two: two.join().expect("the second Dovecot starts") }
    }

    /// A gateway's configuration in front of this site.
    pub fn plan(&self) -> Plan {
        Plan::before(self)
    }
}
