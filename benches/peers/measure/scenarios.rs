//! What is measured, of whom, and what must be reached.

use crate::gateways::Gateway;
use crate::load::{Language, Tls, Work};

use super::sample::Effort;

pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub tls: Tls,
    pub rows: &'static [Row],
    pub tls_behind: bool,
    pub logs: bool,
    /// A directory server is asked, and so many of its answers are remembered.
    pub remembers: Option<u32>,
    cannot: &'static [(Gateway, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CPU of something that is done over and over.
    Cpu(Work, Language),
    /// Median wait for the login's yes.
    Wait,
    /// The same from afar.
    Distant,
    /// Memory of a session that is logged in and idle, or silent.
    Memory { silent: bool },
    /// CPU of a login while few, and while many others are there.
    Held,
}

/// A line of the table.
pub struct Row {
    pub what: &'static str,
    pub unit: Unit,
    pub target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Microseconds,
    Milliseconds,
    SecondsPerGigabyte,
    Bytes,
    Times,
}

#[derive(Clone, Copy)]
pub enum Target {
    None,
    AtMost(f64),
    Of(Gateway, f64),
}

impl Scenario {
    pub fn asks_ldap(&self) -> bool {
        self.remembers.is_some()
    }

    /// Why a gateway cannot take part.
    pub fn cannot(&self, gateway: Gateway) -> Option<&'static str> {
        self.cannot.iter().find(|(which, _)| *which == gateway).map(|(_, why)| *why)
    }

    /// Whether each round needs a process that has done nothing yet.
    pub fn is_fresh(&self) -> bool {
        matches!(self.kind, Kind::Memory { .. } | Kind::Held)
    }

    pub fn rounds(&self, effort: &Effort) -> usize {
        if self.is_fresh() { effort.fresh_rounds } else { effort.rounds }
    }
}

const fn cpu(name: &'static str, title: &'static str, work: Work, tls: Tls, rows: &'static [Row]) -> Scenario {
    let kind = Kind::Cpu(work, Language::Imap);
    Scenario { name, title, kind, tls, rows, tls_behind: false, logs: false, remembers: None, cannot: &[] }
}

const fn other(name: &'static str, title: &'static str, kind: Kind, tls: Tls, rows: &'static [Row]) -> Scenario {
    Scenario { kind, ..cpu(name, title, Work::Login, tls, rows) }
}

const fn row(what: &'static str, unit: Unit, target: Target) -> [Row; 1] {
    [Row { what, unit, target }]
}

const NOT_ASKED: &[(Gateway, &str)] = &[
    (Gateway::Nginx, "asks no LDAP"),
    (Gateway::Haproxy, "asks no LDAP"),
    (Gateway::Dovecot, "not set up with LDAP here"),
    (Gateway::Perdition, "not set up with LDAP here"),
];
const NO_SUBMISSION: &[(Gateway, &str)] =
    &[(Gateway::Dovecot, "its submission proxy is a package of its own"), (Gateway::Perdition, "no submission")];
const NO_TLS_BEHIND: &[(Gateway, &str)] = &[(Gateway::Nginx, "speaks no TLS to a mail back-end")];
const NOT_SO_MANY: &[(Gateway, &str)] = &[(Gateway::Perdition, "a process for each session")];

use Gateway::{Haproxy, Nginx};
use Target::{AtMost, Of};
use Unit::{Bytes, Microseconds, Milliseconds, SecondsPerGigabyte, Times};

