//! What is offered, in clear and inside TLS.

use super::*;

const HEAD: &str = "250-mail.example.com\n250-PIPELINING\n250-SIZE 1000\n";
const BEGIN: &str = "220 2.0.0 Begin TLS negotiation now.\n(starttls)\n";

#[test]
fn extensions_are_true_now() {
    let inside = format!("{HEAD}250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\n");
    let nothing = "250-mail.example.com\n250-PIPELINING\n250 SIZE 1000\n";
    assert_eq!(bare(&config(), &["EHLO x\r\n"]), inside);
    assert_eq!(bare(&FrontConfig { tls: Tls::Unavailable, ..config() }, &["EHLO x\r\n"]), nothing);
    assert_eq!(bare(&FrontConfig { tls: Tls::Unavailable, cleartext: true, ..config() }, &["EHLO x\r\n"]), inside);
    assert_eq!(
        bare(&clear(), &["EHLO x\r\n", "STARTTLS\r\n", "EHLO x\r\n"]),
        format!("{HEAD}250 STARTTLS\n{BEGIN}{inside}")
    );
    let none = FrontConfig { extensions: [].into(), mechanisms: [].into(), ..config() };
    assert_eq!(bare(&none, &["EHLO x\r\n"]), "250 mail.example.com\n");
    assert_eq!(bare(&config(), &["HELO x\r\n"]), "250 mail.example.com\n");
}

#[test]
fn nothing_is_promised_that_a_back_end_could_not_keep_or_that_is_not_ours_to_offer() {
    let learnt = ["STARTTLS", "AUTH CRAM-MD5", "XCLIENT ADDR LOGIN", "ETRN", "size x", "dsn", "CHUNKING", "A\r\nB"];
    let config = FrontConfig { extensions: learnt.map(Into::into).into(), mechanisms: [].into(), ..config() };
    assert_eq!(bare(&config, &["EHLO x\r\n"]), "250-mail.example.com\n250-DSN\n250 CHUNKING\n");
}

#[test]
fn no_credential_is_taken_in_clear() {
    let refused = "538 5.7.11 Encryption is required for authentication.\n";
    for line in ["AUTH PLAIN", &format!("AUTH PLAIN {ALICE}"), "AUTH XOAUTH2", "AUTH LOGIN"] {
        assert_eq!(talk(&clear(), &[&format!("{line}\r\nNOOP\r\n")]), format!("{refused}{OK}"), "{line}");
    }
    assert_eq!(
        talk(&clear(), &[&"AUTH PLAIN\r\n".repeat(4)]),
        format!("{}421 4.7.0 Too many errors.\n(close TooManyFailedLogins)\n", refused.repeat(3)),
        "each is a failed login"
    );
    assert_eq!(talk(&clear(), &["MAIL FROM:<a@b>\r\n"]), FIRST);
}

#[test]
fn starttls_begins_tls_once_and_forgets_what_was_said_before() {
    let open = FrontConfig { cleartext: true, ..clear() };
    let transcript = talk(&open, &["STARTTLS\r\n", "MAIL FROM:<a@b>\r\n", "AUTH PLAIN\r\n", "STARTTLS\r\n"]);
    let first = "503 5.5.1 EHLO comes first.\n";
    assert_eq!(transcript, format!("{BEGIN}{first}{first}503 5.5.1 TLS is already active.\n"));
    // The name that counts is the one that was said inside.
    let lines = format!("EHLO victim\r\nAUTH PLAIN {ALICE}\r\n");
    let transcript = bare(&clear(), &["EHLO evil\r\n", "STARTTLS\r\n", &lines]);
    assert!(transcript.contains("secret helo victim)") && !transcript.contains("evil"), "{transcript}");
}

#[test]
fn what_is_sent_behind_starttls_is_never_read() {
    for injected in ["EHLO commandinjectiontester\r\n", "EHL", &format!("EHLO e\r\nAUTH PLAIN {ALICE}\r\n")] {
        assert_eq!(talk(&clear(), &[&format!("STARTTLS\r\n{injected}")]), format!("{BEGIN}(rest {injected:?})\n"));
    }
}

#[test]
fn starttls_is_refused_where_it_is_not_offered_or_has_arguments() {
    let none = FrontConfig { tls: Tls::Unavailable, ..config() };
    assert_eq!(bare(&none, &["STARTTLS\r\n"]), "502 5.5.1 TLS is not available here.\n");
    assert_eq!(bare(&config(), &["STARTTLS\r\n"]), "503 5.5.1 TLS is already active.\n");
    assert_eq!(bare(&clear(), &["STARTTLS now\r\n"]), "501 5.5.4 No arguments, please.\n");
}

#[test]
fn a_name_is_kept_as_it_is_or_refused() {
    let named = |name: &str| bare(&config(), &[&format!("EHLO {name}\r\nAUTH PLAIN {ALICE}\r\n")]);
    for name in ["localhost", "[127.0.0.1]", "[IPv6:::1]", "my_pc", "a+b=c", &"x".repeat(255)] {
        assert!(named(name).contains(&format!(" helo {name})")), "{name}");
    }
    for name in ["", " ", "a b", "<script>alert(1)</script>", "x\x1b[2J", "b\u{fc}ro", &"x".repeat(256)] {
        let transcript = named(name);
        assert_eq!(
            transcript, "501 5.5.4 A host's name or address is expected.\n503 5.5.1 EHLO comes first.\n",
            "{name:?}"
        );
    }
    let twice = talk(&config(), &["HELO other\r\n", "EHLO third\r\n", &format!("AUTH PLAIN {ALICE}\r\n")]);
    assert!(twice.contains("helo third)"), "{twice}");
}
