//! SMTP-after-POP for other MTAs: who logged in through the gateway is known to who asks it, and nobody else is.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::live::{run, with_tokens};
use crate::support::certs::certs;
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::{BOTH, Mail};
use crate::support::plan::Plan;
use crate::support::redis::Redis;
use crate::support::{keeper, ports, site, wait};

/// Where an MTA asks a gateway.
pub struct Desk {
    pub policy: u16,
    pub socketmap: u16,
    pub whoson: u16,
}

/// What an MTA is told: the three answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Told(pub String, pub String, pub String);

impl Desk {
    /// Added to a plan; every address counts, loopback too.
    pub fn of(plan: Plan) -> (Self, Plan) {
        let desk = Self { policy: ports::free(), socketmap: ports::free(), whoson: ports::free() };
        let one = |protocol, port| format!("{{ protocol: {protocol}, address: \"127.0.0.1:{port}\" }}");
        let list =
            [one("policy", desk.policy), one("socketmap", desk.socketmap), one("whoson", desk.whoson)].join(", ");
        (desk, plan.set("smtp_after_pop", "{ exempt: [] }").set("lookup", &format!("[{list}]")))
    }

    /// In all three protocols.
    pub fn ask(&self, address: &str) -> Told {
        let query = format!("after-pop {address}");
        Told(
            answer(self.policy, &policy(address), "\n\n"),
            answer(self.socketmap, &format!("{}:{query},", query.len()), ","),
            answer(self.whoson, &format!("QUERY {address}\r\n\r\n"), "\r\n\r\n"),
        )
    }

    /// The record is written a moment after the client has its answer.
    #[track_caller]
    pub fn becomes(&self, address: &str, told: &Told) {
        wait::until_true(&format!("{address} to be {told:?}"), wait::SOON, || self.ask(address) == *told);
    }
}

pub fn policy(address: &str) -> String {
    format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address={address}\nsender=\n\n"
    )
}

pub fn user(name: &str) -> Told {
    let data = format!("OK {name}");
    Told("action=OK".into(), format!("{}:{data}", data.len()), format!("+{name}"))
}

pub fn nobody() -> Told {
    Told("action=DUNNO".into(), "9:NOTFOUND ".into(), "-Not Logged in".into())
}

fn away() -> Told {
    Told(String::new(), "25:TEMP the registry is away".into(), "*temporarily unavailable".into())
}

/// One question on a connection of its own: what comes in front of the answer's end, or before the server hangs up.
fn answer(port: u16, question: &str, end: &str) -> String {
    answer_from("127.0.0.1", port, question, end)
}

fn answer_from(source: &str, port: u16, question: &str, end: &str) -> String {
    use std::io::{Read, Write};
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(wait::SOON)).unwrap();
    let _ = stream.write_all(question.as_bytes());
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    while !heard.ends_with(end.as_bytes()) {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("no answer to {question:?}: {error}"),
        }
    }
    let heard = String::from_utf8(heard).unwrap();
    heard.strip_suffix(end).unwrap_or(&heard).to_owned()
}

fn log_in_from(mail: Mail, source: &str, gateway: &Gateway, name: &str) -> Client {
    let mut client = mail.open_from(source, gateway);
    mail.login(&mut client, name);
    client
}

#[test]
fn a_user_for_whom_submission_is_switched_off_vouches_for_nothing() {
    let (desk, plan) = Desk::of(with_tokens(site::shared().plan()));
    let gateway = Gateway::start(&plan);
    let mut reader = Mail::Imap.open_from("127.0.0.79", &gateway);
    Mail::Imap.login(&mut reader, "alice");
    desk.becomes("127.0.0.79", &user("alice@example.org"));
    run(&gateway, &["disable", "alice", "submission"]);
    desk.becomes("127.0.0.79", &nobody());
    run(&gateway, &["enable", "alice", "submission"]);
    desk.becomes("127.0.0.79", &user("alice@example.org"));
}

#[test]
fn who_logged_in_is_known_and_nobody_else_is() {
    let (desk, plan) = Desk::of(site::shared().plan());
    let gateway = Gateway::start(&plan);
    for (mail, here, elsewhere) in [(Mail::Imap, "127.0.0.71", "127.0.0.72"), (Mail::Pop3, "127.0.0.73", "127.0.0.74")]
    {
        assert_eq!(desk.ask(here), nobody());
        let mut client = mail.open_from(here, &gateway);
        assert!(!mail.is_in(&mail.try_login(&mut client, "alice", "wrong")));
        assert_eq!(desk.ask(here), nobody(), "a login that was refused");
        mail.login(&mut client, "alice");
        desk.becomes(here, &user("alice@example.org"));
        drop(client);
        gateway.logged(&["ending=", here]);
        assert_eq!(desk.ask(here), user("alice@example.org"), "the window outlives the session");
        assert_eq!(desk.ask(elsewhere), nobody());
    }
    drop(log_in_from(Mail::Pop3, "127.0.0.71", &gateway, "bob"));
    desk.becomes("127.0.0.71", &nobody());
    gateway.metric_becomes("registry_windows", &[], 2.0);
    assert!((gateway.metric("registry_records_total", &["recorded"]) - 3.0).abs() < 0.5);
    for protocol in ["policy", "socketmap", "whoson"] {
        assert!(gateway.metric("lookups_total", &[protocol, "user"]) >= 4.0);
        assert!(gateway.metric("lookups_total", &[protocol, "too_many_users"]) >= 1.0);
    }
}

