//! Who may come in: access lists and flow control, on three levels.
//!
//! A [`Gate`] is the whole of it; each listener has a [`Door`]; who comes in holds a [`Permit`]. The lists are read
//! listener first, then service, then global, and the first match decides; nothing matched = allowed. Then every level
//! that sets a limit must have room: first the simultaneous connections, then the rates. In both, the limits of one
//! address are asked before those of all, so that one address that knocks too often does not use up what is there for
//! everyone. An allow rule with limits puts its own in place of those of its level.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::address::{canonical, counted_as};
use crate::config::{AccessRule, Config, Limits, Listener};
use crate::metrics::Metrics;
use crate::proto::Protocol;

mod access;
mod flow;
mod pace;
mod places;
mod refusal;
mod table;
#[cfg(test)]
mod tests;

pub use refusal::{Level, Refusal};

use access::Access;
use flow::{Flow, Place, Terms};

/// The access lists and limits of the whole program, with their counters.
pub struct Gate {
    metrics: Arc<Metrics>,
    ipv6_prefix: u8,
    global: Arc<Post>,
    posts: Mutex<Posts>,
}

/// The levels below the global one, made as doors need them.
#[derive(Default)]
struct Posts {
    services: HashMap<Protocol, Arc<Post>>,
    listeners: Vec<Weak<Post>>,
}

impl Gate {
    /// A gate with nobody inside.
    #[must_use]
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        let global = Arc::new(Post::new(&config.access, &config.limits));
        Self { metrics, ipv6_prefix: config.ipv6_prefix, global, posts: Mutex::default() }
    }

    /// The door of this listener: to be made once, and cloned for every thread. All doors count on the same global
    /// level, and those of one service on the same service level.
    #[must_use]
    pub fn door(&self, listener: &Listener) -> Door {
        let service = &listener.service;
        let own = Arc::new(Post::new(&listener.access, &listener.limits));
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.listeners.push(Arc::downgrade(&own));
        let shared = posts
            .services
            .entry(service.protocol)
            .or_insert_with(|| Arc::new(Post::new(&service.access, &service.limits)));
        Door(Arc::new(Posted {
            protocol: service.protocol,
            posts: [own, Arc::clone(shared), Arc::clone(&self.global)],
            ipv6_prefix: self.ipv6_prefix,
            metrics: Arc::clone(&self.metrics),
        }))
    }

    /// Forgets what needs no longer be remembered, and counts what is left; to be called each minute.
    pub fn sweep(&self) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.listeners.retain(|post| post.strong_count() > 0);
        let listeners = posts.listeners.iter().filter_map(Weak::upgrade);
        let others = posts.services.values().chain([&self.global]).map(Arc::clone);
        let addresses: usize = listeners.chain(others).map(|post| post.sweep()).sum();
        self.metrics.gate_addresses.set(i64::try_from(addresses).unwrap_or(i64::MAX));
    }
}

/// One listener's way in; cheap to clone, shared by all threads.
#[derive(Clone)]
pub struct Door(Arc<Posted>);

struct Posted {
    protocol: Protocol,
    /// In the order of [`Level::ALL`].
    posts: [Arc<Post>; 3],
    ipv6_prefix: u8,
    metrics: Arc<Metrics>,
}

impl Door {
    /// Asks for a place for a client. The permit is to be held as long as the connection is open.
    ///
    /// # Errors
    /// The first list or limit that says no; it was counted, and every place that had been taken was given back.
    pub fn admit(&self, client: IpAddr) -> Result<Permit, Refusal> {
        self.let_in(canonical(client)).inspect_err(|refusal| self.count(*refusal))
    }

    /// Asks the access lists only: for a load balancer, whose client is announced by a PROXY header and has to pass
    /// [`Door::admit`] then.
    ///
    /// # Errors
    /// [`Refusal::Denied`]; it was counted.
    pub fn admit_peer(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.decide(canonical(peer)).map(|_| ()).inspect_err(|refusal| self.count(*refusal))
    }

