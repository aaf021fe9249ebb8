//! What the back-ends offer to who sends mail: nothing may be promised that the back-end does not keep which the mail
//! will go to, whichever that is.
//!
//! Each server's EHLO is learnt by a probe now and then, and from every login there. What all of them offer is shown;
//! while one of the configured servers was never reached, nothing is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Backends;
use super::server::Server;
use crate::proto::smtp::extension;
use crate::proto::smtp::probe::Probe;
use crate::proto::{LoginFailure, Protocol};

/// The EHLO lines of one server that may be shown; none for a protocol by which it was never reached.
pub(super) type Offered = Arc<Mutex<HashMap<Protocol, Vec<String>>>>;

impl Server {
    /// Takes note of what it said to EHLO, if that is what it was asked.
    pub(super) fn set_extensions(&self, protocol: Protocol, extensions: &[String]) {
        if !SENDING.contains(&protocol) {
            return;
        }
        let shown = extensions.iter().filter_map(|line| extension::shown(line)).collect();
        self.offered.lock().unwrap_or_else(PoisonError::into_inner).insert(protocol, shown);
    }

    fn offered(&self, protocol: Protocol) -> Option<Vec<String>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner).get(&protocol).cloned()
    }

    /// Relays are asked where users send. Their port 25 may not be meant for us: it counts once the directory has led a
    /// message there.
    fn is_asked(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Imap | Protocol::Pop3 | Protocol::Submission => true,
            Protocol::Smtp => !self.settings.config.only_relays || self.offered(protocol).is_some(),
        }
    }

    /// Asks it, without a login.
    async fn probe(self: &Arc<Self>, protocol: Protocol, hostname: Arc<str>) -> Result<(), LoginFailure> {
        let lease = self.lease(protocol).await?;
        let probe = Box::new(Probe::new(hostname, self.wants_starttls(protocol)));
        let (_, granted) = lease.attempt(protocol, probe).await?;
        self.set_extensions(protocol, &granted.extensions);
        Ok(())
    }
}

impl Backends {
    /// What may be shown by a listener of this protocol now; nothing where there is no such thing to show.
    #[must_use]
    pub fn extensions(&self, protocol: Protocol) -> Arc<[Box<str>]> {
        self.extensions.get(&protocol).map(|shown| shown.load_full().as_ref().clone()).unwrap_or_default()
    }

    /// Asks every configured server that mail may go to, each within its pool's time-outs; hosts that only the directory
    /// names are taken to be like the others of their pool. `false` = by this protocol there is nothing to learn.
    pub async fn learn(&self, protocol: Protocol, hostname: &Arc<str>) -> bool {
        let Some(extensions) = self.extensions.get(&protocol) else { return false };
        let mut offered = Vec::new();
        for server in self.by_name.values().filter(|server| server.is_asked(protocol)) {
            if let Err(failure) = server.probe(protocol, hostname.clone()).await {
                tracing::debug!(
                    protocol = protocol.name(),
                    backend = server.name(),
                    stage = failure.stage.name(),
                    detail = failure.detail,
                    "no EHLO learnt"
                );
            }
            offered.push(server.offered(protocol));
        }
        let offered: Option<Vec<_>> = offered.into_iter().collect();
        let shown = offered.map(common).unwrap_or_default();
        extensions.store(Arc::new(shown.into_iter().map(String::into_boxed_str).collect()));
        true
    }
}

/// By which protocols mail is sent.
pub(super) const SENDING: [Protocol; 2] = [Protocol::Submission, Protocol::Smtp];

/// What all of them offer; of several sizes the smallest (RFC 1870 §4: none, or 0, is no limit).
fn common(offered: Vec<Vec<String>>) -> Vec<String> {
    let mut lists = offered.into_iter();
    let Some(first) = lists.next() else { return Vec::new() };
    lists.fold(first, |shown, other| shown.into_iter().filter_map(|line| in_both(line, &other)).collect())
}

fn in_both(line: String, other: &[String]) -> Option<String> {
    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    let theirs = other.iter().find(|theirs| name(theirs) == name(&line))?;
    Some(match (size(&line), size(theirs)) {
        (Some(ours), Some(theirs)) => format!("SIZE {}", ours.min(theirs)),
        (None, Some(theirs)) => format!("SIZE {theirs}"),
        (_, None) => line,
    })
}

fn size(line: &str) -> Option<u128> {
    line.strip_prefix("SIZE ")?.parse().ok().filter(|&size| size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn only_what_every_back_end_offers_is_promised() {
        let shown = |lists: &[&str]| common(lists.iter().map(|text| lines(text)).collect()).join(",");
        assert_eq!(shown(&["PIPELINING,SIZE 100,DSN"]), "PIPELINING,SIZE 100,DSN");
        assert_eq!(shown(&["PIPELINING,DSN", "DSN,CHUNKING", "DSN"]), "DSN");
        assert_eq!(shown(&["PIPELINING", "DSN"]), "");
        assert_eq!(shown(&[]), "");
    }

    #[test]
    fn of_several_sizes_the_smallest_is_promised() {
        let shown = |ours: &str, theirs: &str| common(vec![lines(ours), lines(theirs)]).join(",");
        assert_eq!(shown("SIZE 200", "SIZE 100"), "SIZE 100");
        assert_eq!(shown("SIZE", "SIZE 100"), "SIZE 100");
        assert_eq!(shown("SIZE 0", "SIZE 100"), "SIZE 100");
        assert_eq!(shown("SIZE 100", "SIZE 0"), "SIZE 100");
        assert_eq!(shown("SIZE 100", "DSN"), "");
    }
}
