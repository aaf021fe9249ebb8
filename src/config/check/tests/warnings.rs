//! What is no fault, but should be looked at.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};

use super::{Site, listed};
use crate::config::Severity;

const REST: &str = "\
listeners: [ { service: imap, address: \"127.0.0.1:1143\", tls: none } ]
backends: { stores: { servers: [mail1.example.com] } }
";

/// The warnings of a good file of these lines and the rest that it needs.
fn warnings(site: &Site, text: &str) -> Vec<String> {
    let directory = if text.contains("directory:") { "" } else { "directory: { sources: [ { pool: stores } ] }\n" };
    let config =
        site.parse(&format!("{text}{directory}{REST}")).unwrap_or_else(|problems| panic!("{}", listed(&problems)));
    let warnings = config.warnings.at(OffsetDateTime::now_utc());
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
    let folder = format!("{}/", site.0.path().display());
    warnings.iter().map(|warning| warning.to_string().replace(&folder, "")).collect()
}

fn ldap(directory: &str, ldap: &str) -> String {
    format!(
        "directory:\n  {directory}\n  sources:\n    - ldap:\n        {{ urls: ldap://l, base: dc=x, attributes: {{ host: h, identity: mail, user: uid }},\n        {ldap} }}\n"
    )
}

#[test]
fn a_filter_that_ignores_the_domain_is_one_where_several_are_served() {
    let site = Site::new();
    let several = "domains: [example.com, example.org]";
    let found = warnings(&site, &ldap(several, "filter: \"(|(mail={user})(uid={local}))\""));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("portcullis.yaml:6: warning: directory.sources[0].ldap.filter: the filter finds"),
        "{found:?}"
    );
    assert!(found[0].contains("alice@example.com and alice@example.org are the same entry"), "{found:?}");
    let found = warnings(&site, &ldap(several, "preset: kolab"));
    assert!(
        found[0].contains("directory.sources[0].ldap.filter: the filter of preset kolab ((&(objectClass="),
        "{found:?}"
    );
    let both = "filter: \"(mail={user})\",\n        recipient_filter: \"(uid={local})\"";
    let found = warnings(&site, &ldap("domains: [a.example]\n  default_domain: b.example", both));
    assert!(
        found.len() == 2 && found[1].contains(":8: warning: directory.sources[0].ldap.recipient_filter: "),
        "{found:?}"
    );
    for quiet in [
        ldap("domains: [example.com]", "filter: \"(uid={local})\""),
        ldap("default_domain: example.com", "preset: kolab"),
        ldap(several, "filter: \"(|(mail={user})(&(uid={local})(o={domain})))\""),
        ldap(several, "preset: inetlocalmailrecipient"),
        ldap(several, "preset: kolab, filter: \"(mail={user})\""),
    ] {
        assert_eq!(warnings(&site, &quiet), [""; 0], "{quiet}");
    }
}

#[test]
fn a_default_domain_that_is_not_one_of_those_that_are_served_is_one() {
    let site = Site::new();
    let directory = |domains: &str| {
        format!("directory:\n  default_domain: Example.cmo\n{domains}  sources: [ {{ pool: stores }} ]\n")
    };
    let found = warnings(&site, &directory("  domains: [example.com, example.org]\n"));
    let expected =
        "portcullis.yaml:2: warning: directory.default_domain: example.cmo is not one of `domains`: is it a typo? ";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    for quiet in ["", "  domains: [example.com, EXAMPLE.CMO]\n"] {
        assert_eq!(warnings(&site, &directory(quiet)), [""; 0], "{quiet}");
    }
}

