//! A real slapd with the users of the tests.

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;

use rustix::process::Signal;

use super::certs::certs;
use super::process::{Process, find};
use super::{keeper, ports, program};

/// The directory server. It logs every operation (level `stats`), so that a test can count searches.
pub struct Slapd {
    /// LDAP, with StartTLS on request.
    pub port: u16,
    /// LDAPS.
    pub tls_port: u16,
    folder: PathBuf,
    process: Process,
}

/// The DN that the gateway searches as.
pub const BIND_DN: &str = "cn=portcullis,dc=example,dc=org";
/// Its password.
pub const BIND_PASSWORD: &str = "gateway-secret";

impl Slapd {
    /// Seeds a database and starts a server on it.
    pub fn start() -> Self {
        Self::start_with(&people())
    }

    /// As [`Self::start`], with these entries in place of the users of the tests.
    pub fn start_with(people: &str) -> Self {
        Self::start_with_schema("", people)
    }

    /// The same, with more attributes and classes.
    pub fn start_with_schema(schema: &str, people: &str) -> Self {
        let folder = keeper::folder("slapd");
        std::fs::write(folder.join("more.schema"), schema).unwrap();
        std::fs::create_dir(folder.join("db")).unwrap();
        let (certs, path) = (certs(), folder.display());
        let conf = CONF
            .replace("{folder}", &path.to_string())
            .replace("{certificate}", certs.server.certificate.to_str().unwrap())
            .replace("{key}", certs.server.key.to_str().unwrap());
        std::fs::write(folder.join("slapd.conf"), conf).unwrap();
        std::fs::write(folder.join("seed.ldif"), format!("{TREE}{people}")).unwrap();
        let (conf, seed) = (format!("{path}/slapd.conf"), format!("{path}/seed.ldif"));
        program::run("slapadd", "slapd", &["-q", "-f", &conf, "-l", &seed]).fine();
        let (port, tls_port) = (ports::free(), ports::free());
        let process = launch(&folder, port, tls_port);
        Self { port, tls_port, folder, process }
    }

    /// `ldap://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// `ldaps://127.0.0.1:PORT`.
    pub fn tls_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// It dies at once; its port refuses connections.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// It goes on taking connections, in the kernel, but does nothing any more.
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// It goes on where it was frozen.
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// After [`Self::kill`]: the same data on the same ports.
    pub fn restart(&mut self) {
        self.process = launch(&self.folder, self.port, self.tls_port);
    }

    /// Who may read entries, such as `by dn.exact="…" read by * none`; it is away for a moment.
    pub fn set_access(&mut self, access: &str) {
        self.kill();
        let file = self.folder.join("slapd.conf");
        let conf = std::fs::read_to_string(&file).unwrap();
        let lines = conf.lines().map(|line| match line.starts_with("access to * ") {
            true => format!("access to * {access}\n"),
            false => format!("{line}\n"),
        });
        std::fs::write(&file, lines.collect::<String>()).unwrap();
        self.restart();
    }

    /// Adds a user of `one.stores.example.org`; it is away for a moment.
    #[track_caller]
    pub fn add(&mut self, name: &str) {
        self.kill();
        let ldif = format!(
            "dn: cn={name},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: inetLocalMailRecipient\n\
             cn: {name}\nsn: {name}\nmail: {name}@example.org\nuid: {name}\nmailHost: {ONE}\n"
        );
        let (conf, file) = (self.folder.join("slapd.conf"), self.folder.join("added.ldif"));
        std::fs::write(&file, ldif).unwrap();
        program::run("slapadd", "slapd", &["-f", conf.to_str().unwrap(), "-l", file.to_str().unwrap()]).fine();
        self.restart();
    }

    /// Changes an entry while it runs, such as by `replace: employeeType\nemployeeType: locked`.
    #[track_caller]
    pub fn modify(&self, dn: &str, change: &str) {
        let file = self.folder.join("change.ldif");
        std::fs::write(&file, format!("dn: {dn}\nchangetype: modify\n{change}\n")).unwrap();
        let (url, file) = (self.url(), file.display().to_string());
        let arguments = ["-x", "-H", &url, "-D", "cn=root,dc=example,dc=org", "-w", "root-secret", "-f", &file];
        program::run("ldapmodify", "ldap-utils", &arguments).fine();
    }

