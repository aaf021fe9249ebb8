//! The registry's file as an operator finds it: damaged, a link, or open to others.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::after_pop::Desk;
use crate::live;
use crate::support::gateway::{Gateway, portcullis};
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::{keeper, ports, site, wait};

fn kept_in(file: &Path, plan: Plan) -> Plan {
    plan.set("registry", &format!("{{ store: {{ disk: \"{}\" }} }}", file.display()))
}

fn nobody() -> Plan {
    let port = ports::free();
    Plan::before_one(port, port)
}

/// What `serve` says when it does not start.
#[track_caller]
fn refused(gateway: &Gateway, more: &[&str]) -> String {
    let file = gateway.file().to_str().unwrap();
    let outcome = portcullis(&[&["serve", "--config", file], more].concat());
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    outcome.err
}

fn aside(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().path());
    folder.filter(|path| path.to_str().unwrap().contains(".redb.damaged-")).collect()
}

#[test]
fn a_damaged_file_is_a_clear_error_with_the_way_out_and_no_panic() {
    let file = keeper::folder("damaged").join("portcullis.redb");
    let (desk, plan) = Desk::of(live::with_tokens(kept_in(&file, site::shared().plan())));
    let mut gateway = Gateway::start(&plan);
    live::run(&gateway, &["disable", "alice", "pop3"]);
    gateway.terminate();
    assert!(gateway.wait(wait::SOON).success());

    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    // The size of a page, which an assertion compares.
    flipped.iter_mut().skip(12).take(4).for_each(|byte| *byte ^= 0xff);
    let damages: [(&[u8], &str); 5] = [
        (b"", "it is empty"),
        (&good[..good.len() / 2], "it is damaged: it"),
        (&good[..100], "it was cut short: its end is missing"),
        (&flipped, "its content is not what the gateway wrote"),
        (b"something else", "it does not begin as a registry's file does"),
    ];
    for (damaged, reason) in damages {
        std::fs::write(&file, damaged).unwrap();
        for _each_start in 0..2 {
            let said = refused(&gateway, &[]);
            let path = file.display();
            for words in
                ["is damaged", &format!("mv {path} {path}.damaged"), "--recreate-store", "switched off", reason]
            {
                assert!(said.contains(words), "{words} is not in {said}");
            }
            assert!(!said.contains("panicked"), "{said}");
            // What the database itself says comes last.
            let (_, internal) = said.split_once("(internal reason: ").unwrap_or_default();
            assert!(internal.is_empty() || internal.trim_end().ends_with(')'), "{said}");
        }
    }
    assert!(aside(&file).is_empty(), "nothing was moved that nobody asked for");

    let again = Gateway::start_where("exec \"$0\" \"$@\" --recreate-store", &plan);
    let line = again.logged(&["ERROR", "the registry's file was damaged"]);
    assert_eq!(std::fs::read(&aside(&file)[0]).unwrap(), b"something else");
    assert!(line.contains(aside(&file)[0].to_str().unwrap()), "{line}");
    let session = {
        let mut client = Mail::Pop3.open_from("127.0.0.71", &again);
        Mail::Pop3.login(&mut client, "alice");
        client
    };
    wait::until_true("the new record", wait::SOON, || desk.ask("127.0.0.71").0 == "action=OK");
    again.metric_becomes("registry_writes_total", &["written"], 1.0);
    drop(session);
    drop(again);
    // The flag may stay in a unit: a good file is not touched.
    let last = Gateway::start_where("exec \"$0\" \"$@\" --recreate-store", &plan);
    assert_eq!(desk.ask("127.0.0.71").0, "action=OK");
    assert_eq!(aside(&file).len(), 1);
    drop(last);
}

#[test]
fn the_file_is_its_owners_alone_whatever_the_umask() {
    for umask in ["0", "0022", "0777"] {
        let file = keeper::folder("mode").join("portcullis.redb");
        let plan = kept_in(&file, nobody());
        let gateway = Gateway::start_where(&format!("umask {umask}; exec \"$0\" \"$@\""), &plan);
        let mode = || file.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o600, "{umask}");
        drop(gateway);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let gateway = Gateway::start(&plan);
        gateway.logged(&["WARN", "others could read the registry's file", "0644"]);
        assert_eq!(mode(), 0o600);
    }
}

#[test]
fn a_dangling_link_makes_no_file_where_it_leads() {
    let folder = keeper::folder("link");
    let (link, elsewhere) = (folder.join("portcullis.redb"), folder.join("elsewhere"));
    let gateway = Gateway::start(&kept_in(&link, nobody()));
    std::fs::remove_file(&link).unwrap();
    symlink(&elsewhere, &link).unwrap();
    // The ports are taken; the file is looked at after them.
    let mut gateway = gateway;
    gateway.terminate();
    assert!(gateway.wait(wait::SOON).success());
    for more in [&[][..], &["--recreate-store"]] {
        let said = refused(&gateway, more);
        assert!(said.contains("symbolic link") && said.contains(elsewhere.to_str().unwrap()), "{said}");
        assert!(!elsewhere.exists());
    }
}