#[test]
fn an_entry_without_a_name_and_a_back_end_that_hears_aliases_are_ones() {
    let site = Site::new();
    let with = |keys: &str| {
        let keys = keys.split("; ").map(|key| format!("        {key}\n")).collect::<String>();
        format!("directory:\n  sources:\n    - ldap:\n        urls: ldap://l\n        base: dc=x\n{keys}")
    };
    let found = warnings(&site, &with("filter: \"(mail={user})\"; attributes: { host: h }"));
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "portcullis.yaml:7: warning: directory.sources[0].ldap.attributes.identity: is missing: users are known by their DN";
    assert!(found[0].starts_with(expected), "{found:?}");
    let aliases = "filter: \"(|(mail={user})(uid={local}))\"; attributes: { host: h, identity: mail }";
    let found = warnings(&site, &with(aliases));
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "portcullis.yaml:7: warning: directory.sources[0].ldap.attributes.user: is missing: the filter finds a user by any of several names (of mail, uid), and";
    assert!(found[0].starts_with(expected), "{found:?}");
    for preset in ["inetlocalmailrecipient", "qmail-ldap", "kolab", "sun", "zimbra"] {
        let found = warnings(&site, &with(&format!("preset: {preset}")));
        assert!(
            found.len() == 1 && found[0].contains(":3: warning: directory.sources[0].ldap.attributes.user: "),
            "{found:?}"
        );
    }
    for quiet in [
        "filter: \"(mail={user})\"; attributes: { host: h, identity: mail }",
        "filter: \"(|(mail={user})(uid={local}))\"; attributes: { host: h, identity: mail, user: uid }",
        "preset: active-directory; attributes: { host: h }",
        "preset: kolab; attributes: { user: uid }",
    ] {
        assert_eq!(warnings(&site, &with(quiet)), [""; 0], "{quiet}");
    }
    // One that is misspelt, or wrong, is not missing.
    for wrong in ["{ host: h, identiy: mail }", "{ host: h, identity: \"a b\" }", "[h]"] {
        let text = with(&format!("filter: \"(mail={{user}})\"; attributes: {wrong}"));
        let found = site.parse(&format!("{text}{REST}")).expect_err("a fault");
        assert!(found.iter().all(|problem| problem.severity == Severity::Error), "{}", listed(&found));
    }
    let mail_only = with("filter: \"(mail={user})\"; attributes: { host: h }")
        .replace("directory:", "directory:\n  domains: [a.example]");
    let port25 = REST.replace("service: imap", "service: smtp");
    let config = site.parse(&format!("{mail_only}{port25}")).unwrap_or_else(|problems| panic!("{}", listed(&problems)));
    assert!(config.warnings.at(OffsetDateTime::now_utc()).is_empty(), "nobody logs in");
}

fn certificate(site: &Site, name: &str, names: &[&str], days: [i64; 2]) {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names");
    [params.not_before, params.not_after] = days.map(|days| OffsetDateTime::now_utc() + Duration::days(days));
    let key = KeyPair::generate().expect("a key");
    site.write(&format!("tls/{name}.pem"), &params.self_signed(&key).expect("a certificate").pem());
    site.write(&format!("tls/{name}-key.pem"), &key.serialize_pem());
}

