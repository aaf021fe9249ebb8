//! The hosts that a directory may name: pools, their servers, and what a pool's `match` allows.

use super::Pool;
use super::check::nearest;

/// Every host that has a meaning; the default knows none, and so can refuse none.
#[derive(Debug, Default)]
pub struct KnownHosts {
    /// Pools that have servers, and all servers; lower case.
    names: Vec<String>,
    /// Pools that have servers: these have no port.
    pools: usize,
    patterns: Vec<String>,
}

impl KnownHosts {
    /// Those of these pools.
    #[must_use]
    pub fn new(pools: &[Pool]) -> Self {
        let with_servers = pools.iter().filter(|pool| !pool.servers.is_empty()).map(|pool| pool.name.clone());
        let mut names: Vec<String> = with_servers.collect();
        let count = names.len();
        names.extend(pools.iter().flat_map(|pool| &pool.servers).map(|server| server.name.clone()));
        let patterns = pools.iter().flat_map(|pool| &pool.matches).cloned().collect();
        Self { names, pools: count, patterns }
    }

    /// What is wrong with this host, as a predicate; `None` when a user can be sent there. In lower case.
    #[must_use]
    pub fn fault(&self, host: &str) -> Option<String> {
        if (self.names.is_empty() && self.patterns.is_empty()) || self.names.iter().any(|name| name == host) {
            return None;
        }
        let (name, port) = split_port(host);
        let Some(name) = name else { return Some("is not a host name or an IP address".to_owned()) };
        let servers = self.names.get(self.pools..).unwrap_or_default();
        if (port && servers.iter().any(|server| server == name)) || self.is_matched(name) {
            return None;
        }
        let meant = nearest(name, self.names.iter().map(String::as_str));
        let advice = meant.map_or_else(|| self.all(), |meant| format!("; did you mean `{meant}`?"));
        Some(format!("is a host that no pool of `backends` has or matches{advice}"))
    }

    /// Whether this host, which may be named, has a port of its own; that is used for every protocol.
    #[must_use]
    pub fn has_port(host: &str) -> bool {
        split_port(host).1
    }

    fn is_matched(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some(suffix) => name.strip_suffix(suffix).is_some_and(|labels| !labels.is_empty()),
            None => name == pattern,
        })
    }

    fn all(&self) -> String {
        let known: Vec<&str> = self.names.iter().chain(&self.patterns).take(SHOWN).map(String::as_str).collect();
        let more = if self.names.len() + self.patterns.len() > SHOWN { ", …" } else { "" };
        format!("; there is {}{more}", known.join(", "))
    }
}

const SHOWN: usize = 10;

/// `host`, `host:port`, `[address]:port`: the host, and whether there is a port.
fn split_port(host: &str) -> (Option<&str>, bool) {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("")) }),
        None if host.matches(':').count() == 1 => {
            host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)))
        }
        None => (host, None),
    };
    let is_port =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|p| p > 0);
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    let fits = plain && !name.is_empty() && name.len() <= 253 && port.is_none_or(is_port);
    (fits.then_some(name), port.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> KnownHosts {
        let text = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        KnownHosts { names: text(&["stores", "mail1", "10.0.0.1"]), pools: 1, patterns: text(&["*.internal", "spare"]) }
    }

    #[test]
    fn a_host_is_a_pool_a_server_or_matched_and_only_a_pool_has_no_port() {
        for host in
            ["stores", "mail1", "mail1:1143", "10.0.0.1:143", "a.internal", "a.b.internal:143", "spare", "spare:1"]
        {
            assert_eq!(known().fault(host), None, "{host}");
        }
        for host in
            ["stores:143", "mail2", "internal", ".internal", "mail1:0", "mail1:x", "[mail1", "mail1:65536", "a b"]
        {
            assert!(known().fault(host).is_some(), "{host}");
        }
        assert_eq!(KnownHosts::default().fault("anything"), None);
        for (host, has_port) in [("mail1:143", true), ("[::1]:143", true), ("mail1", false), ("::1", false)] {
            assert_eq!(KnownHosts::has_port(host), has_port, "{host}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested_and_otherwise_all() {
        assert!(known().fault("mial1").is_some_and(|fault| fault.ends_with("; did you mean `mail1`?")));
        let fault = known().fault("elsewhere.example.com");
        assert!(fault.is_some_and(|fault| fault.ends_with("; there is stores, mail1, 10.0.0.1, *.internal, spare")));
    }
}
