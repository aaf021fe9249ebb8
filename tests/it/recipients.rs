//! Where a real slapd says that mail goes, asked through the library: no session is needed to know it.

use std::sync::Arc;

use portcullis::directory::{Directory, Recipient};
use portcullis::metrics::Metrics;
use tokio::runtime::Runtime;

use crate::support::slapd::{BIND_DN, BIND_PASSWORD, Slapd};
use crate::support::wait;

struct Asked {
    slapd: Slapd,
    directory: Directory,
    runtime: Runtime,
}

impl Asked {
    fn new() -> Self {
        let slapd = Slapd::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let yaml = CONFIG.replace("{url}", &slapd.url()).replace("{dn}", BIND_DN).replace("{password}", BIND_PASSWORD);
        let config = portcullis::config::parse(&yaml, "portcullis.yaml".as_ref()).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let directory = Directory::new(&config.directory, metrics, runtime.handle().clone()).unwrap();
        Self { slapd, directory, runtime }
    }

    /// The server and the address there; `unknown`, `not ours`, or what is wrong.
    fn goes_to(&self, address: &str) -> String {
        match self.runtime.block_on(self.directory.recipient(address)) {
            Ok(Recipient::Lives(at)) => {
                format!("{} {}", at.route.host.as_deref().unwrap().split('.').next().unwrap(), at.address)
            }
            Ok(Recipient::Unknown) => "unknown".to_owned(),
            Ok(Recipient::NotOurs) => "not ours".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }
}

const CONFIG: &str = r#"
listeners: [ { service: imap, address: "127.0.0.1:0", tls: none } ]
directory:
  default_domain: example.org
  domains: [example.org, example.net]
  sources:
    - ldap:
        urls: "{url}"
        bind_dn: "{dn}"
        bind_password: "{password}"
        base: "ou=people,dc=example,dc=org"
        preset: inetlocalmailrecipient
        recipient_filter: "(|(mail={user})(mailLocalAddress={user})(uid={local}))"
backends: { stores: { servers: [mail1.example.org] } }
"#;

#[test]
fn names_aliases_tags_catch_alls_and_routing_addresses_lead_to_their_servers() {
    let asked = Asked::new();
    for (address, expected) in [
        ("alice@example.org", "one alice@example.org"),
        ("BOB@Example.ORG", "two BOB@Example.ORG"),
        ("alice+tag", "one alice+tag"),
        ("Sales@example.org", "two Sales@example.org"),
        ("p.smith+x@example.net", "two p.smith+x@example.net"),
        ("somebody@example.net", "one catch-all@one.stores.example.org"),
        ("support@example.org", "two Peggy@example.org"),
        ("nobody@example.org", "unknown"),
        ("alice@example.com", "not ours"),
    ] {
        assert_eq!(asked.goes_to(address), expected, "{address}");
    }
    assert!(asked.goes_to("twins@example.org").contains("more than one"));
    assert!(asked.goes_to("sybil@example.org").contains("sybil@elsewhere.example, which is no address of ours"));
}

#[test]
fn a_recipient_is_a_value_in_the_filter_and_never_a_part_of_it() {
    let asked = Asked::new();
    for local in ["*", "*)(uid=*", "alice)(|(uid=*", "a*", "alice)(objectClass=*))(&(uid=x", "\\2a", "al\\69ce"] {
        assert_eq!(asked.goes_to(&format!("{local}@example.org")), "unknown", "{local}");
    }
    assert_eq!(asked.goes_to("o(*)hara@example.org"), "two o(*)hara@example.org", "a name of such letters may exist");
    wait::until_true("the escaped search", wait::SOON, || {
        let log = asked.slapd.log().to_lowercase();
        log.contains("(uid=\\2a\\29\\28uid=\\2a)") && log.contains("(uid=\\5c2a)")
    });
}