#[test]
fn a_certificate_is_one_by_its_dates_and_by_the_host_name() {
    let site = Site::new();
    let names = ["mail.example.org", "*.example.net"];
    for (name, days) in [("old", [-90, -1]), ("new", [1, 90]), ("soon", [-80, 13]), ("good", [-1, 60])] {
        certificate(&site, name, &names, days);
    }
    let tls = |host: &str, names: &[&str]| {
        let pairs: String = names
            .iter()
            .map(|name| format!("    - {{ certificate: tls/{name}.pem, key: tls/{name}-key.pem }}\n"))
            .collect();
        format!("{host}\ntls:\n  certificates:\n{pairs}")
    };
    let found = warnings(&site, &tls("hostname: mail.example.org", &["old", "new", "soon", "good"]));
    let expected = [
        "portcullis.yaml:4: warning: tls.certificates[0].certificate: the certificate in tls/old.pem expired at ",
        "portcullis.yaml:5: warning: tls.certificates[1].certificate: the certificate in tls/new.pem is not valid before ",
        "portcullis.yaml:6: warning: tls.certificates[2].certificate: the certificate in tls/soon.pem expires in 12 days, at ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    assert_eq!(warnings(&site, &tls("hostname: a.example.net", &["good"])), [""; 0], "covered by the star");
    assert_eq!(warnings(&site, &tls("", &["good"])), [""; 0], "nobody has promised a name");
    let found = warnings(&site, &tls("hostname: imap.example.com", &["good"]));
    let expected = "portcullis.yaml:1: warning: hostname: no certificate of `tls.certificates` covers imap.example.com";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    assert!(found[0].ends_with("the certificates cover mail.example.org, *.example.net"), "{found:?}");
}

#[test]
fn a_secret_that_others_may_read_is_one() {
    let site = Site::new();
    site.open_to_others();
    let text = "tls:\n  certificates:\n    - { certificate: tls/fullchain.pem, key: tls/privkey.pem }\n\
                admin: { address: \"127.0.0.1:0\", tokens: [ { name: ops, token: { file: secrets/ops-token }, may: read } ] }\n";
    let mode = |name: &str, mode| {
        fs::set_permissions(site.0.path().join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode("tls/privkey.pem", 0o640);
    mode("tls/fullchain.pem", 0o644);
    assert_eq!(warnings(&site, text), [""; 0], "the group may be the gateway's own");
    mode("tls/privkey.pem", 0o644);
    mode("secrets/ops-token", 0o602);
    let found = warnings(&site, text);
    mode(".", 0o700);
    assert_eq!(warnings(&site, text), [""; 0], "nobody else gets as far as that");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("portcullis.yaml:3: warning: tls.certificates[0].key: every user of this machine can read tls/privkey.pem (mode 0644)"), "{found:?}");
    assert!(found[1].starts_with("portcullis.yaml:4: warning: admin.tokens[0].token: every user of this machine can change secrets/ops-token (mode 0602)"), "{found:?}");
}

#[test]
fn a_configuration_with_a_secret_in_it_is_a_secret_itself() {
    let site = Site::new();
    site.open_to_others();
    let text =
        format!("{}{REST}", ldap("default_domain: a.example", "preset: kolab, bind_dn: cn=x, bind_password: hunter2"));
    let config = site.parse(&text).unwrap_or_else(|problems| panic!("{}", listed(&problems)));
    assert!(config.warnings.at(OffsetDateTime::now_utc()).is_empty());
    let file = site.0.path().join("portcullis.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    let found = listed(&config.warnings.at(OffsetDateTime::now_utc()));
    assert!(
        found.contains("portcullis.yaml (mode 0644), which holds a secret") && !found.contains("hunter2"),
        "{found}"
    );
}

#[test]
fn warnings_are_told_beside_faults() {
    let site = Site::new();
    let text = format!("colour: red\n{}{REST}", ldap("domains: [a.example, b.example]", "preset: kolab"));
    let problems = site.parse(&text).expect_err("a fault");
    let found: Vec<_> = problems.iter().map(|problem| problem.severity).collect();
    assert_eq!(found, [Severity::Error, Severity::Warning], "{}", listed(&problems));
}

#[test]
fn a_preset_stands_for_the_keys_that_are_printed_for_it() {
    let site = Site::new();
    let mut count = 0;
    for (name, written) in crate::config::presets() {
        let keys: String = written.lines().skip(1).map(|line| format!("      {line}\n")).collect();
        let head = |lines: &str| {
            format!("directory:\n  sources:\n    - ldap:\n        urls: ldap://l\n        base: dc=x\n{lines}{REST}")
        };
        let host = if keys.contains("host: ") && !keys.contains("needed") { "" } else { "host: mailHost, " };
        let by_hand = keys.replace("attributes: { ", &format!("attributes: {{ {host}"));
        let by_name = format!("        preset: {name}\n        attributes: {{ {host} }}\n")
            .replace(", }", " }")
            .replace("{  }", "{}");
        let [by_hand, by_name] = [by_hand, by_name].map(|lines| {
            let config = site.parse(&head(&lines)).unwrap_or_else(|problems| panic!("{lines}{}", listed(&problems)));
            match &config.directory.sources[0] {
                crate::config::Source::Ldap(ldap) => {
                    let mut status: Vec<_> = ldap.status.iter().map(|one| format!("{one:?}")).collect();
                    status.sort();
                    let attributes = [
                        &ldap.identity_attribute,
                        &ldap.user_attribute,
                        &ldap.status_attribute,
                        &ldap.services_attribute,
                        &ldap.routing_attribute,
                    ];
                    format!(
                        "{:?}",
                        (
                            &ldap.filter,
                            &ldap.recipient_filter,
                            &ldap.host_attribute,
                            attributes,
                            status,
                            &ldap.status_flags
                        )
                    )
                }
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(by_hand, by_name, "{name}");
        count += 1;
    }
    assert_eq!(count, 6);
}
