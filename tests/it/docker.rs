//! The example site of `docker/`, as far as it can be tried without Docker: every server's own checker accepts its files,
//! the files agree with each other, and the image's steps are those that a script runs without Docker.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::gateway::{Gateway, portcullis};
use crate::support::grafana::{list, word};
use crate::support::prometheus::promtool;
use crate::support::{keeper, ports, program, site};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The files of one service in a folder of their own, which stands for `/srv` of its container; with certificates made as
/// there.
fn placed(service: &str) -> PathBuf {
    let folder = keeper::folder("docker");
    for name in ["certificates", "site", "directory"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let make = root().join("docker/certificates/make");
    program::run_file(&make, &[folder.join("certificates").to_str().unwrap()]).fine();
    let files = root().join("docker").join(service).read_dir().unwrap().map(|entry| entry.unwrap().path());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap().replace("/srv/", &format!("{}/", folder.display()));
        std::fs::write(folder.join("site").join(file.file_name().unwrap()), text).unwrap();
    }
    folder
}

/// A file of the service, in its place.
fn file(folder: &Path, name: &str) -> String {
    folder.join("site").join(name).to_str().unwrap().to_owned()
}

#[test]
fn the_gateway_accepts_its_configuration() {
    let folder = placed("gateway");
    portcullis(&["check", &file(&folder, "portcullis.yaml")]).fine();
}

#[test]
fn slapd_accepts_its_configuration_and_the_users() {
    let folder = placed("slapd");
    let (conf, users) = (file(&folder, "slapd.conf"), file(&folder, "users.ldif"));
    program::run("slaptest", "slapd", &["-u", "-f", &conf]).fine();
    program::run("slapadd", "slapd", &["-u", "-f", &conf, "-l", &users]).fine();
}

#[test]
fn dovecot_accepts_its_configuration() {
    let folder = placed("dovecot");
    let outcome = program::run("doveconf", "dovecot-core", &["-n", "-c", &file(&folder, "dovecot.conf")]);
    assert_eq!(outcome.err, "", "no warning");
    assert!(outcome.fine().contains("login_trusted_networks = 172.28.25.2"));
}

#[test]
fn postfix_accepts_its_configuration() {
    let folder = placed("postfix");
    let conf = folder.join("site");
    for name in ["postfix-files", "post-install", "dynamicmaps.cf"] {
        std::fs::copy(Path::new("/etc/postfix").join(name), conf.join(name)).unwrap();
    }
    // The machine's own queue is none of our business.
    let own = format!("queue_directory = {0}/queue\ndata_directory = {0}/data\n", folder.display());
    std::fs::create_dir(folder.join("queue")).unwrap();
    std::fs::write(conf.join("main.cf"), std::fs::read_to_string(conf.join("main.cf")).unwrap() + &own).unwrap();
    let conf = conf.to_str().unwrap();
    program::run("postfix", "postfix", &["-c", conf, "check"]).fine();
    for what in ["-n", "-M"] {
        let outcome = program::run("postconf", "postfix", &["-c", conf, what]);
        assert_eq!(outcome.err, "", "no warning");
        outcome.fine();
    }
    let start = std::fs::read_to_string(folder.join("site/start")).unwrap();
    assert!(start.contains("myhostname = $1."), "servers of one name take mail between them for a loop");
    for (server, foreign) in [("mail1", "bob"), ("mail2", "alice")] {
        let map = format!("texthash:{conf}/transport.{server}");
        let way =
            program::run("postmap", "postfix", &["-c", conf, "-q", &format!("{foreign}@example.org"), &map]).fine();
        let other = if server == "mail1" { "mail2" } else { "mail1" };
        assert_eq!(way.trim(), format!("smtp:[{other}]:25"));
    }
}

#[test]
fn prometheus_accepts_its_configuration() {
    promtool(&["check", "config", root().join("docker/prometheus/prometheus.yml").to_str().unwrap()]);
}

