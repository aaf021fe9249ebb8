//! The first thing that anybody runs.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::process::Process;
use crate::support::program::Outcome;
use crate::support::{keeper, program, wait};

/// `portcullis demo`, and what it has printed.
struct Demo {
    process: Process,
    text: String,
}

impl Demo {
    fn start() -> Self {
        let log = keeper::folder("demo").join("demo.log");
        let arguments = ["demo", "--free-ports"];
        let process = Process::start(env!("CARGO_BIN_EXE_portcullis"), "of this crate", &arguments, &log);
        let text = wait::until("the demo's commands", wait::SOON, || {
            let text = process.log();
            text.contains("Ctrl-C").then_some(text)
        });
        Self { process, text }
    }

    /// The commands as they are printed, in their order.
    fn commands(&self) -> Vec<&str> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("  "));
        lines.filter(|line| line.contains("curl ")).collect()
    }

    /// The printed URL of this page.
    #[track_caller]
    fn url(&self, page: &str) -> &str {
        let mut urls =
            self.text.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("http"));
        urls.find(|line| line.ends_with(page)).expect("it is printed")
    }

    /// The sessions, as `portcullis who` shows them to the token that is printed.
    fn who(&self) -> String {
        self.portcullis(&["who"])
    }

    #[track_caller]
    fn portcullis(&self, arguments: &[&str]) -> String {
        let admin = self.url("/sessions").trim_end_matches("/sessions");
        let (_, token) = self.text.split_once("the token ").expect("it is printed");
        let (token, _) = token.split_once(':').expect("it ends");
        let script = "PORTCULLIS_TOKEN=$1 PORTCULLIS_ADMIN=$2; export PORTCULLIS_TOKEN PORTCULLIS_ADMIN; shift 2; exec \"$0\" \"$@\"";
        let mut all = vec!["-c", script, env!("CARGO_BIN_EXE_portcullis"), token, admin];
        all.extend(arguments);
        program::run("sh", "dash", &all).fine()
    }
}

fn paste(command: &str) -> Outcome {
    program::run("sh", "dash", &["-c", command])
}

#[test]
fn the_demos_commands_pasted_as_printed_fetch_send_without_a_password_and_fetch_that() {
    let mut demo = Demo::start();
    let folder = std::env::temp_dir().join(format!("portcullis-demo-{}", demo.process.id()));
    let commands = demo.commands();
    let [alice, bob, send, bob_again] = commands[..] else { panic!("{commands:?}") };

    // The demo's own session is on, from another address, and so allows nothing to the commands.
    wait::until_true("the demo's own session", wait::SOON, || demo.who().contains("alice@example.com  imap"));
    let refused = paste(send);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.err.contains("530"), "{refused:?}");

    // In any order: Bob's login does not take the address from Alice.
    for (command, store) in [(bob, "store2"), (alice, "store1"), (bob, "store2")] {
        let message = paste(command).fine();
        assert!(message.contains(&format!("Subject: Hello from {store}")), "{command}: {message}");
    }
    assert_ne!(paste(bob_again).code, Some(0), "nothing was sent yet");
    // The login is recorded a moment after the client has heard of it.
    wait::until_true("the message to be taken", wait::SOON, || paste(send).code == Some(0));
    let message = paste(bob_again).fine();
    for text in
        ["X-Demo: alice sent this from 127.0.0.1 through store1", "Subject: Sent without a password", "Hello, Bob."]
    {
        assert!(message.contains(text), "{message}");
    }

    assert!(folder.is_dir());
    demo.process.signal(Signal::INT);
    assert!(demo.process.wait(Duration::from_secs(10)).success());
    assert!(!folder.exists(), "it leaves nothing behind");
}

#[test]
fn the_demos_session_comes_back_when_it_is_dropped_and_a_switch_refuses_bob() {
    let demo = Demo::start();
    let session = || demo.who().lines().find(|line| line.contains("127.0.0.4:")).map(str::to_owned);
    let first = wait::until("the demo's own session", wait::SOON, session);
    let id = first.split(' ').next().expect("an id");
    demo.portcullis(&["kick", "--session", id]);
    wait::until_true("a new session", wait::SOON, || session().is_some_and(|line| !line.starts_with(id)));

    // Who has not signed in is shown where to.
    let page =
        program::run("curl", "curl", &["-sSL", "--max-time", "20", demo.url("/user?name=bob@example.com")]).fine();
    assert!(page.contains("name=\"token\""), "{page}");
    let commands = demo.commands();
    paste(commands[1]).fine();
    demo.portcullis(&["disable", "bob@example.com", "pop3"]);
    assert_ne!(paste(commands[1]).code, Some(0));
}
