//! The page at `/` without a browser: who may see what, who may act, and what a browser is told about it.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::mail::Mail;
use crate::support::plan::Plan;
use crate::support::{site, wait};

pub const OPS: &str = "ops-ops-ops-ops-ops";
const VIEW: &str = "view-view-view-view";

fn plan() -> Plan {
    let tokens = format!("[{{ name: ops, token: {OPS}, may: admin }}, {{ name: view, token: {VIEW}, may: read }}]");
    site::shared().plan().set("admin.tokens", &tokens)
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header, whose name is in lower case.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// What a form of the page carries.
    #[track_caller]
    pub fn csrf(&self) -> &str {
        let (_, behind) = self.body.split_once("name=\"csrf\" value=\"").expect("a form");
        behind.split('"').next().expect("a value")
    }
}

/// One request, whose head ends as `more` says.
#[track_caller]
pub fn ask(gateway: &Gateway, method: &str, path: &str, more: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(gateway.address("admin")).unwrap();
    stream.set_read_timeout(Some(wait::SOON)).unwrap();
    let host = if more.starts_with("Host:") { "" } else { "Host: localhost\r\n" };
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\n{host}{more}{kind}Content-Length: {length}\r\nConnection: close\r\n");
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Signs in; the header with the cookie.
#[track_caller]
pub fn sign_in(gateway: &Gateway, token: &str) -> String {
    let answer = ask(gateway, "POST", "/sign-in", "", &format!("token={token}&back=%2Fbackends"));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/backends")), "{}", answer.head);
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    format!("Cookie: other=1; {cookie}\r\n")
}

const PAGES: [&str; 7] = [
    "/",
    "/sessions?protocol=imap&q=x&sort=-up&page=3",
    "/user?name=alice",
    "/address?ip=192.0.2.1",
    "/backends",
    "/x",
    "//admin",
];
/// Each with a form that would do something.
const ACTS: [(&str, &str); 5] = [
    ("/drop", "of=user&what=alice&back=/"),
    ("/drop", "of=backend&what=one.stores.example.org&back=/backends"),
    ("/switch", "user=alice&protocol=pop3&to=off&now=yes&back=/"),
    ("/switch", "user=alice&protocol=pop3&to=on&back=/"),
    ("/forget", "user=alice&back=/"),
];

#[test]
fn every_page_wants_a_visit_and_says_how_to_begin_one() {
    let gateway = Gateway::start(&plan());
    let (ops, view) = (sign_in(&gateway, OPS), sign_in(&gateway, VIEW));
    let stale = "Cookie: portcullis-mail.example.org=0123456789abcdef\r\n";
    for path in PAGES {
        for nobody in ["", stale] {
            let answer = ask(&gateway, "GET", path, nobody, "");
            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.body.contains("action=\"/sign-in\"") && !answer.body.contains("Sign out"), "{path}");
        }
        let expected = if ["/x", "//admin"].contains(&path) { 404 } else { 200 };
        for (visit, acts) in [(&view, false), (&ops, true)] {
            let answer = ask(&gateway, "GET", path, visit, "");
            assert_eq!(answer.status, expected, "{path}: {}", answer.body);
            let may_act = answer.body.contains("action=\"/drop\"") || answer.body.contains("action=\"/forget\"");
            assert!(!may_act || acts, "who may read is shown no act on {path}");
            assert!(expected == 404 || acts != answer.body.contains("read only"), "{path}");
        }
    }
    for asset in ["/page.css", "/page.js", "/page.svg"] {
        assert_eq!(ask(&gateway, "GET", asset, "", "").status, 200, "the sign-in page needs {asset}");
    }
    assert_eq!(ask(&gateway, "GET", "/api/v1/status", &ops, "").status, 401, "the cookie is no token");
    assert_eq!(ask(&gateway, "DELETE", "/", &ops, "").status, 405);
    assert_eq!(ask(&gateway, "GET", "/drop", &ops, "").status, 405);
}

