//! What is offered, in clear and inside TLS.

use super::*;

#[test]
fn capabilities_are_true_now() {
    let all = "+OK\nTOP\nUIDL\nRESP-CODES\nAUTH-RESP-CODE\nPIPELINING\n";
    let inside = format!("{all}USER\nSASL PLAIN LOGIN XOAUTH2 OAUTHBEARER\n.\n");
    let nothing = format!("{all}.\n");
    assert_eq!(talk(&config(), &["CAPA\r\n"]), inside);
    assert_eq!(talk(&FrontConfig { tls: Tls::Unavailable, ..config() }, &["CAPA\r\n"]), nothing);
    assert_eq!(talk(&FrontConfig { tls: Tls::Unavailable, cleartext: true, ..config() }, &["CAPA\r\n"]), inside);
    assert_eq!(
        talk(&clear(), &["CAPA\r\n", "STLS\r\n", "CAPA\r\n"]),
        format!("{all}STLS\n.\n+OK Begin TLS negotiation now.\n(starttls)\n{inside}")
    );
    let tokens = FrontConfig { mechanisms: [Mechanism::OAuthBearer].into(), ..config() };
    assert_eq!(talk(&tokens, &["CAPA\r\n"]), format!("{all}SASL OAUTHBEARER\n.\n"));
    let cleartext = FrontConfig { cleartext: true, ..clear() };
    assert!(talk(&cleartext, &["CAPA\r\n"]).contains("\nSTLS\nUSER\nSASL PLAIN "));
}

#[test]
fn no_credential_is_taken_in_clear() {
    let clear = clear();
    let plain = "-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\n";
    for line in ["USER alice", "AUTH PLAIN", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "AUTH XOAUTH2"] {
        assert_eq!(talk(&clear, &[&format!("{line}\r\n")]), plain, "{line}");
    }
    let often = talk(&clear, &["USER alice\r\nAUTH PLAIN\r\nUSER alice\r\n"]);
    assert_eq!(often, format!("{}(close TooManyFailedLogins)\n", plain.repeat(3)), "each is a failed login");
    assert_eq!(talk(&clear, &["AUTH\r\n"]), "+OK\n.\n");
    assert_eq!(talk(&clear, &["PASS secret\r\n"]), "-ERR USER comes first.\n");
}

#[test]
fn where_only_tokens_are_offered_a_password_is_refused() {
    let tokens = FrontConfig { mechanisms: [Mechanism::XOAuth2].into(), ..config() };
    assert_eq!(
        talk(&tokens, &["USER alice\r\n", "PASS secret\r\n", "AUTH PLAIN\r\n", "AUTH\r\n"]),
        "-ERR [AUTH] Passwords are not accepted here.\n-ERR USER comes first.\n\
         -ERR Unsupported authentication mechanism.\n+OK\nXOAUTH2\n.\n"
    );
}

#[test]
fn stls_begins_tls_once_and_forgets_what_was_said_before() {
    assert_eq!(
        talk(
            &FrontConfig { cleartext: true, ..clear() },
            &["USER alice\r\n", "STLS\r\n", "PASS secret\r\n", "STLS\r\n", "USER alice\r\nPASS secret\r\n"]
        ),
        "+OK\n+OK Begin TLS negotiation now.\n(starttls)\n-ERR USER comes first.\n-ERR TLS is already active.\n\
         +OK\n(login plain alice password secret)\n+OK 2 messages\n"
    );
}

#[test]
fn what_is_sent_behind_stls_is_never_read() {
    for injected in ["CAPA\r\n", "USER mallory\r\nPASS x\r\n", "CA"] {
        assert_eq!(
            talk(&clear(), &[&format!("STLS\r\n{injected}")]),
            format!("+OK Begin TLS negotiation now.\n(starttls)\n(rest {injected:?})\n")
        );
    }
}

#[test]
fn stls_is_refused_where_it_is_not_offered_or_has_arguments() {
    assert_eq!(
        talk(&FrontConfig { tls: Tls::Unavailable, ..config() }, &["STLS\r\n"]),
        "-ERR TLS is not available here.\n"
    );
    assert_eq!(talk(&clear(), &["STLS x\r\n"]), "-ERR No arguments are expected.\n");
}
