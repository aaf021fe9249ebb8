//! What good files mean, and what is true where they say nothing.

use std::net::IpAddr;
use std::time::Duration;

use super::{Site, good};
use crate::config::{
    BackendLogin, BackendTls, Cleartext, Config, Ldap, ListenerTls, LogFormat, LogLevel, LookupProtocol, PasswordCheck,
    Source, Standing, Storage, Store, TlsVersion, parse,
};
use crate::proto::smtp::text::BareNewline;
use crate::proto::{Mechanism, Protocol};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ldap(config: &Config, index: usize) -> &Ldap {
    match &config.directory.sources[index] {
        Source::Ldap(ldap) => ldap,
        other => panic!("{other:?}"),
    }
}

fn standings(ldap: &Ldap) -> Vec<(&str, Standing)> {
    let mut standings: Vec<_> = ldap.status.iter().map(|(value, standing)| (value.as_str(), *standing)).collect();
    standings.sort_unstable_by_key(|(value, _)| *value);
    standings
}

#[test]
fn what_is_left_out_has_safe_defaults() {
    let config = good("config/minimal.yaml");
    assert_eq!((config.threads.min, config.log.format, config.log.level), (1, LogFormat::Text, LogLevel::Info));
    assert!((1..=1024).contains(&config.threads.max));
    assert!(!config.hostname.is_empty());
    assert_eq!(config.tls.as_ref().map(|tls| tls.minimum), Some(TlsVersion::V1_2));
    assert_eq!((config.access.len(), config.ipv6_prefix, config.limits), (0, 64, Default::default()));
    assert_eq!(config.shutdown.grace, seconds(30));
    assert!(config.admin.is_none());
    assert!(config.after_pop.is_none() && config.lookups.is_empty() && matches!(config.store, Store::Memory));
    assert_eq!(config.services.len(), 2);
    for (protocol, service) in &config.services {
        assert_eq!(service.protocol, *protocol);
        assert_eq!(*service.mechanisms, [Mechanism::Plain, Mechanism::Login]);
        assert_eq!((service.cleartext, service.check), (Cleartext::Never, PasswordCheck::Backend));
        assert_eq!((service.bad_commands, service.failed_logins), (10, 3));
        assert_eq!((service.login_timeout, service.idle_timeout), (seconds(60), seconds(35 * 60)));
        assert_eq!(&*service.greeting, "ready");
    }
    let cache = config.directory.cache;
    assert_eq!((cache.entries, cache.ttl), (100_000, seconds(300)));
    assert_eq!((cache.negative_ttl, cache.stale), (seconds(30), seconds(3600)));
    let pool = &config.backends[0];
    assert_eq!((pool.connect_timeout, pool.login_timeout, pool.wait), (seconds(5), seconds(30), seconds(2)));
    assert_eq!(pool.greeting_timeout, seconds(10));
    assert_eq!((pool.max_connections, pool.storage, pool.retry, pool.identity), (None, Storage::Separate, 0, true));
    assert!(matches!(pool.login, BackendLogin::Replay));
    assert!(!pool.verify.skip_verification && pool.verify.ca.is_none());
    assert_eq!(Protocol::ALL.map(|protocol| pool.ports[&protocol]), [143, 110, 587, 25]);
    assert!(pool.servers.iter().all(|server| server.weight == 1 && server.address == server.name));
}

