//! Whole files: the examples that we ship, good ones that must load, and bad ones that say what must be found.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

mod meaning;
mod warnings;
use crate::config::Config;

/// A folder with every file that the examples name; each test writes its own, so they do not meet.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(TempDir::new().expect("a folder"));
        for (name, other) in [("fullchain", "privkey"), ("other", "other-key"), ("ldap-ca", "-"), ("backends-ca", "-")]
        {
            let pair = rcgen::generate_simple_self_signed(vec!["mail.example.com".to_owned()]).expect("a certificate");
            site.write(&format!("tls/{name}.pem"), &pair.cert.pem());
            site.write(&format!("tls/{other}.pem"), &pair.signing_key.serialize_pem());
        }
        site.write("tls/broken.pem", "-----BEGIN CERTIFICATE-----\nhunter2!\n-----END CERTIFICATE-----\n");
        site.write("tls/garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        site.write("tls/empty.pem", "");
        site.write("secrets/ldap", "hunter2\n");
        site.write("secrets/ops-token", "hunter2-hunter2-hunter2\n");
        site.write("secrets/valkey", "redis://gate:hunter2@10.0.0.9:6379/1\n");
        site.write("secrets/master", "hunter2\r\n");
        site.write("secrets/two-lines", "hunter2\n\n");
        site.write("secrets/empty", "\n");
        site.write("users.yaml", "users: {}\n");
        site.write("state/other", "");
        site
    }

    /// A temporary folder is its owner's alone.
    fn open_to_others(&self) {
        fs::set_permissions(self.0.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        path
    }

    fn parse(&self, text: &str) -> Result<Config, Vec<Problem>> {
        load(&self.write("portcullis.yaml", text))
    }
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// Every YAML file of a folder of the repository, in order; at least so many.
fn files(folder: &str, at_least: usize) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries: BTreeSet<PathBuf> =
        fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    let yaml = entries.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let found: Vec<_> = yaml
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("a file"))
        })
        .collect();
    assert!(found.len() >= at_least, "{} holds {} files", folder.display(), found.len());
    found
}

/// `# expect: LINE: PATH: TEXT`: a problem at this line, with exactly this path and with this in its message.
fn expected(text: &str) -> Vec<(u64, &str, &str)> {
    let comments = text.lines().filter_map(|line| line.strip_prefix("# expect: "));
    comments
        .map(|comment| {
            let mut parts = comment.splitn(3, ": ");
            let mut part = || parts.next().expect("LINE: PATH: TEXT");
            (part().parse().expect("a line"), part(), part())
        })
        .collect()
}

#[test]
fn a_bad_file_has_exactly_the_problems_that_it_expects() {
    let site = Site::new();
    let mut wrong = String::new();
    for (name, text) in files("tests/config/bad", 25) {
        let mut problems = site.parse(&text).expect_err(&name);
        problems.retain(|problem| problem.severity == Severity::Error);
        let expected = expected(&text);
        let is_found = |(line, path, part): &(u64, &str, &str)| {
            problems
                .iter()
                .any(|problem| problem.line == *line && problem.path == *path && problem.message.contains(part))
        };
        let missed: Vec<_> = expected.iter().filter(|each| !is_found(each)).collect();
        let is_sorted = problems.is_sorted_by_key(|problem| problem.line);
        if expected.is_empty() || expected.len() != problems.len() || !missed.is_empty() || !is_sorted {
            wrong += &format!(
                "--- {name}: found {}, expected {}\nmissed: {missed:#?}\n{}",
                problems.len(),
                expected.len(),
                listed(&problems)
            );
        }
        let all = listed(&problems);
        assert!(!all.contains("hunter2"), "{name} shows a secret:\n{all}");
        assert_eq!(all.lines().count(), problems.len(), "{name}: a message is one line");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_good_file_loads() {
    let site = Site::new();
    for (name, text) in files("tests/config/good", 4) {
        if let Err(problems) = site.parse(&text) {
            panic!("{name}:\n{}", listed(&problems));
        }
    }
}

fn good(name: &str) -> Config {
    let (site, path) = (Site::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
    let text = fs::read_to_string(path).expect("a file");
    site.parse(&text).unwrap_or_else(|problems| panic!("{name}:\n{}", listed(&problems)))
}