pub static SCENARIOS: &[Scenario] = &[
    cpu(
        "login-plain",
        "IMAP login + logout, plain",
        Work::Login,
        Tls::None,
        &row("CPU", Microseconds, Of(Nginx, 0.75)),
    ),
    Scenario {
        logs: true,
        cannot: &[(Nginx, "–"), (Haproxy, "–"), (Gateway::Dovecot, "–"), (Gateway::Perdition, "–")],
        ..cpu(
            "login-logged",
            "the same with a line of log each (ours only)",
            Work::Login,
            Tls::None,
            &row("CPU", Microseconds, Target::None),
        )
    },
    cpu(
        "login-tls",
        "IMAP login + logout, TLS 1.3, full handshake",
        Work::Login,
        Tls::Full,
        &row("CPU", Microseconds, Of(Haproxy, 0.55)),
    ),
    cpu(
        "login-resumed",
        "IMAP login + logout, TLS 1.3, resumed",
        Work::Login,
        Tls::Resumed,
        &row("CPU", Microseconds, Target::None),
    ),
    Scenario {
        kind: Kind::Cpu(Work::Login, Language::Pop3),
        ..cpu("login-pop3", "POP3 login + QUIT, plain", Work::Login, Tls::None, &row("CPU", Microseconds, Target::None))
    },
    Scenario {
        kind: Kind::Cpu(Work::Login, Language::Submission),
        cannot: NO_SUBMISSION,
        ..cpu(
            "login-submission",
            "submission EHLO + AUTH + QUIT, plain",
            Work::Login,
            Tls::None,
            &row("CPU", Microseconds, Target::None),
        )
    },
    Scenario {
        remembers: Some(100_000),
        cannot: NOT_ASKED,
        ..cpu(
            "ldap-cached",
            "IMAP login + logout, plain, LDAP answer remembered",
            Work::Login,
            Tls::None,
            &row("CPU", Microseconds, Target::None),
        )
    },
    Scenario {
        remembers: Some(0),
        cannot: NOT_ASKED,
        ..cpu(
            "ldap-uncached",
            "IMAP login + logout, plain, LDAP asked each time",
            Work::Login,
            Tls::None,
            &row("CPU", Microseconds, Target::None),
        )
    },
    cpu("noop-plain", "NOOP round trip, plain", Work::Noop, Tls::None, &row("CPU", Microseconds, Of(Nginx, 1.0))),
    cpu(
        "noop-tls",
        "NOOP round trip, TLS to the client",
        Work::Noop,
        Tls::Full,
        &row("CPU", Microseconds, Of(Nginx, 0.85)),
    ),
    cpu(
        "download-plain",
        "bulk download, plain",
        Work::Download,
        Tls::None,
        &row("CPU", SecondsPerGigabyte, Of(Haproxy, 0.55)),
    ),
    cpu(
        "download-tls",
        "bulk download, TLS to the client",
        Work::Download,
        Tls::Full,
        &row("CPU", SecondsPerGigabyte, Of(Haproxy, 0.75)),
    ),
    cpu(
        "upload-plain",
        "bulk upload, plain",
        Work::Upload,
        Tls::None,
        &row("CPU", SecondsPerGigabyte, Of(Haproxy, 0.55)),
    ),
    cpu(
        "upload-tls",
        "bulk upload, TLS to the client",
        Work::Upload,
        Tls::Full,
        &row("CPU", SecondsPerGigabyte, Of(Haproxy, 0.75)),
    ),
    other(
        "wait-plain",
        "connect → logged in, loopback, plain",
        Kind::Wait,
        Tls::None,
        &row("median", Milliseconds, Target::None),
    ),
    other(
        "wait-tls",
        "connect → logged in, loopback, TLS 1.3",
        Kind::Wait,
        Tls::Full,
        &row("median", Milliseconds, Of(Haproxy, 1.0)),
    ),
    other(
        "distant",
        "connect → logged in, 40 ms round trip, TLS 1.3",
        Kind::Distant,
        Tls::Full,
        &row("median", Milliseconds, AtMost(135.0)),
    ),
    other(
        "idle-plain",
        "idle session, plain",
        Kind::Memory { silent: false },
        Tls::None,
        &row("memory", Bytes, AtMost(2_000.0)),
    ),
    other(
        "idle-tls",
        "idle session, TLS to the client",
        Kind::Memory { silent: false },
        Tls::Full,
        &row("memory", Bytes, AtMost(6_000.0)),
    ),
    Scenario {
        tls_behind: true,
        cannot: NO_TLS_BEHIND,
        ..other(
            "idle-both",
            "idle session, TLS on both sides",
            Kind::Memory { silent: false },
            Tls::Full,
            &row("memory", Bytes, AtMost(11_000.0)),
        )
    },
    other(
        "silent-plain",
        "silent client before login, plain",
        Kind::Memory { silent: true },
        Tls::None,
        &row("memory", Bytes, AtMost(1_500.0)),
    ),
    other(
        "silent-tls",
        "silent client before login, TLS",
        Kind::Memory { silent: true },
        Tls::Full,
        &row("memory", Bytes, AtMost(6_000.0)),
    ),
    Scenario {
        cannot: NOT_SO_MANY,
        ..other(
            "held",
            "IMAP login + logout, plain, while others are held",
            Kind::Held,
            Tls::None,
            &[
                Row { what: "CPU at 100 held", unit: Microseconds, target: Target::None },
                Row { what: "CPU at all held", unit: Microseconds, target: Target::None },
                Row { what: "all / 100", unit: Times, target: AtMost(1.1) },
            ],
        )
    },
];
