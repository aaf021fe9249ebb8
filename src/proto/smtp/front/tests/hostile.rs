//! Wrong commands, long lines, strangers, and whatever comes.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_command_here_is_refused_without_information() {
    for line in ["FOO", "", " ".trim(), "XEXCH50 1 2", "XADR", "EHLO\tx", "USER alice", "FROP \u{f1}", "BELL\x08"] {
        assert_eq!(talk(&config(), &[&format!("{line}\r\n")]), UNKNOWN, "{line:?}");
    }
    for line in ["EXPN list", "ETRN #q", "TURN", "ATRN", "SAML FROM:<a@b>", "XCLIENT LOGIN=bob", "XFORWARD ADDR=::1"] {
        assert_eq!(talk(&config(), &[&format!("{line}\r\n")]), "502 5.5.1 Not implemented.\n", "{line:?}");
    }
    assert!(flood(&config(), &[b"FROP \xf1\x80\r\n"]).starts_with(UNKNOWN));
}

#[test]
fn xclient_of_a_client_changes_nothing() {
    let line = format!("XCLIENT HELO=evil LOGIN=bob ADDR=127.0.0.1\r\nMAIL FROM:<a@b>\r\nAUTH PLAIN {ALICE}\r\n");
    let transcript = talk(&config(), &[&line]);
    assert!(transcript.contains(FIRST) && transcript.contains("(login plain alice password secret helo client)"));
}

#[test]
fn a_cr_or_nul_inside_a_line_is_one_wrong_command() {
    for line in ["RSET\rQUIT", "NO\0OP", "MAIL FROM:<a\0@b>", "NOOP\r", "EHLO a\rb"] {
        let transcript = talk(&config(), &[&format!("{line}\r\nNOOP\r\n")]);
        assert_eq!(transcript, format!("500 5.5.2 A CR or NUL inside a line.\n{OK}"), "{line:?}");
    }
}

#[test]
fn the_last_wrong_command_that_is_borne_is_the_one_before_the_limit() {
    let config = FrontConfig { bad_commands: 3, ..config() };
    assert_eq!(talk(&config, &["FOO\r\n", "BAR\r\n", "NOOP\r\n"]), format!("{UNKNOWN}{UNKNOWN}{OK}"));
    assert_eq!(
        talk(&config, &["FOO\r\nBAR\r\nBAZZ\r\nNOOP\r\n"]),
        format!("{UNKNOWN}{UNKNOWN}421 4.7.0 Too many errors.\n(close TooManyBadCommands)\n")
    );
}

#[test]
fn neither_a_good_command_nor_tls_sets_the_count_back() {
    let config = FrontConfig { bad_commands: 3, ..clear() };
    let transcript = bare(&config, &["x\r\nNOOP\r\nx\r\nSTARTTLS\r\n", "EHLO x\r\n", "x\r\n"]);
    assert!(transcript.ends_with("(close TooManyBadCommands)\n"), "{transcript}");
    let inside = FrontConfig { tls: Tls::Active, ..config };
    let cancelled = [&b"EHLO x\r\n"[..], &b"AUTH PLAIN\r\n*\r\n".repeat(10_000)].concat();
    assert!(flood(&inside, &[&cancelled]).contains("(close TooManyBadCommands)\n"));
}

#[test]
fn the_last_failed_login_that_is_borne_is_the_one_before_the_limit() {
    let attempt = format!("AUTH PLAIN {WRONG}\r\n");
    let failed = format!("(login plain alice password wrong helo client)\n{BAD}");
    assert_eq!(talk(&config(), &[&attempt, &attempt, "NOOP\r\n"]), format!("{failed}{failed}{OK}"));
    assert_eq!(
        talk(&config(), &[&attempt.repeat(3), "NOOP\r\n"]),
        format!("{}421 4.7.0 Too many errors.\n(close TooManyFailedLogins)\n", failed.repeat(3))
    );
    let local = talk(&config(), &[&"AUTH PLAIN =\r\n".repeat(4)]);
    assert_eq!(local, format!("{}421 4.7.0 Too many errors.\n(close TooManyFailedLogins)\n", BAD.repeat(3)));
}

