//! The first thing that anybody runs.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::process::Process;
use crate::support::{keeper, program, wait};

#[test]
fn the_demos_commands_pasted_as_printed_fetch_a_message_from_each_store() {
    let log = keeper::folder("demo").join("demo.log");
    let mut demo = Process::start(env!("CARGO_BIN_EXE_portcullis"), "of this crate", &["demo", "--free-ports"], &log);
    let folder = std::env::temp_dir().join(format!("portcullis-demo-{}", demo.id()));
    let commands = wait::until("the demo's commands", wait::SOON, || {
        let text = demo.log();
        text.contains("Ctrl-C").then(|| {
            let commands = text.lines().filter_map(|line| line.trim().strip_prefix("curl "));
            commands.map(|rest| format!("curl -sS --max-time 20 {rest}")).collect::<Vec<_>>()
        })
    });
    assert_eq!(commands.len(), 2, "{commands:?}");
    for (command, store) in commands.iter().zip(["store1", "store2"]) {
        let message = program::run("sh", "dash", &["-c", command]).fine();
        assert!(message.contains(&format!("Subject: Hello from {store}")), "{command}: {message}");
    }
    assert!(folder.is_dir());
    demo.signal(Signal::INT);
    assert!(demo.wait(Duration::from_secs(10)).success());
    assert!(!Path::new(&folder).exists(), "it leaves nothing behind");
}
