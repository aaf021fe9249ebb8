//! A gateway's configuration as the tests change it: a whole one, in which any key can be set by its path.
//!
//! `plan.set("services.imap.limits.connections", "1")`: the path names mappings, the value is YAML (flow style). Below
//! `listeners` and `directory.sources` the YAML has lists; here their items have names, so that a path can name them.

use std::fmt::Write;

use super::certs::certs;
use super::site::Site;
use super::slapd::{BIND_DN, BIND_PASSWORD};

/// What will be written as the gateway's YAML file.
#[derive(Clone)]
pub struct Plan {
    root: Vec<(String, Node)>,
}

#[derive(Clone)]
enum Node {
    Value(String),
    Map(Vec<(String, Node)>),
}

impl Plan {
    /// In front of a site's slapd and Dovecots, over plain TCP.
    pub fn before(site: &Site) -> Self {
        let ports = site.one.ports;
        let ldap = "directory.sources.ldap";
        Self::bare()
            .set("directory.default_domain", "example.org")
            .set(&format!("{ldap}.urls"), &format!("[\"{}\"]", site.slapd.url()))
            .set(&format!("{ldap}.bind_dn"), &format!("\"{BIND_DN}\""))
            .set(&format!("{ldap}.bind_password"), BIND_PASSWORD)
            .set(&format!("{ldap}.base"), "\"ou=people,dc=example,dc=org\"")
            .set(&format!("{ldap}.filter"), FILTER)
            .set(
                &format!("{ldap}.attributes"),
                "{ host: mailHost, identity: mail, user: uid, status: employeeType, services: businessCategory }",
            )
            .set(&format!("{ldap}.status"), "{ locked: deny, maintenance: unavailable }")
            .set(&format!("{ldap}.timeout"), "3s")
            .set(
                "backends.stores.servers",
                &format!(
                    "[{{ name: one.stores.example.org, address: {} }}, {{ name: two.stores.example.org, address: {} }}]",
                    site.one.address, site.two.address
                ),
            )
            .set("backends.stores.ports", &format!("{{ imap: {}, pop3: {} }}", ports.imap, ports.pop3))
    }

    /// In front of one server that speaks IMAP at one port of 127.0.0.1 and POP3 at another; everyone lives there.
    pub fn before_one(imap: u16, pop3: u16) -> Self {
        Self::bare()
            .set("directory.default_domain", "example.org")
            .set("directory.sources.pool", "stores")
            .set("backends.stores.servers", "[{ name: one.stores.example.org, address: 127.0.0.1 }]")
            .set("backends.stores.ports", &format!("{{ imap: {imap}, pop3: {pop3} }}"))
    }

    /// Listeners, certificates and short times; neither directory nor back-ends.
    fn bare() -> Self {
        let certs = certs();
        let shown = |leaf: &super::certs::Leaf| {
            format!("{{ certificate: \"{}\", key: \"{}\" }}", leaf.certificate.display(), leaf.key.display())
        };
        let mut plan = Self { root: Vec::new() }
            .set("hostname", "mail.example.org")
            .set("threads", "{ min: 1, max: 2 }")
            .set("tls.certificates", &format!("[{}, {}]", shown(&certs.mail), shown(&certs.other)))
            .set("services.imap.login.mechanisms", "[plain, login]")
            .set("services.pop3.login.mechanisms", "[plain, login]")
            .set("backends.stores.connect_timeout", "2s")
            .set("backends.stores.login_timeout", "5s")
            // So that no recheck comes between what a test says and what it sees.
            .set("backends.stores.health", "{ interval: 1h }")
            .set("admin.address", "\"127.0.0.1:{admin}\"")
            .set("shutdown.grace", "5s");
        for (name, service, tls) in LISTENERS {
            plan = plan.listener(name, service, tls);
        }
        relay_of_the_environment()
            .into_iter()
            .fold(plan, |plan, (key, value)| plan.set(&format!("relay.{key}"), &value))
    }

    /// Sets one key; whatever was below its path is replaced.
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Self {
        place(&mut self.root, path, Some(value));
        self
    }

