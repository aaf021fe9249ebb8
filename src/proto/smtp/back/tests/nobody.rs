//! Nobody logs in: a back-end is greeted, told who is behind us, and then takes messages.

use super::*;

fn nobody() -> LoginPlan {
    LoginPlan { user: String::new(), credential: Credential::Nobody, ..plan() }
}

const HELLO: &str = "250-mx\r\n250-SIZE 1000\r\n250 AUTH PLAIN\r\n";
const XCLIENT: &str = "250-mx\r\n250-AUTH PLAIN\r\n250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n";

#[test]
fn a_back_end_is_open_once_it_has_said_what_it_offers() {
    let opened = "EHLO\n(granted [\"SIZE 1000\", \"AUTH PLAIN\"] )\n";
    assert_eq!(talk(&nobody(), &["220 mx\r\n", HELLO]), opened);
    let behind = LoginPlan { identity: identity("203.0.113.7:4711"), ..nobody() };
    assert_eq!(talk(&behind, &["220 mx\r\n", HELLO]), opened, "who does not ask is not told");
}

#[test]
fn nothing_is_told_before_tls() {
    let plan = LoginPlan { starttls: true, identity: identity("203.0.113.7:4711"), ..nobody() };
    let rounds = ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n", HELLO];
    let opened = "EHLO\nSTARTTLS\n(starttls)\nEHLO\n(granted [\"SIZE 1000\", \"AUTH PLAIN\"] )\n";
    assert_eq!(talk(&plan, &rounds), opened);
    let stripped = talk(&plan, &["220 mx\r\n", HELLO]);
    assert!(stripped.starts_with("EHLO\n(refused Unavailable: "), "{stripped}");
}

#[test]
fn who_is_behind_us_is_told_but_no_name_of_a_user() {
    let plan = LoginPlan { identity: identity("203.0.113.7:4711"), ..nobody() };
    let transcript = talk(&plan, &["220 mx\r\n", XCLIENT, "220 again\r\n", HELLO]);
    let told = "XCLIENT HELO=client.example.org PROTO=ESMTP PORT=4711 NAME=[UNAVAILABLE] ADDR=203.0.113.7";
    let opened = "EHLO client.example.org\n(granted [\"SIZE 1000\", \"AUTH PLAIN\"] )\n";
    assert_eq!(transcript, format!("EHLO\n{told}\n{opened}"));
    let refused = talk(&plan, &["220 mx\r\n", XCLIENT, "550 no\r\n"]);
    assert!(refused.ends_with("(refused Misconfigured: the back-end refused XCLIENT: no)\n"), "{refused}");
    let gone = talk(&plan, &["220 mx\r\n", XCLIENT, "421 later\r\n"]);
    assert!(gone.contains("(refused Unavailable: "), "{gone}");
}

#[test]
fn who_speaks_out_of_turn_gets_no_message() {
    let (_, ask) = at_once(&nobody(), &[b"220 mx\r\n", b"250 mx\r\n250 OK\r\n"]);
    assert_eq!(refusal(ask).denial, Denial::Unavailable);
    let (_, ask) = at_once(&nobody(), &[b"554 no\r\n"]);
    assert_eq!(refusal(ask).denial, Denial::Unavailable);
}