#[test]
fn the_whole_example_says_what_it_says() {
    let config = good("config/portcullis.yaml");
    assert_eq!((&*config.hostname, config.threads.max), ("mail.example.com", 4));
    assert_eq!((config.access.len(), config.access[0].allow, config.access[0].from.len()), (3, false, 3));
    assert_eq!(config.access[1].limits.and_then(|limits| limits.connections_per_ip), Some(500));
    assert_eq!(config.access[2].from.len(), 2);
    let rate = config.limits.rate.expect("a rate");
    assert_eq!((config.limits.connections, rate.count, rate.interval), (Some(20_000), 3000, seconds(60)));
    assert_eq!(config.services[&Protocol::Imap].limits.connections, Some(10_000));

    let listener = config.listeners.last().expect("a listener");
    assert_eq!(
        (config.listeners.len(), config.listeners[1].tls, listener.tls),
        (8, ListenerTls::Implicit, ListenerTls::StartTls)
    );
    let submission: Vec<_> =
        config.listeners.iter().filter(|listener| listener.service.protocol == Protocol::Submission).collect();
    assert_eq!(submission.iter().map(|listener| listener.address.port()).collect::<Vec<_>>(), [587, 465]);
    assert_eq!((submission[0].tls, &*submission[0].service.greeting), (ListenerTls::StartTls, "ready"));
    assert_eq!(listener.proxy_protocol.as_ref().map(Vec::len), Some(2));
    assert_eq!((listener.access.len(), listener.limits.connections), (2, Some(2000)));
    assert!(config.listeners[0].proxy_protocol.is_none());

    let ldap = ldap(&config, 0);
    let (dn, password) = ldap.bind.as_ref().expect("a bind");
    assert_eq!((dn.as_str(), password.current().expose()), ("cn=portcullis,dc=example,dc=com", "hunter2"));
    assert_eq!((ldap.urls.len(), ldap.starttls, ldap.host_attribute.as_str()), (2, true, "mailHost"));
    assert_eq!(config.directory.domains, ["example.com", "example.org"]);
    assert!(ldap.recipient_filter.contains("(mailLocalAddress={user})"));
    assert_eq!(ldap.routing_attribute.as_deref(), Some("mailRoutingAddress"));
    assert!(ldap.tls.ca.as_ref().is_some_and(|path| path.is_absolute() && path.ends_with("tls/ldap-ca.pem")));
    assert_eq!(
        standings(ldap),
        [("disabled", Standing::Deny), ("locked", Standing::Deny), ("maintenance", Standing::Unavailable)]
    );
    assert!(matches!(&config.directory.sources[1], Source::File(path) if path.ends_with("users.yaml")));
    assert!(matches!(&config.directory.sources[2], Source::Pool(pool) if pool == "stores"));

    let pool = &config.backends[0];
    assert_eq!(
        (pool.tls, pool.matches.as_slice()),
        (BackendTls::StartTls, ["*.stores.example.com".to_owned()].as_slice())
    );
    assert_eq!((pool.servers[1].address.as_str(), pool.servers[1].weight), ("10.1.0.2", 2));
    assert_eq!((pool.max_connections, pool.source_addresses.len()), (Some(2000), 2));
}

#[test]
fn what_the_whole_example_calls_a_default_is_one() {
    let (whole, least) = (good("config/portcullis.yaml"), good("config/minimal.yaml"));
    let of_service = |config: &Config| {
        let service = &config.services[&Protocol::Imap];
        let login = (service.mechanisms.to_vec(), service.cleartext, service.check);
        let errors = (service.bad_commands, service.failed_logins, service.login_timeout, service.idle_timeout);
        (login, errors, service.greeting.to_string(), service.access.len())
    };
    assert_eq!(of_service(&whole), of_service(&least));
    let of_pool = |config: &Config| {
        let pool = &config.backends[0];
        let times = (pool.connect_timeout, pool.greeting_timeout, pool.login_timeout, pool.wait);
        (pool.ports.clone(), times, pool.identity, pool.storage)
    };
    assert_eq!(of_pool(&whole), of_pool(&least));
    let rest = |config: &Config| {
        (config.log, config.ipv6_prefix, config.shutdown.grace, config.tls.clone().map(|tls| tls.minimum))
    };
    assert_eq!(rest(&whole), rest(&least));
    let asking = |config: &Config| format!("{:?}", (config.directory.cache, config.directory.recipient_delimiter));
    assert_eq!(asking(&whole), asking(&least));
}

