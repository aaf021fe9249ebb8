//! Who is on, from where, on which back-end; and a hand to act: the API and the command line over real sessions.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::client::Client;
use crate::support::gateway::{Gateway, portcullis};
use crate::support::mail::{BOTH, Mail, Refusal};
use crate::support::plan::Plan;
use crate::support::program::Outcome;
use crate::support::{keeper, site, wait};

pub const OPS: &str = "ops-ops-ops-ops-ops";
pub const VIEW: &str = "view-view-view-view";

fn plan() -> Plan {
    with_tokens(site::shared().plan())
}

/// The same for an operator and a viewer.
pub fn with_tokens(plan: Plan) -> Plan {
    let tokens = format!("[{{ name: ops, token: {OPS}, may: admin }}, {{ name: view, token: {VIEW}, may: read }}]");
    plan.set("admin.tokens", &tokens)
}

/// Status and body of an API call.
#[track_caller]
pub fn call(gateway: &Gateway, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let head = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    raw(
        gateway,
        &format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

#[track_caller]
fn raw(gateway: &Gateway, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(gateway.address("admin")).unwrap();
    stream.set_read_timeout(Some(wait::SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A body that is too long is not read to its end, and may cost the answer's tail a reset.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("no status: {answer:?}")), body)
}

/// Runs a verb of the command line as the operator.
#[track_caller]
pub fn run(gateway: &Gateway, arguments: &[&str]) -> String {
    run_as_is(gateway, arguments).fine()
}

/// The same where it may be refused.
#[track_caller]
pub fn run_as_is(gateway: &Gateway, arguments: &[&str]) -> Outcome {
    let file = keeper::folder("token").join("token");
    std::fs::write(&file, format!("{OPS}\n")).unwrap();
    let admin = format!("http://{}", gateway.address("admin"));
    portcullis(&[arguments, &["--admin", &admin, "--token-file", file.to_str().unwrap()]].concat())
}

fn open(mail: Mail, source: &str, gateway: &Gateway, user: &str) -> Client {
    let mut client = mail.open_from(source, gateway);
    mail.login(&mut client, user);
    client
}

#[track_caller]
fn are_on(gateway: &Gateway, count: f64) {
    gateway.metric_becomes("sessions", &[], count);
}

#[test]
fn who_lists_sessions_with_their_true_addresses_and_back_ends() {
    let gateway = Gateway::start(&plan());
    let _held = [open(Mail::Imap, "127.0.0.81", &gateway, "alice"), open(Mail::Pop3, "127.0.0.82", &gateway, "bob")];
    are_on(&gateway, 2.0);
    let table = run(&gateway, &["who"]);
    for words in [
        ["alice@example.org", "imap", "127.0.0.81:", "TLSv1_3", "one.stores"],
        ["bob@example.org", "pop3", "127.0.0.82:", "TLSv1_3", "two.stores"],
    ] {
        assert!(table.lines().any(|line| words.iter().all(|word| line.contains(word))), "{words:?} in\n{table}");
    }
    assert!(table.ends_with("2 sessions\n"), "{table}");
    assert!(run(&gateway, &["who", "--user", "bob"]).ends_with("1 session\n"));
    assert!(run(&gateway, &["who", "--from", "127.0.0.83", "--json"]).contains("\"sessions\": []"));
    let detail = run(&gateway, &["user", "alice"]);
    assert!(detail.contains("127.0.0.81") && detail.contains("alice@example.org"), "{detail}");
    assert!(run(&gateway, &["ips", "alice"]).contains("127.0.0.81"));
    assert!(run(&gateway, &["status"]).contains("one.stores.example.org"));
}

#[test]
fn who_is_kicked_hears_bye_and_nobody_else_does() {
    let gateway = Gateway::start(&plan());
    let whom: [(&[&str], &str); 4] = [
        (&["--user", "alice"], "alice@example.org (typed: alice): "),
        (&["alice@example.org"], "alice@example.org: "),
        (&["--from", "127.0.0.84"], ""),
        (&["--backend", "one.stores.example.org"], ""),
    ];
    for (which, of) in whom {
        let mut other = open(Mail::Imap, "127.0.0.85", &gateway, "bob");
        let mut client = open(Mail::Imap, "127.0.0.84", &gateway, "alice");
        are_on(&gateway, 2.0);
        assert_eq!(run(&gateway, &[&["kick"], which].concat()), format!("{of}sessions dropped: 1\n"));
        assert!(client.line().starts_with("* BYE "), "{which:?}");
        are_on(&gateway, 1.0);
        other.ask_for("n NOOP", "n OK");
        drop(other);
        are_on(&gateway, 0.0);
    }
    let mut client = open(Mail::Imap, "127.0.0.84", &gateway, "alice");
    are_on(&gateway, 1.0);
    let table = run(&gateway, &["who"]);
    let id = table.lines().nth(1).and_then(|line| line.split(' ').next()).expect("an id");
    run(&gateway, &["kick", "--session", id]);
    assert!(client.line().starts_with("* BYE "));
    gateway.logged(&["ending=\"kicked\"", id]);
    gateway.logged(&["administrator", "by=\"ops\"", "what=\"alice@example.org\"", "count=1"]);
    gateway.metric_becomes("kicks_total", &[], 5.0);
    gateway.is_calm();
}

#[test]
fn a_protocol_that_is_switched_off_is_refused_and_the_others_work() {
    let gateway = Gateway::start(&plan());
    let mut on = open(Mail::Imap, "127.0.0.86", &gateway, "alice");
    are_on(&gateway, 1.0);
    assert!(run(&gateway, &["disable", "alice", "pop3"]).contains("until the gateway restarts"));
    let mut client = Mail::Pop3.open(&gateway);
    let answer = Mail::Pop3.try_login(&mut client, "alice", "alice-secret");
    Mail::Pop3.refused(&answer, Refusal::Policy);
    gateway.logged(&["login denied", "switched this protocol off"]);
    drop(Mail::Imap.session(&gateway, "alice"));
    drop(Mail::Pop3.session(&gateway, "bob"));
    on.ask_for("n NOOP", "n OK");
    assert_eq!(
        run(&gateway, &["enable", "alice", "pop3"]),
        "pop3 is enabled for alice@example.org (typed: alice), until the gateway restarts (registry.store is memory)\n"
    );
    drop(Mail::Pop3.session(&gateway, "alice"));
    run(&gateway, &["disable", "alice", "imap", "--now"]);
    assert!(on.line().starts_with("* BYE "), "those that are on, if asked");
}

#[test]
fn who_asks_wrongly_is_told_what_is_wrong() {
    let gateway = Gateway::start(&plan());
    let url = format!("http://{}", gateway.address("admin"));
    let file = keeper::folder("token").join("token");
    std::fs::write(&file, "wrong-wrong-wrong-wrong").unwrap();
    let token = ["--token-file", file.to_str().unwrap()];
    for (arguments, words) in [
        (vec!["status", "--admin", &url], "wants a token"),
        ([&["status", "--admin", &url], &token[..]].concat(), "does not know this token"),
        (vec!["status", "--admin", url.trim_start_matches("http://")], "it begins with http://"),
        (vec!["status", "--admin", "http://127.0.0.1:1"], "is the gateway running"),
    ] {
        let outcome = portcullis(&arguments);
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        assert!(outcome.err.contains(words), "{arguments:?}: {outcome:#?}");
    }
    // A reader that has heard enough, as `head` has.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let ended = check.args(["check", "/nowhere"]).stdout(writer).output().unwrap();
    assert!(ended.status.code() == Some(1) && ended.stderr.is_empty(), "{ended:?}");
    let nobody = run(&gateway, &["user", "nobody"]);
    assert!(nobody.contains("failed logins  0\n"), "{nobody}");
    gateway.logged(&["listening", "protocol=\"http\""]);
}

#[test]
fn a_user_has_no_more_sessions_than_the_limit_and_gets_them_back() {
    let gateway = Gateway::start(&plan().service("user_limits", "{ connections: 2 }"));
    for mail in BOTH {
        let mut held = vec![mail.session(&gateway, "alice"), mail.session(&gateway, "alice")];
        let mut third = mail.open(&gateway);
        assert!(!mail.is_in(&mail.try_login(&mut third, "alice", "alice-secret")), "{mail:?}");
        gateway.logged(&["login denied", mail.name(), "denial=\"limit\"", "user_limits.connections"]);
        mail.login(&mut third, "bob");
        drop(third);
        held.pop();
        gateway.metric_becomes("sessions", &[mail.name()], 1.0);
        drop(mail.session(&gateway, "alice"));
    }
}

/// Method, path, body, and what the operator's token gets.
const ROUTES: [(&str, &str, &str, u16); 13] = [
    ("GET", "/status", "", 200),
    ("GET", "/sessions", "", 200),
    ("GET", "/users/alice", "", 200),
    ("GET", "/switches", "", 200),
    ("GET", "/addresses/192.0.2.1", "", 200),
    ("GET", "/backends", "", 200),
    ("GET", "/openapi.json", "", 200),
    ("DELETE", "/sessions/0-0", "", 404),
    ("DELETE", "/users/alice/sessions", "", 200),
    ("DELETE", "/users/alice/route", "", 200),
    ("PUT", "/users/alice/protocols/pop3", "{\"enabled\":true}", 200),
    ("DELETE", "/addresses/192.0.2.1/sessions", "", 200),
    ("DELETE", "/backends/one.stores.example.org/sessions", "", 200),
];

#[test]
fn every_route_wants_a_token_and_an_act_wants_one_that_may() {
    let gateway = Gateway::start(&plan());
    for (method, path, body, fine) in ROUTES {
        for (token, status) in
            [("", 401), ("wrong-wrong-wrong-wrong", 401), (VIEW, if method == "GET" { fine } else { 403 }), (OPS, fine)]
        {
            let (got, answer) = call(&gateway, token, method, path, body);
            assert_eq!(got, status, "{method} {path} with {token:?}: {answer}");
            assert_eq!(got == 200, !answer.starts_with("{\"error\":\""), "{answer}");
        }
    }
    assert_eq!(call(&gateway, "", "GET", "/nothing", "").0, 401, "what does not exist is not told to strangers");
    assert!(gateway.http("/metrics").starts_with("HTTP/1.1 200"));
    let (_, document) = call(&gateway, VIEW, "GET", "/openapi.json", "");
    for (_, path, ..) in ROUTES.iter().filter(|(_, path, ..)| !path.contains("openapi")) {
        let subject = path.split('/').nth(1).expect("a subject");
        assert!(document.contains(&format!("\"/{subject}")), "{subject} in {document}");
    }
    let names: Vec<&str> =
        document.split("\"operationId\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let unlike: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!((names.len(), unlike.len()), (12, 12), "programs are made from these names: {names:?}");
    assert!(["UserDetail", "AddressDetail"].iter().all(|name| document.contains(name)), "{document}");
    assert!(!gateway.log().contains(OPS) && !gateway.log().contains("wrong-wrong"), "no token is logged");
}

#[test]
fn bad_input_is_told_what_is_wrong_with_it() {
    let gateway = Gateway::start(&plan());
    let long = format!("/users/{}", "a".repeat(256));
    let big = format!("{{\"enabled\":true,\"x\":\"{}\"}}", "x".repeat(20_000));
    let deep = "[".repeat(10_000);
    for (method, path, body, status) in [
        ("GET", "/sessions?limit=0", "", 400),
        ("GET", "/sessions?limit=1001", "", 400),
        ("GET", "/sessions?limit=x", "", 400),
        ("GET", "/sessions?cursor=-1", "", 400),
        ("GET", "/sessions?protocol=gopher", "", 400),
        ("GET", "/sessions?client=nobody", "", 400),
        ("GET", "/sessions?colour=red", "", 400),
        ("GET", "/addresses/nobody", "", 400),
        ("GET", "/users/a%20b", "", 400),
        ("GET", "/users/%00", "", 400),
        ("GET", "/users/%ff", "", 400),
        ("GET", &long, "", 400),
        ("GET", "/users/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "", 200),
        ("GET", "/users/%1b%5B31m", "", 400),
        ("GET", "/nothing", "", 404),
        ("DELETE", "/backends/nobody/sessions", "", 404),
        ("DELETE", "/sessions/..%2f..", "", 404),
        ("POST", "/sessions", "", 405),
        ("PUT", "/users/alice/protocols/gopher", "{\"enabled\":true}", 400),
        ("PUT", "/users/alice/protocols/imap", "{\"enabled\":1}", 422),
        ("PUT", "/users/alice/protocols/imap", "{\"enabled\":true,\"more\":1}", 422),
        ("PUT", "/users/alice/protocols/imap", "nonsense", 400),
        ("PUT", "/users/alice/protocols/imap", &deep, 422),
        ("PUT", "/users/alice/protocols/imap", &big, 413),
    ] {
        let (got, answer) = call(&gateway, OPS, method, path, body);
        assert_eq!(got, status, "{method} {path}: {answer}");
        assert!(got == 200 || (answer.starts_with("{\"error\":\"") && answer.contains("\"detail\":\"")), "{answer}");
    }
    let request = format!(
        "PUT /api/v1/users/a/protocols/imap HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {OPS}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    assert_eq!(raw(&gateway, &request).0, 415);
}

#[test]
fn a_page_of_the_world_cannot_ask_through_a_browser() {
    let gateway = Gateway::start(&plan());
    for (hosts, status) in [
        ("Host: localhost:8025\r\n", 200),
        ("Host: 127.0.0.1\r\n", 200),
        ("Host: [::1]:8025\r\n", 200),
        ("Host: MAIL.example.org\r\n", 200),
        ("Host: evil.example:8025\r\n", 421),
        ("Host: 127.0.0.1.evil.example\r\n", 421),
        ("Host: localhost\r\nHost: evil.example\r\n", 421),
        ("Host: evil.example\r\nX-Forwarded-Host: localhost\r\n", 421),
        ("", 421),
    ] {
        let request =
            format!("GET /api/v1/status HTTP/1.1\r\n{hosts}Connection: close\r\nAuthorization: Bearer {VIEW}\r\n\r\n");
        assert_eq!(raw(&gateway, &request).0, status, "{hosts}");
    }
}

#[test]
fn without_tokens_loopback_may_read_and_nobody_may_act() {
    let gateway = Gateway::start(&site::shared().plan());
    for (method, path, body, fine) in ROUTES {
        let expected = if method == "GET" { fine } else { 403 };
        assert_eq!(call(&gateway, "", method, path, body).0, expected, "{method} {path}");
    }
    let admin = format!("http://{}", gateway.address("admin"));
    let refused = portcullis(&["kick", "--user", "alice", "--admin", &admin]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("without `admin.tokens` nobody may act"), "{refused:?}");
    let nobody = portcullis(&["who", "--admin", "http://127.0.0.1:1"]);
    assert!(nobody.code == Some(1) && nobody.err.contains("is the gateway running"), "{nobody:?}");
}

#[test]
fn what_is_known_of_a_user_tells_logins_addresses_and_failures() {
    let gateway = Gateway::start(&plan());
    let mut client = Mail::Imap.open_from("127.0.0.87", &gateway);
    Mail::Imap.try_login(&mut client, "bob", "wrong");
    Mail::Imap.login(&mut client, "bob");
    drop(client);
    drop(open(Mail::Pop3, "127.0.0.88", &gateway, "bob"));
    wait::until_true("both logins to be known", wait::SOON, || {
        let (_, detail) = call(&gateway, VIEW, "GET", "/users/BOB", "");
        ["\"last_address\":\"127.0.0.88\"", "\"count\":1", "127.0.0.87"].iter().all(|words| detail.contains(words))
    });
    let (_, address) = call(&gateway, VIEW, "GET", "/addresses/127.0.0.87", "");
    assert!(address.contains("bob@example.org"), "{address}");
}
