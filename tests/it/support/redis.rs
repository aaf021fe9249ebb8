//! A real redis-server, on which gateways share what they remember.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;

use rustix::process::Signal;

use super::plan::Plan;
use super::process::Process;
use super::{keeper, ports};

/// It keeps nothing on disk: after a restart it is empty.
pub struct Redis {
    /// On 127.0.0.1.
    pub port: u16,
    folder: PathBuf,
    process: Process,
}

impl Redis {
    /// A server of one's own.
    pub fn start() -> Self {
        let (port, folder) = (ports::free(), keeper::folder("redis"));
        let process = launch(port, &folder);
        Self { port, folder, process }
    }

    /// Has a gateway keep its record here.
    pub fn keeps(&self, plan: Plan) -> Plan {
        plan.set("registry", &format!("{{ store: {{ valkey: \"redis://127.0.0.1:{}\" }} }}", self.port))
    }

    /// It dies at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// After [`Self::kill`]: on the same port.
    pub fn restart(&mut self) {
        self.process = launch(self.port, &self.folder);
    }

    /// It hangs, or goes on.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// A client of its own.
    #[track_caller]
    pub fn client(&self) -> redis::Connection {
        let client = redis::Client::open(("127.0.0.1", self.port)).expect("an address");
        client.get_connection().expect("a connection")
    }
}

fn launch(port: u16, folder: &std::path::Path) -> Process {
    let (number, place) = (port.to_string(), folder.to_str().unwrap());
    let arguments = ["--port", &number, "--bind", "127.0.0.1", "--save", "", "--dir", place];
    let mut process = Process::start("redis-server", "redis-server", &arguments, &folder.join("redis.log"));
    process.ready(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    process
}
