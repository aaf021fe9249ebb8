//! A real Dovecot 2.3: a back-end with IMAP and POP3, and one message a user that tells which server it is.

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::certs::{Leaf, certs};
use super::process::{Process, find};
use super::slapd::password;
use super::{keeper, ports, program};

/// The ports of all Dovecots of a site.
#[derive(Clone, Copy)]
pub struct Ports {
    /// Plain, with STARTTLS.
    pub imap: u16,
    /// Implicit TLS.
    pub imaps: u16,
    /// Plain, with STLS.
    pub pop3: u16,
    /// Implicit TLS.
    pub pop3s: u16,
    /// Where a Postfix asks who its clients are.
    pub auth: u16,
}

impl Ports {
    /// Free on every address.
    pub fn free() -> Self {
        let free = ports::free;
        Self { imap: free(), imaps: free(), pop3: free(), pop3s: free(), auth: free() }
    }
}

/// One back-end.
pub struct Dovecot {
    /// Where it listens.
    pub address: Ipv4Addr,
    /// On which ports.
    pub ports: Ports,
    name: &'static str,
    folder: PathBuf,
    process: Process,
}

/// The master user, who may log in for everyone.
pub const MASTER: &str = "gate";
/// Its password.
pub const MASTER_PASSWORD: &str = "master-secret";

impl Dovecot {
    /// Fills mailboxes and starts a server over them. The seeded message says "This is NAME."
    pub fn start(name: &'static str, address: Ipv4Addr, ports: Ports) -> Self {
        Self::start_with(name, address, ports, &certs().server)
    }

    /// As [`Self::start`], showing another certificate.
    pub fn start_with(name: &'static str, address: Ipv4Addr, ports: Ports, shown: &Leaf) -> Self {
        Self::start_as(name, address, ports, shown, MAILBOXES, "")
    }

    /// As [`Self::start`], but only these users exist, and these lines end its configuration.
    pub fn start_for(name: &'static str, address: Ipv4Addr, ports: Ports, mailboxes: &[&str], settings: &str) -> Self {
        Self::start_as(name, address, ports, &certs().server, mailboxes, settings)
    }

    fn start_as(
        name: &'static str,
        address: Ipv4Addr,
        ports: Ports,
        shown: &Leaf,
        mailboxes: &[&str],
        settings: &str,
    ) -> Self {
        is_version_2_3();
        let folder = keeper::folder("dovecot");
        let owner = Owner::find();
        std::fs::write(folder.join("users"), users(mailboxes, &owner)).unwrap();
        std::fs::write(folder.join("masters"), format!("{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n")).unwrap();
        let conf = configuration(&folder, address, ports, shown, &owner) + settings;
        std::fs::write(folder.join("dovecot.conf"), conf).unwrap();
        for user in mailboxes {
            seed(&folder.join("mail").join(user), name, user, &owner);
        }
        let process = launch(&folder, address, ports);
        Self { address, ports, name, folder, process }
    }

    /// What it calls itself in the seeded messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It and all its children die at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// It goes on taking connections, in the kernel, but does nothing any more; nor does any of its children.
    pub fn freeze(&self) {
        self.process.signal_all(Signal::STOP);
    }

    /// It goes on where it was frozen.
    pub fn thaw(&self) {
        self.process.signal_all(Signal::CONT);
    }

    /// After [`Self::kill`]: the same mail on the same ports.
    pub fn restart(&mut self) {
        self.process = launch(&self.folder, self.address, self.ports);
    }

    /// All that it has logged; `rip=` is the client as the server sees it.
    pub fn log(&self) -> String {
        let file = std::fs::read(self.folder.join("dovecot.log")).unwrap_or_default();
        String::from_utf8_lossy(&file).into_owned()
    }

    /// The log's lines about logins that contain `text`.
    pub fn logins(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains("Login: user=") && line.contains(text)).map(Into::into).collect()
    }
}

/// Everyone has a mailbox on every server, so that only the gateway's choice decides which of them is seen.
const MAILBOXES: &[&str] = &[
    "alice",
    "bob",
    "carol",
    "dave",
    "store-erin",
    "erin@corp.example",
    "ursula@corp.example",
    "frank",
    "heidi",
    "ivan",
    "niaj",
    "mallory",
    "twin1",
    "twin2",
    "o(*)hara",
];

/// As whom Dovecot serves mail: never as root.
struct Owner {
    uid: u32,
    gid: u32,
    is_root: bool,
}

impl Owner {
    fn find() -> Self {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        if uid == 0 { Self { uid: NOBODY, gid: NOBODY, is_root: true } } else { Self { uid, gid, is_root: false } }
    }
}

const NOBODY: u32 = 65_534;

fn users(names: &[&str], owner: &Owner) -> String {
    names.iter().fold(String::new(), |mut text, name| {
        let secret = password(if *name == "store-erin" { "erin" } else { name });
        writeln!(text, "{name}:{{PLAIN}}{secret}:{}:{}::::", owner.uid, owner.gid).unwrap();
        text
    })
}