    fn let_in(&self, client: IpAddr) -> Result<Permit, Refusal> {
        let rule = self.decide(client)?;
        let address = counted_as(client, self.0.ipv6_prefix);
        let mut permit = Permit { door: self.clone(), address, rule, taken: 0 };
        for place in self.places(rule) {
            // On refusal the permit is dropped, and with it go the places taken so far.
            place.take(address)?;
            permit.taken += 1;
        }
        self.terms(rule).try_for_each(|terms| terms.keeps_pace_per_ip(address))?;
        self.terms(rule).try_for_each(Terms::keeps_pace)?;
        Ok(permit)
    }

    /// The allow rule that decided, or none.
    fn decide(&self, client: IpAddr) -> Result<Option<Deciding>, Refusal> {
        for (level, post) in Level::ALL.into_iter().zip(&self.0.posts) {
            if let Some(number) = post.access.rule(client) {
                return match post.rules.get(number as usize) {
                    Some(Rule::Allow(_)) => Ok(Some(Deciding { level, number })),
                    Some(Rule::Deny) | None => Err(Refusal::Denied(level)),
                };
            }
        }
        Ok(None)
    }

    /// The limits of the three levels for a client about whom this rule decided.
    fn terms(&self, rule: Option<Deciding>) -> impl Iterator<Item = Terms<'_>> + Clone {
        Level::ALL.into_iter().zip(&self.0.posts).map(move |(level, post)| {
            let rule = rule.filter(|rule| rule.level == level);
            Terms::new(level, &post.flow, rule.and_then(|rule| post.flow_of(rule.number)))
        })
    }

    /// What such a client has to take, always in the same order.
    fn places(&self, rule: Option<Deciding>) -> impl Iterator<Item = Place<'_>> {
        let terms = self.terms(rule);
        terms.clone().filter_map(Terms::place_per_ip).chain(terms.filter_map(Terms::place))
    }

    fn count(&self, refusal: Refusal) {
        self.0.metrics.refusals.with_label_values(&[self.0.protocol.name(), refusal.label()]).inc();
    }
}

/// A place inside; dropping it gives back all that was taken for it.
#[must_use = "the connection is counted only as long as its permit is held"]
pub struct Permit {
    // Which places were taken follows from the door and the rule: nothing else needs to be kept.
    door: Door,
    address: IpAddr,
    rule: Option<Deciding>,
    taken: u8,
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("address", &self.address).field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        for place in self.door.places(self.rule).take(self.taken.into()) {
            place.give_back(self.address);
        }
    }
}

/// An allow rule, by its level and its number on it.
#[derive(Clone, Copy)]
struct Deciding {
    level: Level,
    number: u32,
}

/// What stands on one level.
struct Post {
    access: Access,
    rules: Box<[Rule]>,
    flow: Flow,
}

enum Rule {
    Deny,
    /// With limits of its own, shared by all addresses that it matches.
    Allow(Option<Box<Flow>>),
}

impl Post {
    fn new(rules: &[AccessRule], limits: &Limits) -> Self {
        let rule = |written: &AccessRule| match written.allow {
            true => Rule::Allow(written.limits.as_ref().map(|limits| Box::new(Flow::new(limits)))),
            false => Rule::Deny,
        };
        Self { access: Access::new(rules), rules: rules.iter().map(rule).collect(), flow: Flow::new(limits) }
    }

    fn flow_of(&self, rule: u32) -> Option<&Flow> {
        match self.rules.get(rule as usize)? {
            Rule::Allow(flow) => flow.as_deref(),
            Rule::Deny => None,
        }
    }

    fn sweep(&self) -> usize {
        let of_rules = (0..).zip(&self.rules).filter_map(|(rule, _)| self.flow_of(rule));
        of_rules.chain([&self.flow]).map(Flow::sweep).sum()
    }
}
