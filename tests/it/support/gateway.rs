//! The built gateway as a process of its own.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use super::client::Client;
use super::plan::Plan;
use super::process::Process;
use super::program::{self, Outcome};
use super::{keeper, ports, wait};

/// A running gateway.
pub struct Gateway {
    ports: HashMap<String, u16>,
    file: PathBuf,
    process: Process,
}

impl Gateway {
    /// Starts it with a plan and waits until every listener of the plan takes connections.
    #[track_caller]
    pub fn start(plan: &Plan) -> Self {
        Self::start_where("exec \"$0\" \"$@\"", plan)
    }

    /// The same with a limit of file descriptors that it cannot raise.
    #[track_caller]
    pub fn start_with_descriptors(limit: u32, plan: &Plan) -> Self {
        Self::start_where(&format!("ulimit -n {limit}; exec \"$0\" \"$@\""), plan)
    }

    #[track_caller]
    fn start_where(script: &str, plan: &Plan) -> Self {
        let folder = keeper::folder("gateway");
        let (text, ports) = with_ports(plan);
        let file = folder.join("portcullis.yaml");
        std::fs::write(&file, text).unwrap();
        let binary = env!("CARGO_BIN_EXE_portcullis");
        let arguments = ["-c", script, binary, "serve", "--config", file.to_str().unwrap()];
        let mut process = Process::start("sh", "dash", &arguments, &folder.join("gateway.log"));
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, ports["admin"]));
        // Asked, not merely connected to: a probe of a listener would count as a session. A test whose directory is away
        // from the start begins when the gateway knows that.
        process.ready(|| {
            let answer = ask(admin, "/readyz").unwrap_or_default();
            let is_away = answer.contains("never answered") && !answer.contains("the first question is under way");
            answer.starts_with("HTTP/1.1 200") || is_away
        });
        Self { ports, file, process }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its configuration's file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where a listener of the plan listens.
    #[track_caller]
    pub fn address(&self, listener: &str) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port(listener)))
    }

    /// The port of a listener of the plan.
    #[track_caller]
    pub fn port(&self, listener: &str) -> u16 {
        *self.ports.get(listener).unwrap_or_else(|| panic!("the plan has no listener {listener}"))
    }

    /// A connection to a listener, before any word and any TLS.
    #[track_caller]
    pub fn connect(&self, listener: &str) -> Client {
        Client::connect(self.address(listener))
    }

    /// The same from another address of the loopback network.
    #[track_caller]
    pub fn connect_from(&self, source: &str, listener: &str) -> Client {
        Client::connect_from(source, self.address(listener))
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// It dies at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to read its certificates again.
    pub fn reload(&self) {
        self.process.signal(Signal::HUP);
    }

    /// How it ended; fails the test when it has not within `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait(limit)
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for a line of the log that contains all of `words`.
    #[track_caller]
    pub fn logged(&self, words: &[&str]) -> String {
        let what = format!("a line of the gateway's log with {words:?}");
        let found = |line: &&str| words.iter().all(|word| line.contains(word));
        let line = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait::until(&what, wait::SOON, || self.log().lines().find(found).map(ToOwned::to_owned))
        }));
        line.unwrap_or_else(|_| panic!("no {what}; it has:\n{}", self.log()))
    }

    /// What an HTTP path of the admin side answers, head and body.
    #[track_caller]
    pub fn http(&self, path: &str) -> String {
        ask(self.address("admin"), path).expect("the admin side answers")
    }

    /// The sum of all metrics named `portcullis_NAME` whose labels contain all of `labels`; 0 when there is none.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.http("/metrics");
        let full = format!("portcullis_{name}");
        page.lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == Some(&full))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value.trim().parse::<f64>().expect("a number"))
            .sum()
    }

    /// Waits until a metric has a value, which it may get a moment after the client has seen its cause.
    #[track_caller]
    pub fn metric_becomes(&self, name: &str, labels: &[&str], value: f64) {
        wait::until_true(&format!("{name}{labels:?} to become {value}"), wait::SOON, || {
            (self.metric(name, labels) - value).abs() < 0.5
        });
    }

    /// Fails the test when a session has panicked, or when one of them outlives its client; for the end of a test.
    #[track_caller]
    pub fn is_calm(&self) {
        for name in ["connections", "sessions", "backend_connections"] {
            self.metric_becomes(name, &[], 0.0);
        }
        assert!(self.metric("panics_total", &[]) < 0.5, "{}", self.log());
    }

    /// The physical memory that it holds now, in bytes.
    #[track_caller]
    pub fn memory(&self) -> u64 {
        self.memory_as("VmRSS:")
    }

    /// The most that it has ever held.
    #[track_caller]
    pub fn memory_at_its_peak(&self) -> u64 {
        self.memory_as("VmHWM:")
    }

    #[track_caller]
    fn memory_as(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it is still there");
        let value = status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel counts");
        value.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

/// Runs one of the gateway's short verbs to its end.
#[track_caller]
pub fn portcullis(arguments: &[&str]) -> Outcome {
    program::run_file(Path::new(env!("CARGO_BIN_EXE_portcullis")), arguments)
}

/// Puts a free port into every place that waits for one.
fn with_ports(plan: &Plan) -> (String, HashMap<String, u16>) {
    let names = plan.listeners().chain(["admin"]);
    let ports: HashMap<String, u16> = names.map(|name| (name.to_owned(), ports::free())).collect();
    let text =
        ports.iter().fold(plan.yaml(), |text, (name, port)| text.replace(&format!("{{{name}}}"), &port.to_string()));
    (text, ports)
}

fn ask(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, wait::SOON).ok()?;
    stream.set_read_timeout(Some(wait::SOON)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
