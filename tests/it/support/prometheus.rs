//! A real Prometheus that scrapes gateways every second.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;

use super::gateway::Gateway;
use super::process::Process;
use super::{keeper, ports, program, wait};

/// The server.
pub struct Prometheus {
    port: u16,
    _process: Process,
}

impl Prometheus {
    /// Starts one that watches this gateway, as the job that alerts and dashboards expect.
    #[track_caller]
    pub fn watching(gateway: &Gateway) -> Self {
        let (folder, port) = (keeper::folder("prometheus"), ports::free());
        let file = folder.join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: portcullis\n    static_configs: \
             [{{ targets: [\"{}\"] }}]\n",
            gateway.address("admin")
        );
        std::fs::write(&file, text).unwrap();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let arguments = arguments.each_ref().map(String::as_str);
        let mut process = Process::start("prometheus", "prometheus", &arguments, &folder.join("prometheus.log"));
        process.ready(|| ask(port, "/-/ready").is_some_and(|(head, _)| head.contains(" 200 ")));
        Self { port, _process: process }
    }

    /// The values that a query gives now; fails the test when Prometheus does not understand it.
    #[track_caller]
    pub fn values(&self, query: &str) -> Vec<f64> {
        let encoded = query.bytes().fold(String::new(), |mut text, byte| {
            write!(text, "%{byte:02x}").unwrap();
            text
        });
        let (_, body) = ask(self.port, &format!("/api/v1/query?query={encoded}")).expect("Prometheus answers");
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(answer["status"], "success", "{query}: {body}");
        let series = answer["data"]["result"].as_array().expect("a list");
        series
            .iter()
            .map(|one| one["value"][1].as_str().and_then(|value| value.parse().ok()).expect("a number"))
            .collect()
    }
}

/// Runs promtool to its end; what it says when it is content.
#[track_caller]
pub fn promtool(arguments: &[&str]) -> String {
    program::run("promtool", "prometheus", arguments).fine()
}

fn ask(port: u16, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(wait::SOON)).ok()?;
    // HTTP/1.0: the answer is in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}
