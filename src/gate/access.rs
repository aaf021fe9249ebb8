//! An access list, compiled: which rule decides about this address?
//!
//! It stands apart because the list that an operator writes (ordered, overlapping, any number of networks) and the
//! list that a connection is looked up in (disjoint, sorted) are different things. 100,000 networks cost one binary
//! search.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{AccessRule, AddressRange};

/// The rules of one level; of rules that overlap, the one written first decides.
#[derive(Debug, Default)]
pub(super) struct Access {
    v4: Steps<u32>,
    v6: Steps<u128>,
}

impl Access {
    pub(super) fn new(rules: &[AccessRule]) -> Self {
        let (mut v4, mut v6) = (Edges::default(), Edges::default());
        for (rule, written) in (0_u32..).zip(rules) {
            for AddressRange { first, last } in &written.from {
                match (first, last) {
                    (IpAddr::V4(first), IpAddr::V4(last)) => {
                        v4.add(first.to_bits().into(), last.to_bits().into(), rule)
                    }
                    (IpAddr::V6(first), IpAddr::V6(last)) => v6.add(first.to_bits(), last.to_bits(), rule),
                    // The configuration makes no such range; and it would hold no address.
                    (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
                }
            }
        }
        Self { v4: v4.steps(|bits| u32::try_from(bits).ok()), v6: v6.steps(Some) }
    }

    /// The number of the rule that decides about a canonical address; `None` = no rule matches.
    pub(super) fn rule(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(address) => self.v4.rule(address.to_bits()),
            IpAddr::V6(address) => self.v6.rule(address.to_bits()),
        }
    }
}

/// A function from addresses to rules that is constant between its steps.
#[derive(Debug, Default)]
struct Steps<T> {
    /// Sorted; each begins a stretch of addresses that ends before the next one.
    starts: Box<[T]>,
    /// The rule of each stretch; as many as `starts`.
    rules: Box<[Option<u32>]>,
}

impl<T: Ord> Steps<T> {
    fn rule(&self, address: T) -> Option<u32> {
        let begun = self.starts.partition_point(|start| *start <= address);
        *self.rules.get(begun.checked_sub(1)?)?
    }
}

/// Where rules begin and end: at each address, those that begin to apply and those that no longer do.
#[derive(Default)]
struct Edges(BTreeMap<u128, (Vec<u32>, Vec<u32>)>);

impl Edges {
    fn add(&mut self, first: u128, last: u128, rule: u32) {
        self.0.entry(first).or_default().0.push(rule);
        // The last address of all has no successor: such a rule never ends.
        if let Some(behind) = last.checked_add(1) {
            self.0.entry(behind).or_default().1.push(rule);
        }
    }

    fn steps<T>(self, bits: impl Fn(u128) -> Option<T>) -> Steps<T> {
        let (mut starts, mut rules) = (Vec::new(), Vec::new());
        let mut active = Active::default();
        for (address, (begin, end)) in self.0 {
            end.into_iter().for_each(|rule| active.leave(rule));
            begin.into_iter().for_each(|rule| active.enter(rule));
            let deciding = active.deciding();
            // What lies behind the last IPv4 address has no bits here, and needs none.
            if let Some(start) = bits(address).filter(|_| rules.last() != Some(&deciding)) {
                starts.push(start);
                rules.push(deciding);
            }
        }
        Steps { starts: starts.into(), rules: rules.into() }
    }
}

/// The rules that apply at one address while the list is swept from the lowest to the highest.
#[derive(Default)]
struct Active {
    /// A rule may name the same address twice, so it is counted, not only held.
    times: BTreeMap<u32, usize>,
}

impl Active {
    fn enter(&mut self, rule: u32) {
        *self.times.entry(rule).or_default() += 1;
    }

    fn leave(&mut self, rule: u32) {
        if let Some(times) = self.times.get_mut(&rule) {
            *times -= 1;
            if *times == 0 {
                self.times.remove(&rule);
            }
        }
    }