#[test]
fn what_is_not_to_be_recorded_is_not_and_loopback_is_exempt() {
    let (desk, plan) = Desk::of(site::shared().plan());
    let gateway = Gateway::start(&plan.set("smtp_after_pop", "{ record: pop3 }"));
    let sessions = BOTH.map(|mail| log_in_from(mail, "127.0.0.71", &gateway, "alice"));
    gateway.metric_becomes("registry_records_total", &["exempt"], 1.0);
    gateway.metric_becomes("registry_records_total", &["other_protocol"], 1.0);
    assert_eq!(desk.ask("127.0.0.71"), nobody());
    drop(sessions);
}

#[test]
fn an_address_that_a_balancer_announces_is_the_clients_unless_it_is_nobodys() {
    let (desk, plan) = Desk::of(site::shared().plan());
    let plan = plan
        .set("services.imap.login.cleartext", "always")
        .listener("lb", "imap", "none")
        .set("listeners.lb.proxy_protocol", "{ from: [127.0.0.41] }");
    let gateway = Gateway::start(&plan);
    for (claimed, told) in
        [("127.0.0.1", nobody()), ("169.254.3.4", nobody()), ("192.0.2.71", user("alice@example.org"))]
    {
        let mut client = gateway.connect_from("127.0.0.41", "lb");
        client.send(format!("PROXY TCP4 {claimed} 192.0.2.1 40000 143\r\n"));
        client.expect("* OK ");
        Mail::Imap.login(&mut client, "alice");
        desk.becomes(claimed, &told);
        assert_eq!(desk.ask("127.0.0.41"), nobody(), "the balancer itself");
    }
    gateway.metric_becomes("registry_records_total", &["refused"], 2.0);
    assert_eq!(desk.ask("127.0.0.1"), nobody());
}

#[test]
fn only_who_is_listed_may_ask_and_bad_questions_get_the_protocols_error() {
    let (desk, plan) = Desk::of(site::shared().plan());
    let plan = plan.set(
        "lookup",
        &format!(
            "[{{ protocol: policy, address: \"127.0.0.1:{}\", from: [127.0.0.81] }}, \
             {{ protocol: socketmap, address: \"127.0.0.1:{}\" }}, {{ protocol: whoson, address: \"127.0.0.1:{}\" }}]",
            desk.policy, desk.socketmap, desk.whoson
        ),
    );
    let gateway = Gateway::start(&plan);
    assert_eq!(answer_from("127.0.0.81", desk.policy, &policy("192.0.2.1"), "\n\n"), "action=DUNNO");
    assert_eq!(answer_from("127.0.0.82", desk.policy, &policy("192.0.2.1"), "\n\n"), "");
    gateway.metric_becomes("lookups_total", &["policy", "stranger"], 1.0);
    assert_eq!(answer_from("127.0.0.81", desk.policy, "request=junk\n\n", "\n\n"), "");
    assert_eq!(answer(desk.socketmap, "GET / HTTP/1.1\r\n\r\n", ","), "");
    assert_eq!(answer(desk.socketmap, "3:abc,", ","), "18:PERM no map's name");
    assert_eq!(answer(desk.whoson, "LOGIN 192.0.2.1 mallory\r\n\r\n", "\r\n\r\n"), "*not allowed");
    assert_eq!(answer(desk.whoson, "nonsense\r\n\r\n", "\r\n\r\n"), "*bad request");
    gateway.metric_becomes("lookups_total", &["malformed"], 2.0);
}

