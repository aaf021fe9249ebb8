//! The greeting, USER and PASS, and what becomes of them.

use super::*;

#[test]
fn the_greeting_is_one_line_without_a_code_or_a_timestamp() {
    let mut say = Vec::new();
    Pop3Front::new(config()).greet(&mut say);
    assert_eq!(say, b"+OK mail.example.com ready\r\n");
}

#[test]
fn user_and_pass_log_in() {
    assert_eq!(
        talk(&config(), &["USER alice\r\n", "PASS secret\r\n"]),
        "+OK\n(login plain alice password secret)\n+OK 2 messages\n"
    );
    assert_eq!(talk(&config(), &["user alice\n", "pass secret\n"]).lines().count(), 3, "LF alone is borne");
}

#[test]
fn a_password_may_hold_control_characters_but_not_cr_lf_or_nul() {
    for byte in (1..0x20).chain([0x7f]).filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        let byte = char::from(byte);
        let said = talk(&config(), &[&format!("USER alice\r\nPASS p{byte}w\r\n")]);
        assert_eq!(said, format!("+OK\n(login plain alice password p{byte}w)\n{BAD}"));
    }
}

#[test]
fn what_is_pipelined_behind_a_login_stays_for_the_back_end() {
    assert_eq!(
        talk(&config(), &["USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n"]),
        "+OK\n(login plain alice password secret)\n+OK 2 messages\n(rest \"STAT\\r\\nQUIT\\r\\n\")\n"
    );
}

#[test]
fn what_is_pipelined_behind_a_denied_login_is_answered_here() {
    assert_eq!(
        talk(&config(), &["USER alice\r\nPASS wrong\r\nSTAT\r\nRETR 1\r\nQUIT\r\n"]),
        format!(
            "+OK\n(login plain alice password wrong)\n{BAD}-ERR Unknown command.\n-ERR Unknown command.\n\
             +OK Bye.\n(close LoggedOut)\n"
        )
    );
}

#[test]
fn a_denied_login_may_be_tried_again_from_the_start() {
    assert_eq!(
        talk(&config(), &["USER alice\r\n", "PASS wrong\r\n", "PASS secret\r\n", "USER alice\r\n", "PASS secret\r\n"]),
        format!(
            "+OK\n(login plain alice password wrong)\n{BAD}-ERR USER comes first.\n\
             +OK\n(login plain alice password secret)\n+OK 2 messages\n"
        )
    );
}

#[test]
fn every_denial_has_the_words_of_pop3() {
    for (user, words) in [
        ("mallory", "-ERR [AUTH] Authentication failed."),
        ("busy", "-ERR [IN-USE] "),
        ("down", "-ERR [SYS/TEMP] "),
        ("barred", "-ERR [AUTH] "),
        ("broken", "-ERR [SYS/PERM] "),
    ] {
        let transcript = talk(&config(), &[&format!("USER {user}\r\nPASS secret\r\n")]);
        let answer = transcript.lines().last().expect("an answer");
        assert!(answer.starts_with(words), "{user}: {answer}");
    }
}

#[test]
fn the_spaces_of_a_password_are_kept() {
    for password in [" two  spaces ", "  ", "\t", "pä ss", "=", "*"] {
        let transcript = talk(&config(), &[&format!("USER alice\r\nPASS {password}\r\n")]);
        assert!(transcript.contains(&format!("(login plain alice password {password})\n")), "{transcript}");
    }
}

#[test]
fn an_empty_password_fails_without_anybody_being_asked() {
    for empty in ["PASS", "PASS "] {
        let line = format!("USER alice\r\n{empty}\r\n");
        assert_eq!(talk(&config(), &[&line]), format!("+OK\n{BAD}"));
        let often = talk(&config(), &[&line.repeat(4)]);
        assert_eq!(often, format!("{}(close TooManyFailedLogins)\n", format!("+OK\n{BAD}").repeat(3)), "and it counts");
    }
}

#[test]
fn what_cannot_be_a_name_or_a_password_fails_without_anybody_being_asked() {
    let long = format!("USER {}\r\nPASS secret\r\n", "a".repeat(256));
    for hostile in [
        long.as_bytes(),
        b"USER a\x1b[31m\r\nPASS secret\r\n",
        b"USER al\xff\r\nPASS x\r\n",
        b"USER a\r\nPASS \xff\r\n",
    ] {
        assert_eq!(flood(&config(), &[hostile]), format!("+OK\n{BAD}"), "{}", hostile.escape_ascii());
    }
    let longest = format!("USER {}\r\nPASS secret\r\n", "a".repeat(255));
    assert!(flood(&config(), &[longest.as_bytes()]).contains("(login plain aaa"));
}

#[test]
fn a_user_name_is_one_word() {
    for line in ["USER", "USER ", "USER a b", "USER  alice", "USER alice "] {
        let transcript = talk(&config(), &[&format!("{line}\r\nPASS secret\r\n")]);
        assert_eq!(transcript, "-ERR USER takes one argument, the name.\n-ERR USER comes first.\n", "{line:?}");
    }
}

#[test]
fn identities_are_not_mixed() {
    // A second USER replaces the first.
    assert_eq!(
        talk(&config(), &["USER mallory\r\nUSER alice\r\nPASS secret\r\n"]),
        "+OK\n+OK\n(login plain alice password secret)\n+OK 2 messages\n"
    );
    // AUTH forgets it, even when it is cancelled or unknown.
    for auth in ["AUTH PLAIN\r\n*\r\n", "AUTH CRAM-MD5\r\n"] {
        let transcript = talk(&config(), &[&format!("USER alice\r\n{auth}PASS secret\r\n")]);
        assert!(transcript.ends_with("-ERR USER comes first.\n"), "{transcript}");
    }
    // What was no AUTH at all leaves it.
    let transcript = talk(&config(), &["USER alice\r\nAPOP alice 0123\r\nCAPA x\r\nNOOP\r\nPASS secret\r\n"]);
    assert!(transcript.contains("(login plain alice password secret)"), "{transcript}");
}

#[test]
fn pass_wants_user_first() {
    assert_eq!(talk(&config(), &["PASS secret\r\n"]), "-ERR USER comes first.\n");
}

#[test]
fn quit_says_goodbye_and_nothing_behind_it_is_read() {
    assert_eq!(talk(&config(), &["QUIT\r\nUSER alice\r\n"]), "+OK Bye.\n(close LoggedOut)\n");
}
