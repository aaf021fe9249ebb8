//! Programs that run and end: mail clients, and the gateway's own short verbs.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{keeper, process, wait};

/// What a program has printed, and whether it is content.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Its output; fails the test when it was not content.
    #[track_caller]
    pub fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }
}

/// Runs a program of a Debian package to its end, within [`LIMIT`].
#[track_caller]
pub fn run(program: &str, package: &str, arguments: &[&str]) -> Outcome {
    run_file(&process::find(program, package), arguments)
}

/// Runs a program to its end, within [`LIMIT`].
#[track_caller]
pub fn run_file(file: &Path, arguments: &[&str]) -> Outcome {
    let mut child = Command::new(file)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", file.display()));
    let id = child.id();
    keeper::watch(id);
    let out = listen(child.stdout.take().expect("it was asked for"));
    let err = listen(child.stderr.take().expect("it was asked for"));
    let status = wait::until(&format!("{} {arguments:?} to end", file.display()), LIMIT, || {
        child.try_wait().expect("a child can be waited for")
    });
    keeper::forget(id);
    let text = |listener: thread::JoinHandle<Vec<u8>>| String::from_utf8_lossy(&listener.join().unwrap()).into_owned();
    Outcome { code: status.code(), out: text(out), err: text(err) }
}

/// curl, told to trust the tests' authority, to say nothing but errors, and to find `mail.example.org` at 127.0.0.1.
#[track_caller]
pub fn curl(url: &str, login: &str, more: &[&str]) -> Outcome {
    let certs = super::certs::certs();
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).expect("a URL with a port");
    let resolve = format!("mail.example.org:{port}:127.0.0.1");
    let ca = certs.ca_file.to_str().unwrap();
    let mut arguments = vec!["-sS", "--max-time", "30", "--cacert", ca, "--resolve", &resolve, "--user", login, url];
    arguments.extend(more);
    run("curl", "curl", &arguments)
}

/// A script of `tests/it/clients`.
#[track_caller]
pub fn python(script: &str, arguments: &[&str]) -> Outcome {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients").join(script);
    let mut all = vec!["-B", script.to_str().unwrap()];
    all.extend(arguments);
    run("python3", "python3", &all)
}

fn listen(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut heard = Vec::new();
        pipe.read_to_end(&mut heard).unwrap();
        heard
    })
}

/// For one run of a client.
pub const LIMIT: Duration = Duration::from_secs(60);
