//! The limits of one level, or of one rule, with their counters.

use std::net::IpAddr;

use super::pace::{Pace, PacePerIp};
use super::places::{Places, PlacesPerIp};
use super::refusal::{Level, Refusal};
use crate::config::Limits;

/// Counters for the limits that are set; the others cost nothing.
pub(super) struct Flow {
    places: Option<Places>,
    places_per_ip: Option<PlacesPerIp>,
    pace: Option<Pace>,
    pace_per_ip: Option<PacePerIp>,
}

impl Flow {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            places: limits.connections.map(Places::new),
            places_per_ip: limits.connections_per_ip.map(PlacesPerIp::new),
            pace: limits.rate.map(Pace::new),
            pace_per_ip: limits.rate_per_ip.map(PacePerIp::new),
        }
    }

    /// Tidies up; answers how many addresses the tables hold.
    pub(super) fn sweep(&self) -> usize {
        let inside = self.places_per_ip.as_ref().map_or(0, PlacesPerIp::sweep);
        inside + self.pace_per_ip.as_ref().map_or(0, PacePerIp::sweep)
    }
}

/// The limits that hold on one level for one client: the level's, but for those that the deciding rule replaces.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    level: Level,
    of_level: &'a Flow,
    of_rule: Option<&'a Flow>,
}

impl<'a> Terms<'a> {
    pub(super) fn new(level: Level, of_level: &'a Flow, of_rule: Option<&'a Flow>) -> Self {
        Self { level, of_level, of_rule }
    }

    fn replaced<T>(self, limit: impl Fn(&'a Flow) -> Option<&'a T>) -> Option<&'a T> {
        self.of_rule.and_then(&limit).or_else(|| limit(self.of_level))
    }

    pub(super) fn place_per_ip(self) -> Option<Place<'a>> {
        self.replaced(|flow| flow.places_per_ip.as_ref()).map(|places| Place::PerIp(self.level, places))
    }

    pub(super) fn place(self) -> Option<Place<'a>> {
        self.replaced(|flow| flow.places.as_ref()).map(|places| Place::InAll(self.level, places))
    }

    pub(super) fn keeps_pace_per_ip(self, address: IpAddr) -> Result<(), Refusal> {
        let pace = self.replaced(|flow| flow.pace_per_ip.as_ref());
        let admits = pace.is_none_or(|pace| pace.admits(address));
        admits.then_some(()).ok_or(Refusal::TooFastPerIp(self.level))
    }

    pub(super) fn keeps_pace(self) -> Result<(), Refusal> {
        let pace = self.replaced(|flow| flow.pace.as_ref());
        let admits = pace.is_none_or(Pace::admits);
        admits.then_some(()).ok_or(Refusal::TooFast(self.level))
    }
}

/// Something that a permit takes, and gives back.
pub(super) enum Place<'a> {
    PerIp(Level, &'a PlacesPerIp),
    InAll(Level, &'a Places),
}

impl Place<'_> {
    pub(super) fn take(&self, address: IpAddr) -> Result<(), Refusal> {
        let (taken, refusal) = match self {
            Self::PerIp(level, places) => (places.take(address), Refusal::TooManyConnectionsPerIp(*level)),
            Self::InAll(level, places) => (places.take(), Refusal::TooManyConnections(*level)),
        };
        taken.then_some(()).ok_or(refusal)
    }

    pub(super) fn give_back(&self, address: IpAddr) {
        match self {
            Self::PerIp(_, places) => places.give_back(address),
            Self::InAll(_, places) => places.give_back(),
        }
    }
}
