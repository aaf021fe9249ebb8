//! A started server: its process group, its log, and its end.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::{keeper, wait};

/// A server in a process group of its own. Dropping it kills the whole group; so does the end of the tests.
pub struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `program`, which the Debian package `package` brings; what it prints is appended to `log`.
    #[track_caller]
    pub fn start(program: &'static str, package: &str, arguments: &[&str], log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(find(program, package))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        keeper::watch(child.id());
        Self { child, name: program, log: log.to_owned(), ended: None }
    }

    /// The process that was started; also the number of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// To the one process; its children are told by it, or not.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("it is still there");
    }

    /// To it and all its children.
    pub fn signal_all(&self, signal: Signal) {
        rustix::process::kill_process_group(self.pid(), signal).expect("it is still there");
    }

    /// SIGKILL for the whole group, as a power cut; returns when all of it is gone, and its sockets with it.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            rustix::process::kill_process_group(self.pid(), Signal::KILL).expect("it is still there");
            self.ended = Some(self.child.wait().expect("a child can be waited for"));
            wait::until_true("the children to go", wait::SOON, || !group_lives(self.id()));
            keeper::forget(self.id());
        }
    }

    /// How it ended; fails the test when it has not within `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name;
        wait::until(&format!("the end of {name}"), limit, || self.ended())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
            if self.ended.is_some() {
                keeper::forget(self.id());
            }
        }
        self.ended
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits until `is_ready`; fails the test with the log when the process ends before that.
    #[track_caller]
    pub fn ready(&mut self, mut is_ready: impl FnMut() -> bool) {
        let name = self.name;
        wait::until_true(&format!("{name} to be ready"), wait::SOON, || {
            if let Some(status) = self.ended() {
                panic!("{name} ended at its start ({status}); it said:\n{}", self.log());
            }
            is_ready()
        });
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program lies; servers lie where an ordinary user's PATH does not look.
#[track_caller]
pub fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"])
        .map(|folder| Path::new(folder).join(program))
        .find(|file| !matches!(file.metadata(), Err(error) if error.kind() == ErrorKind::NotFound))
        .unwrap_or_else(|| panic!("{program} is missing: install the package {package}, or run ./test, which does"))
}

/// Whether a group has a living member. Dead ones that nobody has reaped hold nothing any more.
fn group_lives(group: u32) -> bool {
    let is_member = |process: PathBuf| {
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let (_, behind_the_name) = stat.rsplit_once(") ")?;
        let mut fields = behind_the_name.split(' ');
        let (state, _parent, of) = (fields.next()?, fields.next()?, fields.next()?);
        Some(of == group.to_string() && state != "Z" && state != "X")
    };
    Path::new("/proc").read_dir().unwrap().flatten().any(|entry| is_member(entry.path()) == Some(true))
}
