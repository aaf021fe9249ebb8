//! What a scenario consists of.

use super::sample::{Effort, STREAMS};
use crate::gateways::{Directory, Gateway, Wish};
use crate::load::{Language, Load, Tls, Work};

pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub tls: Tls,
    target: Target,
    tls_behind: bool,
    logs: bool,
    more_workers: usize,
    /// A directory server is asked, and so many of its answers are remembered.
    remembers: Option<u32>,
    /// Who cannot take part, and why; without a word where there is nothing to explain.
    cannot: &'static [(Gateway, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CPU of something that is done over and over, at several sizes.
    Cpu { language: Language, sizes: &'static [Size] },
    /// Median wait for the login's yes.
    Wait,
    /// The same from afar.
    Distant,
    /// Memory of a session that is logged in and idle, or silent.
    Memory { silent: bool },
    /// CPU of a login while few, and while many others are there.
    Held,
    /// CPU of something while no others are on, and while many are; the page that lists them is perhaps watched.
    Others { load: Load, watched: bool },
    /// CPU of the command that lists them.
    Who,
}

/// How much of it at once, and what the table calls that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub what: &'static str,
    pub load: Load,
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
    Unset,
    AtMost(f64),
    Of(Gateway, f64),
}

impl Size {
    pub const fn of(what: &'static str, work: Work, clients: usize) -> Self {
        Self { what, load: Load::of(work, clients) }
    }

    pub const fn with_messages(what: &'static str, work: Work, message: u64) -> Self {
        Self { what, load: Load { work, clients: STREAMS, message } }
    }

    fn unit(&self) -> Unit {
        match self.load.work {
            Work::Download | Work::Upload => Unit::SecondsPerGigabyte,
            Work::Login | Work::Noop => Unit::Microseconds,
        }
    }
}

impl Scenario {
    pub const fn new(name: &'static str, title: &'static str, kind: Kind, tls: Tls, target: Target) -> Self {
        Self {
            name,
            title,
            kind,
            tls,
            target,
            tls_behind: false,
            logs: false,
            more_workers: 0,
            remembers: None,
            cannot: &[],
        }
    }

    pub const fn without(self, cannot: &'static [(Gateway, &'static str)]) -> Self {
        Self { cannot, ..self }
    }

    pub const fn with_tls_behind(self) -> Self {
        Self { tls_behind: true, ..self }
    }

    pub const fn with_logs(self) -> Self {
        Self { logs: true, ..self }
    }

    pub const fn with_workers(self, workers: usize) -> Self {
        Self { more_workers: workers - 1, ..self }
    }

    pub const fn remembering(self, answers: u32) -> Self {
        Self { remembers: Some(answers), ..self }
    }

    /// A figure each, in the order of the samples.
    pub fn rows(&self) -> Vec<Row> {
        let row = |what, unit, target| Row { what, unit, target };
        match self.kind {
            Kind::Cpu { sizes, .. } => sizes.iter().map(|size| row(size.what, size.unit(), self.target)).collect(),
            Kind::Wait | Kind::Distant => vec![row("median", Unit::Milliseconds, self.target)],
            Kind::Memory { .. } => vec![row("memory", Unit::Bytes, self.target)],
            Kind::Held => vec![
                row("CPU at 100 held", Unit::Microseconds, Target::Unset),
                row("CPU at all held", Unit::Microseconds, Target::Unset),
                row("all / 100", Unit::Times, self.target),
            ],
            Kind::Others { .. } => vec![
                row("CPU with none on", Unit::SecondsPerGigabyte, Target::Unset),
                row("CPU with others on", Unit::SecondsPerGigabyte, Target::Unset),
                row("others / none", Unit::Times, self.target),
            ],
            Kind::Who => vec![
                row("CPU of `who`", Unit::Milliseconds, self.target),
                row("CPU of `who --json`", Unit::Milliseconds, self.target),
                row("CPU of the gateway for both", Unit::Milliseconds, Target::Unset),
            ],
        }
    }

    pub fn asks_ldap(&self) -> bool {
        self.remembers.is_some()
    }

    /// Whether it is about sessions of others, which stay from round to round.
    pub fn has_others(&self) -> bool {
        matches!(self.kind, Kind::Others { .. } | Kind::Who)
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

    /// What it wants of a gateway; `slapd` is the port of the directory server, if it wants one.
    pub fn wish(&self, slapd: u16) -> Wish {
        let directory = match self.remembers {
            Some(remembered) => Directory::Ldap { port: slapd, remembered },
            None => Directory::OneServer,
        };
        let Self { tls_behind, logs, more_workers, .. } = *self;
        Wish { tls_behind, directory, logs, more_workers, under: Vec::new() }
    }
}
