//! The process itself: signals that other daemons know, core dumps, and its own numbers.

use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;

use crate::support::fake::{Fake, Step};
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::{ports, site};

fn plan() -> Plan {
    let nobody = ports::free();
    Plan::before_one(nobody, nobody)
}

#[test]
fn sigusr1_and_sigusr2_end_nobodys_session() {
    let fake = Fake::start(vec![Step::Serve(Mail::Imap)]);
    let plan = Plan::before_one(fake.port, fake.port).service("login.cleartext", "always");
    let gateway = Gateway::start(&plan);
    let mut client = Mail::Imap.open(&gateway);
    Mail::Imap.login(&mut client, "alice");
    for (signal, name) in [(Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")] {
        gateway.signal(signal);
        gateway.logged(&["INFO", name]);
    }
    client.ask_for("n NOOP", "n OK");
    assert!(gateway.http("/healthz").starts_with("HTTP/1.1 200"));
}

/// A core dump's size in bytes that the kernel allows a process, and the user that owns what it shows of its memory: root
/// when nobody but root may read that.
fn secrecy(gateway: &Gateway) -> (String, u32) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.id())).expect("it is still there");
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
    let owner = std::fs::metadata(format!("/proc/{}/maps", gateway.id())).expect("it is still there").uid();
    (core.split_whitespace().collect::<Vec<_>>().join(" "), owner)
}

#[test]
fn no_core_dump_and_no_debugger_sees_a_password_unless_that_is_asked_for() {
    // A process of root's shows no difference.
    let is_root = rustix::process::geteuid().is_root();
    let user = if is_root { NOBODY } else { rustix::process::geteuid().as_raw() };
    let become_user = match is_root {
        true => format!("exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups"),
        false => "exec".to_owned(),
    };
    let closed = Gateway::start_where(&format!("{become_user} \"$0\" \"$@\""), &plan());
    assert_eq!(secrecy(&closed), ("0 0 bytes".to_owned(), 0));
    // It still counts its own descriptors, in a folder that is root's then.
    assert!(own_metric(&closed, "process_open_fds") > 5.0);
    let open = Gateway::start_where(&format!("{become_user} \"$0\" \"$@\" --core-dumps"), &plan());
    let (core, owner) = secrecy(&open);
    let hard = core.split(' ').nth(1).expect("a hard limit");
    assert_eq!(owner, user);
    // Whatever the tests were started with.
    let ours = std::fs::read_to_string("/proc/self/limits").unwrap();
    let ours = ours.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
    assert_eq!(ours.split_whitespace().nth(1), Some(hard));
    open.logged(&["WARN", "core dumps are allowed"]);
    assert!(!closed.log().contains("core dumps"), "{}", closed.log());
}

const NOBODY: u32 = 65_534;

fn own_metric(gateway: &Gateway, name: &str) -> f64 {
    let page = gateway.http("/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}:\n{page}")).parse().expect("a number")
}

#[test]
fn the_process_tells_what_it_uses_since_when_and_which_version_it_is() {
    let gateway = Gateway::start(&site::shared().plan());
    let before = own_metric(&gateway, "process_open_fds");
    let sessions: Vec<_> = (0..10).map(|_| Mail::Imap.session(&gateway, "alice")).collect();
    gateway.metric_becomes("sessions", &[], 10.0);
    assert!(own_metric(&gateway, "process_open_fds") >= before + 20.0, "two a session");
    drop(sessions);
    for name in ["max_fds", "virtual_memory_bytes", "threads"] {
        assert!(own_metric(&gateway, &format!("process_{name}")) > 0.0, "{name}");
    }
    // In whole seconds, so it may be none yet.
    assert!(own_metric(&gateway, "process_cpu_seconds_total") >= 0.0);
    let resident = own_metric(&gateway, "process_resident_memory_bytes");
    assert!(resident > 1e6 && resident <= gateway.memory_at_its_peak() as f64, "{resident}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = own_metric(&gateway, "process_start_time_seconds");
    assert!(started > now - 3600.0 && started < now + 5.0, "{started} is not lately");
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!((gateway.metric("build_info", &[&version]) - 1.0).abs() < 0.1);
}