#[test]
fn a_preset_gives_what_is_not_written() {
    let config = good("tests/config/good/presets.yaml");
    assert_eq!(ldap(&config, 0).filter, "(&(objectClass=inetLocalMailRecipient)(mailLocalAddress={user}))");
    assert_eq!(ldap(&config, 0).status_attribute, None);
    assert_eq!(ldap(&config, 0).recipient_filter, ldap(&config, 0).filter);
    assert_eq!(ldap(&config, 0).routing_attribute.as_deref(), Some("mailRoutingAddress"));
    assert_eq!(
        ldap(&config, 1).recipient_filter,
        "(&(objectClass=qmailUser)(|(mail={user})(mailAlternateAddress={user})))"
    );
    assert_eq!(ldap(&config, 1).routing_attribute, None);
    assert!(ldap(&config, 5).recipient_filter.contains("zimbraMailAlias"), "the filter that is written is for logins");
    assert_eq!(ldap(&config, 6).recipient_filter, "(uid={local})");
    assert_eq!(
        standings(ldap(&config, 1)),
        [
            ("active", Standing::Active),
            ("deleted", Standing::Deny),
            ("disabled", Standing::Deny),
            ("moved", Standing::Unavailable),
            ("noaccess", Standing::Active),
        ]
    );
    assert_eq!(ldap(&config, 2).host_attribute, "kolabHomeServer");
    assert_eq!(ldap(&config, 3).services_attribute.as_deref(), Some("mailAllowedServiceAccess"));
    assert_eq!(ldap(&config, 4).host_attribute, "mailHost");
    assert_eq!(
        (ldap(&config, 5).filter.as_str(), ldap(&config, 5).host_attribute.as_str()),
        ("(mail={user})", "zimbraMailHost")
    );
    let plain = ldap(&config, 6);
    assert_eq!((plain.timeout, plain.connections, plain.starttls), (seconds(4), 2, false));
    assert!(plain.bind.is_none() && plain.tls.ca.is_none() && !plain.tls.skip_verification);
    assert_eq!((plain.urls[0].host.as_str(), plain.urls[0].port), ("ldap1", 389));
}