    /// The first match wins.
    fn deciding(&self) -> Option<u32> {
        self.times.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::config::address;

    fn list(rules: &[&[&str]]) -> Vec<AccessRule> {
        let from = |texts: &[&str]| texts.iter().flat_map(|text| address::parse(text).expect(text)).collect();
        rules.iter().map(|texts| AccessRule { allow: true, from: from(texts), limits: None }).collect()
    }

    fn decides(access: &Access, address: &str) -> Option<u32> {
        access.rule(address.parse().expect(address))
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let access = Access::new(&list(&[&["10.1.0.0/16"], &["10.0.0.0/8"], &["10.1.2.3", "any"]]));
        for (address, rule) in [
            ("9.255.255.255", 2),
            ("10.0.0.0", 1),
            ("10.0.255.255", 1),
            ("10.1.0.0", 0),
            ("10.1.2.3", 0),
            ("10.1.255.255", 0),
            ("10.2.0.0", 1),
            ("10.255.255.255", 1),
            ("11.0.0.0", 2),
            ("0.0.0.0", 2),
            ("255.255.255.255", 2),
            ("::", 2),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2),
        ] {
            assert_eq!(decides(&access, address), Some(rule), "{address}");
        }
    }

    #[test]
    fn an_address_that_no_rule_names_is_decided_by_none() {
        let access = Access::new(&list(&[&["192.0.2.10-192.0.2.99"], &["2001:db8::/32"]]));
        for (address, rule) in [
            ("192.0.2.9", None),
            ("192.0.2.10", Some(0)),
            ("192.0.2.99", Some(0)),
            ("192.0.2.100", None),
            ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", None),
            ("2001:db8::", Some(1)),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some(1)),
            ("2001:db9::", None),
            ("::192.0.2.10", None),
        ] {
            assert_eq!(decides(&access, address), rule, "{address}");
        }
        assert_eq!(decides(&Access::new(&[]), "192.0.2.1"), None);
    }

    #[test]
    fn a_rule_may_say_the_same_address_twice() {
        let access = Access::new(&list(&[&["10.0.0.0/24", "10.0.0.5", "10.0.0.5"], &["10.0.0.0/8"]]));
        assert_eq!(decides(&access, "10.0.0.6"), Some(0));
        assert_eq!(decides(&access, "10.0.1.0"), Some(1));
    }

    #[test]
    fn a_hundred_thousand_networks_cost_one_binary_search() {
        let networks = |rule: u32| {
            let networks = (0..50_000).map(move |n: u32| (n * 2 + rule) << 8);
            let v4 = networks.clone().map(|bits| (IpAddr::V4(bits.into()), IpAddr::V4((bits | 0xff).into())));
            let v6 = networks.map(|bits| {
                let bits = u128::from(bits) << 64;
                (IpAddr::V6(bits.into()), IpAddr::V6((bits | u128::from(u64::MAX)).into()))
            });
            v4.chain(v6).map(|(first, last)| AddressRange { first, last }).collect()
        };
        let rule = |n| AccessRule { allow: true, from: networks(n), limits: None };
        let access = Access::new(&[rule(0), rule(1)]);
        let started = Instant::now();
        for n in 0..100_000_u32 {
            assert_eq!(access.rule(IpAddr::V4((n << 8 | 7).into())), Some(n % 2));
            assert_eq!(access.rule(IpAddr::V6((u128::from(n) << 72 | 7).into())), Some(n % 2));
        }
        // Unoptimised, on a busy machine: a linear search would need minutes.
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn it_decides_as_reading_the_list_from_its_top_does(
            rules in prop::collection::vec(prop::collection::vec((0_u32..64, 0_u32..8), 1..4), 0..8),
        ) {
            let low = u32::MAX - 63;
            let rules: Vec<_> = rules
                .iter()
                .map(|ranges| AccessRule {
                    allow: true,
                    from: ranges
                        .iter()
                        .map(|(first, more)| AddressRange {
                            first: IpAddr::V4((low + first).into()),
                            last: IpAddr::V4((low + first.saturating_add(*more).min(63)).into()),
                        })
                        .collect(),
                    limits: None,
                })
                .collect();
            let access = Access::new(&rules);
            for bits in low - 1..=u32::MAX {
                let address = IpAddr::V4(bits.into());
                let top_down = rules.iter().position(|rule| rule.from.iter().any(|range| range.contains(address)));
                prop_assert_eq!(access.rule(address), top_down.map(|rule| u32::try_from(rule).expect("few")));
            }
        }
    }
}