fn seed(maildir: &Path, server: &str, user: &str, owner: &Owner) {
    for folder in ["", "cur", "new", "tmp"] {
        let folder = maildir.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        if owner.is_root {
            chown(&folder, Some(owner.uid), Some(owner.gid)).unwrap();
        }
    }
    let file = maildir.join("new/1000000000.M1P1.seed");
    let text = format!(
        "From: postmaster@example.org\nTo: {user}@example.org\nSubject: welcome\nMessage-ID: <{user}@{server}>\n\
         Date: Mon, 1 Jan 2024 00:00:00 +0000\n\nThis is {server}.\n"
    );
    std::fs::write(&file, text).unwrap();
    if owner.is_root {
        chown(&file, Some(owner.uid), Some(owner.gid)).unwrap();
    }
}

fn launch(folder: &Path, address: Ipv4Addr, ports: Ports) -> Process {
    let conf = folder.join("dovecot.conf");
    let arguments = ["-F", "-c", conf.to_str().unwrap()];
    let mut process = Process::start("dovecot", "dovecot-core", &arguments, &folder.join("dovecot.log"));
    process.ready(|| {
        let Ports { imap, imaps, pop3, pop3s, auth } = ports;
        [imap, imaps, pop3, pop3s, auth].iter().all(|&port| TcpStream::connect((address, port)).is_ok())
    });
    process
}

fn configuration(folder: &Path, address: Ipv4Addr, ports: Ports, shown: &Leaf, owner: &Owner) -> String {
    let conf = CONF
        .replace("{folder}", folder.to_str().unwrap())
        .replace("{address}", &address.to_string())
        .replace("{certificate}", shown.certificate.to_str().unwrap())
        .replace("{key}", shown.key.to_str().unwrap())
        .replace("{imap}", &ports.imap.to_string())
        .replace("{imaps}", &ports.imaps.to_string())
        .replace("{pop3}", &ports.pop3.to_string())
        .replace("{pop3s}", &ports.pop3s.to_string())
        .replace("{auth}", &ports.auth.to_string());
    if owner.is_root { conf } else { conf + &as_one_user(owner) }
}

/// Without root, every process of Dovecot runs as the same user, and none in a chroot.
fn as_one_user(owner: &Owner) -> String {
    let name = |kind: &str, id: u32| {
        let line = program::run("getent", "libc-bin", &[kind, &id.to_string()]).fine();
        line.split(':').next().expect("a name").to_owned()
    };
    let (user, group) = (name("passwd", owner.uid), name("group", owner.gid));
    let mut conf =
        format!("default_internal_user = {user}\ndefault_login_user = {user}\ndefault_internal_group = {group}\n");
    for service in ["anvil", "imap-login", "pop3-login", "stats", "log"] {
        write!(conf, "service {service} {{\n  chroot =\n}}\n").unwrap();
    }
    conf
}

/// Fails the test with the packages' names when Dovecot is not installed, or is of a family whose settings differ.
fn is_version_2_3() {
    for (program, package) in [("/usr/lib/dovecot/imap", "dovecot-imapd"), ("/usr/lib/dovecot/pop3", "dovecot-pop3d")] {
        assert!(Path::new(program).exists(), "{program} is missing: install the package {package}, or run ./test");
    }
    find("dovecot", "dovecot-core");
    let version = program::run("dovecot", "dovecot-core", &["--version"]).fine();
    assert!(version.starts_with("2.3."), "these tests configure Dovecot 2.3, as in Debian 12; found {version}");
}

/// `login_trusted_networks` lets ID and XCLIENT tell the client's address. Without its penalty socket anvil does not
/// make an address wait that guessed wrong, as all our clients at 127.0.0.1 do.
const CONF: &str = "\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap pop3
listen = {address}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
login_trusted_networks = 127.0.0.0/8
login_log_format_elements = user=<%u> method=%m rip=%r lip=%l session=<%{session}> %c
auth_failure_delay = 0
auth_mechanisms = plain login
auth_username_chars =
auth_master_user_separator = ~
mail_location = maildir:{folder}/mail/%n
mail_max_userip_connections = 1000
mailbox_idle_check_interval = 1 s
first_valid_uid = 1
first_valid_gid = 1
passdb {
  driver = passwd-file
  args = {folder}/masters
  master = yes
  pass = no
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}
userdb {
  driver = passwd-file
  args = username_format=%u {folder}/users
  override_fields = home={folder}/mail/%n
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  inet_listener {
    port = {auth}
  }
}
service imap-login {
  inet_listener imap {
    port = {imap}
  }
  inet_listener imaps {
    port = {imaps}
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = {pop3}
  }
  inet_listener pop3s {
    port = {pop3s}
    ssl = yes
  }
}
";