#[test]
fn whose_recipients_are_taken_is_the_default_domain_unless_it_is_said() {
    let directory = good("config/minimal.yaml").directory;
    assert_eq!((directory.default_domain, directory.domains.len()), (None, 0));
    assert_eq!(directory.recipient_delimiter, Some('+'));
    assert_eq!(good("tests/config/good/anchors.yaml").directory.domains, ["example.com"]);
    let config = good("tests/config/good/recipients.yaml");
    assert_eq!(config.directory.domains, ["example.org", "example.net"]);
    assert_eq!(config.directory.recipient_delimiter, Some('-'));
    assert_eq!(ldap(&config, 0).recipient_filter, "(uid={local})");
    assert_eq!(ldap(&config, 1).recipient_filter, "(|(mail={user})(mail={local}@mail.{domain}))");
    assert_eq!(ldap(&config, 1).routing_attribute.as_deref(), Some("forwardTo"));
    let text = "listeners: [ { service: imap, address: \"127.0.0.1:0\", tls: none } ]\n\
                directory: { recipient_delimiter: \"\", sources: [ { pool: stores } ] }\n\
                backends: { stores: { servers: [mail1.example.com] } }\n";
    let config = parse(text, "p.yaml".as_ref()).expect("a delimiter may be none");
    assert_eq!(config.directory.recipient_delimiter, None);
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_end() {
    let config = good("tests/config/good/master.yaml");
    let BackendLogin::Master { user, password } = &config.backends[0].login else { panic!("a master login") };
    assert_eq!((user.as_str(), password.current().expose()), ("gate", "hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.services[&Protocol::Pop3].check, PasswordCheck::Directory);
}

#[test]
fn who_is_vouched_for_may_have_a_pool_that_takes_our_word() {
    let config = good("tests/config/good/xclient.yaml");
    assert_eq!(config.after_pop.and_then(|rules| rules.relay).as_deref(), Some("relays"));
    let logins = config.backends.iter().map(|pool| matches!(pool.login, BackendLogin::Xclient));
    assert_eq!(logins.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn only_services_that_listeners_offer_are_kept() {
    let config = good("tests/config/good/only-one-service.yaml");
    assert_eq!(config.services.keys().collect::<Vec<_>>(), [&Protocol::Imap]);
    assert!(config.tls.is_none());
}

#[test]
fn smtp_asks_nobody_to_log_in_and_has_no_port_for_implicit_tls() {
    let config = good("tests/config/good/smtp.yaml");
    let service = &config.services[&Protocol::Smtp];
    assert!(service.mechanisms.is_empty());
    assert_eq!((service.idle_timeout, service.bare_newline), (seconds(5 * 60), BareNewline::Normalize));
    assert_eq!(config.services[&Protocol::Imap].bare_newline, BareNewline::Reject);
    assert_eq!(config.listeners[1].tls, ListenerTls::Implicit);
    let pool = &config.backends[0];
    assert_eq!((pool.ports[&Protocol::Smtp], pool.ports[&Protocol::Submission]), (25, 465));
    assert_eq!(Protocol::ALL.map(|each| pool.tls.of(each) == BackendTls::StartTls), [false, false, false, true]);
    assert_eq!(BackendTls::None.of(Protocol::Smtp), BackendTls::None);
}

#[test]
fn anchors_merge_and_implicit_tls_has_its_own_ports() {
    let config = good("tests/config/good/anchors.yaml");
    assert_eq!((config.listeners[1].access.len(), config.services[&Protocol::Imap].access[0].from.len()), (2, 3));
    assert!(config.listeners[1].address.is_ipv6());
    assert_eq!(&*config.services[&Protocol::Imap].greeting, "portcullis");
    assert_eq!(config.directory.default_domain.as_deref(), Some("example.com"));
    for pool in &config.backends {
        assert_eq!((pool.ports[&Protocol::Imap], pool.ports[&Protocol::Pop3]), (993, 1995));
        assert!(pool.verify.skip_verification && pool.tls == BackendTls::Implicit);
    }
    assert_eq!(config.backends[0].servers[1].address.parse::<IpAddr>().ok(), "2001:db8::2".parse().ok());
    assert_eq!(config.backends[1].servers[0].name, "mail3.example.com");
}

#[test]
fn a_problem_reads_as_file_line_path_and_words() {
    let problems = parse("threads: { mni: 1 }\n", "etc/portcullis.yaml".as_ref()).expect_err("much is missing");
    let unknown = problems.iter().find(|problem| problem.path == "threads.mni").expect("the key");
    assert_eq!(
        unknown.to_string(),
        "etc/portcullis.yaml:1: threads.mni: this version does not know this key; did you mean `min`?"
    );
    let problems = parse("a: [", "portcullis.yaml".as_ref()).expect_err("not YAML");
    assert!(problems[0].to_string().starts_with("portcullis.yaml:1: unclosed"), "{}", problems[0]);
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let site = Site::new();
    for (name, bytes) in [("latin.yaml", b"hostname: \xe9".to_vec()), ("huge.yaml", vec![b'#'; 5 * 1024 * 1024])] {
        let path = site.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        assert_eq!(crate::config::load(&path).expect_err(name).len(), 1, "{name}");
    }
    let problems = crate::config::load(&site.0.path().join("none.yaml")).expect_err("no file");
    assert_eq!((problems.len(), problems[0].line, problems[0].path.as_str()), (1, 0, ""));
    assert!(problems[0].to_string().ends_with("none.yaml: cannot be read: No such file or directory (os error 2)"));
}

#[test]
fn a_message_is_one_line_whatever_was_written() {
    let problems = parse("\"a\\nb\\e[2J\": 1\nhostname: \"x\\ny\"\n", "p.yaml".as_ref()).expect_err("bad keys");
    let lines = problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(lines.iter().any(|line| line.contains("a\\nb")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
}

#[test]
fn the_record_of_logins_says_what_it_says() {
    let config = good("config/portcullis.yaml");
    let written = config.after_pop.expect("it is written");
    assert_eq!((written.window, written.max_users, written.exempt.len()), (seconds(900), 1, 1));
    assert_eq!(written.record, [Protocol::Imap, Protocol::Pop3]);
    assert!(matches!(config.store, Store::Memory));
    let lookups: Vec<_> = config.lookups.iter().map(|each| (each.protocol, each.address.port())).collect();
    let [policy, socketmap, whoson] = LookupProtocol::ALL;
    assert_eq!(lookups, [(policy, 10040), (socketmap, 10041), (whoson, 9876)]);
    let loopback: IpAddr = "127.0.0.5".parse().expect("an address");
    assert!(config.lookups.iter().all(|each| each.from.iter().any(|range| range.contains(loopback))));
    let elsewhere: IpAddr = "192.0.2.1".parse().expect("an address");
    assert!(!config.lookups.iter().any(|each| each.from.iter().any(|range| range.contains(elsewhere))));

    let config = good("tests/config/good/after-pop.yaml");
    let defaults = config.after_pop.expect("an empty section is one");
    assert_eq!((defaults.window, defaults.max_users), (written.window, written.max_users));
    assert_eq!((defaults.record, defaults.exempt), (written.record, written.exempt));
    let shown = format!("{:?}", config.store);
    let Store::Valkey { url, prefix, tls: None } = config.store else { panic!("{shown}") };
    assert_eq!((url.expose(), prefix.as_str()), ("redis://gate:hunter2@10.0.0.9:6379/1", "site-1"));
    assert!(!shown.contains("hunter2"));
}

#[test]
fn a_pool_is_there_only_to_relay_where_users_have_another() {
    let text = |home: &str, more: &str| {
        format!(
            "listeners: [{{ service: imap, address: \"127.0.0.1:1143\", tls: none }}]\ndirectory: {{ sources: [{{ pool: \
             {home} }}] }}\nbackends:\n  relays: {{ servers: [relay1.example.com] }}\n{more}smtp_after_pop: {{ relay: \
             relays }}\n"
        )
    };
    let stores = "  stores: { servers: [mail1.example.com] }\n";
    for (home, more, only_relays) in
        [("stores", stores, vec![true, false]), ("relays", stores, vec![false, false]), ("relays", "", vec![false])]
    {
        let config = parse(&text(home, more), "p.yaml".as_ref()).expect("a good file");
        let found: Vec<bool> = config.backends.iter().map(|pool| pool.only_relays).collect();
        assert_eq!(found, only_relays, "users in {home}");
    }
}

#[test]
fn a_pool_serves_the_protocols_of_the_listeners_and_one_that_only_relays_gets_submissions() {
    let listener = |protocol: &str, port: u16| {
        format!("  - {{ service: {protocol}, address: \"127.0.0.1:{port}\", tls: none }}\n")
    };
    let listeners = listener("pop3", 1110) + &listener("submission", 1587) + &listener("smtp", 1025);
    let text = format!(
        "listeners:\n{listeners}directory: {{ default_domain: example.com, sources: [{{ pool: stores }}] }}\nbackends:\n  relays: {{ servers: \
         [relay1.example.com] }}\n  stores: {{ servers: [mail1.example.com] }}\nsmtp_after_pop: {{ relay: relays }}\n"
    );
    let config = parse(&text, "p.yaml".as_ref()).expect("a good file");
    let served: Vec<_> = config.backends.iter().map(|pool| (pool.name.as_str(), pool.served.as_slice())).collect();
    let all = [Protocol::Pop3, Protocol::Submission, Protocol::Smtp];
    assert_eq!(served, [("relays", &[Protocol::Submission][..]), ("stores", &all)]);
}
