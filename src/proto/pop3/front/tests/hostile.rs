//! Wrong commands, long lines, strangers, and whatever comes.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_command_before_the_login_is_unknown() {
    for line in [
        "APOP alice c4c9334bac560ecc979e58001b3e22fb",
        "STAT",
        "LIST",
        "RETR 1",
        "UTF8",
        "LANG",
        "XCLIENT ADDR=192.0.2.1 PORT=1 SESSION=x TTL=4",
        "XOIP 192.0.2.1",
        "a LOGIN alice secret",
        "EHLO x",
        "",
        " ",
    ] {
        assert_eq!(talk(&config(), &[&format!("{line}\r\n")]), "-ERR Unknown command.\n", "{line}");
    }
}

#[test]
fn a_cr_or_nul_inside_a_line_is_one_wrong_command() {
    for line in ["US\rER alice", "USER\0alice", "USER al\0ice", "PASS a\rb", "CAPA\r", "\0"] {
        assert_eq!(talk(&config(), &[&format!("{line}\r\nNOOP\r\n")]), "-ERR A CR or NUL inside a line.\n+OK\n");
    }
}

#[test]
fn the_last_wrong_command_that_is_borne_is_the_one_before_the_limit() {
    let config = FrontConfig { bad_commands: 3, ..config() };
    let bad = "-ERR Unknown command.\n";
    assert_eq!(talk(&config, &["x\r\n", "x\r\n", "NOOP\r\n"]), format!("{bad}{bad}+OK\n"));
    assert_eq!(
        talk(&config, &["x\r\nx\r\nx\r\nNOOP\r\n"]),
        format!("{bad}{bad}-ERR Too many wrong commands.\n(close TooManyBadCommands)\n")
    );
    let once = FrontConfig { bad_commands: 1, ..config };
    assert_eq!(talk(&once, &["x\r\n"]), "-ERR Too many wrong commands.\n(close TooManyBadCommands)\n");
}

#[test]
fn neither_a_good_command_nor_tls_sets_the_count_back() {
    let config = FrontConfig { bad_commands: 3, ..clear() };
    assert!(
        talk(&config, &["x\r\nNOOP\r\nx\r\nSTLS\r\n", "CAPA\r\n", "x\r\n"]).ends_with("(close TooManyBadCommands)\n")
    );
    let alternating = b"CAPA\r\nx\r\n".repeat(10_000);
    assert!(flood(&config, &[&alternating]).contains("(close TooManyBadCommands)\n"));
    let cancelled = b"AUTH PLAIN\r\n*\r\n".repeat(10_000);
    let inside = FrontConfig { tls: Tls::Active, ..config };
    assert!(flood(&inside, &[&cancelled]).contains("(close TooManyBadCommands)\n"));
}

#[test]
fn the_last_failed_login_that_is_borne_is_the_one_before_the_limit() {
    let attempt = "USER alice\r\nPASS wrong\r\n";
    let failed = format!("+OK\n(login plain alice password wrong)\n{BAD}");
    assert_eq!(talk(&config(), &[attempt, attempt, "NOOP\r\n"]), format!("{failed}{failed}+OK\n"));
    assert_eq!(
        talk(&config(), &[&attempt.repeat(3), "NOOP\r\n"]),
        format!("{failed}{failed}{failed}(close TooManyFailedLogins)\n")
    );
    let local = format!("{attempt}AUTH PLAIN =\r\nUSER alice\r\nPASS\r\nNOOP\r\n");
    assert_eq!(talk(&config(), &[&local]), format!("{failed}{BAD}+OK\n{BAD}(close TooManyFailedLogins)\n"));
}

#[test]
fn a_hundred_commands_before_the_login_are_answered_and_no_more() {
    let end = "-ERR Too many commands before a login.\n(close TooManyCommands)\n";
    let answered = "+OK\n".repeat(100);
    assert_eq!(flood(&config(), &[&b"NOOP\r\n".repeat(10_000)]), format!("{answered}{end}"));
    let noops = b"NOOP\r\n".repeat(99);
    let login = flood(&config(), &[&noops, b"USER alice\r\nPASS secret\r\n"]);
    assert!(login.ends_with(&format!("+OK\n{end}")) && !login.contains("(login"), "{login}");
    // TLS does not set the count back.
    let transcript = flood(&clear(), &[&[&noops[..], b"STLS\r\n"].concat(), b"NOOP\r\n"]);
    assert!(transcript.ends_with(&format!("(starttls)\n{end}")), "{transcript}");
}

