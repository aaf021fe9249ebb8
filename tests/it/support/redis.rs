//! A real redis-server, on which gateways share what they remember.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::certs::certs;
use super::plan::Plan;
use super::process::Process;
use super::{keeper, ports};

/// It keeps nothing on disk: after a restart it is empty.
pub struct Redis {
    /// On 127.0.0.1.
    pub port: u16,
    /// Likewise, for TLS.
    tls_port: u16,
    folder: PathBuf,
    process: Process,
}

impl Redis {
    /// A server of one's own.
    pub fn start() -> Self {
        let (port, tls_port, folder) = (ports::free(), ports::free(), keeper::folder("redis"));
        let process = launch(port, tls_port, &folder);
        Self { port, tls_port, folder, process }
    }

    /// Has a gateway keep its record here.
    pub fn keeps(&self, plan: Plan) -> Plan {
        plan.set("registry", &format!("{{ store: {{ valkey: \"redis://127.0.0.1:{}\" }} }}", self.port))
    }

    /// The same over TLS, with these settings of it.
    pub fn keeps_over_tls(&self, plan: Plan, tls: &str) -> Plan {
        plan.set(
            "registry",
            &format!("{{ store: {{ valkey: \"rediss://127.0.0.1:{}\", tls: {tls} }} }}", self.tls_port),
        )
    }

    /// It dies at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// After [`Self::kill`]: on the same port.
    pub fn restart(&mut self) {
        self.process = launch(self.port, self.tls_port, &self.folder);
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

fn launch(port: u16, tls_port: u16, folder: &Path) -> Process {
    let (number, tls_number, server) = (port.to_string(), tls_port.to_string(), &certs().mail);
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    let (place, certificate, key) = (file(folder), file(&server.certificate), file(&server.key));
    let mut arguments = vec!["--port", &number, "--bind", "127.0.0.1", "--save", "", "--dir", &place];
    arguments.extend(["--tls-port", &tls_number, "--tls-cert-file", &certificate, "--tls-key-file", &key]);
    arguments.extend(["--tls-auth-clients", "no"]);
    let mut process = Process::start("redis-server", "redis-server", &arguments, &folder.join("redis.log"));
    process.ready(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    process
}
