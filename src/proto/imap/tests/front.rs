//! What the client-facing half says to commands, lines and literals.

use crate::proto::cut;
use crate::proto::imap::front::ImapFront;
use crate::proto::{Credential, Denial, Front, FrontConfig, Granted, Login, Mechanism, Tls};

pub(super) fn config(tls: Tls) -> FrontConfig {
    FrontConfig {
        hostname: "mx.example".into(),
        greeting: "ready".into(),
        mechanisms: [Mechanism::Plain, Mechanism::Login, Mechanism::XOAuth2, Mechanism::OAuthBearer].into(),
        tls,
        cleartext: false,
        bad_commands: 10,
        failed_logins: 3,
        extensions: std::sync::Arc::default(),
        bare_newline: crate::proto::smtp::text::BareNewline::Reject,
        unauthorized_pipelining: crate::proto::smtp::pipelining::UnauthorizedPipelining::Allow,
        vouching: false,
    }
}

/// The password is "pw"; alice's back-end is down, bob's says everything, and mallory may not come in.
pub(super) fn judge(login: &Login) -> Result<Granted, Denial> {
    let (Credential::Password(secret) | Credential::Token(_, secret)) = &login.credential else {
        panic!("no client logs in as a master")
    };
    match login.user.as_str() {
        "down" => Err(Denial::Unavailable),
        "full" => Err(Denial::Limit),
        "mallory" => Err(Denial::Policy),
        "broken" => Err(Denial::Misconfigured),
        "quiet" if secret.expose() == "pw" => Ok(Granted::default()),
        _ if secret.expose() == "pw" => Ok(Granted {
            text: "Logged in as you".to_owned(),
            capabilities: Some("IMAP4rev1 IDLE MOVE".to_owned()),
            ..Granted::default()
        }),
        _ => Err(Denial::BadCredentials),
    }
}

/// Inside TLS, under every cut.
pub(super) fn talk(input: &[u8]) -> String {
    talk_on(&config(Tls::Active), &[input])
}

pub(super) fn talk_on(config: &FrontConfig, rounds: &[&[u8]]) -> String {
    cut::front(|| Box::new(ImapFront::new(config.clone())), judge, rounds)
}

pub(super) fn talk_uncut(config: &FrontConfig, input: &[u8]) -> String {
    cut::front_uncut(|| Box::new(ImapFront::new(config.clone())), judge, &[input])
}

pub(super) fn b64(message: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(message)
}

pub(super) const GRANTED: &str = "a OK [CAPABILITY IMAP4rev1 IDLE MOVE] Logged in as you\n";
pub(super) const ALICE: &str =
    "(login plain alice password pw)\na OK [CAPABILITY IMAP4rev1 IDLE MOVE] Logged in as you\n";
pub(super) const FAILED: &str = "a NO [AUTHENTICATIONFAILED] Authentication failed.\n";

#[test]
fn the_greeting_and_the_capabilities_say_what_works_here_and_now() {
    let greeting = |config: FrontConfig| {
        let mut say = Vec::new();
        ImapFront::new(config).greet(&mut say);
        String::from_utf8(say).expect("UTF-8")
    };
    let common = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE";
    let auth = " AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER";
    assert_eq!(greeting(config(Tls::Active)), format!("{common}{auth}] mx.example ready\r\n"));
    assert_eq!(greeting(config(Tls::Offered)), format!("{common} STARTTLS LOGINDISABLED] mx.example ready\r\n"));
    assert_eq!(greeting(config(Tls::Unavailable)), format!("{common} LOGINDISABLED] mx.example ready\r\n"));
    let open = FrontConfig { cleartext: true, ..config(Tls::Offered) };
    assert_eq!(greeting(open), format!("{common} STARTTLS{auth}] mx.example ready\r\n"));
    let tokens = FrontConfig { mechanisms: [Mechanism::XOAuth2].into(), ..config(Tls::Active) };
    assert_eq!(greeting(tokens), format!("{common} AUTH=XOAUTH2 LOGINDISABLED] mx.example ready\r\n"));
}

