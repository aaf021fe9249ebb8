//! `portcullis check`: every problem at once, each at its line.

use std::path::{Path, PathBuf};

use crate::support::certs::certs;
use crate::support::gateway::{Gateway, portcullis};
use crate::support::plan::Plan;
use crate::support::{keeper, site};

fn write(text: &str) -> PathBuf {
    let file = keeper::folder("check").join("portcullis.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Each fault with its line, counted from 1.
const FIVE_FAULTS: &str = "\
hostname: mail.example.org
threads: { min: 4, max: 2 }
limits:
  rate: often
services:
  imap:
    timeouts: { login: 60 parsecs }
listeners:
  - { service: imap, address: \"127.0.0.1:99999\", tls: none }
directory:
  default_domain: example.org
  sources:
    - pool: nowhere
backends:
  stores:
    servers: [mail1.example.org]
";

#[test]
fn five_faults_are_five_lines_with_the_right_numbers() {
    let file = write(FIVE_FAULTS);
    let outcome = portcullis(&["check", file.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let lines: Vec<String> = [outcome.out.lines(), outcome.err.lines()].into_iter().flatten().map(Into::into).collect();
    let expected = [(2, "threads"), (4, "limits.rate"), (7, "timeouts.login"), (9, "address"), (13, "pool")];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (number, path)) in lines.iter().zip(expected) {
        let place = format!("{}:{number}: ", file.display());
        let rest = line.strip_prefix(&place).unwrap_or_else(|| panic!("{line:?} is not at line {number}"));
        assert!(rest.contains(path), "{line:?} does not name {path}");
    }
}

#[test]
fn a_faulty_file_is_not_served_and_its_problems_are_told_alike() {
    let file = write(FIVE_FAULTS);
    let checked = portcullis(&["check", file.to_str().unwrap()]);
    let served = portcullis(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(served.code, Some(1), "{served:#?}");
    let told = checked.out + &checked.err;
    assert!(told.lines().all(|line| (served.out.clone() + &served.err).contains(line)), "{}", served.err);
}

#[test]
fn an_unknown_key_is_a_fault_at_its_line() {
    let file = write(&FIVE_FAULTS.replace("  rate: often\n", "  rates: 1/1s\n"));
    let outcome = portcullis(&["check", file.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    let told = outcome.out + &outcome.err;
    assert!(told.contains(&format!("{}:4: ", file.display())) && told.contains("rates"), "{told}");
}

#[test]
fn a_good_file_passes_and_a_missing_one_does_not() {
    let gateway = Gateway::start(&site::shared().plan());
    portcullis(&["check", gateway.file().to_str().unwrap()]).fine();
    let first = format!("portcullis {} starts with {}", env!("CARGO_PKG_VERSION"), gateway.file().display());
    gateway.logged(&["INFO", &first]);
    assert!(gateway.log().lines().next().is_some_and(|line| line.contains(&first)), "{}", gateway.log());
    let missing = gateway.file().with_file_name("missing.yaml");
    let outcome = portcullis(&["check", missing.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    let expected = format!("{}: cannot be read: No such file or directory", missing.display());
    assert!(outcome.out.starts_with(&expected), "{outcome:?}");
}

#[test]
fn check_and_serve_take_the_file_in_both_ways() {
    let file = write(FIVE_FAULTS);
    let name = file.to_str().unwrap();
    let told = portcullis(&["check", name]).out;
    for arguments in [["check", "--config", name].as_slice(), &["check", "-c", name]] {
        assert_eq!(portcullis(arguments).out, told, "{arguments:?}");
    }
    for arguments in [["serve", name].as_slice(), &["serve", "--config", name], &["serve", "-c", name]] {
        let served = portcullis(arguments);
        assert!(told.lines().all(|line| served.err.contains(line)), "{arguments:?}: {served:?}");
    }
    assert_eq!(portcullis(&["check", name, "--config", name]).code, Some(2), "one of the two");
    for verb in ["check", "serve"] {
        let outcome = portcullis(&[verb, "--help"]);
        assert!(outcome.out.contains("[default: /etc/portcullis/portcullis.yaml]"), "{outcome:?}");
    }
}

#[test]
fn every_fault_of_a_users_file_is_told_with_its_line_and_key() {
    let file = write(
        "listeners: [ { service: imap, address: \"127.0.0.1:0\", tls: none } ]\n\
         directory: { default_domain: example.org, sources: [ { file: { path: users.yaml } } ] }\n\
         backends: { stores: { servers: [mail1, mail2] } }\n",
    );
    let users = file.with_file_name("users.yaml");
    let text = "alice: mail1\n\"*\": mail1\n\"^[a-m].*\": mail1\nbob: mail3\ncarol: { host: mail1, services: [imaps] }\ndave@example.net: mail1\n";
    std::fs::write(&users, text).unwrap();
    let checked = portcullis(&["check", file.to_str().unwrap()]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let expected = [
        "2: *: is nobody's name",
        "3: ^[a-m].*: is nobody's name",
        "4: bob: `mail3` is a host that no pool of `backends` has or matches; did you mean `mail1`?",
        "5: carol.services[0]: `imaps` is not one of imap, pop3, submission; `imap` is",
        "6: dave@example.net: is in a domain that is neither one of `directory.domains` nor",
    ];
    let lines: Vec<&str> = checked.out.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(&format!("{}:{expected}", users.display())), "{line}");
    }
    let served = portcullis(&["serve", file.to_str().unwrap()]);
    assert!(lines.iter().all(|line| served.err.contains(line)), "{served:?}");
}

#[test]
fn a_warning_of_a_users_file_is_told_by_check_at_the_start_and_at_a_reload() {
    let file = keeper::folder("users").join("users.yaml");
    let host = "one.stores.example.org:993";
    std::fs::write(&file, format!("alice: {{ host: \"{host}\", services: [imap] }}\nbob: {host}\n")).unwrap();
    let source = format!("{{ path: \"{}\" }}", file.display());
    let checked = write(&format!(
        "listeners:\n  - {{ service: imap, address: \"127.0.0.1:0\", tls: none }}\n\
         \x20 - {{ service: pop3, address: \"127.0.0.1:0\", tls: none }}\n\
         directory: {{ sources: [ {{ file: {source} }} ] }}\n\
         backends: {{ stores: {{ servers: [one.stores.example.org] }} }}\n"
    ));
    let check = |more: &[&str]| portcullis(&[&["check", checked.to_str().unwrap()], more].concat());
    let said = check(&[]).fine();
    let warning = format!("{}:2: warning: bob: its host `{host}` has a port", file.display());
    assert!(said.starts_with(&warning) && said.ends_with(": good, with 1 warning\n"), "{said}");
    let strict = check(&["--strict"]);
    assert!(strict.code == Some(1) && strict.out.starts_with(&warning), "{strict:?}");
    assert!(strict.out.ends_with("portcullis.yaml: not good enough for --strict: 1 warning\n"), "{strict:?}");
    let plan = Plan::before_one(1, 1).without("directory.sources.pool").set("directory.sources.file", &source);
    let gateway = Gateway::start(&plan);
    gateway.logged(&["WARN", &warning]);
    std::fs::write(&file, "").unwrap();
    gateway.reload();
    let warning = format!("{}: warning: holds no users", file.display());
    gateway.logged(&["WARN", &warning]);
    assert!(check(&[]).fine().starts_with(&warning));
}

#[test]
fn a_store_that_the_gateway_could_not_make_is_a_fault_at_its_line() {
    let file = |disk: &str| {
        write(&format!(
            "listeners: [ {{ service: imap, address: \"127.0.0.1:0\", tls: none }} ]\n\
             directory: {{ sources: [ {{ pool: stores }} ] }}\n\
             backends: {{ stores: {{ servers: [mail1] }} }}\n\
             registry:\n  store:\n    disk: {disk}\n"
        ))
    };
    for (disk, words) in [
        ("nodir/portcullis.redb", "/nodir does not exist; the gateway makes the file in it, but not the folder"),
        ("portcullis.yaml/portcullis.redb", "/portcullis.yaml is not a folder"),
        (".", "/. is a folder; the name of a file belongs here"),
    ] {
        let file = file(disk);
        let checked = portcullis(&["check", file.to_str().unwrap()]);
        assert_eq!(checked.code, Some(1), "{checked:?}");
        let lines: Vec<&str> = checked.out.lines().collect();
        assert_eq!(lines.len(), 1, "{checked:?}");
        assert!(lines[0].starts_with(&format!("{}:6: registry.store.disk: ", file.display())), "{checked:?}");
        assert!(lines[0].ends_with(words), "{checked:?}");
    }
    portcullis(&["check", file("portcullis.redb").to_str().unwrap()]).fine();
}

#[test]
fn a_fault_never_shows_a_secret() {
    let text = FIVE_FAULTS.replace(
        "    - pool: nowhere\n",
        "    - ldap: { urls: [ldap://h], bind_dn: cn=x, bind_password: s3cr3t, base: x, filter: \"(\" }\n",
    );
    let outcome = portcullis(&["check", write(&text).to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    assert!(!(outcome.out + &outcome.err).contains("s3cr3t"));
}

/// What the shipped files name, beside them, but do not bring: a site's certificates and secrets.
const A_SITES_OWN: [(&str, Content); 11] = [
    ("tls/fullchain.pem", Content::Certificate),
    ("tls/privkey.pem", Content::Key),
    ("demo-certificate.pem", Content::Certificate),
    ("demo-key.pem", Content::Key),
    ("demo-token", Content::Text("secret-secret-secret\n")),
    ("tls/ldap-ca.pem", Content::Authority),
    ("tls/backends-ca.pem", Content::Authority),
    ("secrets/ldap", Content::Text("secret\n")),
    ("secrets/ops-token", Content::Text("secret-secret-secret\n")),
    ("secrets/master", Content::Text("secret\n")),
    ("users.yaml", Content::Text("alice@example.com: { host: stores }\n")),
];

enum Content {
    Certificate,
    Key,
    Authority,
    Text(&'static str),
}

#[test]
fn the_files_that_we_ship_pass_where_a_site_has_put_its_own_beside_them() {
    let folder = keeper::folder("shipped");
    std::fs::create_dir(folder.join("tls")).unwrap();
    std::fs::create_dir(folder.join("secrets")).unwrap();
    for (name, content) in A_SITES_OWN {
        let bytes = match content {
            Content::Certificate => std::fs::read(&certs().mail.certificate).unwrap(),
            Content::Key => std::fs::read(&certs().mail.key).unwrap(),
            Content::Authority => std::fs::read(&certs().ca_file).unwrap(),
            Content::Text(text) => text.into(),
        };
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for file in shipped.read_dir().unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    for name in ["minimal.yaml", "demo.yaml", "portcullis.yaml"] {
        let said = portcullis(&["check", folder.join(name).to_str().unwrap()]).fine();
        // Certificates and keys are the site's own; what we have written is as we advise.
        let of_a_site = ["which holds a secret", "no certificate of"];
        let is_fine = |line: &str| !line.contains("warning: ") || of_a_site.iter().any(|words| line.contains(words));
        assert!(said.lines().all(is_fine), "{said}");
    }
}
