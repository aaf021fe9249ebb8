//! The support by itself, without a gateway between: a failure here is a failure of the tests, not of what they test.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::client::Client;
use crate::support::dovecot::{Dovecot, MASTER, MASTER_PASSWORD, Ports};
use crate::support::fake::{BlackHole, Fake, Step, hear, say};
use crate::support::postfix::{self, Postfix};
use crate::support::program::{self, curl};
use crate::support::slapd::{self, BIND_DN, BIND_PASSWORD, Slapd};
use crate::support::{certs::certs, site, wait};

#[test]
fn a_dovecot_answers_over_both_kinds_of_tls_with_its_own_message() {
    let site = site::shared();
    for dovecot in [&site.one, &site.two] {
        let (at, ports) = (dovecot.address, dovecot.ports);
        let ca = format!("localhost:{}:{at}", ports.imaps);
        let url = format!("imaps://localhost:{}/INBOX;MAILINDEX=1;SECTION=TEXT", ports.imaps);
        let text = curl(&url, "alice:alice-secret", &["--resolve", &ca]).fine();
        assert!(text.contains(&format!("This is {}.", dovecot.name())), "{text}");

        let resolve = format!("localhost:{}:{at}", ports.pop3);
        let url = format!("pop3://localhost:{}/1", ports.pop3);
        let text = curl(&url, "bob:bob-secret", &["--ssl-reqd", "--resolve", &resolve]).fine();
        assert!(text.contains(&format!("This is {}.", dovecot.name())), "{text}");
    }
}

#[test]
fn a_dovecot_believes_what_id_and_xclient_say_and_its_log_shows_it() {
    let one = &site::shared().one;
    let mut imap = Client::connect((one.address, one.ports.imap).into());
    imap.expect("* OK ");
    imap.send("i ID (\"x-originating-ip\" \"192.0.2.71\" \"x-originating-port\" \"1\")\r\n");
    imap.lines_to("i OK");
    imap.send("l LOGIN alice alice-secret\r\n");
    imap.lines_to("l OK");
    wait::until_true("the IMAP client's address", wait::SOON, || !one.logins("rip=192.0.2.71").is_empty());

    let mut pop3 = Client::connect((one.address, one.ports.pop3).into());
    assert!(pop3.line().contains("[XCLIENT]"));
    pop3.ask_for("XCLIENT ADDR=192.0.2.72 PORT=1", "+OK");
    pop3.ask_for("USER alice", "+OK");
    pop3.ask_for("PASS alice-secret", "+OK");
    wait::until_true("the POP3 client's address", wait::SOON, || !one.logins("rip=192.0.2.72").is_empty());
}

#[test]
fn a_dovecot_lets_the_master_user_in_for_others_and_nobody_else() {
    let one = &site::shared().one;
    let url = format!("imap://localhost:{}/INBOX;MAILINDEX=1;SECTION=TEXT", one.ports.imap);
    let resolve = format!("localhost:{}:{}", one.ports.imap, one.address);
    let ask = |password: &str| {
        let login = format!("{MASTER}:{password}");
        curl(
            &url,
            &login,
            &["--ssl-reqd", "--resolve", &resolve, "--sasl-authzid", "alice", "--login-options", "AUTH=PLAIN"],
        )
    };
    assert!(ask(MASTER_PASSWORD).fine().contains("This is one."));
    assert_eq!(ask("wrong").code, Some(67), "curl's word for a refused login");
}

#[test]
fn a_slapd_answers_the_gateways_dn_and_hides_its_users_from_others() {
    slapd::is_there();
    let slapd = &site::shared().slapd;
    let url = slapd.url();
    let ask = |bind: &[&str]| {
        let mut arguments = vec!["-LLL", "-x", "-H", &url, "-b", "dc=example,dc=org"];
        arguments.extend(bind);
        arguments.extend(["(mail=alice@example.org)", "mailHost"]);
        program::run("ldapsearch", "ldap-utils", &arguments)
    };
    let known = ask(&["-D", BIND_DN, "-w", BIND_PASSWORD]).fine();
    assert!(known.contains("mailHost: one.stores.example.org"), "{known}");
    let stranger = ask(&[]);
    assert!(!stranger.out.contains("mailHost"), "{stranger:#?}");
    wait::until_true("the search in slapd's log", wait::SOON, || slapd.searches("mail=alice@example.org") >= 2);
}