#[test]
fn no_act_without_the_token_of_our_own_forms() {
    let gateway = Gateway::start(&plan());
    let mut held = Mail::Imap.session(&gateway, "alice");
    gateway.metric_becomes("sessions", &[], 1.0);
    let (ops, other, view) = (sign_in(&gateway, OPS), sign_in(&gateway, OPS), sign_in(&gateway, VIEW));
    let of = |visit: &str| ask(&gateway, "GET", "/", visit, "").csrf().to_owned();
    let (own, others, reads) = (of(&ops), of(&other), of(&view));
    assert!(own.len() == 64 && own != others);
    for (path, form) in ACTS {
        for (visit, csrf, status) in [
            ("", String::new(), 401),
            ("", format!("csrf={own}&"), 401),
            (&ops, String::new(), 422),
            (&ops, "csrf=&".to_owned(), 403),
            (&ops, format!("csrf={others}&"), 403),
            (&view, format!("csrf={reads}&"), 403),
            (&view, format!("csrf={own}&"), 403),
        ] {
            let answer = ask(&gateway, "POST", path, visit, &format!("{csrf}{form}"));
            assert_eq!(answer.status, status, "{path} {csrf}{form}: {}", answer.body);
        }
        for origin in ["http://evil.example", "null", "http://localhost.evil.example", "http://localhost:1"] {
            let from = format!("{ops}Origin: {origin}\r\n");
            assert_eq!(ask(&gateway, "POST", path, &from, &format!("csrf={own}&{form}")).status, 403, "{origin}");
        }
    }
    held.ask_for("n NOOP", "n OK");
    assert!(!gateway.log().contains("act=\"drop\"") && !gateway.log().contains("act=\"disable\""));
    for (path, form) in ACTS {
        let fine = format!("{ops}Origin: http://localhost\r\n");
        let answer = ask(&gateway, "POST", path, &fine, &format!("csrf={own}&{form}"));
        assert_eq!(answer.status, 303, "{path} {form}: {}", answer.body);
    }
    assert!(held.line().starts_with("* BYE "));
    for words in ["act=\"drop\"", "act=\"disable\"", "act=\"enable\"", "act=\"forget_route\""] {
        gateway.logged(&["administrator", "by=\"ops\"", "from=127.0.0.1:", words]);
    }
}

#[test]
fn many_sessions_are_dropped_when_asked_twice() {
    let gateway = Gateway::start(&plan());
    let mut held: Vec<Client> = (0..2).map(|_| Mail::Imap.session(&gateway, "alice")).collect();
    gateway.metric_becomes("sessions", &[], 2.0);
    let ops = sign_in(&gateway, OPS);
    let csrf = ask(&gateway, "GET", "/", &ops, "").csrf().to_owned();
    for (path, form) in [
        ("/drop", "of=user&what=alice&back=//evil.example"),
        ("/drop", "of=address&what=127.0.0.1&back=/"),
        ("/drop", "of=backend&what=ONE.stores.example.org&back=/"),
        ("/switch", "user=alice&protocol=imap&to=off&now=yes&back=/"),
    ] {
        let question = ask(&gateway, "POST", path, &ops, &format!("csrf={csrf}&{form}"));
        assert_eq!(question.status, 200, "{form}");
        assert!(question.body.contains("name=\"sure\" value=\"yes\"") && question.body.contains("Drop 2 "), "{form}");
        assert!(!question.body.contains("href=\"//evil"), "{}", question.body);
    }
    held.iter_mut().for_each(|client| drop(client.ask_for("n NOOP", "n OK")));
    let form = format!("csrf={csrf}&of=user&what=alice&back=//evil.example&sure=yes");
    let answer = ask(&gateway, "POST", "/drop", &ops, &form);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    held.iter_mut().for_each(|client| assert!(client.line().starts_with("* BYE ")));
    let polled = ask(&gateway, "GET", "/", &format!("{ops}X-Poll: 1\r\n"), "");
    assert!(!polled.body.contains("2 sessions dropped."), "what the script asks takes nobody's notice away");
    assert!(ask(&gateway, "GET", "/", &ops, "").body.contains("2 sessions dropped."));
    assert!(!ask(&gateway, "GET", "/", &ops, "").body.contains("2 sessions dropped."), "it is told once");
    for (path, form, status) in [
        ("/drop", "of=session&what=nobody&back=/", 404),
        ("/drop", "of=everybody&what=&back=/", 400),
        ("/drop", "of=backend&what=nobody&back=/", 404),
        ("/drop", "of=user&what=%00&back=/", 400),
        ("/switch", "user=alice&protocol=gopher&to=off&back=/", 400),
        ("/switch", "user=alice&protocol=imap&to=perhaps&back=/", 400),
        ("/forget", "back=/", 422),
        ("/forget", &"x".repeat(20_000), 413),
    ] {
        let answer = ask(&gateway, "POST", path, &ops, &format!("csrf={csrf}&{form}"));
        assert_eq!(answer.status, status, "{path} {form}: {}", answer.body);
    }
}