#[test]
fn what_is_not_the_client_s_fault_is_not_counted() {
    for user in ["down", "busy", "broken"] {
        let transcript = talk(&config(), &[&format!("USER {user}\r\nPASS x\r\n").repeat(5), "NOOP\r\n"]);
        assert!(transcript.ends_with("+OK\n"), "{transcript}");
    }
    assert!(talk(&config(), &[&"USER barred\r\nPASS x\r\n".repeat(3)]).ends_with("(close TooManyFailedLogins)\n"));
}

#[test]
fn a_line_is_borne_up_to_its_limit_and_no_further() {
    let too_long = "-ERR Line too long.\n(close Violation(\"line_too_long\"))\n";
    for length in [255, 256, 512, 8192] {
        let line = format!("{}\r\nNOOP\r\n", "x".repeat(length));
        assert_eq!(flood(&config(), &[line.as_bytes()]), "-ERR Unknown command.\n+OK\n", "{length}");
    }
    for (length, ends) in [(8193, &["\r\n", "\n"][..]), (8194, &[""]), (100_000, &["\r\n", ""])] {
        for end in ends {
            let line = format!("{}{end}", "x".repeat(length));
            assert!(flood(&config(), &[line.as_bytes()]).starts_with(too_long), "{length} {end:?}");
        }
    }
    // In the middle of a conversation too, and for a password.
    let pass = format!("PASS {}\r\n", "x".repeat(8188));
    assert!(flood(&config(), &[b"USER alice\r\n", pass.as_bytes()]).contains(too_long));
    let pass = format!("PASS {}\r\n", "x".repeat(8187));
    assert!(flood(&config(), &[b"USER alice\r\n", pass.as_bytes()]).contains("(login plain alice password xxx"));
}

#[test]
fn who_speaks_no_mail_protocol_gets_no_answer() {
    let closed = |what: &str| format!("(close Violation({what:?}))\n");
    for (first, what) in [
        ("GET / HTTP/1.1\r\nHost: mail\r\n\r\n", "http"),
        ("POST /x HTTP/1.0\nUSER alice\n", "http"),
        ("\x16\x03\x01\x02\0\x01\0", "tls_without_starttls"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 110\r\n", "proxy_header"),
    ] {
        let transcript = talk(&clear(), &[first]);
        assert!(transcript.starts_with(&closed(what)), "{transcript}");
        // Inside TLS the same; later, only one wrong command.
        assert!(talk(&clear(), &["STLS\r\n", first]).contains(&closed(what)));
    }
    assert_eq!(talk(&clear(), &["NOOP\r\nGET / HTTP/1.1\r\n"]), "+OK\n-ERR Unknown command.\n");
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000));
    assert!(flood(&clear(), &[long.as_bytes()]).starts_with("-ERR Line too long.\n"));
}

#[test]
fn many_good_commands_at_once_are_answered() {
    let transcript = flood(&config(), &[&b"NOOP\r\n".repeat(100)]);
    assert_eq!(transcript, "+OK\n".repeat(100));
}

proptest! {
    #[test]
    fn whatever_comes_the_answer_is_the_same_under_every_cut(
        lines in prop::collection::vec(
            prop_oneof![
                "[ -~]{0,20}",
                Just("CAPA".to_owned()), Just("STLS".to_owned()), Just("AUTH PLAIN".to_owned()), Just("*".to_owned()),
                Just("AUTH LOGIN".to_owned()), Just("USER alice".to_owned()), Just("PASS secret".to_owned()),
                Just("PASS wrong".to_owned()), Just("YWxpY2U=".to_owned()), Just("AGFsaWNlAHNlY3JldA==".to_owned()),
            ],
            0..8,
        ),
        end in prop_oneof![Just("\r\n"), Just("\n"), Just("\r\r\n"), Just("\r")],
    ) {
        let input: String = lines.into_iter().map(|line| line + end).collect();
        talk(&FrontConfig { cleartext: true, ..clear() }, &[&input]);
    }

    #[test]
    fn random_bytes_never_log_in(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let transcript = flood(&FrontConfig { cleartext: true, ..clear() }, &[&bytes]);
        prop_assert!(!transcript.contains("(login"), "{}", transcript);
    }
}