    /// How many searches it was asked whose logged filter contains `text`.
    pub fn searches(&self, text: &str) -> usize {
        self.process.log().lines().filter(|line| line.contains(" SRCH base=") && line.contains(text)).count()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn launch(folder: &std::path::Path, port: u16, tls_port: u16) -> Process {
    let conf = folder.join("slapd.conf");
    let urls = format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/");
    let arguments = ["-f", conf.to_str().unwrap(), "-h", &urls, "-d", "stats"];
    let mut process = Process::start("slapd", "slapd", &arguments, &folder.join("slapd.log"));
    process.ready(|| [port, tls_port].iter().all(|&port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()));
    process
}

/// A user of the tests, as the directory knows it.
struct Person {
    /// The RDN, and what `{user}` or `{local}` of a login is compared with: `mail` is this at example.org.
    cn: &'static str,
    mail: &'static str,
    /// The name at the back-end.
    uid: &'static str,
    /// Empty = there is none.
    host: &'static str,
    /// `employeeType` and `businessCategory`: core schemas have no better words for "status" and "services".
    more: &'static str,
}

/// The passwords are `NAME-secret`, here and at the back-ends; but for ivan's, who has another one here.
const PEOPLE: &[Person] = &[
    person("alice", ONE, ""),
    person("bob", TWO, ""),
    person("carol", ONE, "employeeType: locked\n"),
    person("dave", "foreign.example.net", ""),
    Person { cn: "twin1", mail: "twins", uid: "twin1", host: ONE, more: "" },
    Person { cn: "twin2", mail: "twins", uid: "twin2", host: TWO, more: "" },
    Person { cn: "erin", mail: "erin", uid: "store-erin", host: TWO, more: "" },
    person("frank", ONE, "businessCategory: imap\n"),
    person("grace", ONE, "employeeType: maintenance\n"),
    person("heidi", "stores", ""),
    person("ivan", ONE, ""),
    person("niaj", "127.0.0.12", ""),
    person("mallory", "127.0.0.1:6379", ""),
    person("o(*)hara", TWO, ""),
    person("peggy", TWO, "mailLocalAddress: sales@example.org\nmailLocalAddress: p.smith@example.net\n"),
    person("quentin", ONE, "mailLocalAddress: @example.net\nmailRoutingAddress: catch-all@one.stores.example.org\n"),
    person("rupert", "", "mailLocalAddress: support@example.org\nmailRoutingAddress: Peggy@example.org\n"),
    person("sybil", "", "mailRoutingAddress: sybil@elsewhere.example\n"),
];

const ONE: &str = "one.stores.example.org";
const TWO: &str = "two.stores.example.org";

const fn person(name: &'static str, host: &'static str, more: &'static str) -> Person {
    Person { cn: name, mail: name, uid: name, host, more }
}

/// The password of a user.
pub fn password(user: &str) -> String {
    format!("{user}-secret")
}

fn people() -> String {
    let mut ldif = String::new();
    for Person { cn, mail, uid, host, more } in PEOPLE {
        let password = if *cn == "ivan" { "ivan-directory".into() } else { password(mail) };
        let dn = cn.replace('\\', "\\\\");
        write!(
            ldif,
            "\ndn: cn={dn},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\n\
             objectClass: inetLocalMailRecipient\ncn: {cn}\nsn: {cn}\nmail: {mail}@example.org\nuid: {uid}\n\
             userPassword: {password}\n{more}"
        )
        .unwrap();
        if !host.is_empty() {
            writeln!(ldif, "mailHost: {host}").unwrap();
        }
    }
    ldif
}

/// Fails the test with the package's name when slapd is not installed.
pub fn is_there() {
    find("slapd", "slapd");
    find("ldapsearch", "ldap-utils");
}

const TREE: &str = "\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: cn=portcullis,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: portcullis
userPassword: gateway-secret
";

/// `cn=root` may do everything, and tests alone are that. Only the gateway's DN may search; a user may do no more than prove a password.
const CONF: &str = "\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
include {folder}/more.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {certificate}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
threads 4
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=\"cn=portcullis,dc=example,dc=org\" read by * none
database mdb
suffix dc=example,dc=org
rootdn cn=root,dc=example,dc=org
rootpw root-secret
directory {folder}/db
maxsize 33554432
dbnosync
index objectClass,mail,uid eq
";