#[test]
fn the_small_commands_are_answered() {
    assert_eq!(
        talk(b"a CAPABILITY\r\nb NOOP\r\nc ID NIL\r\nd ENABLE X\r\ne LOGOUT\r\nf NOOP\r\n"),
        "* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER\n\
         a OK Capability completed.\n\
         b OK NOOP completed.\n\
         * ID (\"name\" \"Portcullis\")\nc OK ID completed.\n\
         * ENABLED\nd OK ENABLE ignored before the login.\n\
         * BYE Logging out\ne OK Logout completed.\n(close LoggedOut)\n"
    );
}

#[test]
fn login_takes_atoms_quotes_and_literals() {
    for command in [
        &b"a LOGIN alice pw\r\n"[..],
        b"a login \"alice\" \"pw\"\r\n",
        b"a LOGIN alice pw\n",
        b"a LOGIN {5+}\r\nalice {2+}\r\npw\r\n",
        b"a LOGIN {5+}\nalice \"pw\"\n",
    ] {
        assert_eq!(talk(command), ALICE, "{command:?}");
    }
    assert_eq!(talk(b"a LOGIN quiet pw\r\n"), "(login plain quiet password pw)\na OK Logged in.\n");
    assert_eq!(
        talk("a LOGIN \"jürgen\" \"p\\\"\\\\ ä\"\r\n".as_bytes()),
        format!("(login plain jürgen password p\"\\ ä)\n{FAILED}")
    );
}

#[test]
fn a_synchronising_literal_is_invited_once() {
    let waiting = [&b"a LOGIN {5}\r\n"[..], b"alice {2}\r\n", b"pw\r\n"];
    assert_eq!(talk_on(&config(Tls::Active), &waiting), format!("+ OK\n+ OK\n{ALICE}"));
    // The same from a client that does not wait, and in a list.
    assert_eq!(talk(b"a LOGIN {5}\r\nalice {2}\r\npw\r\n"), format!("+ OK\n+ OK\n{ALICE}"));
    assert_eq!(
        talk(b"a ID ({4}\r\nname {1}\r\nx)\r\nb NOOP\r\n"),
        "+ OK\n+ OK\n* ID (\"name\" \"Portcullis\")\na OK ID completed.\nb OK NOOP completed.\n"
    );
    // The next command has literals of its own.
    assert_eq!(
        talk(b"a LOGIN {1}\r\nx {1}\r\ny\r\na LOGIN {5}\r\nalice pw\r\n"),
        format!("+ OK\n+ OK\n(login plain x password y)\n{FAILED}+ OK\n{ALICE}")
    );
}

