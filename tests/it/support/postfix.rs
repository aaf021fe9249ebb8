//! A real Postfix 3: the submission server beside a Dovecot, which it asks who its clients are; or a stranger's server.
//!
//! The first believes XCLIENT of 127.0.0.1, where the gateway is, keeps what users send in one maildir, and relays for nobody who has not logged in.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
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
    /// Plain, with STARTTLS, for mail from anywhere to its own domain.
    pub smtp: u16,
}

impl Ports {
    /// Free on every address.
    pub fn free() -> Self {
        Self { submission: ports::free(), submissions: ports::free(), smtp: ports::free() }
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
        let auth = format!("inet:{}:{}", beside.address, beside.ports.auth);
        Self::start_as(beside.name(), beside.address, ports, &BESIDE.replace("{auth}", &auth))
    }

    /// Starts a server that knows neither the site nor its users; mail to anywhere that these restrictions (lines of
    /// main.cf) let through is kept.
    pub fn stranger(restrictions: &str) -> Self {
        let settings = format!("{ANYWHERE}{restrictions}\n");
        Self::start_as("stranger", Ipv4Addr::new(127, 0, 0, 13), Ports::free(), &settings)
    }

    /// Starts a server that sends all its mail through a gateway on this port.
    pub fn sender(gateway: u16) -> Self {
        let settings = SENDER.replace("{gateway}", &gateway.to_string());
        Self::start_as("sender", Ipv4Addr::new(127, 0, 0, 14), Ports::free(), &settings)
    }

    /// Starts a server that holds everything in its queue, in memory: only there is each message exactly once, for a
    /// delivery that is killed is begun anew.
    pub fn holding(name: &str, address: Ipv4Addr, ports: Ports) -> Self {
        Self::start_in(keeper::folder_in_memory("postfix"), name, address, ports, HOLDING)
    }

    fn start_as(name: &str, address: Ipv4Addr, ports: Ports, settings: &str) -> Self {
        Self::start_in(keeper::folder("postfix"), name, address, ports, settings)
    }

    fn start_in(folder: PathBuf, name: &str, address: Ipv4Addr, ports: Ports, settings: &str) -> Self {
        can_be_started();
        write_configuration(&folder, name, address, ports, settings);
        let process = launch(&folder, address, ports);
        Self { address, ports, folder, process }
    }

    /// Where it speaks plain SMTP.
    pub fn plain(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.ports.submission))
    }

    /// Where it takes mail for its own domain.
    pub fn port_25(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.ports.smtp))
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

    /// How many messages it holds that are not delivered yet.
    pub fn queued(&self) -> usize {
        let folders = ["incoming", "active", "deferred", "maildrop"].map(|name| self.folder.join("queue").join(name));
        folders.iter().map(|folder| files_below(folder)).sum()
    }

    /// What is in its queue, each message as its file has it; but for those that it has not taken: they cannot be
    /// executed, as Postfix puts it.
    pub fn queue(&self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        for name in ["incoming", "active", "deferred", "hold"] {
            visit(&self.folder.join("queue").join(name), &mut |file| {
                if file.metadata().is_ok_and(|about| about.permissions().mode() & 0o100 != 0) {
                    messages.push(std::fs::read(file).unwrap());
                }
            });
        }
        messages
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

fn files_below(folder: &Path) -> usize {
    let mut count = 0;
    visit(folder, &mut |_| count += 1);
    count
}

fn visit(folder: &Path, look: &mut impl FnMut(&Path)) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { visit(&path, look) } else { look(&path) }
    }
}

/// Fails the test with the package's name when Postfix is not installed.
fn can_be_started() {
    find("postfix", "postfix");
    assert!(Path::new(MASTER).exists(), "{MASTER} is missing: install the package postfix, or run ./test");
    assert!(rustix::process::getuid().is_root(), "Postfix serves only when root has started it: run this as root");
}

fn write_configuration(folder: &Path, name: &str, address: Ipv4Addr, ports: Ports, settings: &str) {
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
            .replace("{address}", &address.to_string())
            .replace("{name}", name)
            .replace("{submission}", &ports.submission.to_string())
            .replace("{submissions}", &ports.submissions.to_string())
            .replace("{smtp}", &ports.smtp.to_string())
            .replace("{certificate}", certs().server.certificate.to_str().unwrap())
            .replace("{key}", certs().server.key.to_str().unwrap())
            .replace("{nobody}", &NOBODY.to_string())
    };
    std::fs::write(conf.join("main.cf"), filled(MAIN) + settings).unwrap();
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
        [ports.submission, ports.submissions, ports.smtp]
            .iter()
            .all(|&port| TcpStream::connect((address, port)).is_ok())
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
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {folder}/mail
virtual_minimum_uid = 1
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_error_sleep_time = 0
service_throttle_time = 1s
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
";

/// Beside a Dovecot.
const BESIDE: &str = "\
default_transport = error:nothing leaves this machine
virtual_mailbox_domains = example.org
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
";

/// Whatever is relayed ends in the maildir, and so does not leave this machine either.
const ANYWHERE: &str = "\
virtual_mailbox_domains =
default_transport = virtual
";

/// Nothing is delivered.
const HOLDING: &str = "\
virtual_mailbox_domains = example.org
default_transport = error:nothing leaves this machine
smtpd_client_restrictions = static:HOLD
in_flow_delay = 0
";

/// What it has is sent on at once, and again each second until all of it is taken.
const SENDER: &str = "\
virtual_mailbox_domains =
default_transport = smtp
relayhost = [127.0.0.1]:{gateway}
smtpd_relay_restrictions = permit_sasl_authenticated, permit_mynetworks, reject
mynetworks = 127.0.0.0/8
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
smtp_tls_security_level = may
smtp_send_xforward_command = no
";

/// None of them in a chroot. On port 25 an end of data is what it was before 2023, so that all that keeps messages apart is
/// the gateway.
const SERVICES: &str = "\
{address}:{submission} inet n - n - - smtpd
{address}:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
{address}:{smtp} inet n - n - - smtpd -o smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination
 -o smtpd_forbid_bare_newline=no
smtp unix - - n - - smtp
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
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
