//! Who may ask the admin side: wrong tokens, names that are not the gateway's, and pages of other sites.

use crate::page_http::{OPS, VIEW, ask, plan};
use crate::support::gateway::Gateway;
use crate::support::site;

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn wrong_tokens_are_counted_logged_and_limited_for_their_address_alone() {
    let gateway = Gateway::start(&plan());
    let status = |token: &str| ask(&gateway, "GET", "/api/v1/status", &bearer(token), "").status;
    // One that a program has kept from before is one wrong token, however often it comes.
    for _ in 0..20 {
        assert_eq!(status("yesterdays-token"), 401);
    }
    assert_eq!(status(VIEW), 200);
    for number in 0..10 {
        assert_eq!(status(&format!("secret-guess-{number}")), 401);
    }
    let late = ask(&gateway, "GET", "/api/v1/status", &bearer(OPS), "");
    assert_eq!((late.status, late.header("retry-after")), (429, Some("60")), "{}", late.body);
    assert!(late.body.contains("too_many_requests"), "{}", late.body);
    // The page's sign-in counts with it.
    assert_eq!(ask(&gateway, "POST", "/sign-in", "", &format!("token={OPS}&back=/")).status, 429);
    // Somebody else's address is not concerned.
    let mut other = gateway.connect_from("127.0.0.9", "admin");
    other.send(format!("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n{}\r\n", bearer(OPS)));
    other.expect("HTTP/1.1 200");

    let line = gateway.logged(&["WARN", "wrong token", "surface=\"api\""]);
    assert!(line.contains("from=127.0.0.1:"), "{line}");
    let log = gateway.log();
    assert_eq!(log.lines().filter(|line| line.contains("wrong token")).count(), 11, "{log}");
    for secret in ["yesterdays-token", "secret-guess", OPS, VIEW] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!((gateway.metric("admin_refusals_total", &["\"wrong_token\""]) - 30.0).abs() < 0.5);
    assert!((gateway.metric("admin_refusals_total", &["too_many_wrong_tokens"]) - 2.0).abs() < 0.5);
    assert_eq!(ask(&gateway, "GET", "/api/v1/status", "", "").status, 401);
    assert!((gateway.metric("admin_refusals_total", &["no_token"]) - 1.0).abs() < 0.5);
}

#[test]
fn the_page_logs_a_wrong_token_too() {
    let gateway = Gateway::start(&plan());
    assert_eq!(ask(&gateway, "POST", "/sign-in", "", "token=wrong-wrong-wrong&back=/").status, 401);
    gateway.logged(&["WARN", "wrong token", "surface=\"page\"", "from=127.0.0.1:"]);
}

#[test]
fn a_name_that_is_not_the_gateways_is_misdirected_everywhere_but_for_health() {
    let gateway = Gateway::start(&site::shared().plan().set("admin.hosts", "[gate.example.com]"));
    for path in ["/metrics", "/api/v1/status", "/"] {
        for (host, status) in [
            ("[::1]evil.example", 421),
            ("[::1]:8025.evil.example", 421),
            ("evil.example", 421),
            ("evil.example:8025", 421),
            ("[::1]:8025", 200),
            ("192.0.2.1", 200),
            ("gate.example.com:8025", 200),
        ] {
            assert_eq!(ask(&gateway, "GET", path, &format!("Host: {host}\r\n"), "").status, status, "{path} {host}");
        }
    }
    // A load balancer asks by any name, or by none.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&gateway, "GET", path, "Host: evil.example\r\n", "").status, 200);
        let mut old = gateway.connect("admin");
        old.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
        old.expect("HTTP/1.0 200");
    }
    assert!((gateway.metric("admin_refusals_total", &["unknown_host"]) - 12.0).abs() < 0.5);
}

#[test]
fn a_page_of_another_site_reads_nothing_and_does_nothing_but_may_link_to_ours() {
    let gateway = Gateway::start(&plan());
    let from = |site: &str, mode: &str, dest: &str| {
        format!("Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n")
    };
    let link = |site| from(site, "navigate", "document");
    for site in ["cross-site", "same-site"] {
        for head in [link(site), from(site, "no-cors", "script"), from(site, "cors", "empty")] {
            for path in ["/api/v1/status", "/metrics"] {
                assert_eq!(ask(&gateway, "GET", path, &format!("{head}{}", bearer(VIEW)), "").status, 403, "{path}");
            }
            let form = format!("token={OPS}&back=/");
            assert_eq!(ask(&gateway, "POST", "/sign-in", &head, &form).status, 403, "{head}");
            let act = ask(&gateway, "DELETE", "/api/v1/users/alice/sessions", &format!("{head}{}", bearer(OPS)), "");
            assert_eq!(act.status, 403, "{}", act.body);
        }
        assert_eq!(ask(&gateway, "GET", "/sign-in", &link(site), "").status, 200, "somebody follows a link");
        assert_eq!(ask(&gateway, "GET", "/sign-in", &from(site, "navigate", "iframe"), "").status, 403);
        assert_eq!(ask(&gateway, "GET", "/sign-in", &from(site, "no-cors", "image"), "").status, 403);
    }
    for site in ["same-origin", "none"] {
        let head = format!("{}{}", from(site, "cors", "empty"), bearer(VIEW));
        assert_eq!(ask(&gateway, "GET", "/api/v1/status", &head, "").status, 200);
        assert_eq!(ask(&gateway, "GET", "/metrics", &head, "").status, 200);
        assert_eq!(
            ask(&gateway, "POST", "/sign-in", &from(site, "navigate", "document"), &format!("token={OPS}&back=/"))
                .status,
            303
        );
    }
    assert!(gateway.metric("admin_refusals_total", &["other_site"]) > 10.0);
}
