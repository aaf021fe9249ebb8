//! What is remembered of users at all gateways: each tells the store what it has heard, a moment later, and who asks
//! hears what all have told.

use std::net::IpAddr;
use std::sync::Arc;

use super::Nodes;
use crate::proto::Protocol;
use crate::registry::{Away, FAILED, Fact, LAST, News, Recalled, VISIT};
use crate::roster::{Known, Visit};

/// What is remembered of a user.
#[derive(Debug, Default)]
pub struct Remembered {
    /// By all gateways together.
    pub known: Known,
    /// The store is away: by this gateway alone.
    pub is_partial: bool,
}

impl Nodes {
    /// What all gateways remember of a user. Takes a few seconds at most, and none where there can be no others.
    pub async fn known(&self, user: &str) -> Remembered {
        let (roster, registry) = (&self.0.roster, &self.0.registry);
        let mut own = roster.known(user).unwrap_or_default();
        if !registry.is_shared() {
            return Remembered { known: own, is_partial: false };
        }
        let Ok(recalled) = registry.recall(user).await else { return Remembered { known: own, is_partial: true } };
        // Ours are among those that the store counts, unless they were not told yet or it has forgotten them.
        let ours = std::mem::take(&mut own.failures);
        // Ours first: of logins within a second we know the order.
        own.merge(read(&recalled));
        own.failures = own.failures.saturating_add(roster.untold_failures(user)).max(ours);
        Remembered { known: own, is_partial: false }
    }

    /// Tells the store what was heard of users, in so many round trips; what it does not take is told later. What is
    /// under way when nobody polls this any more is not.
    pub(super) async fn tell_news(&self, rounds: usize) -> Result<(), Away> {
        for _ in 0..rounds {
            let news = self.0.roster.news(AT_ONCE);
            if news.is_empty() {
                break;
            }
            let written: Vec<News> = news.iter().map(|(user, known)| write(user, known)).collect();
            if let Err(away) = self.0.registry.remember(&written).await {
                self.0.roster.not_told(news);
                return Err(away);
            }
        }
        Ok(())
    }
}

fn write(user: &Arc<str>, known: &Known) -> News {
    let last = known.last.iter().map(|(protocol, at)| fact(format!("{LAST}{}", protocol.name()), *at, String::new()));
    let visit = |visit: &Visit| fact(format!("{VISIT}{}", visit.address), visit.at, visit.protocol.name().to_owned());
    let failed = known.last_failure.map(|(at, address)| fact(FAILED.to_owned(), at, address.to_string()));
    let facts = last.chain(known.addresses.iter().map(visit)).chain(failed);
    News { user: user.clone(), facts: facts.collect(), failures: known.failures }
}

fn fact(of: String, at: u64, what: String) -> Fact {
    Fact { of, at, what }
}

/// What a newer gateway may have written, and we do not know, is left out.
fn read(recalled: &Recalled) -> Known {
    let mut known = Known { failures: recalled.failures, ..Known::default() };
    for Fact { of, at, what } in &recalled.facts {
        let one = if let Some(name) = of.strip_prefix(LAST) {
            Protocol::named(name).map(|protocol| Known { last: vec![(protocol, *at)], ..Known::default() })
        } else if let Some(address) = of.strip_prefix(VISIT) {
            visit(address, *at, what).map(|visit| Known { addresses: vec![visit], ..Known::default() })
        } else {
            let address = what.parse().ok().filter(|_| of == FAILED);
            address.map(|address: IpAddr| Known { last_failure: Some((*at, address)), ..Known::default() })
        };
        known.merge(one.unwrap_or_default());
    }
    known
}

fn visit(address: &str, at: u64, name: &str) -> Option<Visit> {
    Some(Visit { address: address.parse().ok()?, at, protocol: Protocol::named(name)? })
}

/// Users in one round trip.
const AT_ONCE: usize = 100;
/// Round trips in one beat: a lease must not wait for what piled up while the store was away.
pub(super) const ROUNDS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_strange_is_not() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let visits = [("2001:db8::1", 3, Protocol::Imap), ("192.0.2.1", 5, Protocol::Pop3)];
        let known = Known {
            last: vec![(Protocol::Imap, 3), (Protocol::Pop3, 5)],
            addresses: visits.map(|(text, at, protocol)| Visit { address: address(text), at, protocol }).to_vec(),
            failures: 2,
            last_failure: Some((4, address("192.0.2.9"))),
        };
        let News { facts, failures, .. } = write(&"alice".into(), &known);
        let mut recalled = Recalled { facts, failures };
        assert_eq!(read(&recalled), known);
        recalled.facts.reverse();
        let strange =
            [("last:gopher", ""), ("at:nowhere", "imap"), ("at:192.0.2.3", "gopher"), ("failed", "x"), ("", "")];
        recalled.facts.extend(strange.map(|(of, what)| fact(of.to_owned(), 9, what.to_owned())));
        let again = read(&recalled);
        assert_eq!((again.addresses, again.failures, again.last_failure), (known.addresses, 2, known.last_failure));
        assert!(again.last.len() == 2 && known.last.iter().all(|one| again.last.contains(one)));
    }
}