#[test]
fn a_visit_begins_with_a_token_and_ends_on_request() {
    let gateway = Gateway::start(&plan());
    let begun = ask(&gateway, "POST", "/sign-in", "", &format!("token=%20{OPS}%0A&back=https://evil.example"));
    assert_eq!((begun.status, begun.header("location")), (303, Some("/")));
    let cookie = begun.header("set-cookie").expect("a cookie");
    let (pair, attributes) = cookie.split_once(';').expect("attributes");
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Strict");
    let (name, key) = pair.split_once('=').expect("a pair");
    assert_eq!((name, key.len()), ("portcullis-mail.example.org", 64));
    let visit = format!("Cookie: {pair}\r\n");
    assert_eq!(ask(&gateway, "GET", "/", &visit, "").status, 200);
    let again = ask(&gateway, "POST", "/sign-in", &visit, &format!("token={OPS}&back=/"));
    let new = format!("Cookie: {}\r\n", again.header("set-cookie").and_then(|new| new.split(';').next()).unwrap());
    assert_eq!(ask(&gateway, "GET", "/", &visit, "").status, 401, "whoever knew the old one knows nothing");
    let csrf = ask(&gateway, "GET", "/", &new, "").csrf().to_owned();
    assert_eq!(ask(&gateway, "POST", "/sign-out", &new, "csrf=wrong").status, 403);
    assert_eq!(ask(&gateway, "GET", "/", &new, "").status, 200);
    let out = ask(&gateway, "POST", "/sign-out", &new, &format!("csrf={csrf}"));
    assert!(out.status == 303 && out.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(ask(&gateway, "GET", "/", &new, "").status, 401, "it ended here, not in the browser alone");
    for act in ["sign_in", "sign_out"] {
        gateway.logged(&["administrator", "by=\"ops\"", act]);
    }
    for _ in 0..10 {
        assert_eq!(ask(&gateway, "POST", "/sign-in", "", "token=wrong-wrong-wrong&back=/").status, 401);
    }
    let late = ask(&gateway, "POST", "/sign-in", "", &format!("token={OPS}&back=/"));
    assert_eq!((late.status, late.header("retry-after")), (429, Some("60")));
    let log = gateway.log();
    assert!(!log.contains(OPS) && !log.contains("wrong-wrong") && !log.contains(key), "no token and no key is logged");
}

#[test]
fn a_browser_is_told_to_keep_and_to_trust_nothing() {
    let gateway = Gateway::start(&plan());
    let ops = sign_in(&gateway, OPS);
    let hostile = "/sessions?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=%3Cscript%3E";
    let outcomes = [
        ("/", "", 401),
        ("/", &ops, 200),
        (hostile, "", 401),
        (hostile, &ops, 200),
        ("/user?name=%3Cscript%3E", &ops, 200),
        ("/address?ip=%3Cscript%3E", &ops, 400),
        ("/sessions?protocol=%3Cscript%3E", &ops, 400),
        ("/sessions?page=%3Cscript%3E", &ops, 400),
        ("/x", &ops, 404),
        ("/sign-in", "", 200),
        ("/page.js", "", 200),
    ];
    for (path, visit, status) in outcomes {
        let answer = ask(&gateway, "GET", path, visit, "");
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        for words in ["default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(words) && !policy.contains("unsafe"), "{policy}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let inline = ["<script>", "<style", " style=", " onclick=", "javascript:", "http://", "https://"];
        assert!(path == "/page.js" || inline.iter().all(|words| !answer.body.contains(words)), "{}", answer.body);
    }
    for (hosts, status) in [
        ("Host: MAIL.example.org:8025\r\n", 200),
        ("Host: evil.example\r\n", 421),
        ("Host: 127.0.0.1.evil.example\r\n", 421),
        ("Host: localhost\r\nHost: evil.example\r\n", 421),
        ("Host: evil.example\r\nX-Forwarded-Host: localhost\r\n", 421),
    ] {
        for path in ["/", "/sign-in"] {
            assert_eq!(ask(&gateway, "GET", path, &format!("{hosts}{ops}"), "").status, status, "{hosts}");
        }
        let token = format!("token={OPS}&back=/");
        let expected = if status == 200 { 303 } else { status };
        assert_eq!(ask(&gateway, "POST", "/sign-in", hosts, &token).status, expected, "{hosts}");
    }
}

#[test]
fn without_tokens_the_page_is_read_on_loopback_and_nobody_acts() {
    let gateway = Gateway::start(&site::shared().plan());
    for path in PAGES {
        let answer = ask(&gateway, "GET", path, "", "");
        assert_eq!(answer.status, if ["/x", "//admin"].contains(&path) { 404 } else { 200 }, "{path}");
        assert!(!answer.body.contains("method=\"post\""), "{}", answer.body);
    }
    assert!(ask(&gateway, "GET", "/sessions", "", "").body.contains("Nobody is logged in."));
    for (path, form) in ACTS {
        assert_eq!(ask(&gateway, "POST", path, "", &format!("csrf=&{form}")).status, 403, "{path}");
    }
    assert_eq!(ask(&gateway, "POST", "/sign-in", "", "token=&back=/").status, 403);
    assert_eq!(ask(&gateway, "GET", "/sign-in", "", "").status, 303);
}