#[test]
fn a_slapd_speaks_tls_both_ways_with_the_tests_certificate() {
    let slapd = &site::shared().slapd;
    let ca = certs().ca_file.to_str().unwrap().to_owned();
    for (url, upgrade) in [(slapd.url(), "-ZZ"), (slapd.tls_url(), "-x")] {
        let script = format!(
            "LDAPTLS_CACERT='{ca}' exec ldapsearch -LLL -x {upgrade} -H '{url}' -D '{BIND_DN}' -w '{BIND_PASSWORD}' \
             -b dc=example,dc=org mail=bob@example.org mailHost"
        );
        let answer = program::run("sh", "dash", &["-c", &script]).fine();
        assert!(answer.contains("mailHost: two.stores.example.org"), "{answer}");
    }
}

#[test]
fn servers_come_back_on_their_ports_after_they_were_killed() {
    let mut slapd = Slapd::start();
    let mut dovecot = Dovecot::start("one", Ipv4Addr::new(127, 0, 0, 13), Ports::free());
    let greeted = |dovecot: &Dovecot| Client::connect((dovecot.address, dovecot.ports.imap).into()).try_line().is_ok();
    assert!(greeted(&dovecot));
    slapd.kill();
    dovecot.kill();
    assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, slapd.port)).is_err());
    assert!(std::net::TcpStream::connect((dovecot.address, dovecot.ports.imap)).is_err());
    slapd.restart();
    dovecot.restart();
    assert!(greeted(&dovecot));
}

#[test]
fn a_fake_plays_its_script_and_remembers_what_it_heard() {
    let fake = Fake::start(vec![say("* OK hi\r\n"), hear("login"), Step::Drip(b"x NO\r\n".to_vec()), Step::Close]);
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, fake.port).into());
    client.expect("* OK hi");
    assert_eq!(client.ask("x LOGIN a b"), "x NO");
    assert_eq!(client.closed(), "");
    assert_eq!((fake.heard().as_str(), fake.connections()), ("x LOGIN a b\r\n", 1));
}

#[test]
fn a_black_hole_takes_no_connection() {
    let hole = BlackHole::start();
    let address = (Ipv4Addr::LOCALHOST, hole.port).into();
    let error = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

/// Started by the test below in a process of its own, and killed there.
#[test]
#[ignore = "it leaves servers behind, for another test to see them go"]
fn leaves_servers_behind() {
    let slapd = Slapd::start();
    let dovecot = Dovecot::start("one", Ipv4Addr::new(127, 0, 0, 13), Ports::free());
    let postfix = Postfix::start(&dovecot, postfix::Ports::free());
    let mut session = Client::connect((dovecot.address, dovecot.ports.imap).into());
    session.expect("* OK");
    session.ask_for("a LOGIN alice alice-secret", "a OK");
    std::mem::forget((slapd, dovecot, postfix, session));
    std::process::abort();
}

#[test]
fn no_server_and_no_file_outlives_the_tests_even_when_they_are_aborted() {
    let folder = tempfile::Builder::new().prefix("pc-end-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // This very program, even if a build has put another one in its place meanwhile.
    let status = Command::new("/proc/self/exe")
        .args(["--ignored", "--exact", "support_works::leaves_servers_behind"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), None, "it was to be aborted, which is no exit");
    wait::until_true("the servers and their files to go", wait::SOON, || {
        processes_about(folder.path()).is_empty() && folder.path().read_dir().unwrap().next().is_none()
    });
}

/// Living processes that have `folder` in their command line or a file below it open. Dead ones that nobody has
/// reaped do not count: that is for whoever adopted them.
fn processes_about(folder: &Path) -> Vec<String> {
    let numbered = |name: &std::ffi::OsStr| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
    let about = |process: &Path| {
        let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let files = process.join("fd").read_dir().into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| file.path().read_link().ok());
        (command.contains(folder.to_str()?) || targets.any(|file| file.starts_with(folder))).then_some(command)
    };
    let all = Path::new("/proc").read_dir().unwrap().flatten();
    all.filter(|entry| numbered(&entry.file_name())).filter_map(|entry| about(&entry.path())).collect()
}