#[test]
fn thousands_of_questions_on_one_connection_are_answered_in_order() {
    use std::io::{Read, Write};
    let (desk, plan) = Desk::of(site::shared().plan());
    let gateway = Gateway::start(&plan);
    let session = log_in_from(Mail::Imap, "127.0.0.75", &gateway, "alice");
    desk.becomes("127.0.0.75", &user("alice@example.org"));
    let questions: Vec<&str> = (0..20_000).map(|n| if n % 3 == 0 { "127.0.0.75" } else { "127.0.0.76" }).collect();
    let expected: String =
        questions.iter().map(|ip| if ip.ends_with('5') { "action=OK\n\n" } else { "action=DUNNO\n\n" }).collect();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", desk.policy)).unwrap();
    stream.set_read_timeout(Some(wait::SOON)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let start = Instant::now();
    let writing = std::thread::spawn(move || {
        for question in questions {
            writer.write_all(policy(question).as_bytes()).unwrap();
        }
    });
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).unwrap();
    let rate = 20_000.0 / start.elapsed().as_secs_f64();
    writing.join().unwrap();
    assert!(heard == expected.as_bytes(), "the answers are in order");
    println!("{rate:.0} questions a second on one connection");
    assert!(rate > 2_000.0, "{rate} a second");
    drop(session);
}

#[test]
fn a_file_remembers_through_a_kill() {
    let file = keeper::folder("registry").join("portcullis.redb");
    let store = format!("{{ store: {{ disk: \"{}\" }} }}", file.display());
    let (desk, plan) = Desk::of(site::shared().plan().set("registry", &store));
    let gateway = Gateway::start(&plan);
    let session = log_in_from(Mail::Imap, "127.0.0.71", &gateway, "alice");
    gateway.metric_becomes("registry_writes_total", &["written"], 1.0);
    // SIGKILL, as a power cut.
    drop(gateway);
    let again = Gateway::start(&plan);
    assert_eq!(desk.ask("127.0.0.71"), user("alice@example.org"));
    assert_eq!(desk.ask("127.0.0.72"), nobody());
    drop(session);
    // An orderly end writes what is new, whenever it comes.
    drop(log_in_from(Mail::Pop3, "127.0.0.73", &again, "bob"));
    desk.becomes("127.0.0.73", &user("bob@example.org"));
    let mut again = again;
    again.terminate();
    assert!(again.wait(Duration::from_secs(10)).success());
    let last = Gateway::start(&plan);
    assert_eq!(desk.ask("127.0.0.73"), user("bob@example.org"));
    drop(last);
}

#[test]
fn two_gateways_share_a_server_and_logins_go_on_without_it() {
    let server = Redis::start();
    let (near, one) = Desk::of(server.keeps(site::shared().plan()));
    let (far, two) = Desk::of(server.keeps(site::shared().plan()));
    let (one, two) = (Gateway::start(&one), Gateway::start(&two));
    [&one, &two].iter().for_each(|gateway| gateway.metric_becomes("registry_up", &[], 1.0));
    assert_eq!(far.ask("127.0.0.71"), nobody());
    let session = log_in_from(Mail::Imap, "127.0.0.71", &one, "alice");
    far.becomes("127.0.0.71", &user("alice@example.org"));

    server.signal(Signal::STOP);
    let start = Instant::now();
    assert_eq!((near.ask("127.0.0.71"), far.ask("127.0.0.71")), (away(), away()));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let other = log_in_from(Mail::Pop3, "127.0.0.72", &two, "bob");
    server.signal(Signal::CONT);
    far.becomes("127.0.0.71", &user("alice@example.org"));
    near.becomes("127.0.0.72", &user("bob@example.org"));
    let outages = one.log().lines().filter(|line| line.contains("store is away")).count();
    assert!(outages <= 1, "one line an outage:\n{}", one.log());
    drop((session, other));
}

#[test]
fn a_server_behind_tls_is_shared_when_its_certificate_is_one_to_trust() {
    let mut server = Redis::start();
    let ours = format!("{{ ca: \"{}\" }}", certs().ca_file.display());
    let (desk, plan) = Desk::of(server.keeps_over_tls(site::shared().plan(), &ours));
    let (other, unverified) = Desk::of(server.keeps_over_tls(site::shared().plan(), "{ verify: false }"));
    let (gateway, far) = (Gateway::start(&plan), Gateway::start(&unverified));
    let session = log_in_from(Mail::Imap, "127.0.0.71", &gateway, "alice");
    desk.becomes("127.0.0.71", &user("alice@example.org"));
    other.becomes("127.0.0.71", &user("alice@example.org"));
    server.kill();
    desk.becomes("127.0.0.71", &away());
    server.restart();
    desk.becomes("127.0.0.71", &user("alice@example.org"));

    let stranger = format!("{{ ca: \"{}\" }}", certs().stranger.certificate.display());
    let (desk, plan) = Desk::of(server.keeps_over_tls(site::shared().plan(), &stranger));
    let gateway = Gateway::start(&plan);
    gateway.logged(&["store is away", "certificate is not one to trust"]);
    assert_eq!(desk.ask("127.0.0.71"), away());
    drop((session, far));
}
