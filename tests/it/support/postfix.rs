//! A real Postfix 3: the submission server beside a Dovecot, which it asks who its clients are.
//!
//! It believes XCLIENT of 127.0.0.1, where the gateway is, keeps what users send in one maildir, and relays for nobody who has not logged in.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::certs::certs;
use super::dovecot::Dovecot;
use super::process::{Process, find};
use super::site::Site;
use super::{keeper, ports, program, wait};

/// The ports of all Postfixes of a site.
#[derive(Clone, Copy)]
pub struct Ports {
    /// Plain, with STARTTLS.
    pub submission: u16,
    /// Implicit TLS.
    pub submissions: u16,
}

impl Ports {
    /// Free on every address.
    pub fn free() -> Self {
        Self { submission: ports::free(), submissions: ports::free() }
    }
}

/// One server.
pub struct Postfix {
    address: Ipv4Addr,
    ports: Ports,
    folder: PathBuf,
    process: Process,
}

/// A site's two Postfixes.
pub struct Pair {
    /// Beside the Dovecot that is alice's.
    pub one: Postfix,
    /// Beside bob's.
    pub two: Postfix,
    /// Of both.
    pub ports: Ports,
}

/// The Postfixes beside the shared site's Dovecots; nobody stops them.
pub fn shared() -> &'static Pair {
    static PAIR: LazyLock<Pair> = LazyLock::new(|| Pair::beside(super::site::shared()));
    &PAIR
}

impl Pair {
    /// Starts them beside the site's Dovecots.
    pub fn beside(site: &Site) -> Self {
        let ports = Ports::free();
        std::thread::scope(|scope| {
            let two = scope.spawn(|| Postfix::start(&site.two, ports));
            let one = Postfix::start(&site.one, ports);
            Self { one, two: two.join().expect("the second Postfix starts"), ports }
        })
    }
}

impl Postfix {
    /// Starts a server at the Dovecot's address.
    pub fn start(beside: &Dovecot, ports: Ports) -> Self {
        can_be_started();
        let folder = keeper::folder("postfix");
        write_configuration(&folder, beside, ports);
        let process = launch(&folder, beside.address, ports);
        Self { address: beside.address, ports, folder, process }
    }

    /// It and all its children die at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// After [`Self::kill`]: the same mail on the same ports.
    pub fn restart(&mut self) {
        self.process = launch(&self.folder, self.address, self.ports);
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("postfix.log")).unwrap_or_default()).into_owned()
    }

    /// Waits for the one delivered message that contains `text`; fails the test with the log when there is none.
    #[track_caller]
    pub fn message(&self, text: &str) -> String {
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait::until("the message", wait::SOON, || self.messages(text).pop())
        }));
        let found = found.unwrap_or_else(|_| panic!("no message with {text:?} came; the log:\n{}", self.log()));
        assert_eq!(self.messages(text).len(), 1, "messages with {text:?}");
        found
    }

    /// The delivered messages that contain `text`.
    pub fn messages(&self, text: &str) -> Vec<String> {
        let files = self.folder.join("mail/all/new").read_dir().into_iter().flatten().flatten();
        let read = files.filter_map(|file| std::fs::read(file.path()).ok());
        read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .filter(|message| message.contains(text))
            .collect()
    }

    /// Waits for the log's line about whose message this is, by the queue's number in its Received header.
    #[track_caller]
    pub fn sender_of(&self, message: &str) -> String {
        let (_, number) = message.split_once(" id ").expect("a Received header with a number");
        let number: String = number.chars().take_while(char::is_ascii_alphanumeric).collect();
        let start = format!(" {number}: client=");
        wait::until(&format!("{start:?} in Postfix's log"), wait::SOON, || {
            self.log().lines().find(|line| line.contains(&start)).map(Into::into)
        })
    }
}

/// Fails the test with the package's name when Postfix is not installed.
fn can_be_started() {
    find("postfix", "postfix");
    assert!(Path::new(MASTER).exists(), "{MASTER} is missing: install the package postfix, or run ./test");
    assert!(rustix::process::getuid().is_root(), "Postfix serves only when root has started it: run this as root");
}

fn write_configuration(folder: &Path, beside: &Dovecot, ports: Ports) {
    let conf = folder.join("conf");
    std::fs::create_dir(&conf).unwrap();
    for name in ["postfix-files", "post-install", "dynamicmaps.cf"] {
        std::fs::copy(Path::new("/etc/postfix").join(name), conf.join(name)).unwrap();
    }
    let postfix = program::run("id", "coreutils", &["-u", "postfix"]).fine();
    let postfix = postfix.trim().parse().expect("the package's own user");
    for (name, owner) in [("queue", 0), ("data", postfix), ("mail", NOBODY)] {
        std::fs::create_dir(folder.join(name)).unwrap();
        chown(folder.join(name), Some(owner), None).unwrap();
    }
    let filled = |text: &str| {
        text.replace("{folder}", folder.to_str().unwrap())
            .replace("{address}", &beside.address.to_string())
            .replace("{name}", beside.name())
            .replace("{auth}", &beside.ports.auth.to_string())
            .replace("{submission}", &ports.submission.to_string())
            .replace("{submissions}", &ports.submissions.to_string())
            .replace("{certificate}", certs().server.certificate.to_str().unwrap())
            .replace("{key}", certs().server.key.to_str().unwrap())
            .replace("{nobody}", &NOBODY.to_string())
    };
    std::fs::write(conf.join("main.cf"), filled(MAIN)).unwrap();
    std::fs::write(conf.join("master.cf"), filled(SERVICES)).unwrap();
    // It fills the queue with folders.
    program::run("postfix", "postfix", &["-c", conf.to_str().unwrap(), "check"]).fine();
}

/// With `-d` the master stays in the process group in which it was started, and so do its children: they end with it.
fn launch(folder: &Path, address: Ipv4Addr, ports: Ports) -> Process {
    let conf = folder.join("conf");
    let arguments = ["-c", conf.to_str().unwrap(), "-d"];
    let mut process = Process::start(MASTER, "postfix", &arguments, &folder.join("master.log"));
    process.ready(|| {
        [ports.submission, ports.submissions].iter().all(|&port| TcpStream::connect((address, port)).is_ok())
    });
    process
}

const MASTER: &str = "/usr/lib/postfix/sbin/master";
const NOBODY: u32 = 65_534;

/// A service that cannot start is tried again at once, not after a minute. Names of clients are looked up, as everywhere: 127.0.0.1, from where the gateway comes, is `localhost`.
const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {name}.stores.example.org
mydestination =
mynetworks =
alias_maps =
alias_database =
local_transport = error:there is nobody here
default_transport = error:nothing leaves this machine
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {folder}/mail
virtual_minimum_uid = 1
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_error_sleep_time = 0
service_throttle_time = 1s
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{address}:{auth}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
";

/// None of them in a chroot.
const SERVICES: &str = "\
{address}:{submission} inet n - n - - smtpd
{address}:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";
