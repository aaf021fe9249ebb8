//! What the environment says to the command line: where the gateway is, and the token.

use std::process::Command;

use crate::live::{OPS, with_tokens};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::{keeper, site};

/// Exit code, standard output and standard error.
fn run(environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let clean = command.env_remove("PORTCULLIS_ADMIN").env_remove("PORTCULLIS_TOKEN");
    let ended = clean.args(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

fn plan() -> Plan {
    site::shared().plan()
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let gateway = Gateway::start(&with_tokens(plan()));
    let admin = format!("http://{}", gateway.address("admin"));
    for token in ["", " ", "\n"] {
        let (code, _, said) = run(&[("PORTCULLIS_ADMIN", &admin), ("PORTCULLIS_TOKEN", token)], &["status"]);
        assert!(code == Some(1) && said.contains("the gateway wants a token"), "{token:?}: {said}");
    }
    assert_eq!(run(&[("PORTCULLIS_ADMIN", &admin), ("PORTCULLIS_TOKEN", OPS)], &["status"]).0, Some(0));
    let file = keeper::folder("token").join("token");
    std::fs::write(&file, "\n").unwrap();
    let (code, _, said) = run(&[], &["status", "--admin", &admin, "--token-file", file.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("token is empty: it is to hold one of"), "{said}");
    let (code, _, said) = run(&[("PORTCULLIS_ADMIN", "")], &["status", "--token-file", "/nowhere"]);
    assert!(code == Some(1) && said.contains("the token cannot be read from /nowhere"), "no fault of a URL: {said}");

    // Where no token is configured, who asks on loopback may read.
    let open = Gateway::start(&plan());
    let admin = format!("http://{}", open.address("admin"));
    assert_eq!(run(&[("PORTCULLIS_ADMIN", &admin), ("PORTCULLIS_TOKEN", "")], &["status"]).0, Some(0));
}

#[test]
fn an_empty_user_name_is_told_to_be_one() {
    for arguments in [
        &["user", ""][..],
        &["ips", ""],
        &["forget", ""],
        &["kick", ""],
        &["kick", "--user", ""],
        &["disable", "", "imap"],
        &["enable", "", "imap"],
    ] {
        // Nothing listens there, and nothing is asked.
        let (code, _, said) = run(&[("PORTCULLIS_ADMIN", "http://127.0.0.1:1")], arguments);
        assert!(code == Some(2) && said.contains(": the user name is empty\n"), "{arguments:?}: {said}");
    }
}

#[test]
fn the_usage_shows_what_must_be_given_and_help_says_where_the_rest_is_from() {
    let (code, _, said) = run(&[("PORTCULLIS_ADMIN", "http://127.0.0.1:1")], &["disable", "alice"]);
    assert!(code == Some(2) && said.contains("Usage: portcullis disable <USER> <PROTOCOL>\n"), "{said}");
    let (_, help, _) = run(&[], &["disable", "--help"]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "Usage: portcullis disable [OPTIONS] <USER> <PROTOCOL>",
        "[default: PORTCULLIS_ADMIN of the environment, else http://127.0.0.1:8025]",
        "PORTCULLIS_TOKEN of the environment; empty, it is as if not set",
    ] {
        assert!(help.contains(words), "{words} is not in {help}");
    }
}