    /// Sets one key of both services.
    #[must_use]
    pub fn service(self, path: &str, value: &str) -> Self {
        self.set(&format!("services.imap.{path}"), value).set(&format!("services.pop3.{path}"), value)
    }

    /// One more listener, with these keys besides its address.
    #[must_use]
    pub fn listener(mut self, name: &str, service: &str, tls: &str) -> Self {
        for (key, value) in [("service", service), ("address", &format!("\"127.0.0.1:{{{name}}}\"")), ("tls", tls)] {
            self = self.set(&format!("listeners.{name}.{key}"), value);
        }
        self
    }

    /// Takes one key away, and all below it.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        place(&mut self.root, path, None);
        self
    }

    /// The names of its listeners.
    pub fn listeners(&self) -> impl Iterator<Item = &str> {
        let listeners = self.root.iter().find(|(key, _)| key == "listeners");
        let below = match listeners {
            Some((_, Node::Map(below))) => below.as_slice(),
            _ => &[],
        };
        below.iter().map(|(name, _)| name.as_str())
    }

    /// The file's text; a listener's name in braces, or `{admin}`, stands for its port, still to be chosen.
    pub fn yaml(&self) -> String {
        let mut text = String::new();
        render(&self.root, 0, &mut text);
        text
    }
}

/// Name, service, TLS.
const LISTENERS: [(&str, &str, &str); 4] = [
    ("imap", "imap", "starttls"),
    ("imaps", "imap", "implicit"),
    ("pop3", "pop3", "starttls"),
    ("pop3s", "pop3", "implicit"),
];

const FILTER: &str = "\"(&(objectClass=inetLocalMailRecipient)(|(mail={user})(uid={local})))\"";

/// `PORTCULLIS_TEST_RELAY="splice=always,buffer=1B"` has every test run so; see `./test`.
fn relay_of_the_environment() -> Vec<(String, String)> {
    let wish = std::env::var("PORTCULLIS_TEST_RELAY").unwrap_or_default();
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').expect("PORTCULLIS_TEST_RELAY is KEY=VALUE,…");
        (key.to_owned(), value.to_owned())
    };
    wish.split(',').filter(|wish| !wish.is_empty()).map(pair).collect()
}

fn place(map: &mut Vec<(String, Node)>, path: &str, value: Option<&str>) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let at = map.iter().position(|(name, _)| name == key);
    let Some(rest) = rest else {
        match (at, value) {
            (Some(at), Some(value)) => map[at].1 = Node::Value(value.to_owned()),
            (None, Some(value)) => map.push((key.to_owned(), Node::Value(value.to_owned()))),
            (Some(at), None) => drop(map.remove(at)),
            (None, None) => panic!("the plan has no {path}"),
        }
        return;
    };
    let at = at.unwrap_or_else(|| {
        map.push((key.to_owned(), Node::Map(Vec::new())));
        map.len() - 1
    });
    match &mut map[at].1 {
        Node::Map(below) => place(below, rest, value),
        Node::Value(flow) => panic!("{key} was set as a whole, to {flow}; set it so again, or its keys one by one"),
    }
}

fn render(map: &[(String, Node)], depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (key, node) in map {
        match node {
            Node::Value(value) => writeln!(text, "{indent}{key}: {value}").unwrap(),
            Node::Map(below) => {
                writeln!(text, "{indent}{key}:").unwrap();
                match key.as_str() {
                    "listeners" => below.iter().for_each(|(_, item)| render_item(item, depth + 1, text)),
                    "sources" => below.iter().for_each(|item| {
                        render_item(&Node::Map(vec![item.clone()]), depth + 1, text);
                    }),
                    _ => render(below, depth + 1, text),
                }
            }
        }
    }
}

fn render_item(item: &Node, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match item {
        Node::Value(value) => writeln!(text, "{indent}- {value}").unwrap(),
        Node::Map(map) => {
            writeln!(text, "{indent}-").unwrap();
            render(map, depth + 1, text);
        }
    }
}