#[test]
fn compose_names_files_that_there_are_and_servers_that_it_starts() {
    let compose: Value = serde_yaml::from_str(&read("docker/compose.yaml")).unwrap();
    let services = compose["services"].as_object().unwrap();
    let volumes = compose["volumes"].as_object().unwrap();
    for (name, service) in services {
        for volume in service.get("volumes").map(list).unwrap_or_default() {
            let source = word(volume).split(':').next().unwrap();
            let is_there = if source.starts_with('.') {
                root().join("docker").join(source).exists()
            } else {
                volumes.contains_key(source)
            };
            assert!(is_there, "{name}: {source}");
        }
        if let Some(build) = service.get("build") {
            let file = root().join("docker").join(word(&build["context"])).join(word(&build["dockerfile"]));
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let target = build.get("target").map(|target| format!(" AS {}\n", word(target)));
            assert!(target.is_none_or(|target| text.contains(&target)), "{name}");
        }
    }
    let gateway: Value = serde_yaml::from_str(&read("docker/gateway/portcullis.yaml")).unwrap();
    let servers: Vec<&str> = list(&gateway["backends"]["stores"]["servers"]).iter().map(word).collect();
    assert!(servers.iter().all(|server| services.contains_key(*server)), "{servers:?}");
    let directory = word(&gateway["directory"]["sources"][0]["ldap"]["urls"][0]);
    assert!(services.contains_key(directory.strip_prefix("ldap://").unwrap()), "{directory}");
    let store = word(&gateway["registry"]["store"]["valkey"]);
    assert!(services.contains_key(store.trim_start_matches("redis://").split(':').next().unwrap()), "{store}");
    // Each user of the directory lives on a server that is there, and can log in there.
    let (users, passwords) = (read("docker/slapd/users.ldif"), read("docker/dovecot/users"));
    let values = |key: &str| users.lines().filter_map(|line| line.strip_prefix(key)).map(str::trim).collect::<Vec<_>>();
    let (uids, hosts) = (values("uid:"), values("mailHost:"));
    assert_eq!((uids.len(), hosts.len()), (2, 2));
    assert!(hosts.iter().all(|host| servers.contains(host)), "{hosts:?}");
    assert!(uids.iter().all(|uid| passwords.contains(&format!("{uid}:{{PLAIN}}{uid}-secret\n"))), "{passwords}");
    // The address that the servers believe is the gateway's.
    let address = word(&services["gateway"]["networks"]["default"]["ipv4_address"]);
    for file in ["docker/dovecot/dovecot.conf", "docker/postfix/master.cf"] {
        assert!(
            read(file).contains(&format!("= {address}\n")) || read(file).contains(&format!("={address}\n")),
            "{file}"
        );
    }
}

/// Everything below is about `docker/Dockerfile`: the instructions of one kind, without their names.
fn instructions(kind: &str) -> Vec<String> {
    let text = read("docker/Dockerfile").replace("\\\n", "");
    let lines = text.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let found: Vec<String> = lines.map(ToOwned::to_owned).collect();
    assert!(!found.is_empty(), "no {kind}");
    found
}

#[test]
fn the_image_is_built_by_the_steps_that_the_script_runs_and_copies_what_there_is() {
    let steps = program::run_file(&root().join("docker/build-steps"), &["--list"]).fine();
    let steps: Vec<&str> = steps.lines().collect();
    assert!(
        steps.contains(&"RUN cargo build --locked --profile dist --features jemalloc --bin portcullis"),
        "{steps:#?}"
    );
    let shown: BTreeSet<String> =
        read(".dockerignore").lines().filter_map(|line| line.strip_prefix('!')).map(ToOwned::to_owned).collect();
    let mut copied = BTreeSet::new();
    for copy in instructions("COPY") {
        let mut words: Vec<&str> = copy.split(' ').collect();
        words.pop();
        if words[0].starts_with("--from=builder") {
            assert_eq!(words[1], "/src/target/dist/portcullis");
            continue;
        }
        assert!(steps.contains(&format!("COPY {copy}").as_str()), "{copy} is not among {steps:#?}");
        for source in words {
            assert!(root().join(source).exists(), "COPY {source}: there is no such file");
            copied.insert(source.to_owned());
        }
    }
    assert_eq!(copied, shown, "what is copied, and what .dockerignore lets Docker see");
    // Sources of the program that lie elsewhere would be missing there.
    let manifest = read("Cargo.toml");
    assert!(
        !manifest.contains("build = ") && !manifest.contains("[workspace]"),
        "the builder needs more than it copies"
    );
    // What the sources hold of files beside them: by include_str!, or as templates.
    let needed = root().read_dir().unwrap().flatten().filter(|entry| entry.path().is_dir());
    let names = needed.map(|entry| entry.file_name().into_string().unwrap());
    let included: Vec<String> = names.filter(|name| is_included(&root().join("src"), &format!("../{name}/"))).collect();
    assert!(included.len() >= 2, "only {included:?}");
    assert!(included.iter().all(|folder| copied.contains(folder)), "{included:?} are not all copied");
    assert_eq!(instructions("USER"), ["portcullis"]);
    assert_eq!(instructions("VOLUME"), ["/var/lib/portcullis"]);
}

/// Whether a source below this folder includes a file from the folder that `path` ends in.
fn is_included(folder: &Path, path: &str) -> bool {
    folder.read_dir().unwrap().flatten().any(|entry| match entry.path() {
        folder if folder.is_dir() => is_included(&folder, path),
        file => std::fs::read_to_string(file)
            .is_ok_and(|text| text.lines().any(|line| line.contains("include_str!") && line.contains(path))),
    })
}

#[test]
fn the_images_health_check_knows_a_gateway_that_lives_from_one_that_does_not() {
    let gateway = Gateway::start(&site::shared().plan());
    let check = instructions("HEALTHCHECK").remove(0);
    let (_, command) = check.split_once(" CMD ").expect("a command");
    let command: Vec<String> = serde_json::from_str(command).expect("in its exec form, which is JSON");
    let ask = |port: u16| {
        let script = command[2].replace("8025", &port.to_string());
        assert_eq!(command[..2], ["bash", "-c"]);
        program::run("bash", "bash", &["-c", &script])
    };
    ask(gateway.port("admin")).fine();
    assert_eq!(ask(ports::free()).code, Some(1));
}