#[test]
fn a_line_is_borne_up_to_its_limit_and_no_further() {
    let too_long = "500 5.5.2 Line too long.\n(close Violation(\"line_too_long\"))\n";
    for length in [512, 1000, 2048] {
        let line = format!("{}\r\nNOOP\r\n", "x".repeat(length));
        assert_eq!(flood(&config(), &[line.as_bytes()]), format!("{UNKNOWN}{OK}"), "{length}");
    }
    for (length, ends) in [(2049, &["\r\n", "\n"][..]), (2050, &[""]), (100_000, &["\r\n", ""])] {
        for end in ends {
            let line = format!("{}{end}", "x".repeat(length));
            assert!(flood(&config(), &[line.as_bytes()]).starts_with(too_long), "{length} {end:?}");
        }
    }
}

#[test]
fn who_does_not_speak_smtp_is_sent_away_at_the_first_line() {
    for (first, what) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
        ("POST /x HTTP/1.0\r\n\r\nEHLO x\r\nMAIL FROM:<a@b>\r\n", "http"),
        ("CONNECT a:1 HTTP/1.1\r\n", "http"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 110\r\n", "proxy_header"),
        ("\x16\x03\x01\x02\0\x01\0", "tls_without_starttls"),
        ("\x16EHLO x\r\n", "not_a_command"),
        ("\0", "not_a_command"),
        (" EHLO x\r\n", "not_a_command"),
        ("<script>\r\n", "not_a_command"),
        (".\r\n", "not_a_command"),
    ] {
        let closed = format!("554 5.5.1 This is not SMTP.\n(close Violation({what:?}))\n");
        assert_eq!(bare(&clear(), &[first]), closed, "{first:?}");
        assert_eq!(talk(&clear(), &[first]), closed, "later too");
    }
    assert_eq!(talk(&clear(), &["\x16"]), "", "one byte is too little to say");
}

#[test]
fn no_answer_holds_what_the_client_said() {
    let mark = "zqzq";
    let lines = format!(
        "EHLO {mark}\r\nHELO {mark}\r\n{mark}\r\nAUTH {mark}\r\nVRFY {mark}\r\nHELP {mark}\r\nMAIL FROM:<{mark}>\r\n\
         NOOP {mark}\r\nSTARTTLS {mark}\r\nBDAT {mark}\r\n"
    );
    let transcript = bare(&config(), &[&lines]);
    assert!(!transcript.contains(mark) && transcript.lines().count() > 10, "{transcript}");
}

#[test]
fn a_hundred_commands_before_the_login_are_answered_and_no_more() {
    let end = "421 4.7.0 Too many commands before a login.\n(close TooManyCommands)\n";
    let noops = b"NOOP\r\n".repeat(100);
    assert_eq!(flood(&config(), &[&noops]), OK.repeat(100));
    assert_eq!(flood(&config(), &[&noops, &noops]), format!("{}{end}", OK.repeat(100)));
    let login = flood(&config(), &[&noops, b"AUTH PLAIN\r\n"]);
    assert!(login.ends_with(&format!("{OK}{end}")), "{login}");
    // TLS does not set the count back.
    let noops = b"NOOP\r\n".repeat(99);
    let transcript = flood(&clear(), &[&[&noops[..], b"STARTTLS\r\n"].concat(), b"NOOP\r\n"]);
    assert!(transcript.ends_with(&format!("(starttls)\n{end}")), "{transcript}");
}

proptest! {
    #[test]
    fn whatever_comes_the_answer_is_the_same_under_every_cut(
        lines in prop::collection::vec(
            prop_oneof![
                "[ -~]{0,20}",
                Just("EHLO x".to_owned()), Just("EHLO down".to_owned()), Just("STARTTLS".to_owned()), Just("AUTH PLAIN".to_owned()),
                Just("AUTH LOGIN".to_owned()), Just("*".to_owned()), Just("MAIL FROM:<a@b>".to_owned()),
                Just("BDAT 9".to_owned()), Just("YWxpY2U=".to_owned()), Just(ALICE.to_owned()), Just(WRONG.to_owned()),
            ],
            0..8,
        ),
        end in prop_oneof![Just("\r\n"), Just("\n"), Just("\r\r\n"), Just("\r")],
        vouching in any::<bool>(),
    ) {
        let input: String = lines.into_iter().map(|line| line + end).collect();
        bare(&FrontConfig { cleartext: true, vouching, ..clear() }, &[&input]);
    }

    #[test]
    fn random_bytes_never_log_in(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let all = [&b"EHLO x\r\n"[..], &bytes].concat();
        let transcript = flood(&FrontConfig { cleartext: true, vouching: true, ..clear() }, &[&all]);
        prop_assert!(!transcript.contains("(login"), "{}", transcript);
    }
}