#[test]
fn a_literal_of_a_refused_command_is_swallowed_and_never_run() {
    for command in [
        &b"a FOOBAR {10+}\r\nb LOGOUT\r\n\r\n"[..],
        b"a LOGIN u p x {10+}\r\nb LOGOUT\r\n\r\n",
        b"a SELECT {10+}\r\nb LOGOUT\r\n {3+}\r\n\r\n* \r\n",
        b"a LOGIN ~{10+}\r\nb LOGOUT\r\n x\r\n",
        b"a LOGIN \"x {10+}\r\nb LOGOUT\r\n\" y\r\n",
        b"a NOOP {10+}\r\nb LOGOUT\r\n\r\n",
    ] {
        let said = talk(&[command, b"c NOOP\r\n"].concat());
        assert!(said.starts_with("a BAD ") && said.ends_with("\nc OK NOOP completed.\n"), "{command:?}: {said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
}

#[test]
fn a_synchronising_literal_of_a_refused_command_is_not_invited() {
    for command in [
        &b"a APPEND INBOX {999999999}\r\n"[..],
        b"a SELECT {5}\r\n",
        b"a LOGIN x y {5}\r\n",
        b"a LOGIN ~{5}\r\n",
        b"a AUTHENTICATE {5}\r\n",
    ] {
        let said = talk(&[command, b"c NOOP\r\n"].concat());
        assert!(said.starts_with("a BAD ") && said.ends_with("\nc OK NOOP completed.\n"), "{command:?}: {said}");
        assert!(!said.contains('+'), "{said}");
    }
    let barred = talk_on(&config(Tls::Offered), &[b"a LOGIN {5}\r\n", b"c NOOP\r\n"]);
    assert!(barred.starts_with("a NO [PRIVACYREQUIRED] ") && barred.ends_with("\nc OK NOOP completed.\n"), "{barred}");
}

#[test]
fn a_literal_that_is_too_long_ends_the_session() {
    for size in ["8193", "4294967295", "4294967301", "18446744073709551616", "99999999999999999999999"] {
        for plus in ["", "+"] {
            let said = talk(format!("a LOGIN {{{size}{plus}}}\r\nb NOOP\r\n").as_bytes());
            assert_eq!(said, "* BYE Protocol violation.\n(close Violation(\"literal_too_long\"))\n", "{size}{plus}");
        }
    }
    let edge = [&b"a LOGIN alice {8192+}\r\n"[..], &[b'p'; 8192], b"\r\n"].concat();
    assert!(talk_uncut(&config(Tls::Active), &edge).ends_with(FAILED));
}

#[test]
fn a_malformed_literal_is_one_wrong_command() {
    for literal in ["{-1}", "{+5}", "{}", "{5", "{5 }", "{ 5}", "{0x5}", "{5}}", "{5}x", "{5} ", "{5++}", "{5-}"] {
        let said = talk(format!("a LOGIN {literal}\r\nb NOOP\r\n").as_bytes());
        assert_eq!(said, "a BAD Error in arguments.\nb OK NOOP completed.\n", "{literal}");
    }
}

#[test]
fn what_cannot_be_a_login_fails_before_anybody_is_asked() {
    for command in [
        &b"a LOGIN {0+}\r\n {2+}\r\npw\r\n"[..],
        b"a LOGIN alice {0+}\r\n\r\n",
        b"a LOGIN alice \"\"\r\n",
        b"a LOGIN \"\" pw\r\n",
        b"a LOGIN {8+}\r\nalice\0xx {2+}\r\npw\r\n",
        b"a LOGIN {21+}\r\nalice\r\nPASS x\r\nDELE 1 {1+}\r\nx\r\n",
        b"a LOGIN alice {4+}\r\np\r\nw\r\n",
        b"a LOGIN alice {3+}\r\np\nw\r\n",
        b"a LOGIN \"\xff\" pw\r\n",
        b"a LOGIN \"\xf1\x80\" pw\r\n",
        b"a LOGIN alice \"\xff\"\r\n",
        b"a LOGIN {3+}\r\na\tb pw\r\n",
    ] {
        assert_eq!(talk(command), FAILED, "{command:?}");
    }
    let long = format!("a LOGIN {} pw\r\n", "u".repeat(256));
    assert_eq!(talk(long.as_bytes()), FAILED);
    let empty = talk(b"a LOGIN {0}\r\n {0}\r\n\r\n");
    assert_eq!(empty, format!("+ OK\n+ OK\n{FAILED}"));
}

#[test]
fn a_wrong_line_is_answered_once_and_the_next_command_works() {
    for line in [
        &b"a LOGIN \"ali\\ce\" pw"[..],
        b"a LOGIN \"ali\0ce\" pw",
        b"a LOGIN \"ali pw",
        b"a NOOP\rx",
        b"a NOOP\r",
        b"a NOOP\0",
        b"a LOGIN alice p\rw",
        b"a",
        b"a ",
        b"a  NOOP",
        b"a NOOP ((((",
        b"a ID ((\"x\" \"y\"))",
        b"a SELECT INBOX",
        b"a IDLE",
        b"a COMPRESS DEFLATE",
        b"a UNAUTHENTICATE",
        b"a AUTHENTICATE",
        b"a AUTHENTICATE ",
        b"a AUTHENTICATE PLAIN ",
    ] {
        let said = talk(&[line, b"\r\nb NOOP\r\n"].concat());
        assert!(said.starts_with("a BAD ") && said.ends_with("\nb OK NOOP completed.\n"), "{line:?}: {said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    // A line end in quotes ends the line: two wrong lines.
    assert_eq!(talk(b"a LOGIN \"ali\r\nce\" pw\r\n"), "a BAD Error in arguments.\n* BAD Invalid tag.\n");
}

#[test]
fn an_invalid_tag_is_never_echoed() {
    for tag in [
        &b"\x01"[..],
        b"\x80",
        b"(",
        b"{",
        b"%",
        b"*",
        b"\"",
        b"\\",
        b"+",
        b"",
        b"a/b",
        b"<script>",
        &[b'x'; 65],
        &[b'x'; 5000],
    ] {
        assert_eq!(talk_uncut(&config(Tls::Active), &[tag, b" NOOP\r\n"].concat()), "* BAD Invalid tag.\n", "{tag:?}");
    }
    assert_eq!(talk(b"\r\n\r\na NOOP\r\n"), "* BAD Invalid tag.\n* BAD Invalid tag.\na OK NOOP completed.\n");
}

#[test]
fn a_line_that_does_not_end_is_given_up_in_every_state_of_the_parser() {
    let over = "* BYE Protocol violation.\n(close Violation(\"line_too_long\"))\n";
    for start in [
        &b""[..],
        b"a",
        b"a ",
        b"a NOOP ",
        b"a LOGIN x",
        b"a LOGIN \"x",
        b"a LOGIN {1",
        b"a ID (\"",
        b"a ID (",
        b"a NOOP (((",
        b"a LOGIN {1+}\r\nx",
    ] {
        let said = talk_uncut(&config(Tls::Active), &[start, &[b'1'; 70_000]].concat());
        assert_eq!(said, over, "{start:?}");
    }
    for start in [
        &b"a AUTHENTICATE PLAIN "[..],
        b"a AUTHENTICATE PLAIN\r\n",
        b"a AUTHENTICATE OAUTHBEARER\r\n",
        b"a AUTHENTICATE LOGIN\r\nYQ==\r\n",
    ] {
        let said = talk_uncut(&config(Tls::Active), &[start, &[b'A'; 40_000]].concat());
        assert!(said.ends_with(over), "{start:?}: {said}");
    }
    assert_eq!(talk(&[b'x'; 9000]), over);
}

#[test]
fn wrong_commands_are_counted_and_good_ones_between_do_not_help() {
    let patient = |bad_commands| FrontConfig { bad_commands, ..config(Tls::Active) };
    let said = talk_on(&patient(3), &[b"a X\r\nb NOOP\r\nc X\r\nd NOOP\r\ne X\r\nf NOOP\r\n"]);
    let last =
        "e BAD Unknown command, or not before the login.\n* BYE Too many bad commands.\n(close TooManyBadCommands)\n";
    assert!(said.ends_with(last), "{said}");
    // A cancelled exchange, wrong base64 and an unknown mechanism are wrong commands.
    let said = talk_on(
        &patient(3),
        &[b"a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE PLAIN -\r\nc AUTHENTICATE CRAM-MD5\r\nd NOOP\r\n"],
    );
    assert!(said.ends_with("c NO [CANNOT] Unsupported authentication mechanism.\n* BYE Too many bad commands.\n(close TooManyBadCommands)\n"), "{said}");
    assert_eq!(
        talk_on(&patient(1), &[b"\r\n"]),
        "* BAD Invalid tag.\n* BYE Too many bad commands.\n(close TooManyBadCommands)\n"
    );
    let flood = talk_uncut(&patient(10), &b"\r\n".repeat(10_000));
    assert_eq!(flood.lines().count(), 12);
}

#[test]
fn what_comes_behind_starttls_in_the_clear_is_left_for_the_driver_to_refuse() {
    for behind in ["b NOOP\r\n", "b", "\r\n", "b LOGIN attacker pw\r\nc APPEND INBOX {600+}\r\n"] {
        let said =
            talk_on(&config(Tls::Offered), &[format!("a STARTTLS\r\n{behind}").as_bytes(), b"v LOGIN v vpw\r\n"]);
        assert_eq!(said, format!("a OK Begin TLS negotiation now.\n(starttls)\n(rest {behind:?})\n"));
    }
}

#[test]
fn starttls_is_refused_inside_tls_and_where_there_is_none_and_with_arguments() {
    assert_eq!(talk(b"a STARTTLS\r\nb NOOP\r\n"), "a BAD TLS is already active.\nb OK NOOP completed.\n");
    let said = talk_on(&config(Tls::Offered), &[b"a STARTTLS\r\n", b"b STARTTLS\r\n"]);
    assert_eq!(said, "a OK Begin TLS negotiation now.\n(starttls)\nb BAD TLS is already active.\n");
    assert_eq!(talk_on(&config(Tls::Unavailable), &[b"a STARTTLS\r\n"]), "a BAD TLS is not available.\n");
    assert_eq!(talk_on(&config(Tls::Offered), &[b"a STARTTLS now\r\n"]), "a BAD Error in arguments.\n");
}

#[test]
fn tls_forgets_what_was_learnt_but_not_the_errors() {
    let config = FrontConfig { bad_commands: 2, ..config(Tls::Offered) };
    let clear = &b"a ID (\"x-proxy-ttl\" \"3\")\r\na X\r\na STARTTLS\r\n"[..];
    let said = talk_on(&config, &[clear, b"a LOGIN alice pw\r\n"]);
    assert!(said.ends_with(&format!("(starttls)\n{ALICE}")), "{said}");
    let said = talk_on(&config, &[clear, b"a X\r\n"]);
    assert!(said.ends_with("(close TooManyBadCommands)\n"), "{said}");
}

#[test]
fn the_hops_that_are_left_come_from_the_last_id() {
    let said = talk(b"a ID (\"x-proxy-ttl\" \"3\")\r\na LOGIN alice pw\r\n");
    assert!(said.contains("(login plain alice password pw ttl 3)\n"), "{said}");
    let said = talk(b"a ID (\"x-proxy-ttl\" \"3\")\r\na ID NIL\r\na LOGIN alice pw\r\n");
    assert!(said.contains("(login plain alice password pw)\n"), "{said}");
}

#[test]
fn a_peer_that_speaks_something_else_is_sent_away_at_once() {
    for (first, word) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "http"),
        (b"POST /a LOGIN alice pw HTTP/1.1\r\na LOGIN alice pw\r\n", "http"),
        (b"CONNECT mail:25 HTTP/1.1\r\n", "http"),
        (b"\x16\x03\x01\x02\x00\x01", "tls_without_starttls"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 143\r\na NOOP\r\n", "proxy_header"),
    ] {
        assert_eq!(talk(first), format!("* BYE Protocol violation.\n(close Violation({word:?}))\n"));
    }
    // Later it is only a wrong command.
    let said = talk(b"a NOOP\r\nGET / HTTP/1.1\r\n\x16\x03\r\n");
    assert_eq!(said, "a OK NOOP completed.\nGET BAD Unknown command, or not before the login.\n* BAD Invalid tag.\n");
}

#[test]
fn nothing_behind_a_logout_is_read() {
    let said = talk_uncut(&config(Tls::Active), &[&b"a LOGOUT\r\n"[..], &[b'x'; 1_000_000]].concat());
    assert_eq!(said, "* BYE Logging out\na OK Logout completed.\n(close LoggedOut)\n");
}

#[test]
fn every_goodbye_is_one_whole_bye() {
    use crate::proto::{Goodbye, Protocol};
    for why in [Goodbye::Forbidden, Goodbye::TooMany, Goodbye::TimedOut, Goodbye::ShuttingDown] {
        let words = Protocol::Imap.goodbye(why);
        assert!(words.starts_with("* BYE ") && words.find("\r\n") == Some(words.len() - 2), "{words:?}");
    }
}
